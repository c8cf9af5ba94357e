import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Lease } from '../../../src/tokens/manager/lease.ts';
import { TokenUnavailable } from '../../../src/tokens/manager/token-unavailable.ts';
import { TokenSourceError } from '../../../src/tokens/sources/token-source.ts';
import { follow, leaseNow, makeRig, type Rig, traffic } from './manager-rig.ts';

const SAME = { raw: { value: 'cached-token', lifetimeMs: 300_000 } };

/** A manager with a token that an upstream accepted. */
async function rigInUse(options: Parameters<typeof makeRig>[0] = {}): Promise<{ rig: Rig; lease: Lease }> {
  const rig = makeRig(options);
  await rig.start();
  const lease = leaseNow(rig);
  rig.manager.reportAccepted(lease);
  return { rig, lease };
}

test('#10 a token revoked early: 50 rejections make one renewal and 50 replays', async () => {
  const { rig, lease } = await rigInUse();
  const renewals = Array.from({ length: 50 }, () => follow(rig.manager.renewAfter(lease, { status: 401 })));
  assert.equal(rig.manager.status().state, 'rejected');
  await rig.clock.advance(200);
  assert.ok(renewals.every((renewal) => renewal.value?.generation === 2));
  assert.equal(rig.source.calls.length, 2);
  assert.deepEqual(
    [rig.source.calls[1]?.context.reason, rig.source.calls[1]?.context.force],
    ['rejected', true],
  );
  assert.equal(rig.source.calls[1]?.context.previousFingerprint, lease.fingerprint);
  const outcomes = rig.events.flatMap((event) => (event.kind === 'rejected' ? [event.outcome] : []));
  assert.deepEqual([outcomes[0], new Set(outcomes.slice(1))], ['renewing', new Set(['joined'])]);
});

test('#10 a rejected token is not given to requests while its renewal is running', async () => {
  const { rig, lease } = await rigInUse();
  const renewal = follow(rig.manager.renewAfter(lease));
  const get = follow(rig.manager.get());
  assert.equal(rig.manager.peek(), null);
  await rig.clock.advance(200);
  assert.equal(get.value?.generation, 2);
  assert.equal(renewal.value?.generation, 2);
});

test('#10 a renewal of a rejected token that fails is tried again, by force, and the wait is bounded', async () => {
  const { rig, lease } = await rigInUse({ script: [{}, { error: new TokenSourceError('503') }] });
  const hasty = follow(rig.manager.renewAfter(lease, { maxWaitMs: 300 }));
  const patient = follow(rig.manager.renewAfter(lease));
  await rig.clock.advance(300);
  assert.ok(hasty.error instanceof TokenUnavailable);
  await rig.clock.advance(1_000);
  assert.equal(patient.value?.generation, 2);
  assert.equal(rig.source.calls[2]?.context.force, true);
});

test('#10 a client that leaves while its rejected token is renewed takes nothing with it', async () => {
  const { rig, lease } = await rigInUse();
  const abort = new AbortController();
  const leaver = follow(rig.manager.renewAfter(lease, { signal: abort.signal }));
  const other = follow(rig.manager.renewAfter(lease));
  abort.abort(new Error('gone'));
  await rig.clock.advance(200);
  assert.match(String(leaver.error), /gone/);
  assert.equal(other.value?.generation, 2);
  await assert.rejects(
    rig.manager.renewAfter(lease, { signal: AbortSignal.abort(new Error('gone')) }),
    /gone/,
  );
});

test('#11 a late rejection of an old token renews nothing and gets the newer one', async () => {
  const { rig, lease } = await rigInUse();
  await rig.clock.advance(140_000);
  const newer = leaseNow(rig);
  assert.equal(await rig.manager.renewAfter(lease, { status: 401 }), newer);
  assert.equal(rig.source.calls.length, 2);
  assert.equal(rig.manager.peek(), newer);
});

