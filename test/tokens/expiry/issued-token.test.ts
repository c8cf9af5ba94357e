import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatOffset } from '../../../src/lib/time-zone.ts';
import { readIssued } from '../../../src/tokens/expiry/issued-token.ts';

const NOW = Date.UTC(2026, 10, 21, 12);
const HOUR_MS = 3_600_000;
const none = Number.POSITIVE_INFINITY;
const machineOffset = -new Date(NOW).getTimezoneOffset();

function read(lifeMs: number, { defaultMs = 240_000, learnedMs = none, isLocalTime = true } = {}) {
  const at = { monoMs: 0, wallMs: NOW };
  const raw = {
    value: 'a-token',
    expiresAtWallMs: NOW + lifeMs,
    ...(isLocalTime ? { isLocalTime: true as const } : {}),
  };
  return readIssued({ raw, sent: at, received: at }, { defaultMs, learnedMs });
}

test('#23 a life in an assumed zone that is whole half hours longer than expected is doubted, and the zone named', () => {
  const hours = machineOffset > 6 * 60 ? 0.5 : 8;
  const { isExpiryKnown, lifetime, notes } = read(hours * HOUR_MS + 300_000);
  const zone = formatOffset(machineOffset + hours * 60);
  assert.equal(isExpiryKnown, false);
  assert.equal(lifetime.lifeMs, hours * HOUR_MS + 300_000, 'as stated until rejections show another');
  assert.deepEqual(notes, [
    `the expiry has no time zone, and in that of this machine (${formatOffset(machineOffset)}) the token is valid for ${hours} h longer than expected: if the issuer's time zone is ${zone}, set expires_at: { zone: "${zone}" }`,
  ]);
});

test('#23 what was learned from rejections counts where default_ttl is another life, and corrects it', () => {
  const lifeMs = HOUR_MS / 2 + 900_000;
  assert.equal(read(lifeMs).isExpiryKnown, true);
  const learned = read(lifeMs, { learnedMs: 810_000 });
  assert.equal(learned.isExpiryKnown, false);
  assert.equal(learned.lifetime.lifeMs, 810_000);
});

for (const [name, lifeMs, options] of [
  ['states its zone', 2 * HOUR_MS + 300_000, { isLocalTime: false }],
  ['lives as long as expected', 250_000, {}],
  ['lives whole hours', 2 * HOUR_MS, {}],
  ['would need a zone that no place has', 20 * HOUR_MS + 240_000 + 12 * HOUR_MS, {}],
] as const) {
  test(`#23 a token that ${name} is not doubted`, () => {
    const { isExpiryKnown, lifetime, notes } = read(lifeMs, options);
    assert.deepEqual([isExpiryKnown, lifetime.lifeMs, notes], [true, lifeMs, []]);
  });
}

test('a learned life replaces the default where the issuer states none', () => {
  const at = { monoMs: 0, wallMs: NOW };
  const raw = { value: 'a-token' };
  const response = { raw, sent: at, received: at };
  assert.equal(readIssued(response, { defaultMs: 240_000, learnedMs: none }).lifetime.lifeMs, 240_000);
  assert.equal(readIssued(response, { defaultMs: 240_000, learnedMs: 60_000 }).lifetime.lifeMs, 60_000);
});
