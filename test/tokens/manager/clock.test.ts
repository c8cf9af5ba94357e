import assert from 'node:assert/strict';
import { test } from 'node:test';
import { issuerNowMs } from '../../../src/tokens/expiry/lifetime.ts';
import { TokenSourceError } from '../../../src/tokens/sources/token-source.ts';
import { follow, leaseNow, makeRig, traffic } from './manager-rig.ts';

const HOUR_MS = 3_600_000;

test('#18 the wall clock steps an hour back: the monotonic one ends the token, and no storm follows', async () => {
  const rig = makeRig({ script: [{}], usual: { error: new TokenSourceError('503') } });
  await rig.start();
  rig.clock.stepWall(-HOUR_MS);
  assert.equal(await traffic(rig, 297_000, 500), 0);
  await rig.clock.advance(1_500);
  assert.equal(rig.manager.peek(), null);
  assert.ok(rig.source.calls.length < 60, `${rig.source.calls.length} calls`);
  await rig.manager.stop();
});

test('#18 the wall clock steps an hour ahead: one renewal, as the machine may have slept, and no storm', async () => {
  const rig = makeRig();
  await rig.start();
  rig.clock.stepWall(HOUR_MS);
  const gets = Array.from({ length: 20 }, () => follow(rig.manager.get()));
  await rig.clock.advance(200);
  assert.ok(gets.every((get) => get.value?.generation === 2));
  assert.equal(rig.source.calls.length, 2);
  assert.equal(await traffic(rig, 100_000, 500), 0);
  assert.equal(rig.source.calls.length, 2);
});

test('#18 a jump of the wall clock is reported once; NTP slewing a second is none', async () => {
  const rig = makeRig();
  await rig.start();
  rig.clock.stepWall(-5_000);
  await rig.clock.advance(30_000);
  assert.deepEqual(
    rig.events.flatMap((event) => (event.kind === 'clock_jump' ? [event.jumpMs] : [])),
    [-5_000],
  );
  rig.clock.stepWall(1_000);
  await rig.clock.advance(60_000);
  assert.equal(rig.count('clock_jump'), 1);
  assert.equal(rig.manager.status().counters.clockJumps, 1);
});

test('#19 a suspend of two hours: the first request after it gets a new token, never the expired one', async () => {
  const rig = makeRig();
  await rig.start();
  rig.clock.suspend(2 * HOUR_MS);
  assert.equal(rig.manager.peek(), null);
  const get = follow(rig.manager.get());
  await rig.clock.advance(200);
  assert.equal(get.value?.generation, 2);
  assert.ok((get.value?.remainingMs() ?? 0) > 290_000);
});

test('#19 a suspend without a request after it is noticed by the timer within 30 s', async () => {
  const rig = makeRig({ usual: { raw: { lifetimeMs: HOUR_MS } } });
  await rig.start();
  rig.clock.suspend(2 * HOUR_MS);
  await rig.clock.advance(30_200);
  assert.equal(rig.source.calls.length, 2);
  assert.equal(rig.count('clock_jump'), 1);
});

test('#19 a suspend is noticed after the wall clock was set back an hour', async () => {
  const rig = makeRig({ usual: { raw: { lifetimeMs: 1_200_000 } } });
  await rig.start();
  rig.clock.stepWall(-HOUR_MS);
  await rig.clock.advance(30_100);
  assert.notEqual(rig.manager.peek(), null);
  rig.clock.suspend(HOUR_MS / 2);
  assert.equal(rig.manager.peek(), null);
});

test('#19 a sleep is not forgotten when the wall clock is set back afterwards', async () => {
  const rig = makeRig({ script: [{ raw: { lifetimeMs: 600_000 } }], usual: { hang: true } });
  await rig.start();
  const lease = leaseNow(rig);
  rig.clock.suspend(500_000);
  await rig.clock.advance(30_100);
  rig.clock.stepWall(-HOUR_MS);
  assert.ok(lease.remainingMs() < 70_000, `${lease.remainingMs()}`);
  await rig.manager.stop();
});

for (const offsetMs of [-600_000, 600_000]) {
  test(`#20 an issuer whose clock is ${offsetMs / 60_000} minutes off: an absolute expiry counts on its own clock`, async () => {
    const rig = makeRig();
    const serverMs = rig.clock.wallMs() + offsetMs;
    rig.source.usual = { raw: { expiresAtWallMs: serverMs + 300_000, serverDateWallMs: serverMs } };
    await rig.start();
    const lifeMs = rig.manager.status().lifeMs ?? 0;
    assert.ok(lifeMs <= 300_000 && lifeMs >= 298_900, `${lifeMs}`);
    const acquired = rig.events.find((event) => event.kind === 'acquired');
    assert.ok(acquired?.kind === 'acquired' && Math.abs((acquired.issuerSkewMs ?? 0) - offsetMs) <= 1_000);
  });
}

