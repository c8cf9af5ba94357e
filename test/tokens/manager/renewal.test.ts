import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TokenSourceError } from '../../../src/tokens/sources/token-source.ts';
import { randomFrom } from '../../helpers/seeded-random.ts';
import { follow, leaseNow, makeRig, traffic } from './manager-rig.ts';

const FAILING = { error: new TokenSourceError('issuer answered 503') };

for (const lifeSeconds of [300, 60, 20, 6, 5, 2]) {
  test(`#2 tokens of ${lifeSeconds} s: ten lifetimes of traffic without a wait, at most one call per 0.4 lifetimes`, async () => {
    const lifeMs = lifeSeconds * 1_000;
    const usual = { delayMs: Math.min(200, lifeMs / 20), raw: { lifetimeMs: lifeMs } };
    const rig = makeRig({ usual, random: randomFrom(lifeSeconds) });
    await rig.start();
    const refused = await traffic(rig, 10 * lifeMs, Math.max(20, lifeMs / 100));
    assert.equal(refused, 0);
    const calls = rig.source.calls.length;
    assert.ok(calls <= Math.ceil((10 * lifeMs + 200) / (0.4 * lifeMs)) + 1, `${calls} issuer calls`);
    assert.ok(calls >= 20, `${calls} issuer calls`);
    assert.equal(rig.source.maxConcurrent, 1);
  });
}

test('tokens of 6 s at 50 requests a second for a minute: 0 rejections, at most 27 issuer calls', async () => {
  const usual = { delayMs: 150, raw: { lifetimeMs: 6_000 } };
  const rig = makeRig({ usual, random: randomFrom(6) });
  await rig.start();
  assert.equal(await traffic(rig, 60_000, 20), 0);
  assert.ok(rig.source.calls.length <= 27, `${rig.source.calls.length} issuer calls`);
  assert.equal(rig.count('waited'), 0);
});

test('renewal begins at a random point between 40 and 50 % of the lifetime and serves the old token meanwhile', async () => {
  for (const [draw, atMs] of [
    [0, 120_000],
    [0.999_999, 150_000],
  ] as const) {
    const rig = makeRig({ random: () => draw, usual: { raw: { lifetimeMs: 300_000 } } });
    await rig.start();
    await rig.clock.advance(atMs - 200 - 10);
    assert.equal(rig.source.calls.length, 1);
    await rig.clock.advance(20);
    assert.equal(rig.source.calls.length, 2);
    assert.equal(rig.source.calls[1]?.context.reason, 'renewal');
    assert.equal(rig.source.calls[1]?.context.force, false);
    assert.equal(rig.manager.status().state, 'renewing');
    assert.equal(leaseNow(rig).generation, 1);
    await rig.clock.advance(200);
    assert.equal(leaseNow(rig).generation, 2);
    assert.equal(rig.source.calls[1]?.context.previousFingerprint?.length, 8);
  }
});

test('renewal goes on without requests until the manager is idle for 15 minutes', async () => {
  const rig = makeRig();
  await rig.start();
  await rig.clock.advance(14 * 60_000);
  assert.equal(rig.source.calls.length, 7);
  assert.notEqual(rig.manager.peek(), null);
});

test('exclusive rotation renews at 75 to 80 % of the lifetime, and a configured range wins', async () => {
  const exclusive = makeRig({ settings: { rotation: 'exclusive' }, random: () => 0 });
  const early = makeRig({ settings: { refreshAt: [0.1, 0.2] }, random: () => 0 });
  await exclusive.start();
  await early.start();
  await exclusive.clock.advance(224_790);
  assert.equal(exclusive.source.calls.length, 1);
  await exclusive.clock.advance(20);
  assert.equal(exclusive.source.calls.length, 2);
  await early.clock.advance(29_810);
  assert.equal(early.source.calls.length, 2);
});

test('the issuer may ask for an earlier renewal, and not for one for every response', async () => {
  const wished = makeRig({ usual: { raw: { lifetimeMs: 300_000, refreshInMs: 60_000 } } });
  await wished.start();
  await wished.clock.advance(59_810);
  assert.equal(wished.source.calls.length, 2);

  const absurd = makeRig({ usual: { raw: { lifetimeMs: 300_000, refreshInMs: 0 } } });
  await absurd.start();
  await absurd.clock.advance(60_000);
  assert.ok(absurd.source.calls.length <= 13, `${absurd.source.calls.length} calls`);
});