test('#11 a late rejection of an old token waits when the newer one has expired', async () => {
  const { rig, lease } = await rigInUse({ settings: { idleStopMs: 60_000 } });
  const renewed = follow(rig.manager.refresh());
  await rig.clock.advance(400_000);
  assert.equal(renewed.value?.generation, 2);
  const replay = follow(rig.manager.renewAfter(lease));
  await rig.clock.advance(200);
  assert.equal(replay.value?.generation, 3);
});

test('#11 an old rejected token that an issuer returns again is not used', async () => {
  const { rig, lease } = await rigInUse({
    script: [SAME, {}, SAME],
  });
  await rig.clock.advance(10_000);
  const replay = follow(rig.manager.renewAfter(lease));
  await rig.clock.advance(200);
  assert.equal(replay.value?.generation, 2);
  await rig.clock.advance(135_200);
  assert.match(rig.manager.status().lastError ?? '', /an upstream has rejected/);
  assert.equal(leaseNow(rig).generation, 2);
  await rig.clock.advance(1_000);
  assert.equal(leaseNow(rig).generation, 3);
});

test('#11 a late rejection is remembered: the issuer cannot bring the old token back', async () => {
  const { rig, lease } = await rigInUse({ script: [SAME, {}, SAME] });
  await rig.clock.advance(140_000);
  assert.equal((await rig.manager.renewAfter(lease))?.generation, 2);
  const refreshed = follow(rig.manager.refresh());
  await rig.clock.advance(200);
  assert.ok(refreshed.error instanceof TokenUnavailable);
  assert.equal(leaseNow(rig).generation, 2);
});

test('#12 a rejection while a background renewal is in flight joins it', async () => {
  const { rig, lease } = await rigInUse();
  await rig.clock.advance(134_850);
  assert.equal(rig.source.calls.length, 2);
  const renewal = follow(rig.manager.renewAfter(lease, { status: 401 }));
  await rig.clock.advance(200);
  assert.equal(renewal.value?.generation, 2);
  assert.equal(rig.source.calls.length, 2);
});

test('#12 a joined renewal that brings the rejected token itself is followed by one by force', async () => {
  const { rig, lease } = await rigInUse({ script: [SAME, SAME] });
  await rig.clock.advance(134_850);
  const renewal = follow(rig.manager.renewAfter(lease));
  await rig.clock.advance(400);
  assert.equal(renewal.value?.generation, 2);
  assert.deepEqual(
    rig.source.calls.map((call) => call.context.force),
    [false, false, true],
  );
});

test('#12 the renewal by force after a joined one keeps its second of distance', async () => {
  const { rig, lease } = await rigInUse({ script: [{}, SAME, SAME] });
  const first = follow(rig.manager.renewAfter(lease));
  await rig.clock.advance(200);
  assert.equal(first.value?.generation, 2);
  rig.source.onChange?.();
  const second = follow(rig.manager.renewAfter(leaseNow(rig)));
  await rig.clock.advance(1_200);
  assert.equal(second.value?.generation, 3);
  const [, forced, , again] = rig.source.calls.map((call) => call.atMonoMs);
  assert.ok(Math.abs((again ?? 0) - (forced ?? 0) - 1_000) < 2);
});

test('#12 a joined renewal that brings the rejected token, with no renewal by force permitted: it stays in use', async () => {
  const { rig } = await rigInUse();
  for (let round = 0; round < 5; round++) {
    if (round === 4) rig.source.usual = SAME;
    rig.manager.reportAccepted(leaseNow(rig));
    const replay = follow(rig.manager.renewAfter(leaseNow(rig)));
    await rig.clock.advance(1_300);
    assert.ok(replay.value != null);
  }
  const lease = leaseNow(rig);
  rig.source.onChange?.();
  const [replay, get] = [follow(rig.manager.renewAfter(lease)), follow(rig.manager.get())];
  const calls = rig.source.calls.length;
  await rig.clock.advance(200);
  assert.deepEqual([replay.isSettled, replay.value], [true, null]);
  assert.equal(get.value?.fingerprint, lease.fingerprint);
  // It is no longer held against it: the issuer may hand it out again.
  rig.source.onChange?.();
  await rig.clock.advance(200);
  assert.equal(rig.manager.status().consecutiveFailures, 0);
  assert.equal(rig.source.calls.length, calls + 1);
});

