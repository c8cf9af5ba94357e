import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { TokenUnavailable } from '../../../src/tokens/manager/token-unavailable.ts';
import { TokenSourceError } from '../../../src/tokens/sources/token-source.ts';
import { randomFrom } from '../../helpers/seeded-random.ts';
import { follow, leaseNow, makeRig, traffic } from './manager-rig.ts';

const FAILING = { error: new TokenSourceError('issuer answered 503') };
const REFUSING = { error: new TokenSourceError('invalid_client', { severity: 'credentials' }) };

test('#6 in an outage longer than the token the old one serves to its floor, then requests wait and get a 503', async () => {
  const rig = makeRig({ script: [{}], usual: FAILING, random: randomFrom(6) });
  await rig.start();
  assert.equal(await traffic(rig, 297_500, 250), 0);
  await rig.clock.advance(400);
  assert.equal(rig.manager.peek(), null);
  const get = follow(rig.manager.get());
  // Refused up to one pause before max_wait: when no attempt will be made within it.
  await rig.clock.advance(24_900);
  assert.equal(get.isSettled, false);
  await rig.clock.advance(5_100);
  assert.ok(get.error instanceof TokenUnavailable);
  assert.equal(get.error.reason, 'issuer_failing');
  assert.equal(get.error.detail, 'issuer answered 503');
  assert.ok(get.error.retryAfterMs >= 1_000 && get.error.retryAfterMs <= 5_000);
  assert.equal(rig.manager.status().state, 'starved');
  assert.equal(rig.count('starving'), 1);
  assert.doesNotMatch(get.error.message, /503|timed? ?out/i);
});

test('#6 after an outage the first success serves everyone who waits, at most one pause later', async () => {
  const rig = makeRig({ usual: FAILING, random: () => 0.999 });
  await rig.start();
  const gets = Array.from({ length: 20 }, () => follow(rig.manager.get()));
  await rig.clock.advance(20_000);
  rig.source.usual = {};
  await rig.clock.advance(5_200);
  assert.ok(gets.every((get) => get.value?.generation === 1));
  assert.equal(rig.count('recovered'), 1);
  assert.equal(rig.source.maxConcurrent, 1);
});

test('#6 between leeway and floor a request is served once the attempt it waited for has failed', async () => {
  const rig = makeRig({
    script: [{}, { hang: true }],
    settings: { refreshAt: [0.94, 0.94], attemptTimeoutMs: 8_000 },
  });
  await rig.start();
  // At 287 s: the attempt hangs since 282 s, 13 s are left, the leeway is 15 s.
  await rig.clock.advance(286_800);
  assert.equal(rig.manager.peek(), null);
  const get = follow(rig.manager.get());
  await rig.clock.advance(3_100);
  assert.equal(get.value?.generation, 1);
  assert.ok((get.value?.remainingMs() ?? 0) > 2_000);
});

test('#6 pauses are 30 s at most after 5 minutes of failure or without requests, and 5 s again when one waits', async () => {
  const rig = makeRig({ usual: { ...FAILING, delayMs: 0 } });
  await rig.start();
  await rig.clock.advance(400_000);
  const before = rig.source.calls.length;
  await rig.clock.advance(120_000);
  const slow = rig.source.calls.length - before;
  assert.ok(slow >= 4 && slow <= 6, `${slow} calls in two minutes`);
  const get = follow(rig.manager.get());
  await rig.clock.advance(30_000);
  const fast = rig.source.calls.length - before - slow;
  assert.ok(fast >= 7, `${fast} calls in half a minute`);
  assert.ok(get.error instanceof TokenUnavailable);
  await rig.manager.stop();
});

test('#6 pauses stay within a sixth of a very short lifetime, so that recovery is quick', async () => {
  const short = { raw: { lifetimeMs: 6_000 }, delayMs: 10 };
  const rig = makeRig({ script: [short], usual: FAILING, random: () => 0.999 });
  await rig.start();
  await traffic(rig, 20_000, 100);
  rig.source.usual = short;
  const get = follow(rig.manager.get());
  await rig.clock.advance(1_200);
  assert.equal(get.value?.generation, 2);
});

