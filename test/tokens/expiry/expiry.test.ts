import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ExpiryHint, parseExpiry, resolveExpiry } from '../../../src/tokens/expiry/expiry.ts';
import { randomFrom } from '../../helpers/seeded-random.ts';
import { unsignedJwt } from '../../helpers/unsigned-jwt.ts';

const NOW = Date.UTC(2026, 0, 1);
const NOW_S = NOW / 1000;

function hint(value: unknown, as: ExpiryHint['as'] = 'auto', unit: ExpiryHint['unit'] = 'auto'): ExpiryHint {
  return { origin: 'expiry', value, as, unit };
}

const relative = (lifetimeMs: number) => ({ kind: 'relative', lifetimeMs });
const absolute = (expiresAtWallMs: number) => ({ kind: 'absolute', expiresAtWallMs });
const ignored = (why: string) => ({ kind: 'ignored', note: `expiry ${why}: ignored` });
const localNoon = new Date(2026, 10, 21, 12, 0, 0).getTime();
const assumedLocal = {
  ...absolute(localNoon),
  isLocalTime: true,
  note: 'expiry has no time zone: treated as local time of this machine',
};

const READINGS: readonly [string, ExpiryHint, object][] = [
  ['seconds', hint(300), relative(300_000)],
  ['a fraction of a second', hint(0.5), relative(500)],
  ['seconds as a string', hint('3599'), relative(3_599_000)],
  ['seconds as a string with blanks', hint(' 3599 '), relative(3_599_000)],
  ['a duration with its unit', hint('3599s'), relative(3_599_000)],
  ['an exponent', hint('3e2'), relative(300_000)],
  ['thirty days', hint(2_592_000), relative(2_592_000_000)],
  ['one million million, epoch milliseconds by size', hint(1e12), absolute(1e12)],
  ['epoch seconds', hint(NOW_S), absolute(NOW)],
  ['epoch seconds as a string', hint(String(NOW_S)), absolute(NOW)],
  ['epoch milliseconds', hint(NOW), absolute(NOW)],
  ['epoch microseconds', hint(NOW * 1e3), absolute(NOW)],
  ['epoch nanoseconds', hint(NOW * 1e6), absolute(NOW)],
  ['epoch nanoseconds as a string', hint(`${NOW}000000`), absolute(NOW)],
  ['relative milliseconds, when configured', hint(300_000, 'relative', 'ms'), relative(300_000)],
  ['relative seconds, when configured, however many', hint(1e8, 'relative', 's'), relative(1e11)],
  ['a life of more than ten years is cut', hint(1e12, 'relative', 's'), relative(10 * 365 * 86_400_000)],
  ['absolute milliseconds, when configured', hint(NOW, 'absolute', 'ms'), absolute(NOW)],
  ['the unit without the meaning', hint(300_000, 'auto', 'ms'), relative(300_000)],
  ['the unit without the meaning, a date', hint(NOW, 'auto', 'ms'), absolute(NOW)],
  ['ISO with Z', hint('2026-01-01T00:00:00Z'), absolute(NOW)],
  ['ISO with nine digits of a second', hint('2026-01-01T00:00:00.123456789Z'), absolute(NOW + 123)],
  ['ISO with an offset', hint('2026-01-01T08:00:00+08:00'), absolute(NOW)],
  ['ISO with an offset without colon', hint('2026-01-01T08:00:00+0800'), absolute(NOW)],
  ['ISO with a blank and UTC', hint('2026-01-01 00:00:00 UTC'), absolute(NOW)],
  ['ISO without seconds', hint('2026-01-01T00:00Z'), absolute(NOW)],
  ['ISO where the unit says so', hint('2026-01-01T00:00:00Z', 'absolute', 'iso'), absolute(NOW)],
  ['epoch seconds where ISO was configured', hint(NOW_S, 'absolute', 'iso'), absolute(NOW)],
  ['an HTTP date', hint('Thu, 01 Jan 2026 00:00:00 GMT'), absolute(NOW)],
  ['the American form of App Service', hint('01/01/2026 00:00:00 AM +00:00'), absolute(NOW)],
  ['local time without zone, as az prints it', hint('2026-11-21 12:00:00.000000'), assumedLocal],
  ['ISO with hours as its offset', hint('2026-01-01T08:00:00+08'), absolute(NOW)],
  ['a date as Go prints it', hint('2026-01-01 00:00:00.5 +0000 UTC'), absolute(NOW + 500)],
  ['a date as older .NET writes it', hint(`/Date(${NOW})/`), absolute(NOW)],
  ['a date with slashes', hint('2026/11/21 12:00:00'), assumedLocal],
  ...[20261121120000, '20261121120000', '20261121T120000'].map((value): [string, ExpiryHint, object] => [
    `a date without any sign between its parts, ${JSON.stringify(value)}`,
    hint(value, 'absolute'),
    assumedLocal,
  ]),
  ['digits alone in UTC', hint('20260101T000000Z'), absolute(NOW)],
  [
    'fourteen digits with a configured unit',
    hint(20261121120000, 'absolute', 'ms'),
    absolute(20261121120000),
  ],
  ['minutes', hint('5m'), relative(300_000)],
  ['a duration of Go', hint('1h2m3.5s'), relative(3_723_500)],
  ['a duration of ISO 8601', hint('PT5M'), relative(300_000)],
  ['a duration of nothing', hint('PT'), ignored('is text of 2 characters and not a date')],
  ['nothing', hint(undefined), { kind: 'absent' }],
  ['null', hint(null), { kind: 'absent' }],
  ['an empty string', hint(' '), { kind: 'absent' }],
  ['0', hint(0), ignored('is 0')],
  ['0 as a string', hint('0'), ignored('is 0')],
  ['a negative number', hint(-1), ignored('is negative (-1)')],
  ['a negative string', hint('-300'), ignored('is negative (-300)')],
  ['NaN', hint(Number.NaN), ignored('is not a number')],
  ['infinity', hint(Number.POSITIVE_INFINITY), ignored('is infinite')],
  ['prose', hint('tomorrow'), ignored('is text of 8 characters and not a date')],
  ['an impossible date', hint('2026-13-45T00:00:00Z'), ignored('is text of 20 characters and not a date')],
  ['the zero date of Go', hint('0001-01-01T00:00:00Z'), ignored('is a date before 1970')],
  ['a date of 1970, when configured', hint(300, 'absolute', 's'), ignored('is a date before 2001')],
  ['an object', hint({}), ignored('is an object')],
  ['an array', hint([300]), ignored('is an array')],
  ['a boolean', hint(true), ignored('is a boolean')],
  [
    'a date where a life was expected',
    hint(NOW_S, 'relative'),
    { ...absolute(NOW), note: 'expiry is configured as relative and looks absolute: treated as absolute' },
  ],
  [
    'a life where a date was expected',
    hint(300, 'absolute'),
    {
      ...relative(300_000),
      note: 'expiry is configured as absolute and looks relative: treated as relative',
    },
  ],
];

