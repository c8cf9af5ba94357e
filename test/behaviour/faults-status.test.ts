import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gateway } from '../helpers/gateway.ts';
import { answering, httpAnswer, type RawScript, RawUpstream } from '../helpers/raw-upstream.ts';
import { ask, LIMITS, type Outcome, testFault } from './fault-rig.ts';

const BROKEN: Outcome = {
  status: 502,
  code: 'upstream_error',
  type: 'upstream_error',
  shouldRetry: null,
  attempt: 'retryable_status',
  upstreamStatus: 500,
  // retry.same_upstream is 1: the only candidate is asked once more.
  attemptsAlone: 2,
  counts: 'yes',
  withinMs: 300,
};

const failing = (status: number): RawScript =>
  answering(httpAnswer('{"error":{"message":"it broke","type":"server_error"}}', { status }));

for (const [status, clientStatus] of [
  [500, 502],
  [503, 503],
  [504, 504],
] as const) {
  testFault(
    `status ${status}`,
    { script: () => failing(status) },
    {
      ...BROKEN,
      status: clientStatus,
      upstreamStatus: status,
      ...(clientStatus === 503 ? { retryAfter: [1, 1] as const } : {}),
    },
  );
}

test('408, 504 and 524 become 504, 503 and 529 become 503, the rest of retry.statuses 502', async () => {
  const expected = {
    408: 504,
    425: 502,
    500: 502,
    502: 502,
    503: 503,
    504: 504,
    520: 502,
    524: 504,
    529: 503,
  };
  for (const [status, clientStatus] of Object.entries(expected)) {
    await using upstream = await RawUpstream.start(failing(Number(status)));
    await using gateway = await Gateway.start({
      ...LIMITS,
      dbtype: 'none',
      retry: { same_upstream: 0 },
      upstreams: [{ name: 'lone', endpoint: upstream.url, sk: 'key-of-lone', allow: ['m'] }],
    });
    const { response } = await ask(gateway, 'chat', 'm');
    assert.equal(response.status, clientStatus, status);
    assert.equal(response.headers.get('x-tokenferry-attempts'), '1', 'same_upstream: 0');
  }
});

test('after a temporary 503 the retry of the only candidate succeeds, after the back-off', async () => {
  const good = JSON.stringify({
    object: 'list',
    data: [{ object: 'embedding', index: 0, embedding: [1] }],
    model: 'm',
    usage: { prompt_tokens: 1, total_tokens: 1 },
  });
  await using upstream = await RawUpstream.start(async (connection) => {
    await connection.request();
    await connection.write(httpAnswer('', { status: 503 }));
    await connection.request();
    await connection.write(httpAnswer(good));
  });
  await using gateway = await Gateway.start({
    ...LIMITS,
    retry: { backoff: '120ms' },
    upstreams: [{ name: 'lone', endpoint: upstream.url, sk: 'key-of-lone', allow: ['m'] }],
  });
  const { response, elapsedMs } = await ask(gateway, 'embeddings', 'm');
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('x-tokenferry-attempts'), '2');
  assert.ok(elapsedMs > 100, `${elapsedMs} ms`);
  const row = await gateway.rowOf(response.headers.get('x-request-id'));
  assert.deepEqual(
    row.attempts.map((one) => one.outcome),
    ['retryable_status', 'ok'],
  );
});

test('a 502 names the upstream that it is about', async () => {
  const cases: [script: RawScript, message: RegExp][] = [
    [failing(500), /^Upstream "broken" returned status 500: it broke/],
    [answering(httpAnswer('<html>Login</html>')), /^Upstream "broken" returned an HTML page/],
    [
      answering(httpAnswer('{"error":{"message":"no"}}', { status: 401 })),
      /^Upstream authentication failed: upstream "broken" rejected the gateway's credentials/,
    ],
    [answering(httpAnswer('404 page not found', { status: 404 })), /^Upstream "broken" path not found for/],
  ];
  for (const [script, message] of cases) {
    await using upstream = await RawUpstream.start(script);
    await using gateway = await Gateway.start({
      ...LIMITS,
      dbtype: 'none',
      retry: { same_upstream: 0 },
      upstreams: [{ name: 'broken', endpoint: upstream.url, sk: 'key-of-broken', allow: ['m'] }],
    });
    const { response, text } = await ask(gateway, 'chat', 'm');
    assert.equal(response.status, 502, text);
    assert.match(JSON.parse(text).error.message, message);
  }
});