for (const [title, raw] of [
  ['an empty value', { value: '' }],
  ['a page instead of a token', { value: '<html><body>Login</body></html>' }],
  ['JSON instead of a token', { value: '{"error":"busy"}' }],
  ['a value that is no text', { value: 17 as unknown as string }],
  ['a token that has ended', { value: 'ended-token', lifetimeMs: 0 }],
  ['a token with a negative life', { value: 'ended-token', lifetimeMs: -300 }],
] as const) {
  test(`#7 an issuer that responds with ${title} counts as failed: it is asked again, the old token stays`, async () => {
    const rig = makeRig({ script: [{}, { raw }] });
    await rig.start();
    await rig.clock.advance(135_100);
    assert.equal(rig.manager.status().consecutiveFailures, 1);
    assert.equal(leaseNow(rig).generation, 1);
    await rig.clock.advance(1_000);
    assert.equal(leaseNow(rig).generation, 2);
  });
}

test('#7 a response that is nothing at all counts as failed', async () => {
  const rig = makeRig();
  rig.source.acquire = () => Promise.resolve(undefined as never);
  const started = follow(rig.manager.start());
  await rig.clock.advance(0);
  assert.equal(started.isSettled, true);
  assert.match(rig.manager.status().lastError ?? '', /returned no token/);
  await rig.manager.stop();
});

test('#8 an issuer that rejects the credentials is probed every 30 s, however many requests come', async () => {
  const rig = makeRig({ usual: { ...REFUSING, delayMs: 0 } });
  await rig.start();
  assert.equal(rig.manager.status().state, 'misconfigured');
  for (let second = 0; second < 120; second++) {
    follow(rig.manager.get());
    await rig.clock.advance(1_000);
  }
  assert.equal(rig.source.calls.length, 5);
  await rig.manager.stop();
});

test('#8 a request whose deadline is before the next probe fails at once, with the time of that probe', async () => {
  const rig = makeRig({ usual: { ...REFUSING, delayMs: 0 } });
  await rig.start();
  await rig.clock.advance(9_800);
  await assert.rejects(rig.manager.get({ maxWaitMs: 5_000 }), (error) => {
    assert.ok(error instanceof TokenUnavailable);
    assert.deepEqual([error.reason, error.retryAfterMs], ['credentials_refused', 20_000]);
    return true;
  });
  await rig.manager.stop();
});

test('#8 a misconfigured source fails every request at once, also while it is asked again, and not the one who refreshes', async () => {
  const rig = makeRig({ usual: { ...REFUSING, delayMs: 0 } });
  await rig.start();
  rig.source.usual = { ...REFUSING, delayMs: 5_000 };
  for (let second = 0; second < 35; second++) {
    const get = follow(rig.manager.get());
    await rig.clock.advance(0);
    assert.ok(get.error instanceof TokenUnavailable, `waits after ${second} s`);
    assert.equal(get.error.reason, 'credentials_refused');
    assert.match(get.error.detail ?? '', /invalid_client/);
    await rig.clock.advance(1_000);
  }
  assert.equal(rig.source.calls.length, 2);
  rig.source.usual = {};
  const refreshed = follow(rig.manager.refresh());
  await rig.clock.advance(6_000);
  assert.equal(refreshed.error instanceof TokenUnavailable || refreshed.value !== undefined, true);
  await rig.clock.advance(31_000);
  assert.notEqual(rig.manager.peek(), null, 'served as soon as the issuer accepts the credentials');
  await rig.manager.stop();
});

test('#8 #39 the first request after a long silence waits for the next attempt, whatever failed before', async () => {
  const rig = makeRig({ usual: { ...REFUSING, delayMs: 0 } });
  await rig.start();
  await rig.clock.advance(20 * 60_000);
  assert.equal(rig.manager.status().state, 'dormant');
  rig.source.usual = {};
  const get = follow(rig.manager.get());
  await rig.clock.advance(200);
  assert.equal(get.value?.generation, 1);
  await rig.manager.stop();
});

