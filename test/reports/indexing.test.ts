import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { FerryError } from '../../src/lib/errors/ferry-error.ts';
import { retryAfterMs } from '../../src/lib/net/retry-after.ts';
import type { PacedRequest } from '../../src/routing/upstream-state/pacer.ts';
import { Pacers } from '../../src/routing/upstream-state/pacers.ts';
import { Gateway } from '../helpers/gateway.ts';
import {
  fixedWindow,
  LIMIT_HINTS,
  type LimitHint,
  limitHeaders,
  type RateLimiter,
  slidingWindow,
  tokenBucket,
} from '../helpers/rate-limiters.ts';
import { randomFrom } from '../helpers/seeded-random.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { VirtualClock } from '../helpers/virtual-clock.ts';

const WORKERS = 8;
/** Of a minute, or of five of a limit by the minute. */
const MIN_SHARE = 0.95;
/** The deadline of a request, less what is left to the upstream. */
const PATIENCE_MS = 270_000;
const LATENCY_MS = 40;

/** 8 workers at virtual time: the share of the upstream's rate that they reach, and how many requests failed. */
async function index(limiter: RateLimiter, hint: LimitHint, perSecond: number, calls: number) {
  const clock = new VirtualClock();
  await clock.advance(313);
  const random = randomFrom(calls);
  const pacers = new Pacers({ rpm: 0, tpm: 0, maxWaitMs: PATIENCE_MS }, clock, random);
  const pause = (ms: number): Promise<void> => new Promise((resolve) => void clock.schedule(resolve, ms));
  const startedMs = clock.monoMs();
  let left = calls;
  let failed = 0;
  let lastMs = startedMs;
  const isDone = async (request: PacedRequest, untilMs: number): Promise<boolean> => {
    const pacer = pacers.find('m');
    if (pacer?.isOpen === true) pacer.take();
    else if (pacer && (await pacer.wait(request, untilMs - clock.monoMs())) !== 'turn') {
      failed += 1;
      return true;
    }
    const sentMs = clock.monoMs();
    pacers.sent(sentMs);
    // Calls overtake each other on their way.
    await pause(2 + random() * 6 + (random() < 0.03 ? 15 : 0));
    const decision = limiter(clock.monoMs());
    const headers = new Map(Object.entries(limitHeaders(hint, decision)));
    if (decision.isAccepted) {
      lastMs = clock.monoMs();
      await pause(LATENCY_MS);
    } else {
      const hints = { headers: (name: string) => headers.get(name), text: '', nowWallMs: clock.wallMs() };
      const waitMs = retryAfterMs({ ...hints, isRateLimit: true });
      pacers.refused(
        'm',
        sentMs,
        new FerryError('rate_limited', { message: 'slow down', retryAfterMs: waitMs }),
      );
    }
    const status = decision.isAccepted ? 200 : 429;
    pacers.responded('m', sentMs, { status, headers: { get: (name) => headers.get(name) ?? null } });
    return decision.isAccepted;
  };
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const request = { client: 'a', signal: new AbortController().signal, place: null };
      const untilMs = clock.monoMs() + PATIENCE_MS;
      while (!(await isDone(request, untilMs)));
    }
  };
  let areDone = false;
  void Promise.all(Array.from({ length: WORKERS }, worker)).then(() => {
    areDone = true;
  });
  while (!areDone) await clock.advance(1_000);
  return { failed, share: ((calls - failed) * 1_000) / (lastMs - startedMs) / perSecond };
}

for (const perSecond of [3, 10, 50]) {
  for (const [what, limiter] of [
    [`${perSecond} calls in each second`, () => fixedWindow(perSecond, 1_000)],
    [`${perSecond} calls in any second`, () => slidingWindow(perSecond, 1_000)],
    [`a bucket of ${perSecond} filled with ${perSecond} a second`, () => tokenBucket(perSecond, perSecond)],
    [
      `a bucket of ${perSecond * 5} filled with ${perSecond} a second`,
      () => tokenBucket(perSecond, perSecond * 5),
    ],
  ] as const) {
    test(`8 workers at an upstream of ${what}: none fails, and they reach 95 % of its rate`, async (context) => {
      for (const hint of LIMIT_HINTS) {
        const { failed, share } = await index(limiter(), hint, perSecond, perSecond * 60);
        context.diagnostic(`${hint}: ${(share * 100).toFixed(1)} %`);
        assert.equal(failed, 0, hint);
        assert.ok(share >= MIN_SHARE, `${hint}: ${(share * 100).toFixed(1)} %`);
      }
    });
  }
}

for (const [what, limiter] of [
  ['180 calls in each minute', () => fixedWindow(180, 60_000)],
  ['180 calls in any minute', () => slidingWindow(180, 60_000)],
  ['a bucket of 180 filled with 3 a second', () => tokenBucket(3, 180)],
] as const) {
  test(`8 workers at an upstream of ${what}: none fails, and they reach 95 % of its rate`, async (context) => {
    for (const hint of LIMIT_HINTS) {
      const { failed, share } = await index(limiter(), hint, 3, 900);
      context.diagnostic(`${hint}: ${(share * 100).toFixed(1)} %`);
      assert.equal(failed, 0, hint);
      assert.ok(share >= MIN_SHARE, `${hint}: ${(share * 100).toFixed(1)} %`);
    }
  });
}

test('openai for Node with its retries loses calls at a limited upstream, and none through the gateway', async (context) => {
  const calls = 60;
  const work = async (baseURL: string): Promise<number> => {
    const client = new OpenAI({ baseURL, apiKey: 'none' });
    let left = calls;
    let served = 0;
    const worker = async (): Promise<void> => {
      while (left-- > 0) {
        await client.embeddings.create({ model: 'm', input: 'text' }).then(
          () => (served += 1),
          () => undefined,
        );
      }
    };
    await Promise.all(Array.from({ length: WORKERS }, worker));
    return served;
  };
  const serve = async (isDirect: boolean): Promise<number> => {
    const limiter = fixedWindow(3, 250);
    await using model = await StandInModel.start({
      intercept: (_request, response) => {
        const decision = limiter(performance.now());
        if (decision.isAccepted) return false;
        response.writeHead(429, { 'content-type': 'application/json', 'retry-after-ms': '250' });
        response.end('{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}');
        return true;
      },
    });
    if (isDirect) return await work(model.url);
    const upstreams = [{ name: 'limited', endpoint: model.url, sk: 'key', allow: ['m'] }];
    await using gateway = await Gateway.start({ dbtype: 'none', upstreams });
    return await work(`${gateway.url}/v1`);
  };
  const direct = await serve(true);
  const through = await serve(false);
  context.diagnostic(`${direct} of ${calls} served directly, ${through} through the gateway`);
  assert.equal(through, calls);
  assert.ok(direct <= through);
});