test('#3 an issuer that is away for 0.3 lifetimes in the renewal window costs no request anything', async () => {
  const rig = makeRig({ random: randomFrom(3) });
  await rig.start();
  assert.equal(await traffic(rig, 110_000, 500), 0);
  rig.source.usual = FAILING;
  assert.equal(await traffic(rig, 90_000, 500), 0);
  assert.equal(rig.manager.status().state, 'degraded');
  rig.source.usual = {};
  assert.equal(await traffic(rig, 100_000, 500), 0);
  assert.equal(rig.manager.status().state, 'fresh');
  assert.equal(rig.count('recovered'), 1);
  assert.equal(rig.count('starving'), 0);
});

test('#3 the pauses between attempts double from 0.5 s to 5 s, between half and all of it', async () => {
  for (const [draw, factor] of [
    [0, 0.5],
    [0.999_999_9, 1],
  ] as const) {
    const rig = makeRig({ usual: { ...FAILING, delayMs: 0 }, random: () => draw });
    void rig.manager.start();
    for (let second = 0; second < 25; second++) {
      rig.manager.peek();
      await rig.clock.advance(1_000);
    }
    const at = rig.source.calls.map((call) => call.atMonoMs);
    const pauses = at.slice(1).map((time, index) => time - (at[index] ?? 0));
    const expected = [500, 1_000, 2_000, 4_000, 5_000, 5_000].map((ms) => ms * factor);
    for (const [index, ms] of expected.entries()) {
      assert.ok(
        Math.abs((pauses[index] ?? 0) - ms) < 2,
        `pause ${index}: ${pauses[index]} ms, expected ${ms}`,
      );
    }
    await rig.manager.stop();
  }
});

test('#4 an issuer that hangs is given up after 10 s and asked again, and no request waits while the token is good', async () => {
  const rig = makeRig({ script: [{}, { hang: true }] });
  await rig.start();
  await rig.clock.advance(134_800);
  assert.equal(rig.source.calls.length, 2);
  assert.notEqual(rig.manager.peek(), null);
  await rig.clock.advance(10_000);
  assert.equal(rig.source.calls[1]?.isAborted, true);
  await rig.clock.advance(1_000);
  assert.equal(rig.source.calls.length, 3);
  assert.match(rig.manager.status().lastError ?? '', /did not respond within 10 s/);
  assert.equal(leaseNow(rig).generation, 2);
});

test('#4 a program or own code that takes too long is not called an issuer', async () => {
  for (const [kind, words] of [
    ['exec', 'the command did not exit within 10 s'],
    ['function', 'the module returned nothing within 10 s'],
    ['oauth2', 'the issuer did not respond within 10 s'],
  ] as const) {
    const rig = makeRig({ script: [{ hang: true }] });
    Object.assign(rig.source, { kind });
    void rig.manager.start();
    await rig.clock.advance(10_001);
    assert.equal(rig.manager.status().lastError, words);
    await rig.manager.stop();
  }
});

test('#4 a source that ignores its abort signal is left behind, and what it brings later is thrown away', async () => {
  const rig = makeRig({
    script: [{ delayMs: 25_000, deaf: true, raw: { value: 'too-late-token', lifetimeMs: 300_000 } }],
  });
  const get = follow(rig.manager.get());
  await rig.clock.advance(11_000);
  assert.equal(get.value?.generation, 1);
  const fingerprint = get.value?.fingerprint;
  await rig.clock.advance(20_000);
  assert.equal(leaseNow(rig).fingerprint, fingerprint);
});

test('#4 an issuer that hangs once does not cost a 6-second token its lifetime', async () => {
  const rig = makeRig({
    script: [{ delayMs: 50, raw: { lifetimeMs: 6_000 } }, { hang: true }],
    usual: { delayMs: 50, raw: { lifetimeMs: 6_000 } },
  });
  await rig.start();
  assert.equal(await traffic(rig, 20_000, 20), 0);
});

test('an issuer that is slow, but responds, is not cut off: its own pace sets the time limit', async () => {
  const rig = makeRig({ usual: { delayMs: 1_800, raw: { lifetimeMs: 6_000 } } });
  const started = rig.manager.start();
  await rig.clock.advance(1_800);
  await started;
  assert.equal(await traffic(rig, 30_000, 50), 0);
  assert.equal(rig.manager.status().counters.failed, 0);
});