test('#8 credentials that worked before are doubted three times before probing turns slow; the token serves meanwhile', async () => {
  const rig = makeRig({ script: [{}], usual: { ...REFUSING, delayMs: 0 } });
  await rig.start();
  await traffic(rig, 160_000, 250);
  const times = rig.source.calls.map((call) => call.atMonoMs);
  const pauses = times.slice(2).map((at, index) => Math.round(at - (times[index + 1] ?? 0)));
  assert.deepEqual(pauses, [375, 750]);
  assert.equal(rig.manager.status().state, 'misconfigured');
  assert.notEqual(rig.manager.peek(), null);
  await rig.manager.stop();
});

test('#8 a changed recipe is tried at once', async () => {
  const rig = makeRig({ usual: { ...REFUSING, delayMs: 0 } });
  await rig.start();
  rig.source.usual = {};
  rig.source.key = 'recipe-2';
  rig.source.onChange?.();
  const get = follow(rig.manager.get());
  await rig.clock.advance(200);
  assert.equal(get.value?.generation, 1);
  assert.equal(rig.manager.status().state, 'fresh');
});

test('#8 what failed with the old recipe does not slow down the new one', async () => {
  const rig = makeRig({ usual: { ...FAILING, delayMs: 0 } });
  await rig.start();
  await rig.clock.advance(100_000);
  rig.source.onChange?.();
  await rig.clock.advance(0);
  assert.equal(rig.manager.status().consecutiveFailures, 1);
  const [before, changed] = [rig.source.calls.length, rig.clock.monoMs()];
  await rig.clock.advance(400);
  assert.equal(rig.source.calls.length, before + 1);
  assert.ok((rig.source.calls.at(-1)?.atMonoMs ?? 0) - changed >= 370);
  await rig.manager.stop();
});

test('#8 a rate limit (400 with Retry-After) is no rejection of the credentials', async () => {
  const busy = { error: new TokenSourceError('invalid_request', { retryAfterMs: 3_000 }), delayMs: 0 };
  const rig = makeRig({ script: [busy] });
  const get = follow(rig.manager.get());
  await rig.clock.advance(3_200);
  assert.equal(get.value?.generation, 1);
});

test('#27 failing attempts in the background never become unhandled rejections', async () => {
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown): number => unhandled.push(reason);
  process.on('unhandledRejection', onUnhandled);
  try {
    const rig = makeRig({ script: [{}], usual: FAILING });
    await rig.start();
    await rig.clock.advance(700_000);
    const hanging = makeRig({ usual: { hang: true } });
    void hanging.manager.start();
    await hanging.clock.advance(5_000);
    await hanging.manager.stop();
    await rig.manager.stop();
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(unhandled, []);
  } finally {
    process.off('unhandledRejection', onUnhandled);
  }
});

test('#28 a result that was asked for with another recipe is thrown away, and the new one is asked for at once', async () => {
  const rig = makeRig({
    script: [{}, { delayMs: 5_000, raw: { value: 'old-recipe-token', lifetimeMs: 300_000 } }],
  });
  await rig.start();
  await rig.clock.advance(135_000);
  assert.equal(rig.source.calls.length, 2);
  rig.source.key = 'recipe-2';
  rig.source.onChange?.();
  assert.equal(rig.source.calls[1]?.isAborted, true);
  assert.equal(rig.source.calls.length, 3);
  await rig.clock.advance(200);
  assert.equal(rig.manager.status().generation, 2);
  await rig.clock.advance(5_000);
  assert.equal(rig.manager.status().generation, 2);
});

test('#28 a recipe that changed without a report is noticed when the response comes', async () => {
  const rig = makeRig({ script: [{ raw: { value: 'old-recipe-token', lifetimeMs: 300_000 } }] });
  const get = follow(rig.manager.get());
  rig.source.key = 'recipe-2';
  await rig.clock.advance(200);
  assert.equal(get.isSettled, false);
  await rig.clock.advance(200);
  assert.equal(get.value?.generation, 1);
  assert.equal(rig.source.calls.length, 2);
});

test('#29 a source that reports a change is asked at once; while it is being asked, once more afterwards', async () => {
  const rig = makeRig();
  await rig.start();
  rig.source.onChange?.();
  assert.equal(rig.source.calls.length, 2);
  rig.source.onChange?.();
  rig.source.onChange?.();
  await rig.clock.advance(200);
  assert.equal(rig.source.calls.length, 3);
  await rig.clock.advance(10_000);
  assert.equal(rig.source.calls.length, 3);
  assert.equal(rig.manager.status().generation, 3);
  assert.equal(rig.source.maxConcurrent, 1);
});

