import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startJitterFor } from '../../../src/tokens/manager/token-manager-settings.ts';
import { TokenUnavailable } from '../../../src/tokens/manager/token-unavailable.ts';
import { TokenSourceError } from '../../../src/tokens/sources/token-source.ts';
import { randomFrom } from '../../helpers/seeded-random.ts';
import { follow, leaseNow, makeRig } from './manager-rig.ts';

test('#1 cold-start stampede: 500 gets make one issuer call and get 500 leases of one token', async () => {
  const rig = makeRig();
  const gets = Array.from({ length: 500 }, () => follow(rig.manager.get()));
  await rig.clock.advance(199);
  assert.equal(gets.filter((get) => get.isSettled).length, 0);
  await rig.clock.advance(1);
  assert.equal(rig.source.calls.length, 1);
  assert.equal(new Set(gets.map((get) => get.value?.fingerprint)).size, 1);
  assert.ok(gets.every((get) => get.value?.generation === 1));
  assert.equal(rig.source.calls[0]?.context.reason, 'demand');
});

test('start() resolves after the first attempt, good or bad, and never rejects', async () => {
  const good = makeRig();
  const started = follow(good.manager.start());
  await good.clock.advance(199);
  assert.equal(started.isSettled, false);
  await good.clock.advance(1);
  assert.equal(started.isSettled, true);
  assert.equal(good.source.calls[0]?.context.reason, 'start');

  const bad = makeRig({ usual: { error: new Error('no') } });
  const failed = follow(bad.manager.start());
  await bad.clock.advance(200);
  assert.deepEqual([failed.isSettled, failed.error], [true, undefined]);
  await bad.manager.stop();
});

test('start() resolves when the manager is stopped before its first attempt is over', async () => {
  const rig = makeRig({ usual: { hang: true } });
  const started = follow(rig.manager.start());
  await rig.manager.stop();
  await rig.clock.advance(0);
  assert.equal(started.isSettled, true);
});

test('a usable lease is there without waiting, and peek() and get() give the same one', async () => {
  const rig = makeRig();
  await rig.start();
  const lease = leaseNow(rig);
  assert.equal(rig.manager.peek(), lease);
  assert.equal(await rig.manager.get(), lease);
  assert.equal(lease.source, 'corp');
});

test('peek() without a token starts one attempt in the background', async () => {
  const rig = makeRig();
  assert.equal(rig.manager.peek(), null);
  assert.equal(rig.manager.peek(), null);
  await rig.clock.advance(200);
  assert.equal(rig.source.calls.length, 1);
  assert.notEqual(rig.manager.peek(), null);
});

test('#26 a client that aborts while waiting leaves; the attempt goes on and the others are served', async () => {
  const rig = makeRig();
  const abort = new AbortController();
  const leaver = follow(rig.manager.get({ signal: abort.signal }));
  const other = follow(rig.manager.get());
  await rig.clock.advance(100);
  abort.abort(new Error('client left'));
  await rig.clock.advance(0);
  assert.equal((leaver.error as Error).message, 'client left');
  assert.equal(rig.source.calls[0]?.isAborted, false);
  await rig.clock.advance(100);
  assert.equal(other.value?.generation, 1);
  assert.equal(rig.manager.status().waiters, 0);
});

test('#26 when every waiter has left the attempt still goes on and its token is kept', async () => {
  const rig = makeRig();
  const abort = new AbortController();
  const leaver = follow(rig.manager.get({ signal: abort.signal }));
  abort.abort();
  await rig.clock.advance(200);
  assert.equal((leaver.error as Error).name, 'AbortError');
  assert.notEqual(rig.manager.peek(), null);
});

test('a signal that is aborted already asks for nothing', async () => {
  const rig = makeRig();
  await assert.rejects(rig.manager.get({ signal: AbortSignal.abort(new Error('gone')) }), /gone/);
  await assert.rejects(rig.manager.refresh({ signal: AbortSignal.abort(new Error('gone')) }), /gone/);
  assert.equal(rig.source.calls.length, 0);
});

test('beyond maxWaiters a request is rejected at once with a hint when to come back', async () => {
  const rig = makeRig({ settings: { maxWaiters: 2 } });
  const waiting = [follow(rig.manager.get()), follow(rig.manager.get())];
  await assert.rejects(rig.manager.get(), (error) => {
    assert.ok(error instanceof TokenUnavailable);
    assert.deepEqual([error.reason, error.source, error.retryAfterMs], ['too_many_waiters', 'corp', 1_000]);
    return true;
  });
  await rig.clock.advance(200);
  assert.ok(waiting.every((get) => get.value !== undefined));
});

test('a wait is bounded by max_wait, and by the request when that is shorter', async () => {
  const rig = makeRig({ usual: { hang: true }, settings: { attemptTimeoutMs: 120_000 } });
  const patient = follow(rig.manager.get({ maxWaitMs: 90_000 }));
  const hasty = follow(rig.manager.get({ maxWaitMs: 1_000 }));
  await rig.clock.advance(999);
  assert.equal(hasty.isSettled, false);
  await rig.clock.advance(1);
  assert.ok(hasty.error instanceof TokenUnavailable);
  await rig.clock.advance(28_999);
  assert.equal(patient.isSettled, false);
  await rig.clock.advance(1);
  assert.ok(patient.error instanceof TokenUnavailable);
  await rig.manager.stop();
});