for (const [name, given, expected] of READINGS) {
  test(`#23 an expiry is parsed: ${name}`, () => assert.deepEqual(parseExpiry(given), expected));
}

for (const never of [1_000_000_000, 1_576_800_000, 999_999_999_999]) {
  test(`#24 ${never} seconds from now are "never", and not a date that was years ago`, () => {
    const read = parseExpiry(hint(never, 'relative'), Date.UTC(2026, 10, 21));
    assert.deepEqual(read, relative(10 * 365 * 86_400_000));
  });
}

test('#23 a date of a moment ago where a life was expected is an expired end', () => {
  const { expiresAtWallMs } = resolveExpiry([hint(NOW_S - 10, 'relative')], 'opaque', NOW);
  assert.equal(expiresAtWallMs, NOW - 10_000);
});

for (const [zone, written, utcHour] of [
  ['+08:00', '2026-11-21 12:00:00', 4],
  ['+0530', '2026-11-21T12:00:00.5', 6.5],
  ['-03', '2026/11/21 12:00:00', 15],
  ['Asia/Shanghai', '20261121120000', 4],
  ['America/New_York', '11/21/2026 12:00:00 PM', 17],
  ['UTC', '2026-11-21 12:00', 12],
] as const) {
  test(`#23 a date without a zone is read in the configured one: ${written} in ${zone}`, () => {
    const parsed = parseExpiry({ ...hint(written), zone });
    const ms = written.endsWith('.5') ? 500 : 0;
    assert.deepEqual(parsed, absolute(Date.UTC(2026, 10, 21) + utcHour * 3_600_000 + ms));
  });
}

test('#23 a date with a zone is parsed in that zone, with any configured one', () => {
  const parsed = parseExpiry({ ...hint('2026-11-21T12:00:00+01:00'), zone: '+08:00' });
  assert.deepEqual(parsed, absolute(Date.UTC(2026, 10, 21, 11)));
});

test('#23 a configured zone follows summer time', () => {
  const parsed = parseExpiry({ ...hint('2026-07-01 12:00:00'), zone: 'America/New_York' });
  assert.deepEqual(parsed, absolute(Date.UTC(2026, 6, 1, 16)));
});

test('#23 a date without a time zone that has passed here is of another zone', () => {
  const noon = hint('2026-11-21 12:00:00');
  assert.deepEqual(
    parseExpiry(noon, localNoon),
    ignored("has no time zone and would be expired in this machine's zone (set expires_at.zone?)"),
  );
  assert.equal(resolveExpiry([noon], 'opaque', localNoon - 1).expiresAtWallMs, localNoon);
});