test('#13 that an older token was accepted proves nothing about the newest', async () => {
  const { rig, lease } = await rigInUse();
  for (let round = 0; round < 3; round++) {
    const current = leaseNow(rig);
    follow(rig.manager.renewAfter(current));
    await rig.clock.advance(1_300);
    rig.manager.reportAccepted(lease);
  }
  assert.equal(rig.count('breaker_open'), 1);
});

/** One request against an upstream that refuses every token: the refusal, and the replay's refusal. */
async function refusedRequest(rig: Rig): Promise<'replayed' | 'not replayed' | 'unavailable'> {
  const get = follow(rig.manager.get());
  await rig.clock.advance(250);
  if (get.value === undefined) return 'unavailable';
  const replay = follow(rig.manager.renewAfter(get.value, { status: 401 }));
  await rig.clock.advance(1_300);
  if (replay.value == null) return 'not replayed';
  rig.manager.reportRejected(replay.value);
  return 'replayed';
}

test('#13 an upstream that rejects every token: two new ones are tried, then 30 s without a replay, and no wait', async () => {
  const rig = makeRig();
  await rig.start();
  const outcomes: string[] = [];
  for (let request = 0; request < 15; request++) outcomes.push(await refusedRequest(rig));
  assert.deepEqual(outcomes.slice(0, 3), ['replayed', 'not replayed', 'not replayed']);
  assert.equal(new Set(outcomes.slice(1)).size, 1);
  assert.ok(rig.source.calls.length <= 3, `${rig.source.calls.length} calls`);
  assert.equal(rig.count('breaker_open'), 1);
  assert.equal(rig.manager.status().isBreakerOpen, true);
  assert.notEqual(rig.manager.peek(), null);
  await rig.clock.advance(30_000);
  assert.equal(await refusedRequest(rig), 'replayed');
});

test('#13 with the breaker open a success closes it at once', async () => {
  const rig = makeRig();
  await rig.start();
  for (let request = 0; request < 4; request++) await refusedRequest(rig);
  assert.equal(rig.manager.status().isBreakerOpen, true);
  rig.manager.reportAccepted(leaseNow(rig));
  assert.equal(rig.manager.status().isBreakerOpen, false);
  const replay = follow(rig.manager.renewAfter(leaseNow(rig)));
  await rig.clock.advance(200);
  assert.notEqual(replay.value ?? null, null);
});

/** One request, with its one replay, to an upstream that knows a token so long after it was issued. True: served. */
async function askLagging(rig: Rig, issuedAtMs: Map<string, number>, lagMs: number): Promise<boolean> {
  const isAccepted = ({ fingerprint }: Lease): boolean => {
    const atMs = issuedAtMs.get(fingerprint) ?? rig.source.calls.at(-1)?.atMonoMs ?? 0;
    issuedAtMs.set(fingerprint, atMs);
    return rig.clock.monoMs() - atMs >= lagMs;
  };
  const lease = leaseNow(rig);
  if (isAccepted(lease)) {
    rig.manager.reportAccepted(lease);
    return true;
  }
  const replay = follow(rig.manager.renewAfter(lease, { status: 401 }));
  await rig.clock.advance(300);
  if (replay.value == null) return false;
  if (isAccepted(replay.value)) {
    rig.manager.reportAccepted(replay.value);
    return true;
  }
  rig.manager.reportRejected(replay.value);
  return false;
}

