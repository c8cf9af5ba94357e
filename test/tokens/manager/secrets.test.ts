import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { describeTokenEvent } from '../../../src/tokens/manager/token-event.ts';
import { cleanTokenValue } from '../../../src/tokens/sources/raw-token.ts';
import { TokenSourceError } from '../../../src/tokens/sources/token-source.ts';
import { follow, leaseNow, makeRig, traffic } from './manager-rig.ts';

for (const [title, raw] of [
  ['blanks and newlines around it', '  s3cret-token\r\n'],
  ['double quotes around it', '"s3cret-token"'],
  ['single quotes around it', " 's3cret-token' "],
  ['a Bearer prefix', 'Bearer s3cret-token'],
  ['a bearer prefix in quotes, with a newline', '"bearer  s3cret-token"\n'],
] as const) {
  test(`#31 a token with ${title} is used without`, () => {
    assert.equal(cleanTokenValue(raw), 's3cret-token');
  });
}

for (const [title, raw] of [
  ['an inner newline', 'SECRET\nX-Evil: 1'],
  ['a control character', 'SECRET\u0007'],
  ['a character beyond ASCII', 'SECRÉT'],
  ['an inner blank', 'SECRET VALUE'],
  ['nothing but a prefix', 'Bearer '],
  ['nothing but quotes', '""'],
  ['more than 64 KiB', 'S'.repeat(65_537)],
] as const) {
  test(`#31 a token with ${title} is rejected by an error that does not quote it`, () => {
    assert.throws(
      () => cleanTokenValue(raw),
      (error) => {
        assert.ok(error instanceof TokenSourceError);
        assert.doesNotMatch(inspect(error), /SECR|Evil/);
        return true;
      },
    );
  });
}

test('#31 a value beside the token that cannot be sent is rejected without being quoted', async () => {
  const rig = makeRig({ usual: { raw: { lifetimeMs: 300_000, extra: { group: 'EVIL\r\nX: 1' } } } });
  await rig.start();
  assert.match(rig.manager.status().lastError ?? '', /extra group: the value has white space/);
  await rig.manager.stop();
});

test('I5 no token appears in status, events, leases or errors, however they are printed', async () => {
  const rig = makeRig({ script: [{}, { error: new Error('upstream said: token-1-secret is bad') }] });
  await rig.start();
  const lease = leaseNow(rig);
  rig.source.usual = { error: new TokenSourceError('refused: "token-1-secret" for client') };
  await traffic(rig, 330_000, 1_000);
  const get = follow(rig.manager.get());
  await rig.clock.advance(30_000);
  await rig.manager.stop();
  const printed = [
    inspect(rig.manager, { depth: 10, showHidden: true }),
    inspect(lease, { depth: 10, showHidden: true }),
    String(lease),
    JSON.stringify(lease),
    JSON.stringify(rig.manager.status()),
    inspect(rig.events, { depth: 10 }),
    rig.events.map(describeTokenEvent).join('\n'),
    inspect(get.error, { depth: 10 }),
  ].join('\n');
  assert.doesNotMatch(printed, /token-1-secret/);
  assert.match(printed, /refused: "\[redacted\]" for client/);
});

test('I5 a remark of a source is redacted, made once, and there are at most twenty', async () => {
  const rig = makeRig();
  await rig.start();
  const notes = Array.from({ length: 30 }, (_, index) => `remark ${index} on token-1-secret`);
  rig.source.usual = { raw: { lifetimeMs: 300_000, notes } };
  await traffic(rig, 400_000, 10_000);
  const said = rig.events.flatMap((event) => (event.kind === 'note' ? [event.note] : []));
  assert.equal(said.length, 20);
  assert.equal(said[0], 'remark 0 on [redacted]');
});

test('a living token is redacted in text of others, a replaced one for ten minutes more', async () => {
  const rig = makeRig();
  await rig.start();
  assert.equal(rig.secrets.scrub('x token-1-secret y'), 'x [redacted] y');
  const refreshed = follow(rig.manager.refresh());
  await rig.clock.advance(200);
  assert.equal(refreshed.value?.generation, 2);
  await traffic(rig, 590_000, 1_000);
  assert.equal(rig.secrets.scrub('token-1-secret'), '[redacted]');
  await traffic(rig, 300_000, 1_000);
  assert.equal(rig.secrets.scrub('token-1-secret'), 'token-1-secret');
});

test('a ticket beside the token is redacted as the token is, a word beside it is not', async () => {
  const extra = { ticket: 'ticket-beside-token-1', group: 'default' };
  const rig = makeRig({ script: [{ raw: { lifetimeMs: 300_000, extra } }] });
  await rig.start();
  assert.equal(rig.secrets.scrub('default ticket-beside-token-1'), 'default [redacted]');
  const refreshed = follow(rig.manager.refresh());
  await rig.clock.advance(200);
  assert.equal(refreshed.value?.generation, 2);
  await traffic(rig, 900_000, 1_000);
  assert.equal(rig.secrets.scrub('ticket-beside-token-1'), 'ticket-beside-token-1');
});

test('a token that the configuration registered as a secret stays registered when it is replaced', async () => {
  const rig = makeRig({ script: [{ raw: { value: 'configured-key', lifetimeMs: 60_000 } }] });
  rig.secrets.add('configured-key');
  await rig.start();
  await traffic(rig, 3_600_000, 10_000);
  assert.equal(rig.secrets.scrub('configured-key'), '[redacted]');
});

test('what is retired is bounded, however short tokens live', async (t) => {
  const rig = makeRig({ usual: { delayMs: 10, raw: { lifetimeMs: 2_000 } } });
  const registered = new Set<string>();
  t.mock.method(rig.secrets, 'add', (value: string) => void registered.add(value));
  t.mock.method(rig.secrets, 'delete', (value: string) => void registered.delete(value));
  await rig.start();
  await traffic(rig, 600_000, 500);
  assert.ok(registered.size > 0 && registered.size <= 257, `${registered.size}`);
});

test('the words of an event name the manager, what happened and what comes next', () => {
  const lines = [
    describeTokenEvent({
      kind: 'renewal_failed',
      source: 'corp',
      reason: 'renewal',
      durationMs: 12,
      severity: 'transient',
      message: 'issuer answered 503',
      failures: 3,
      remainingMs: 140_000,
      nextAttemptInMs: 1_500,
    }),
    describeTokenEvent({
      kind: 'recovered',
      source: 'corp',
      failures: 1,
      failedForMs: 720_000,
      wasStarving: true,
    }),
    describeTokenEvent({ kind: 'clock_jump', source: 'corp', jumpMs: -7_200_000 }),
    describeTokenEvent({
      kind: 'acquired',
      source: 'corp',
      reason: 'start',
      durationMs: 80.4,
      lifeMs: 300_000,
      isExpiryKnown: true,
      isSame: false,
      issuerSkewMs: 60_000,
    }),
  ];
  assert.deepEqual(lines, [
    'corp: issuer has failed 3 times (issuer answered 503), token still valid for 140 s, next attempt in 1.5 s',
    'corp: issuer is back, after 1 failure in 12 min, requests had to wait',
    "corp: the wall clock jumped 2 h back (or the machine slept); the token's lifetime is checked on both clocks",
    "corp: new token (start) in 80 ms, valid for 300 s; the issuer's clock is 60 s ahead of ours",
  ]);
});
