import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SecretRegistry } from '../../../src/lib/secret.ts';
import { TokenManager } from '../../../src/tokens/manager/token-manager.ts';
import { DEFAULT_TOKEN_MANAGER_SETTINGS } from '../../../src/tokens/manager/token-manager-settings.ts';
import { TokenUnavailable } from '../../../src/tokens/manager/token-unavailable.ts';
import { TokenSourceError } from '../../../src/tokens/sources/token-source.ts';
import { ScriptedSource } from '../../helpers/scripted-source.ts';
import { VirtualClock } from '../../helpers/virtual-clock.ts';
import { follow, leaseNow, makeRig, traffic } from './manager-rig.ts';

const FAILING = { error: new TokenSourceError('issuer answered 503'), delayMs: 0 };
const HOURLY = { raw: { lifetimeMs: 7_200_000 } };

test('a request ends dormancy even when its token is not due yet', async () => {
  const rig = makeRig({ usual: HOURLY });
  await rig.start();
  await rig.clock.advance(20 * 60_000);
  assert.equal(rig.manager.status().state, 'dormant');
  assert.notEqual(rig.manager.peek(), null);
  assert.equal(rig.manager.status().state, 'fresh');
  assert.notEqual(rig.manager.status().nextAttemptInMs, null);
});

test('every request counts as demand: renewal goes on in the background for 15 minutes after the last', async () => {
  const rig = makeRig({ usual: HOURLY });
  await rig.start();
  // Renewal is due after 6,150 s; the last request comes 450 s before.
  await traffic(rig, 5_700_000, 60_000);
  await rig.clock.advance(451_000);
  assert.equal(rig.source.calls.length, 2);
  assert.equal(rig.count('dormant'), 0);
});

test('without requests for a minute pauses grow to 30 s, and a request that finds a good token makes them short again', async () => {
  const rig = makeRig({ script: [{}], usual: FAILING });
  await rig.start();
  await rig.clock.advance(200_000);
  const before = rig.source.calls.length;
  await rig.clock.advance(60_000);
  assert.ok(rig.source.calls.length - before <= 3, 'slow while nobody asks');
  const last = rig.source.calls.at(-1)?.atMonoMs ?? 0;
  await rig.clock.advance(Math.max(0, 6_000 - (rig.clock.monoMs() - last)));
  const count = rig.source.calls.length;
  assert.notEqual(rig.manager.peek(), null);
  assert.equal(rig.source.calls.length, count + 1);
});

test('while the issuer fails, requests that are served from the old token set no timers', async () => {
  let timers = 0;
  class CountingClock extends VirtualClock {
    override schedule(run: () => void, delayMs: number): ReturnType<VirtualClock['schedule']> {
      timers += 1;
      return super.schedule(run, delayMs);
    }
  }
  const clock = new CountingClock();
  const source = new ScriptedSource(clock, [{}], { ...FAILING, delayMs: 5 });
  const options = { name: 'corp', source, clock, random: () => 0.5, secrets: new SecretRegistry() };
  const manager = new TokenManager({ ...options, settings: DEFAULT_TOKEN_MANAGER_SETTINGS });
  void manager.start();
  await clock.advance(150_000);
  const before = timers;
  for (let request = 0; request < 1_000; request++) assert.notEqual(manager.peek(), null);
  assert.ok(timers - before <= 2, `${timers - before} timers`);
  await manager.stop();
});

test('a request that waits while the attempt in flight fails, fails at once when the next one comes too late', async () => {
  const rig = makeRig({
    usual: { error: new TokenSourceError('invalid_client', { severity: 'credentials' }) },
  });
  const get = follow(rig.manager.get());
  await rig.clock.advance(200);
  assert.ok(get.error instanceof TokenUnavailable);
  assert.equal(get.error.retryAfterMs, 30_000);
  await rig.manager.stop();
});

test('starving is reported by a failure when nothing is left, requests or not', async () => {
  const rig = makeRig({ usual: FAILING });
  await rig.start();
  assert.equal(rig.count('starving'), 1);
  await rig.clock.advance(10_000);
  assert.equal(rig.count('starving'), 1);
  await rig.manager.stop();
});

