import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorIn, Gateway } from '../helpers/gateway.ts';
import { answering, httpAnswer, type RawScript, RawUpstream } from '../helpers/raw-upstream.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { ask, LIMITS, type Outcome, testFault } from './fault-rig.ts';
import { withUpstreams } from './several-upstreams.ts';

const limited = (
  retryAfter: string,
  body = '{"error":{"message":"slow down","type":"requests"}}',
): RawScript => answering(httpAnswer(body, { status: 429, headers: { 'retry-after': retryAfter } }));

/** Shorter than the waits that the upstreams here ask for: a request that cannot wait so long is refused at once. */
const SHORT = { deadline: '6s' };

const LIMITED: Outcome = {
  status: 429,
  code: 'rate_limit_exceeded',
  type: 'rate_limit_error',
  shouldRetry: null,
  says: /rate limit is exceeded.*slow down.*\. Retry after \d+ s\.$/,
  // The upstream's time, spread for those that are refused together.
  retryAfter: [6, 11],
  attempt: 'rate_limited',
  upstreamStatus: 429,
  outcome: 'rate_limited',
  counts: 'no',
  withinMs: 300,
};

testFault('status 429', { script: () => limited('7'), config: SHORT }, LIMITED);

testFault(
  'status 429 with pace: off',
  { script: () => limited('7'), upstream: { pace: 'off' } },
  { ...LIMITED, says: /rate limit is exceeded.*slow down/, retryAfter: [6, 7] },
);

const QUOTA =
  '{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}';
const EXHAUSTED: Outcome = {
  ...LIMITED,
  code: 'insufficient_quota',
  type: 'insufficient_quota',
  says: /quota/,
  retryAfter: [6, 7],
  shouldRetry: 'false',
  attempt: 'quota_exhausted',
};

testFault('status 429 with insufficient_quota', { script: () => limited('7', QUOTA) }, EXHAUSTED);

testFault(
  'status 402',
  { script: () => answering(httpAnswer('{"error":{"message":"pay first"}}', { status: 402 })) },
  { ...EXHAUSTED, upstreamStatus: 402, retryAfter: [1, 1] },
);

/** A gateway over raw upstreams, all for the models `m` and `n`. */
async function withScripts(
  scripts: readonly RawScript[],
  use: (gateway: Gateway) => Promise<void>,
): Promise<void> {
  const upstreams = await Promise.all(scripts.map((script) => RawUpstream.start(script)));
  await withUpstreams(
    upstreams,
    () => ({ sk: 'key-of-all', allow: ['m', 'n'] }),
    { ...LIMITS, ...SHORT },
    use,
  );
}

/** Counts the requests that reach it. */
function counting(script: (count: number) => string): { script: RawScript; count: () => number } {
  let count = 0;
  return {
    count: () => count,
    script: async (connection) => {
      for (;;) {
        await connection.request();
        count += 1;
        await connection.write(script(count));
      }
    },
  };
}

const TOO_MANY = (seconds: string): string =>
  httpAnswer('{"error":{"message":"slow down"}}', { status: 429, headers: { 'retry-after': seconds } });

test('during the pause the upstream gets no request for that model, and retry-after is the remaining time', async () => {
  const upstream = counting(() => TOO_MANY('8'));
  await withScripts([upstream.script], async (gateway) => {
    await ask(gateway, 'chat', 'm');
    await sleep(1_000);
    const { response, text, elapsedMs } = await ask(gateway, 'stream', 'm');
    assert.equal(response.status, 429);
    assert.equal(errorIn(text).code, 'rate_limit_exceeded');
    const retryAfter = Number(response.headers.get('retry-after'));
    assert.ok(retryAfter >= 6 && retryAfter <= 10, `retry-after ${retryAfter}`);
    // The rest of the pause is longer than the deadline: nothing is waited for.
    assert.ok(elapsedMs < 5_000, `at once, not ${elapsedMs} ms`);
    assert.equal(upstream.count(), 1);
    await ask(gateway, 'chat', 'n');
    assert.equal(upstream.count(), 2, 'another model is not paused');
    await sleep(7_000);
    await ask(gateway, 'chat', 'm');
    assert.equal(upstream.count(), 3, 'the pause is over');
  });
});

test('of two paused upstreams the client gets the shorter time', async () => {
  await withScripts([limited('9'), limited('4')], async (gateway) => {
    for (let asked = 0; asked < 2; asked++) {
      const { response } = await ask(gateway, 'chat', 'm');
      assert.equal(response.status, 429);
      const retryAfter = Number(response.headers.get('retry-after'));
      assert.ok(retryAfter >= 4 && retryAfter < 9, `retry-after ${retryAfter}`);
    }
  });
});

test('a retry-after of hours counts as 60 s', async () => {
  await withScripts([limited('7200')], async (gateway) => {
    for (let asked = 0; asked < 2; asked++) {
      const { response } = await ask(gateway, 'chat', 'm');
      assert.equal(response.headers.get('retry-after'), '60');
      assert.ok(Number(response.headers.get('retry-after-ms')) <= 60_000);
    }
  });
});

test('while one upstream pauses, requests go to the other without calling the first', async () => {
  await using model = await StandInModel.start();
  const paused = counting(() => TOO_MANY('30'));
  await using raw = await RawUpstream.start(paused.script);
  await using gateway = await Gateway.start({
    ...LIMITS,
    upstreams: [
      { name: 'first', endpoint: raw.url, sk: 'key-of-first', allow: ['m'] },
      { name: 'second', endpoint: model.url, sk: 'key-of-second', allow: ['m'] },
    ],
  });
  const attempts: (string | null)[] = [];
  for (let asked = 0; asked < 4; asked++) {
    const { response } = await ask(gateway, 'chat', 'm');
    assert.equal(response.status, 200);
    attempts.push(response.headers.get('x-tokenferry-attempts'));
  }
  assert.deepEqual(attempts, ['2', '1', '1', '1']);
  assert.equal(paused.count(), 1);
});