for (const [title, retryAfterMs, expectedMs] of [
  ['of 20 s is kept', 20_000, 20_000],
  ['of an hour is kept for a minute at most', 3_600_000, 60_000],
  ['of less than the own pause changes nothing', 1, 375],
  ['in the past changes nothing', -5_000, 375],
  ['that is no number changes nothing', Number.NaN, 375],
] as const) {
  test(`#9 a Retry-After ${title}`, async () => {
    const rig = makeRig({
      script: [{}, { error: new TokenSourceError('429', { retryAfterMs }), delayMs: 0 }],
    });
    await rig.start();
    // Requests keep coming, so that only Retry-After makes the pause longer.
    assert.equal(await traffic(rig, 136_000, 250), 0);
    await traffic(rig, 62_000, 250);
    const [, failed, next] = rig.source.calls.map((call) => call.atMonoMs);
    const pauseMs = (next ?? 0) - (failed ?? 0);
    assert.ok(Math.abs(pauseMs - expectedMs) < 2, `${pauseMs} ms`);
  });
}

test('#9 a Retry-After is never kept past half of what the token has left', async () => {
  const error = new TokenSourceError('429', { retryAfterMs: 60_000 });
  const rig = makeRig({ script: [{ raw: { lifetimeMs: 60_000 } }, { error, delayMs: 0 }] });
  await rig.start();
  await rig.clock.advance(30_000);
  const failedAtMs = rig.source.calls[1]?.atMonoMs ?? 0;
  const leftMs = 1_000 + 60_000 - failedAtMs;
  await rig.clock.advance(30_000);
  assert.ok(Math.abs((rig.source.calls[2]?.atMonoMs ?? 0) - failedAtMs - leftMs / 2) < 2);
});

test('#15 the same token with a longer or a shorter lifetime keeps its number and takes the new expiry', async () => {
  const rig = makeRig({
    script: [
      { raw: { value: 'same-token', lifetimeMs: 300_000 } },
      { raw: { value: 'same-token', lifetimeMs: 600_000 } },
      { raw: { value: 'same-token', lifetimeMs: 50_000 } },
    ],
  });
  await rig.start();
  await rig.clock.advance(135_000);
  assert.deepEqual([rig.manager.status().generation, rig.manager.status().lifeMs], [1, 600_000]);
  await rig.clock.advance(301_000);
  const { generation, lifeMs, remainingMs } = rig.manager.status();
  // What is left of a life of 600 s: 50 s less the second since the answer.
  assert.deepEqual([generation, lifeMs], [1, 600_000]);
  assert.ok(remainingMs !== null && Math.abs(remainingMs - 49_000) < 1_500, `${remainingMs}`);
  assert.equal(rig.count('same_token'), 2);
  const acquired = rig.events.flatMap((event) => (event.kind === 'acquired' ? [event.isSame] : []));
  assert.deepEqual(acquired, [false, true, true]);
  assert.equal(rig.manager.status().counters.sameToken, 2);
});

test('#15 an issuer that returns the same token until its expiry is polled at half of what is left, never in a hot loop', async () => {
  const rig = makeRig();
  const endsAtMs = rig.clock.monoMs() + 300_000;
  rig.source.acquire = ((original) => (context) => {
    const leftMs = endsAtMs - rig.clock.monoMs();
    rig.source.usual =
      leftMs > 0
        ? { raw: { value: 'cached-token', lifetimeMs: leftMs } }
        : { raw: { value: 'next', lifetimeMs: 300_000 } };
    return original.call(rig.source, context);
  })(rig.source.acquire);
  await rig.start();
  // Served down to the floor of 2 s, since the issuer has nothing better.
  assert.equal(await traffic(rig, 297_500, 100), 0);
  assert.ok(rig.source.calls.length <= 12, `${rig.source.calls.length} calls`);
  const get = follow(rig.manager.get());
  await rig.clock.advance(8_000);
  assert.equal(get.isSettled, true);
  const last = follow(rig.manager.get());
  await rig.clock.advance(0);
  assert.equal(last.value?.generation, 2);
});