test('#21 an upstream that knows new tokens late: the one that worked is the fallback, and later ones are held back so long', async () => {
  const rig = makeRig();
  await rig.start();
  const issuedAtMs = new Map([[leaseNow(rig).fingerprint, -10_000]]);
  const failedAtMs: number[] = [];
  for (const startedMs = rig.clock.monoMs(); rig.clock.monoMs() - startedMs < 900_000; ) {
    const atMs = rig.clock.monoMs() - startedMs;
    if (!(await askLagging(rig, issuedAtMs, 2_000))) failedAtMs.push(atMs);
    await rig.clock.advance(250);
  }
  // The first new token and the one by force in its place: two requests hear of it, none after them.
  assert.ok(failedAtMs.length >= 1 && failedAtMs.length <= 2, failedAtMs.join(' '));
  assert.ok((failedAtMs.at(-1) ?? 0) < 150_000, failedAtMs.join(' '));
  assert.equal(rig.count('breaker_open') <= 1, true);
});

test('#21 a fallback token that is rejected too is no fallback any more', async () => {
  const { rig, lease } = await rigInUse();
  rig.manager.reportAccepted(lease);
  const second = follow(rig.manager.refresh());
  await rig.clock.advance(200);
  const third = follow(rig.manager.renewAfter(second.value as Lease, { status: 401 }));
  await rig.clock.advance(1_200);
  rig.manager.reportRejected(third.value as Lease);
  const standIn = await rig.manager.renewAfter(third.value as Lease, { status: 401 });
  assert.equal(standIn?.fingerprint, lease.fingerprint);
  rig.manager.reportRejected(standIn as Lease);
  assert.equal(await rig.manager.renewAfter(third.value as Lease, { status: 401 }), null);
});

test('#21 with an issuer that revokes the previous token that one is never the fallback', async () => {
  const { rig, lease } = await rigInUse({ settings: { rotation: 'exclusive' } });
  rig.manager.reportAccepted(lease);
  const second = follow(rig.manager.refresh());
  await rig.clock.advance(200);
  const third = follow(rig.manager.renewAfter(second.value as Lease, { status: 401 }));
  await rig.clock.advance(1_200);
  rig.manager.reportRejected(third.value as Lease);
  assert.equal(await rig.manager.renewAfter(third.value as Lease, { status: 401 }), null);
});

test('#13 many rejections of one token count once against the breaker', async () => {
  const rig = makeRig();
  await rig.start();
  const lease = leaseNow(rig);
  const renewals = Array.from({ length: 10 }, () => follow(rig.manager.renewAfter(lease)));
  rig.manager.reportRejected(lease);
  await rig.clock.advance(200);
  assert.ok(renewals.every((renewal) => renewal.value?.generation === 2));
  assert.equal(rig.count('breaker_open'), 0);
});

test('#13 one upstream rejects what another accepts: at most five forced renewals a minute, the token stays in use', async () => {
  const rig = makeRig();
  await rig.start();
  let replays = 0;
  for (let second = 0; second < 60; second++) {
    const lease = leaseNow(rig);
    rig.manager.reportAccepted(lease);
    const replay = follow(rig.manager.renewAfter(lease, { status: 401 }));
    await rig.clock.advance(1_000);
    if (replay.value != null) replays += 1;
    assert.notEqual(rig.manager.peek(), null);
  }
  assert.equal(replays, 5);
  assert.equal(rig.source.calls.length, 1 + 5);
  assert.equal(rig.count('breaker_open'), 0);
  await rig.clock.advance(1_000);
  const again = follow(rig.manager.renewAfter(leaseNow(rig)));
  await rig.clock.advance(200);
  assert.notEqual(again.value ?? null, null);
});

test('#13 two forced renewals are a second apart: the next one waits, and does not fail', async () => {
  const { rig, lease } = await rigInUse();
  const first = follow(rig.manager.renewAfter(lease));
  await rig.clock.advance(200);
  const second = leaseNow(rig);
  rig.manager.reportAccepted(second);
  const next = follow(rig.manager.renewAfter(second));
  const hasty = await rig.manager.renewAfter(second, { maxWaitMs: 0 }).catch(() => 'unavailable');
  assert.equal(hasty, 'unavailable');
  await rig.clock.advance(1_000);
  assert.equal(first.value?.generation, 2);
  assert.equal(next.value?.generation, 3);
  const [, one, two] = rig.source.calls.map((call) => call.atMonoMs);
  assert.ok((two ?? 0) - (one ?? 0) >= 999);
});