test('starving is reported by the request that finds the token expired between two failures', async () => {
  const rig = makeRig({
    script: [{ raw: { lifetimeMs: 10_000 } }],
    usual: { error: new TokenSourceError('503', { retryAfterMs: 60_000 }), delayMs: 0 },
    settings: { refreshAt: [0.97, 0.97] },
  });
  await rig.start();
  // Failed at 9.7 s with 0.3 s left; the next attempt is a good quarter of a second later.
  await rig.clock.advance(9_705);
  assert.equal(rig.count('starving'), 0);
  await rig.clock.advance(100);
  const failures = rig.count('renewal_failed');
  rig.clock.stepWall(1_000);
  const get = follow(rig.manager.get());
  assert.deepEqual([rig.count('renewal_failed'), rig.count('starving')], [failures, 1]);
  await rig.manager.stop();
  assert.ok(get.error === undefined || get.isSettled);
});

test('each time without a token is reported once, and so is its end', async () => {
  const rig = makeRig({ usual: FAILING });
  await rig.start();
  rig.source.usual = { raw: { lifetimeMs: 10_000 } };
  await traffic(rig, 2_000, 500);
  rig.source.usual = FAILING;
  await traffic(rig, 20_000, 500);
  rig.source.usual = {};
  await traffic(rig, 3_000, 500);
  assert.equal(rig.count('starving'), 2);
  const ends = rig.events.flatMap((event) => (event.kind === 'recovered' ? [event.wasStarving] : []));
  assert.deepEqual(ends, [true, true]);
  const short = makeRig({ script: [{}, FAILING] });
  await short.start();
  await traffic(short, 140_000, 1_000);
  const recovered = short.events.find((event) => event.kind === 'recovered');
  assert.equal(recovered?.kind === 'recovered' && recovered.wasStarving, false);
});

test('isReady() tells what peek() would give, obtains what is missing and counts nothing as served', async () => {
  const rig = makeRig();
  assert.equal(rig.manager.isReady(), false);
  await rig.clock.advance(200);
  assert.equal(rig.manager.isReady(), true);
  assert.equal(rig.manager.status().counters.servedFresh, 0);
  assert.equal(leaseNow(rig).secret.reveal(), 'token-1-secret');
  assert.equal(rig.manager.status().counters.servedFresh, 1);
});

test('a request that waits keeps the attempts going, however short the idle stop is', async () => {
  const rig = makeRig({ usual: FAILING, settings: { idleStopMs: 1_000 } });
  const get = follow(rig.manager.get());
  await rig.clock.advance(20_000);
  rig.source.usual = {};
  await rig.clock.advance(6_000);
  assert.equal(get.value?.generation, 1);
});

test('dormancy is reported once, also when the source changed in between', async () => {
  const rig = makeRig();
  await rig.start();
  await rig.clock.advance(3_600_000);
  rig.source.onChange?.();
  await rig.clock.advance(3_600_000);
  assert.equal(rig.count('dormant'), 1);
  assert.equal(rig.clock.pending, 0);
});

test('#9 a Retry-After counts whole when the token in use was rejected: what that has left is worth nothing', async () => {
  const rig = makeRig({
    script: [
      { raw: { lifetimeMs: 20_000 } },
      { error: new TokenSourceError('429', { retryAfterMs: 20_000 }), delayMs: 0 },
    ],
  });
  await rig.start();
  const replay = follow(rig.manager.renewAfter(leaseNow(rig)));
  await rig.clock.advance(19_900);
  assert.equal(rig.source.calls.length, 2);
  await rig.clock.advance(400);
  assert.equal(replay.value?.generation, 2);
});

test('counters agree with events', async () => {
  const same = { raw: { value: 'cached-token', lifetimeMs: 300_000 } };
  const rig = makeRig({ script: [same, same, {}, FAILING] });
  await rig.start();
  await rig.clock.advance(134_850);
  const replay = follow(rig.manager.renewAfter(leaseNow(rig), { status: 401 }));
  await traffic(rig, 400_000, 10_000);
  assert.equal(replay.value?.generation, 2);
  const { counters } = rig.manager.status();
  assert.equal(counters.acquired, rig.count('acquired'));
  assert.equal(counters.failed, rig.count('renewal_failed'));
  assert.equal(counters.rejected, rig.count('rejected'));
  assert.equal(counters.sameToken, rig.count('same_token'));
  // One before the refusal, one for the replay, and all of the traffic but the request during the refusal.
  const served = counters.servedFresh + counters.servedRenewing + counters.servedDegraded;
  assert.equal(served, 1 + 1 + 39);
});