test('#20 the Date header has whole seconds: our clock decides within the second, the later end of it outside', () => {
  const at = (wallMs: number): { monoMs: number; wallMs: number } => ({ monoMs: 0, wallMs });
  const now = (date: number, sent: number, received: number): number =>
    issuerNowMs({ value: 'x', serverDateWallMs: date }, at(sent), at(received));
  assert.equal(now(5_000, 5_300, 5_500), 5_400);
  assert.equal(now(5_000, 4_000, 4_200), 6_000);
  assert.equal(now(5_000, 9_000, 9_200), 6_000);
  assert.equal(issuerNowMs({ value: 'x' }, at(100), at(200)), 150);
});

test('#21 a token that is too young waits while the old one serves', async () => {
  const rig = makeRig();
  await rig.start();
  await rig.clock.advance(134_000);
  rig.source.usual = { raw: { lifetimeMs: 300_000, notBeforeWallMs: rig.clock.wallMs() + 20_000 } };
  await rig.clock.advance(2_000);
  assert.equal(leaseNow(rig).generation, 1);
  assert.equal(rig.manager.status().state, 'renewing');
  await rig.clock.advance(18_500);
  assert.equal(leaseNow(rig).generation, 1);
  await rig.clock.advance(1_000);
  assert.equal(leaseNow(rig).generation, 2);
  assert.equal(rig.source.calls.length, 2);
});

test('#21 a young token that is held back for long costs no second call', async () => {
  const rig = makeRig();
  await rig.start();
  await rig.clock.advance(134_000);
  rig.source.usual = { raw: { lifetimeMs: 300_000, notBeforeWallMs: rig.clock.wallMs() + 80_000 } };
  for (let second = 0; second < 80; second++) {
    await rig.clock.advance(1_000);
    assert.equal(leaseNow(rig).generation, 1);
  }
  assert.equal(rig.source.calls.length, 2);
  await rig.clock.advance(2_500);
  assert.equal(leaseNow(rig).generation, 2);
  assert.equal(rig.source.calls.length, 2);
});

test('#21 without an old token a young one is held back for 3 s at most', async () => {
  const rig = makeRig();
  rig.source.usual = { raw: { lifetimeMs: 300_000, notBeforeWallMs: rig.clock.wallMs() + 60_000 } };
  const get = follow(rig.manager.get());
  await rig.clock.advance(3_100);
  assert.equal(get.isSettled, false);
  await rig.clock.advance(100);
  assert.equal(get.value?.generation, 1);
});

test('#21 a token rejected while a young one is held back: that one is used after 3 s', async () => {
  const rig = makeRig();
  await rig.start();
  const lease = leaseNow(rig);
  rig.source.usual = { raw: { lifetimeMs: 300_000, notBeforeWallMs: rig.clock.wallMs() + 60_000 } };
  const refreshed = follow(rig.manager.refresh());
  await rig.clock.advance(5_000);
  assert.equal(refreshed.isSettled, false);
  const replay = follow(rig.manager.renewAfter(lease));
  await rig.clock.advance(0);
  assert.equal(replay.value?.generation, 2);
  assert.equal(rig.source.calls.length, 2);
});

test('#21 a young token replaces an old one that ends before it is old enough', async () => {
  const rig = makeRig({ script: [{ raw: { lifetimeMs: 10_000 } }] });
  await rig.start();
  rig.source.usual = { raw: { lifetimeMs: 300_000, notBeforeWallMs: rig.clock.wallMs() + HOUR_MS } };
  assert.equal(await traffic(rig, 30_000, 100), 0);
  assert.equal(leaseNow(rig).generation, 2);
});

test('#21 a token whose nbf is now or past is used at once', async () => {
  const rig = makeRig();
  rig.source.usual = { raw: { lifetimeMs: 300_000, notBeforeWallMs: rig.clock.wallMs() } };
  const get = follow(rig.manager.get());
  await rig.clock.advance(200);
  assert.equal(get.value?.generation, 1);
});

test('a token from a shared store counts its lifetime from when it was issued', async () => {
  const rig = makeRig({ usual: { delayMs: 0, raw: { lifetimeMs: 300_000, ageMs: 100_000 } } });
  const get = follow(rig.manager.get());
  await rig.clock.advance(0);
  assert.equal(get.value?.remainingMs(), 200_000);
  await rig.clock.advance(34_900);
  assert.equal(rig.source.calls.length, 1);
  await rig.clock.advance(200);
  assert.equal(rig.source.calls.length, 2);
});