test('#13 a rejection that may not wait for the second between renewals is not replayed and takes no token away', async () => {
  const { rig, lease } = await rigInUse();
  const first = follow(rig.manager.renewAfter(lease));
  await rig.clock.advance(200);
  assert.equal(first.value?.generation, 2);
  assert.equal(await rig.manager.renewAfter(leaseNow(rig), { maxWaitMs: 100 }), null);
  assert.equal(leaseNow(rig).generation, 2);
});

test('#14 an issuer that returns the rejected token: no replay, no loop, and the token stays in use', async () => {
  const { rig, lease } = await rigInUse({ usual: SAME });
  const replay = follow(rig.manager.renewAfter(lease, { status: 401 }));
  const get = follow(rig.manager.get());
  await rig.clock.advance(200);
  assert.deepEqual([replay.isSettled, replay.value], [true, null]);
  assert.equal(get.value?.fingerprint, lease.fingerprint);
  assert.equal(rig.source.calls.length, 2);
  await rig.clock.advance(60_000);
  assert.equal(rig.source.calls.length, 2);
  assert.equal(leaseNow(rig).generation, 1);
  rig.source.onChange?.();
  await rig.clock.advance(200);
  assert.equal(rig.manager.status().consecutiveFailures, 0);
  const same = rig.events.filter((event) => event.kind === 'same_token');
  assert.deepEqual(
    same.map((event) => event.wasRejected),
    [true, false],
  );
});

test('#14 a static key that upstreams reject again and again counts once: it is one token, not many new ones', async () => {
  const rig = makeRig({ usual: SAME });
  await rig.start();
  for (let round = 0; round < 4; round++) {
    const replay = follow(rig.manager.renewAfter(leaseNow(rig)));
    await rig.clock.advance(1_300);
    assert.deepEqual([replay.isSettled, replay.value], [true, null]);
  }
  assert.equal(rig.count('breaker_open'), 0);
});

test('#14 a token that was accepted and then returned again is still one that worked', async () => {
  const { rig, lease } = await rigInUse({ script: [SAME, SAME] });
  rig.source.onChange?.();
  await rig.clock.advance(200);
  follow(rig.manager.renewAfter(lease, { status: 401 }));
  const refused = rig.events.find((event) => event.kind === 'rejected');
  assert.equal(refused?.kind === 'rejected' && refused.isEarly, true);
});

test('#14 a source that can ask by force gets the chance to', async () => {
  const { rig, lease } = await rigInUse();
  rig.source.acquire = ((original) => (context) => {
    rig.source.usual = context.force ? { raw: { value: 'forced-token', lifetimeMs: 300_000 } } : SAME;
    return original.call(rig.source, context);
  })(rig.source.acquire);
  const replay = follow(rig.manager.renewAfter(lease));
  await rig.clock.advance(200);
  assert.equal(replay.value?.generation, 2);
});

test('#14 an issuer that insists on an older rejected token is given in to, rather than starving for ten minutes', async () => {
  const { rig, lease } = await rigInUse({ script: [SAME, {}], usual: SAME });
  const first = follow(rig.manager.renewAfter(lease));
  await rig.clock.advance(5_000);
  assert.equal(first.value?.generation, 2);
  const second = follow(rig.manager.renewAfter(leaseNow(rig)));
  await rig.clock.advance(300);
  assert.match(rig.manager.status().lastError ?? '', /an upstream has rejected/);
  await rig.clock.advance(10_000);
  assert.equal(second.isSettled, true);
  assert.notEqual(rig.manager.peek(), null);
  rig.source.onChange?.();
  await rig.clock.advance(200);
  assert.equal(rig.manager.status().consecutiveFailures, 0);
});