test('#29 a source that reports a change is asked even when the manager is dormant', async () => {
  const rig = makeRig();
  await rig.start();
  await rig.clock.advance(3_600_000);
  const before = rig.source.calls.length;
  rig.source.onChange?.();
  await rig.clock.advance(200);
  assert.equal(rig.source.calls.length, before + 1);
});

test('#38 stop() during a renewal aborts it, rejects the waiters and leaves no timer', async () => {
  const rig = makeRig({ usual: { hang: true } });
  const started = follow(rig.manager.start());
  const get = follow(rig.manager.get());
  const refreshed = follow(rig.manager.refresh());
  await rig.manager.stop();
  await rig.clock.advance(0);
  assert.ok(get.error instanceof TokenUnavailable);
  assert.equal(get.error.reason, 'stopped');
  assert.ok(refreshed.error instanceof TokenUnavailable);
  assert.equal(started.isSettled, true);
  assert.equal(rig.source.calls[0]?.isAborted, true);
  assert.equal(rig.clock.pending, 0);
  assert.equal(rig.source.isClosed, true);
  assert.equal(rig.source.onChange, null);
});

test('#38 a stopped manager gives no lease, makes no call, and can be stopped again', async () => {
  const rig = makeRig();
  await rig.start();
  const lease = leaseNow(rig);
  await rig.manager.stop();
  await rig.manager.stop();
  assert.equal(rig.manager.peek(), null);
  await assert.rejects(rig.manager.get(), /stopped/);
  await assert.rejects(rig.manager.refresh(), /stopped/);
  await assert.rejects(rig.manager.renewAfter(lease), /stopped/);
  await rig.manager.start();
  rig.manager.reportAccepted(lease);
  assert.equal(rig.source.calls.length, 1);
  assert.equal(rig.manager.status().state, 'stopped');
  assert.equal(rig.clock.pending, 0);
});

test('#38 stop() leaves no timer of a source that ignores its signal, nor of one that has failed', async () => {
  const deaf = makeRig({ usual: { hang: true, deaf: true } });
  void deaf.manager.start();
  await deaf.manager.stop();
  assert.equal(deaf.clock.pending, 0);
  const failing = makeRig({ usual: FAILING });
  await failing.start();
  await failing.manager.stop();
  assert.equal(failing.clock.pending, 0);
});

test('a wait leaves no listener on the request’s signal', async () => {
  const rig = makeRig();
  const { signal } = new AbortController();
  const get = follow(rig.manager.get({ signal }));
  assert.equal(getEventListeners(signal, 'abort').length, 1);
  await rig.clock.advance(200);
  assert.notEqual(get.value, undefined);
  assert.equal(getEventListeners(signal, 'abort').length, 0);
});

test('#38 stop() while a token is good, with a renewal planned, leaves no timer', async () => {
  const rig = makeRig();
  await rig.start();
  assert.equal(rig.clock.pending, 1);
  await rig.manager.stop();
  assert.equal(rig.clock.pending, 0);
});

test('a source that cannot be watched or closed cleanly stops nothing', async () => {
  const rig = makeRig();
  rig.source.watch = () => {
    throw new Error('no inotify left');
  };
  rig.source.close = () => Promise.reject(new Error('busy'));
  await rig.start();
  assert.notEqual(rig.manager.peek(), null);
  await rig.manager.stop();
  assert.equal(rig.count('note'), 2);
});

test('#38 stop() after many requests waited through the pauses of an outage leaves no timer', async () => {
  const rig = makeRig({ usual: { error: new TokenSourceError('503') } });
  const waits = [];
  for (let request = 0; request < 20; request++) {
    waits.push(follow(rig.manager.get()));
    await rig.clock.advance(300);
  }
  const stillWaiting = waits.filter((wait) => !wait.isSettled).length;
  assert.ok(rig.clock.pending <= stillWaiting + 2, `${rig.clock.pending} timers, ${stillWaiting} requests`);
  await rig.manager.stop();
  await rig.clock.advance(0);
  assert.equal(rig.clock.pending, 0);
  assert.ok(waits.every((wait) => wait.isSettled));
});
