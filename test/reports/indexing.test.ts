import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { Gateway } from '../helpers/gateway.ts';
import { simulate } from '../helpers/indexing-simulation.ts';
import {
  concurrency,
  fixedWindow,
  type LimitHint,
  type RateLimiter,
  slidingCounter,
  slidingWindow,
  tokenBucket,
  tokensPerMinute,
} from '../helpers/rate-limiters.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

const WORKERS = 8;

/** A limit, and the lowest share of what an all-knowing caller gets accepted, the first contact included. */
interface Row {
  readonly what: string;
  readonly limiter: () => RateLimiter;
  readonly minShare: number;
  readonly durationMs?: number;
  readonly tokens?: number;
}

const USUAL: readonly LimitHint[] = ['nothing', 'retry-after'];
/** Whole windows of a minute, less the time at which the first one begins. */
const MINUTES = 358_000;

const BY_SECOND: readonly Row[] = [3, 10, 50].flatMap((rate) => [
  { what: `${rate} calls in each second`, limiter: () => fixedWindow(rate, 1_000), minShare: 0.93 },
  {
    what: `${rate} calls in each second that begins anywhere`,
    limiter: () => fixedWindow(rate, 1_000, 437),
    minShare: 0.93,
  },
  { what: `${rate} calls in any second`, limiter: () => slidingWindow(rate, 1_000), minShare: 0.95 },
  {
    what: `${rate} calls in a second by two counters`,
    limiter: () => slidingCounter(rate, 1_000),
    minShare: 0.93,
  },
  { what: `a bucket of ${rate}, ${rate} a second`, limiter: () => tokenBucket(rate, rate), minShare: 0.95 },
  { what: `a bucket of 10, ${rate} a second`, limiter: () => tokenBucket(rate, 10), minShare: 0.92 },
  // Each call that arrives a little early is refused: how close calls can follow each other depends on the network.
  {
    what: `${rate} calls a second, none at once`,
    limiter: () => tokenBucket(rate, 1),
    minShare: rate === 50 ? 0.75 : 0.87,
  },
]);

const OTHERS: readonly Row[] = [
  { what: '3 calls at once', limiter: () => concurrency(3), minShare: 0.95 },
  {
    what: '60 calls in each minute',
    limiter: () => fixedWindow(60, 60_000),
    minShare: 0.95,
    durationMs: MINUTES,
  },
  {
    what: '60 calls in any minute',
    limiter: () => slidingWindow(60, 60_000),
    minShare: 0.95,
    durationMs: MINUTES,
  },
  {
    what: '200 calls in any minute',
    limiter: () => slidingWindow(200, 60_000),
    minShare: 0.95,
    durationMs: MINUTES,
  },
  {
    what: 'a bucket of 60, 60 a minute',
    limiter: () => tokenBucket(1, 60),
    minShare: 0.95,
    durationMs: MINUTES,
  },
  {
    what: '60,000 tokens a minute',
    limiter: () => tokensPerMinute(60_000),
    minShare: 0.95,
    durationMs: MINUTES,
    tokens: 1_000,
  },
];

for (const { what, limiter, minShare, durationMs = 60_000, tokens = 0 } of [...BY_SECOND, ...OTHERS]) {
  test(`8 workers at an upstream of ${what}: none fails, and the limit is used`, async (context) => {
    for (const hint of USUAL) {
      const run = {
        limiter,
        hint,
        workers: WORKERS,
        latencyMs: 20,
        travelMs: 2,
        durationMs,
        tokens,
        seed: 1,
      };
      const { share, failed, refused } = await simulate(run);
      const text = `${hint}: ${(share * 100).toFixed(1)} %, ${refused} × 429`;
      context.diagnostic(text);
      assert.equal(failed, 0, hint);
      assert.ok(share >= minShare, text);
    }
  });
}

for (const [latencyMs, workers] of [
  [300, 64],
  [2_000, 64],
  [300, 1],
] as const) {
  test(`${workers} workers with responses after ${latencyMs} ms from a cold start: none fails, and the limit is used`, async (context) => {
    for (const [what, limiter] of [
      ['3 calls in any second', () => slidingWindow(3, 1_000)],
      ['a bucket of 10, 3 a second', () => tokenBucket(3, 10)],
      ['10 calls in any second', () => slidingWindow(10, 1_000)],
      ['10 calls at once', () => concurrency(10)],
    ] as const) {
      for (const hint of ['nothing', 'retry-after'] as const) {
        const { share, failed } = await simulate({
          limiter,
          hint,
          workers,
          latencyMs,
          travelMs: 2,
          durationMs: 60_000,
          seed: 2,
        });
        const text = `${what}, ${hint}: ${(share * 100).toFixed(1)} %`;
        context.diagnostic(text);
        assert.equal(failed, 0, text);
        assert.ok(share >= 0.93, text);
      }
    }
  });
}

test('statements that are wrong or rare cost little: none fails, and the limit is used', async (context) => {
  for (const hint of [
    'always 0',
    'always 3600',
    'too small',
    'decimal',
    'retry-after-ms',
    'http-date',
    'anthropic',
    'ietf',
    'x-ratelimit epoch',
    'x-ratelimit in words',
  ] as const) {
    for (const [what, limiter, minShare] of [
      ['3 calls in any second', () => slidingWindow(3, 1_000), 0.93],
      ['50 calls in any second', () => slidingWindow(50, 1_000), 0.93],
      ['a bucket of 10, 10 a second', () => tokenBucket(10, 10), 0.95],
      ['3 calls a second, none at once', () => tokenBucket(3, 1), 0.87],
      ['50 calls a second, none at once', () => tokenBucket(50, 1), 0.75],
    ] as const) {
      const run = {
        limiter,
        hint,
        workers: WORKERS,
        latencyMs: 20,
        travelMs: 2,
        durationMs: 60_000,
        seed: 3,
      };
      const { share, failed } = await simulate(run);
      const text = `${hint}, ${what}: ${(share * 100).toFixed(1)} %`;
      context.diagnostic(text);
      assert.equal(failed, 0, text);
      assert.ok(share >= minShare, text);
    }
  }
});

test('timers that are late by up to 5 ms cost little', async (context) => {
  for (const perSecond of [3, 10, 50]) {
    const limiter = (): RateLimiter => slidingWindow(perSecond, 1_000);
    for (const seed of [1, 2, 3]) {
      const run = {
        limiter,
        workers: WORKERS,
        latencyMs: 40,
        travelMs: 2,
        durationMs: 60_000,
        seed,
        lateMs: 5,
      };
      const { share, failed } = await simulate({ ...run, hint: 'retry-after' });
      const text = `${perSecond} a second: ${(share * 100).toFixed(1)} %`;
      context.diagnostic(text);
      assert.equal(failed, 0, text);
      assert.ok(share >= 0.95, text);
    }
  }
});

test('an upstream that accepts nothing gets few calls, whatever it states', async (context) => {
  for (const hint of ['nothing', 'always 0', 'too small', 'retry-after'] as const) {
    const limiter = (): RateLimiter => fixedWindow(0, 1_000);
    const run = { limiter, hint, workers: WORKERS, latencyMs: 20, travelMs: 2, durationMs: 60_000, seed: 1 };
    const { refused, failed } = await simulate(run);
    context.diagnostic(`${hint}: ${refused} × 429, ${failed} failed`);
    assert.ok(failed > 0, hint);
    assert.ok(refused <= 100, `${hint}: ${refused} × 429 in a minute`);
  }
});

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