test('a token is rejected for ten minutes and no longer: then the issuer may return it again', async () => {
  const { rig, lease } = await rigInUse({ script: [SAME] });
  const replay = follow(rig.manager.renewAfter(lease));
  await rig.clock.advance(601_000);
  assert.equal(replay.value?.generation, 2);
  rig.source.usual = SAME;
  const refreshed = follow(rig.manager.refresh());
  await rig.clock.advance(200);
  assert.equal(refreshed.value?.fingerprint, lease.fingerprint);
});

test('#16 an exclusive issuer at 20 requests a second: rejections at the switch join it, none fails', async () => {
  const rig = makeRig({ settings: { rotation: 'exclusive' }, usual: { raw: { lifetimeMs: 60_000 } } });
  await rig.start();
  let replays = 0;
  let failures = 0;
  for (let step = 0; step < 20 * 300; step++) {
    const lease = leaseNow(rig);
    // The issuer kills the old token the moment it is asked.
    const isDead = rig.manager.status().state === 'renewing';
    if (isDead) {
      const replay = follow(rig.manager.renewAfter(lease, { status: 401 }));
      const others = [follow(rig.manager.get()), follow(rig.manager.get())];
      replays += 1;
      await rig.clock.advance(200);
      if (replay.value == null || others.some((other) => other.value === undefined)) failures += 1;
    } else {
      rig.manager.reportAccepted(lease);
      await rig.clock.advance(50);
    }
  }
  assert.equal(failures, 0);
  assert.ok(replays >= 5 && replays <= rig.source.calls.length, `${replays} replays`);
  assert.ok(rig.source.calls.length <= 8, `${rig.source.calls.length} calls`);
  assert.equal(rig.count('shared_credential_suspected'), 0);
  assert.equal(rig.count('breaker_open'), 0);
});

test('#17 two token managers on one exclusive issuer: it is suspected that someone shares the credentials', async () => {
  const { rig, lease } = await rigInUse({ settings: { rotation: 'exclusive' } });
  let current = lease;
  for (let round = 0; round < 3; round++) {
    rig.manager.reportAccepted(current);
    await rig.clock.advance(60_000);
    const replay = follow(rig.manager.renewAfter(current, { status: 401 }));
    await rig.clock.advance(200);
    assert.ok(replay.value != null);
    current = replay.value;
  }
  assert.equal(rig.count('shared_credential_suspected'), 1);
  const early = rig.events.filter((event) => event.kind === 'rejected' && event.isEarly);
  assert.equal(early.length, 3);
});

test('#17 while it looks as if someone else uses the credentials the status says so, and for ten minutes after', async () => {
  const { rig, lease } = await rigInUse();
  assert.equal(rig.manager.status().suspiciousRejections, 0);
  let current = lease;
  for (let round = 0; round < 2; round++) {
    rig.manager.reportAccepted(current);
    const replay = follow(rig.manager.renewAfter(current, { status: 401 }));
    await rig.clock.advance(2_000);
    current = replay.value as Lease;
  }
  assert.equal(rig.manager.status().suspiciousRejections, 2);
  await rig.clock.advance(11 * 60_000);
  assert.equal(rig.manager.status().suspiciousRejections, 0);
});

test('#17 a shared token that another replica may have renewed by now raises no suspicion', async () => {
  const early = async (sharing: string): Promise<boolean> => {
    const { rig, lease } = await rigInUse({ settings: { rotation: 'exclusive', sharing } });
    rig.manager.reportAccepted(lease);
    // At 0.76 of the life, before our own renewal at 0.775.
    await rig.clock.advance(228_000);
    void rig.manager.renewAfter(lease, { status: 401 });
    return rig.events.some((event) => event.kind === 'rejected' && event.isEarly);
  };
  assert.deepEqual([await early('none'), await early('file')], [true, false]);
});