test('#15 an issuer that counts down to 0 does not make the token live on', async () => {
  const rig = makeRig();
  const endsAtMs = rig.clock.monoMs() + 300_000;
  rig.source.acquire = ((original) => (context) => {
    const leftMs = Math.floor((endsAtMs - rig.clock.monoMs()) / 1_000) * 1_000;
    const life = leftMs > 0 ? { lifetimeMs: leftMs } : {};
    rig.source.usual = { delayMs: 0, raw: { value: 'cached-token', ...life } };
    return original.call(rig.source, context);
  })(rig.source.acquire);
  await rig.start();
  await traffic(rig, 330_000, 100);
  assert.equal(rig.manager.peek(), null);
  assert.ok((rig.manager.status().remainingMs ?? 0) <= 0);
});

test('#15 the last seconds of a token that is returned again cost a few calls, however exactly they are stated', async () => {
  const rig = makeRig();
  const endsAtMs = rig.clock.monoMs() + 300_000;
  rig.source.acquire = ((original) => (context) => {
    const lifetimeMs = Math.max(1, endsAtMs - rig.clock.monoMs());
    rig.source.usual = { delayMs: 0, raw: { value: 'cached-token', lifetimeMs } };
    return original.call(rig.source, context);
  })(rig.source.acquire);
  await rig.start();
  await traffic(rig, 290_000, 100);
  const before = rig.source.calls.length;
  await traffic(rig, 7_000, 100);
  assert.ok(rig.source.calls.length - before <= 4, `${rig.source.calls.length - before} calls`);
});

test('#15 a token that the issuer returns again serves below the leeway, as there is nothing better', async () => {
  const rig = makeRig();
  const issuedAtMs = rig.clock.monoMs();
  rig.source.acquire = ((original) => (context) => {
    const ageMs = rig.clock.monoMs() - issuedAtMs;
    rig.source.usual = { delayMs: 0, raw: { value: 'cached-token', lifetimeMs: 300_000, ageMs } };
    return original.call(rig.source, context);
  })(rig.source.acquire);
  await rig.start();
  assert.equal(await traffic(rig, 297_500, 100), 0);
  assert.equal(rig.manager.status().counters.failed < 5, true);
  await rig.manager.stop();
});

test('#15 the last poll of an issuer that returns the same token comes before its expiry', async () => {
  const { sameTokenPollMs } = await import('../../../src/tokens/manager/renewal-timing.ts');
  assert.equal(sameTokenPollMs(300_000, 200_000), 100_000);
  assert.equal(sameTokenPollMs(300_000, 7_000), 5_000);
  assert.equal(sameTokenPollMs(300_000, 5_000), 4_000);
  assert.equal(sameTokenPollMs(6_000, 3_000), 1_500);
});

test('#25 a token that arrives with less than its leeway left is used until its expiry', async () => {
  const usual = { delayMs: 20_000, raw: { lifetimeMs: 20_700 } };
  const rig = makeRig({ usual, settings: { attemptTimeoutMs: 60_000 } });
  const get = follow(rig.manager.get());
  await rig.clock.advance(20_000);
  assert.equal(get.value?.remainingMs(), 700);
  await rig.manager.stop();
});

test('#22 a token without a stated lifetime is used for 240 s, and less once upstreams rejected two of them earlier', async () => {
  const rig = makeRig({ usual: { raw: {} } });
  await rig.start();
  assert.equal(rig.manager.status().lifeMs, 240_000);
  for (const ageMs of [60_000, 100_000]) {
    const lease = leaseNow(rig);
    rig.manager.reportAccepted(lease);
    await rig.clock.advance(ageMs - 200);
    const renewed = follow(rig.manager.renewAfter(lease, { status: 401 }));
    await rig.clock.advance(200);
    assert.notEqual(renewed.value ?? null, null);
  }
  assert.equal(Math.round(rig.manager.status().lifeMs ?? 0), 54_000);
  assert.equal(rig.count('shared_credential_suspected'), 0);
});

test('#23 of several hints about the lifetime the shortest wins, and a disagreement is reported once', async () => {
  const rig = makeRig();
  rig.source.usual = { raw: { lifetimeMs: 300_000, expiresAtWallMs: rig.clock.wallMs() + 100_100 } };
  await rig.start();
  assert.equal(rig.manager.status().lifeMs, 100_000);
  rig.source.usual = { raw: { lifetimeMs: 300_000, expiresAtWallMs: rig.clock.wallMs() + 200_000 } };
  await rig.clock.advance(60_000);
  assert.equal(rig.count('acquired'), 2);
  assert.equal(rig.count('note'), 1);
});