test('#39 idle for hours, then a burst: one blocking acquisition serves all', async () => {
  const rig = makeRig();
  await rig.start();
  await rig.clock.advance(3 * 3_600_000);
  const before = rig.source.calls.length;
  assert.ok(before <= 8, `${before} calls while nobody asked`);
  assert.equal(rig.manager.status().state, 'dormant');
  assert.equal(rig.count('dormant'), 1);
  assert.equal(rig.clock.pending, 0);
  const gets = Array.from({ length: 50 }, () => follow(rig.manager.get()));
  await rig.clock.advance(200);
  assert.equal(gets.filter((get) => get.value !== undefined).length, 50);
  assert.equal(rig.source.calls.length, before + 1);
  assert.equal(rig.manager.status().state, 'fresh');
});

test('#39 a dormant manager whose long token is still good serves it and takes up renewal again', async () => {
  const rig = makeRig({ usual: { raw: { lifetimeMs: 7_200_000 } } });
  await rig.start();
  // Due at 6,150 s; nobody asked for longer than 15 minutes then.
  await rig.clock.advance(6_200_000);
  assert.equal(rig.source.calls.length, 1);
  assert.equal(rig.manager.status().state, 'dormant');
  assert.notEqual(rig.manager.peek(), null);
  await rig.clock.advance(200);
  assert.equal(rig.source.calls.length, 2);
  assert.equal(rig.manager.status().generation, 2);
});

test('#40 a hundred sources that start together spread over the jitter and stay spread', async () => {
  const random = randomFrom(40);
  const rigs = Array.from({ length: 100 }, () => makeRig({ random, settings: { startJitterMs: 2_000 } }));
  for (const rig of rigs) {
    void rig.manager.start();
    for (let step = 0; step < 60; step++) {
      rig.manager.peek();
      await rig.clock.advance(step === 0 ? 0 : 30_000);
    }
  }
  const late = rigs.map((rig) => rig.source.calls.at(-1)?.atMonoMs ?? 0);
  const perSecond = new Map<number, number>();
  for (const at of late)
    perSecond.set(Math.floor(at / 1_000), (perSecond.get(Math.floor(at / 1_000)) ?? 0) + 1);
  assert.ok(Math.max(...perSecond.values()) < 15, `${Math.max(...perSecond.values())} calls in one second`);
});

test('#40 start jitter delays the background start only: a request does not wait for it', async () => {
  const rig = makeRig({ settings: { startJitterMs: 2_000 } });
  void rig.manager.start();
  await rig.clock.advance(500);
  assert.equal(rig.source.calls.length, 0);
  const get = follow(rig.manager.get());
  await rig.clock.advance(200);
  assert.equal(get.value?.generation, 1);
  assert.deepEqual([startJitterFor(1), startJitterFor(2), startJitterFor(500)], [0, 20, 2_000]);
});

test('#40 without a request the start waits for its jitter and no longer', async () => {
  const rig = makeRig({ settings: { startJitterMs: 2_000 } });
  void rig.manager.start();
  await rig.clock.advance(999);
  assert.equal(rig.source.calls.length, 0);
  await rig.clock.advance(1);
  assert.equal(rig.source.calls.length, 1);
});

test('refresh() obtains a new token while the old one is good, by force, and joins an attempt in flight', async () => {
  const rig = makeRig();
  await rig.start();
  const first = follow(rig.manager.refresh());
  const second = follow(rig.manager.refresh());
  await rig.clock.advance(200);
  assert.deepEqual([first.value?.generation, second.value?.generation], [2, 2]);
  assert.equal(rig.source.calls.length, 2);
  assert.deepEqual(
    [rig.source.calls[1]?.context.reason, rig.source.calls[1]?.context.force],
    ['manual', true],
  );
});

test('refresh() fails with its one attempt instead of waiting, even while the old token is good', async () => {
  const rig = makeRig({ script: [{}, { error: new TokenSourceError('issuer answered 503') }] });
  await rig.start();
  const refreshed = follow(rig.manager.refresh());
  await rig.clock.advance(200);
  assert.ok(refreshed.error instanceof TokenUnavailable);
  assert.equal(refreshed.error.detail, 'issuer answered 503');
  assert.notEqual(rig.manager.peek(), null);
});

test('refresh() does not wait for a pause after failures', async () => {
  const rig = makeRig({ script: [{ error: new TokenSourceError('no', { severity: 'credentials' }) }] });
  await rig.start();
  const refreshed = follow(rig.manager.refresh());
  await rig.clock.advance(200);
  assert.equal(refreshed.value?.generation, 1);
});

test('a source that throws at once is a source that failed', async () => {
  const rig = makeRig();
  rig.source.acquire = () => {
    throw new Error('bad code');
  };
  const started = follow(rig.manager.start());
  await rig.clock.advance(0);
  assert.equal(started.isSettled, true);
  assert.equal(rig.manager.status().lastError, 'the source failed: Error');
  await rig.manager.stop();
});

test('a listener that throws keeps no token from a request', async () => {
  const rig = makeRig({
    onEvent: () => {
      throw new Error('listener');
    },
  });
  const get = follow(rig.manager.get());
  await rig.clock.advance(200);
  assert.equal(get.value?.generation, 1);
});

test('#39 what a token is asked for says why: at the start, for a renewal, because a request came after its expiry', async () => {
  const rig = makeRig();
  await rig.start();
  await rig.clock.advance(150_000);
  await rig.clock.advance(3_600_000);
  const get = follow(rig.manager.get());
  await rig.clock.advance(300);
  assert.notEqual(get.value, undefined);
  const reasons = rig.source.calls.map(({ context }) => context.reason);
  assert.equal(reasons[0], 'start');
  assert.equal(reasons[1], 'renewal');
  assert.equal(reasons.at(-1), 'demand');
});