test('#20 the lifetime of a JWT is at most exp minus iat, with any Date header', () => {
  const token = unsignedJwt({ iat: NOW_S, exp: NOW_S + 300 });
  for (const behindMs of [600_000, NOW]) {
    const nowMs = NOW - behindMs;
    assert.equal(resolveExpiry([], token, nowMs).expiresAtWallMs, nowMs + 300_000);
  }
  assert.equal(resolveExpiry([], token, NOW + 100_000).expiresAtWallMs, NOW + 300_000);
  const odd = unsignedJwt({ iat: NOW_S + 900, exp: NOW_S + 300 });
  assert.equal(resolveExpiry([], odd, NOW).expiresAtWallMs, NOW + 300_000);
});

test('#23 the shorter of expires_in and JWT exp counts, and a difference of more than 10 % is noted', () => {
  const expiry = resolveExpiry([hint(3600, 'relative')], unsignedJwt({ exp: NOW_S + 300 }), NOW);
  assert.equal(expiry.lifetimeMs, 3_600_000);
  assert.equal(expiry.expiresAtWallMs, NOW + 300_000);
  assert.deepEqual(expiry.notes, [
    'JWT exp and expiry disagree (300 s and 3600 s left): the shorter lifetime is used',
  ]);
});

test('#23 hints within 10 % of each other are not worth a note', () => {
  assert.deepEqual(resolveExpiry([hint(300, 'relative')], unsignedJwt({ exp: NOW_S + 290 }), NOW).notes, []);
});

test('#23 milliseconds in JWT exp are recognised', () => {
  const expiry = resolveExpiry([], unsignedJwt({ exp: NOW + 300_000 }), NOW);
  assert.deepEqual(expiry, { expiresAtWallMs: NOW + 300_000, notes: [] });
});

test('#23 JWT times written as strings are read, nonsense in them is not', () => {
  assert.equal(resolveExpiry([], unsignedJwt({ exp: String(NOW_S) }), NOW).expiresAtWallMs, NOW);
  assert.deepEqual(resolveExpiry([], unsignedJwt({ exp: 'soon', iat: {}, nbf: null }), NOW), { notes: [] });
  assert.deepEqual(resolveExpiry([], unsignedJwt({ exp: -5 }), NOW).notes, ['JWT exp is -5: ignored']);
});

test('#21 a token is valid from the later of nbf and iat', () => {
  const token = unsignedJwt({ exp: NOW_S + 300, iat: NOW_S, nbf: NOW_S + 2 });
  assert.equal(resolveExpiry([], token, NOW).notBeforeWallMs, NOW + 2000);
});

test('#22 no expiry at all is no error and no guess', () => {
  assert.deepEqual(resolveExpiry([hint(undefined)], 'opaque', NOW), { notes: [] });
});

test('#23 a hint that cannot be read leaves the others in force', () => {
  const expiry = resolveExpiry([hint('soon'), hint(240, 'relative')], 'opaque', NOW);
  assert.equal(expiry.lifetimeMs, 240_000);
  assert.deepEqual(expiry.notes, ['expiry is text of 4 characters and not a date: ignored']);
});

test('#23 tokens that only look like a JWT carry no times', () => {
  const odd = [
    'a.b.c',
    'ey.ey.ey',
    `${unsignedJwt({ exp: 1 })}.x.y`,
    'eyJ.W10.c2ln',
    `eyJ.${'A'.repeat(70_000)}.c2ln`,
  ];
  for (const token of odd) assert.deepEqual(resolveExpiry([], token, NOW), { notes: [] });
});

test('#23 for any value of an issuer the parsed lifetime is finite and positive, and nothing throws', () => {
  const random = randomFrom(20_261_121);
  const pieces = [
    '',
    '0',
    '-',
    '9',
    '1e',
    's',
    'T',
    ':',
    '-',
    ' ',
    'Z',
    '+08:00',
    '.',
    '2026',
    'NaN',
    '\u0000',
  ];
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  for (let round = 0; round < 5000; round++) {
    const text = Array.from({ length: Math.floor(random() * 8) }, () => pick(pieces)).join('');
    const number = (random() - 0.2) * 10 ** Math.floor(random() * 25);
    const value = pick([text, number, String(number), -number, [text], { text }, null, undefined, 1 / 0]);
    const given = hint(
      value,
      pick(['relative', 'absolute', 'auto']),
      pick(['auto', 's', 'ms', 'us', 'ns', 'iso']),
    );
    const reading = parseExpiry(given);
    const ms =
      reading.kind === 'relative'
        ? reading.lifetimeMs
        : reading.kind === 'absolute'
          ? reading.expiresAtWallMs
          : 1;
    assert.ok(Number.isFinite(ms) && ms > 0, `${JSON.stringify(given)} gave ${ms}`);
  }
});