test('#24 a lifetime of 30 days or of a hundred years causes no timer overflow and one call', async () => {
  for (const lifetimeMs of [30 * 86_400_000, 35 * 86_400_000, 100 * 365 * 86_400_000]) {
    const rig = makeRig({ usual: { raw: { lifetimeMs } } });
    await rig.start();
    assert.equal(await traffic(rig, 3_600_000, 60_000), 0);
    assert.equal(rig.source.calls.length, 1);
    assert.ok((rig.clock.nextDueMs ?? 0) <= 30_000);
    await rig.manager.stop();
  }
});

test('long tokens are renewed 15 to 20 minutes before their expiry, or 5 % of the lifetime, at most a day', async () => {
  const { renewalAgeMs } = await import('../../../src/tokens/manager/renewal-timing.ts');
  const settings = { refreshAt: null, rotation: 'overlap' } as const;
  const minutes = (ms: number): number => ms / 60_000;
  const before = (lifeMinutes: number, draw: number): number =>
    lifeMinutes - minutes(renewalAgeMs(lifeMinutes * 60_000, settings, undefined, () => draw));
  assert.equal(Math.round(before(60, 0)), 15);
  assert.equal(Math.round(before(60, 0.999)), 20);
  assert.equal(Math.round(before(24 * 60, 0)), 72);
  assert.equal(Math.round(before(90 * 24 * 60, 0)), 24 * 60);
});

test('#25 the lifetime counts from the request: an exchange of 20 s leaves 10 s of a 30-second token', async () => {
  const rig = makeRig({
    usual: { delayMs: 20_000, raw: { lifetimeMs: 30_000 } },
    settings: { attemptTimeoutMs: 60_000 },
  });
  const get = follow(rig.manager.get());
  await rig.clock.advance(20_000);
  assert.equal(get.value?.remainingMs(), 10_000);
});

test('#25 a token that is expired when it arrives is thrown away and counts as a failure', async () => {
  const rig = makeRig({
    usual: { delayMs: 20_000, raw: { lifetimeMs: 20_400 } },
    settings: { attemptTimeoutMs: 60_000 },
  });
  const get = follow(rig.manager.get());
  await rig.clock.advance(20_000);
  assert.equal(get.isSettled, false);
  assert.match(rig.manager.status().lastError ?? '', /has expired or is about to/);
  await rig.manager.stop();
});

test('#34 a lease that a stream began with stays as it is when a newer token is in use', async () => {
  const rig = makeRig();
  await rig.start();
  const lease = leaseNow(rig);
  const before = { path: '/', headers: [] as string[], body: null, isJson: false };
  lease.apply(before);
  await rig.clock.advance(140_000);
  const after = { path: '/', headers: [] as string[], body: null, isJson: false };
  lease.apply(after);
  assert.deepEqual(after, before);
  assert.equal(leaseNow(rig).generation, 2);
});

test('#36 an event loop that stalls over the renewal point is covered by the next request', async () => {
  const rig = makeRig();
  await rig.start();
  rig.clock.stall(140_000);
  assert.equal(rig.source.calls.length, 1);
  assert.notEqual(rig.manager.peek(), null);
  assert.equal(rig.source.calls.length, 2);
});

test('leeway is at most 5 % and floor at most 1 % of the lifetime, however large they are configured', async () => {
  const usual = { raw: { lifetimeMs: 10_000 }, delayMs: 0 };
  const rig = makeRig({
    script: [usual],
    usual: { hang: true },
    settings: { leewayMs: 60_000, floorMs: 30_000 },
  });
  await rig.start();
  // The first attempt in flight: leeway of 0.5 s holds.
  await rig.clock.advance(9_300 - 200);
  assert.notEqual(rig.manager.peek(), null);
  // Attempts have failed: down to the floor of 0.1 s.
  await rig.clock.advance(500);
  assert.notEqual(rig.manager.peek(), null);
  await rig.clock.advance(150);
  assert.equal(rig.manager.peek(), null);
  await rig.manager.stop();
});