test('#13 while renewals are denied one rejection of a token is news, those after it are repetitions', async () => {
  const { rig, lease } = await rigInUse();
  let current = lease;
  // Five renewals a minute are permitted.
  for (let round = 0; round < 5; round++) {
    rig.manager.reportAccepted(current);
    const replay = follow(rig.manager.renewAfter(current, { status: 401 }));
    await rig.clock.advance(1_500);
    current = replay.value as Lease;
  }
  rig.manager.reportAccepted(current);
  for (let request = 0; request < 20; request++) await rig.manager.renewAfter(current, { status: 401 });
  const denied = rig.events.flatMap((event) =>
    event.kind === 'rejected' && event.outcome === 'denied' ? [event.isRepeated] : [],
  );
  assert.deepEqual(denied, [false, ...new Array<boolean>(19).fill(true)]);
});

test('#17 a token that is rejected near its expiry, or that no upstream ever accepted, raises no suspicion', async () => {
  const { rig, lease } = await rigInUse({ settings: { refreshAt: [0.95, 0.95] } });
  await rig.clock.advance(250_000);
  const late = follow(rig.manager.renewAfter(lease));
  await rig.clock.advance(200);
  const unproven = follow(rig.manager.renewAfter(late.value as Lease));
  await rig.clock.advance(1_200);
  assert.notEqual(unproven.value ?? null, null);
  assert.ok(rig.events.every((event) => event.kind !== 'rejected' || !event.isEarly));
});

test('#13 a replay that is rejected too counts: two new tokens that no upstream accepts open the breaker', async () => {
  const rig = makeRig();
  await rig.start();
  const first = leaseNow(rig);
  const replay = follow(rig.manager.renewAfter(first, { status: 401 }));
  await rig.clock.advance(300);
  assert.ok(replay.value);
  assert.equal(rig.count('breaker_open'), 0);
  rig.manager.reportRejected(replay.value);
  rig.manager.reportRejected(replay.value);
  assert.equal(rig.count('breaker_open'), 1);
  // The token stays in use: a refused replay renews nothing.
  assert.equal(leaseNow(rig).generation, 2);
  assert.equal(rig.source.calls.length, 2);
});

test('#13 a rejection whose replay proved nothing does not deny the renewal of an early revocation hours later', async () => {
  const rig = makeRig();
  await rig.start();
  const first = follow(rig.manager.renewAfter(leaseNow(rig), { status: 401 }));
  await rig.clock.advance(300);
  assert.equal(first.value?.generation, 2);
  await traffic(rig, 3 * 3_600_000, 10_000);
  const revoked = leaseNow(rig);
  const second = follow(rig.manager.renewAfter(revoked, { status: 401 }));
  await rig.clock.advance(300);
  assert.equal(second.value?.generation, revoked.generation + 1);
  assert.equal(rig.count('breaker_open'), 0);
});

test('#20 #23 a life in an assumed time zone is corrected by what upstreams reject', async () => {
  const rig = makeRig();
  const zoneMs = new Date().getTimezoneOffset() < -6 * 60 ? 1_800_000 : 8 * 3_600_000;
  rig.source.acquire = async () => ({
    value: `token-${rig.clock.wallMs()}`,
    expiresAtWallMs: rig.clock.wallMs() + zoneMs + 300_000,
    isLocalTime: true,
  });
  await rig.start();
  for (let life = 0; life < 2; life++) {
    const lease = leaseNow(rig);
    rig.manager.reportAccepted(lease);
    await rig.clock.advance(300_000);
    const renewed = follow(rig.manager.renewAfter(lease, { status: 401 }));
    await rig.clock.advance(2_000);
    assert.notEqual(renewed.value ?? null, null);
  }
  const { lifeMs } = rig.manager.status();
  assert.ok(lifeMs !== null && lifeMs <= 275_000, `${lifeMs} ms`);
  await rig.manager.stop();
});
