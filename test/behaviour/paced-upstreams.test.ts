import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';
import { errorIn, Gateway, until } from '../helpers/gateway.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

/** An upstream that takes `limit` calls in each second of its clock and refuses the others. */
function limited(limit: number, headers: Record<string, string> = {}) {
  let second = -1;
  let calls = 0;
  const seen = { refused: 0 };
  const intercept = (_request: unknown, response: ServerResponse): boolean => {
    const now = Math.floor(performance.now() / 1_000);
    if (now !== second) calls = 0;
    second = now;
    calls += 1;
    if (calls <= limit) return false;
    seen.refused += 1;
    refuse(response, headers);
    return true;
  };
  return { intercept, seen };
}

function refuse(response: ServerResponse, headers: Record<string, string>): void {
  response.writeHead(429, { 'content-type': 'application/json', ...headers });
  response.end('{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}');
}

const CHAT = { model: 'm', messages: [{ role: 'user' as const, content: 'hello' }] };

function entry(model: StandInModel, extra: object = {}): object {
  return { name: 'paced', endpoint: model.url, sk: 'key-of-paced', allow: ['m'], ...extra };
}

/** Runs `work` `calls` times in `workers` workers; how many failed. */
async function inWorkers(workers: number, calls: number, work: () => Promise<unknown>): Promise<number> {
  let left = calls;
  let failed = 0;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await work().catch(() => {
        failed += 1;
      });
    }
  };
  await Promise.all(Array.from({ length: workers }, worker));
  return failed;
}

for (const [what, headers] of [
  ['with retry-after', { 'retry-after': '1' }],
  ['without retry-after', {}],
] as const) {
  for (const kind of ['chat', 'embeddings'] as const) {
    test(`8 workers with ${kind} at an upstream of 5 calls a second, ${what}: none fails`, async () => {
      const { intercept, seen } = limited(5, headers);
      await using model = await StandInModel.start({ intercept });
      await using gateway = await Gateway.start({ dbtype: 'none', upstreams: [entry(model)] });
      const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'none', maxRetries: 0 });
      const call = (): Promise<unknown> =>
        kind === 'chat'
          ? client.chat.completions.create(CHAT)
          : client.embeddings.create({ model: 'm', input: 'hello' });
      assert.equal(await inWorkers(8, 25, call), 0, 'failures');
      assert.ok(seen.refused > 0, 'the limit was met');
    });
  }
}

test('the parts of a split embeddings request take turns, and a refused part alone is sent again', async () => {
  const { intercept, seen } = limited(6, { 'retry-after': '1' });
  await using model = await StandInModel.start({ intercept });
  await using gateway = await Gateway.start({
    dbtype: 'none',
    upstreams: [entry(model, { profile: { embedding_batch: 1 } })],
  });
  const input = Array.from({ length: 16 }, (_, index) => `text ${index}`);
  const response = await gateway.post('/v1/embeddings', { model: 'm', input });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  assert.equal((JSON.parse(text) as { data: unknown[] }).data.length, 16);
  assert.ok(seen.refused > 0, 'the limit was met');
  assert.equal(model.received.length, 16 + seen.refused, 'no part was sent twice without need');
  assert.equal(response.headers.get('x-tokenferry-attempts'), '1');
});

test('a refused call is an attempt of its request, and the wait is in the metrics', async () => {
  let isRefusing = true;
  await using model = await StandInModel.start({
    intercept: (_request, response) => {
      if (!isRefusing) return false;
      isRefusing = false;
      refuse(response, { 'retry-after-ms': '200' });
      return true;
    },
  });
  await using gateway = await Gateway.start({ upstreams: [entry(model)] });
  const response = await gateway.post('/v1/chat/completions', CHAT);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('x-tokenferry-attempts'), '2');
  const row = await gateway.rowOf(response.headers.get('x-request-id'));
  assert.deepEqual(
    row.attempts.map(({ upstream, outcome, status }) => ({ upstream, outcome, status })),
    [
      { upstream: 'paced', outcome: 'rate_limited', status: 429 },
      { upstream: 'paced', outcome: 'ok', status: 200 },
    ],
  );
  const metrics = await gateway.metrics();
  assert.match(metrics, /^tokenferry_queue_wait_seconds_count\{upstream="paced"\} 1$/m);
  assert.match(metrics, /^tokenferry_queue_length\{upstream="paced"\} 0$/m);
  assert.match(metrics, /^tokenferry_paced_calls_per_second\{upstream="paced",model="m"\} \d/m);
});

test('a client with one request does not wait behind the many of another', async () => {
  const { intercept } = limited(10, { 'retry-after': '1' });
  await using model = await StandInModel.start({ intercept });
  await using gateway = await Gateway.start({
    dbtype: 'none',
    clients: [
      { name: 'many', key: 'key-of-many' },
      { name: 'one', key: 'key-of-one' },
    ],
    upstreams: [entry(model)],
  });
  const ask = (key: string): Promise<Response> =>
    gateway.post('/v1/chat/completions', CHAT, { headers: { authorization: `Bearer ${key}` } });
  let served = 0;
  const many = Array.from({ length: 60 }, async () => {
    const { status } = await ask('key-of-many');
    served += 1;
    return status;
  });
  await until(() => served >= 10, 'the first of them are served');
  assert.equal((await ask('key-of-one')).status, 200);
  assert.ok(served < 45, `${served} of the other client were served before`);
  assert.deepEqual(new Set(await Promise.all(many)), new Set([200]));
});

test('another upstream that can serve now comes before waiting', async () => {
  await using full = await StandInModel.start({
    intercept: (_request, response) => {
      refuse(response, { 'retry-after': '20' });
      return true;
    },
  });
  await using free = await StandInModel.start();
  await using gateway = await Gateway.start({
    dbtype: 'none',
    upstreams: [entry(full), { name: 'free', endpoint: free.url, sk: 'key-of-free', allow: ['m'] }],
  });
  for (const attempts of ['2', '1', '1']) {
    const response = await gateway.post('/v1/chat/completions', CHAT);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('x-tokenferry-upstream'), 'free');
    assert.equal(response.headers.get('x-tokenferry-attempts'), attempts);
  }
  assert.equal(full.received.length, 1);
});

test('requests that cannot wait are told to come back at different times', async () => {
  await using model = await StandInModel.start({
    intercept: (_request, response) => {
      refuse(response, { 'retry-after': '8' });
      return true;
    },
  });
  await using gateway = await Gateway.start({ dbtype: 'none', deadline: '4s', upstreams: [entry(model)] });
  const refused = await Promise.all(
    Array.from({ length: 12 }, async () => {
      const response = await gateway.post('/v1/chat/completions', CHAT);
      const text = await response.text();
      assert.equal(response.status, 429, text);
      assert.match(errorIn(text).message, /slow down.*Retry after \d+ s\.$/);
      return Number(response.headers.get('retry-after-ms'));
    }),
  );
  assert.ok(Math.min(...refused) > 6_000 && Math.max(...refused) <= 60_000, String(refused));
  assert.ok(new Set(refused).size >= 10, String(refused));
  assert.ok(Math.max(...refused) - Math.min(...refused) > 500, String(refused));
});

test('what the client says that it waits is honoured', async () => {
  await using model = await StandInModel.start({
    intercept: (_request, response) => {
      refuse(response, { 'retry-after': '8' });
      return true;
    },
  });
  await using gateway = await Gateway.start({ dbtype: 'none', upstreams: [entry(model)] });
  for (const name of ['x-stainless-timeout', 'x-stainless-read-timeout']) {
    const startedMs = performance.now();
    const response = await gateway.post('/v1/chat/completions', CHAT, { headers: { [name]: '3' } });
    assert.equal(response.status, 429);
    assert.ok(performance.now() - startedMs < 2_900, 'before the client gives up');
  }
});

test('a stream gets keep-alives while it waits, and its content after them', async () => {
  let isRefusing = true;
  await using model = await StandInModel.start({
    intercept: (_request, response) => {
      if (!isRefusing) return false;
      isRefusing = false;
      refuse(response, { 'retry-after': '1' });
      return true;
    },
  });
  await using gateway = await Gateway.start({
    dbtype: 'none',
    early_headers: '100ms',
    keep_alive_comments: '150ms',
    upstreams: [entry(model)],
  });
  const response = await gateway.post('/v1/chat/completions', { ...CHAT, stream: true });
  assert.equal(response.status, 200);
  const text = await response.text();
  assert.match(text, /^(?:: keep-alive\n\n)+data: /);
  assert.match(text, /data: \[DONE\]\n\n$/);
});

test('a client that leaves while it waits frees its place at once', async () => {
  await using model = await StandInModel.start({
    intercept: (_request, response) => {
      refuse(response, { 'retry-after': '20' });
      return true;
    },
  });
  await using gateway = await Gateway.start({ dbtype: 'none', upstreams: [entry(model)] });
  const leaving = new AbortController();
  const waiting = gateway.post('/v1/chat/completions', CHAT, { signal: leaving.signal }).catch(() => null);
  const queued = async (): Promise<string | undefined> =>
    /^tokenferry_queue_length\{upstream="paced"\} (\d+)$/m.exec(await gateway.metrics())?.[1];
  while ((await queued()) !== '1') await sleep(20);
  leaving.abort();
  await waiting;
  const startedMs = performance.now();
  while ((await queued()) !== '0') await sleep(20);
  assert.ok(performance.now() - startedMs < 1_000, 'within a second');
  assert.equal(model.received.length, 1);
});

test('a configured rate is kept from the first call on', async () => {
  await using model = await StandInModel.start();
  await using gateway = await Gateway.start({
    dbtype: 'none',
    upstreams: [entry(model, { pace: { rpm: 600 } })],
  });
  const startedMs = performance.now();
  const all = Array.from({ length: 20 }, () => gateway.post('/v1/chat/completions', CHAT));
  assert.deepEqual(new Set((await Promise.all(all)).map(({ status }) => status)), new Set([200]));
  // Ten at once, ten a tenth of a second apart.
  const elapsedMs = performance.now() - startedMs;
  assert.ok(elapsedMs > 900 && elapsedMs < 5_000, `${elapsedMs} ms`);
});

test('an upstream that refuses every call holds a lone request for five of them', async () => {
  await using model = await StandInModel.start({
    intercept: (_request, response) => {
      refuse(response, { 'retry-after-ms': '20' });
      return true;
    },
  });
  await using gateway = await Gateway.start({ dbtype: 'none', upstreams: [entry(model)] });
  const first = await gateway.post('/v1/chat/completions', CHAT);
  assert.equal(first.status, 429);
  assert.match(errorIn(await first.text()).message, /slow down/);
  assert.ok(Number(first.headers.get('retry-after-ms')) > 0);
  assert.equal(model.received.length, 5);
  await sleep(40);
  assert.equal((await gateway.post('/v1/chat/completions', CHAT)).status, 429);
  assert.ok(model.received.length <= 6, 'each pause is followed by one call');
});

for (const [what, path, body, answer] of [
  ['chats', '/v1/chat/completions', CHAT, null],
  [
    'a Response',
    '/v1/responses',
    { model: 'm', input: 'hello' },
    {
      id: 'r',
      object: 'response',
      status: 'completed',
      output: [],
      usage: usageOf('input_tokens', 'output_tokens'),
    },
  ],
  [
    'messages',
    '/v1/messages',
    { model: 'm', max_tokens: 10, messages: CHAT.messages },
    {
      id: 'm',
      type: 'message',
      role: 'assistant',
      content: [{ type: 'text', text: 'hi' }],
      stop_reason: 'end_turn',
      usage: usageOf('input_tokens', 'output_tokens'),
    },
  ],
  [
    'another generation',
    '/v1/moderations',
    { model: 'm', input: 'hello' },
    { id: 'x', results: [{}], usage: usageOf('prompt_tokens', 'completion_tokens') },
  ],
] as const) {
  test(`the tokens of ${what} count for pace.tpm`, async () => {
    await using model = await StandInModel.start({
      reply: 'word '.repeat(50_000),
      intercept: (_request, response) => {
        if (answer === null) return false;
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify(answer));
        return true;
      },
    });
    await using gateway = await Gateway.start({
      dbtype: 'none',
      upstreams: [entry(model, { pace: { tpm: 6_000, max_wait: '10ms' }, profile: { responses: 'native' } })],
    });
    const first = await gateway.post(path, body);
    assert.equal(first.status, 200, await first.text());
    const second = await gateway.post(path, body);
    assert.equal(second.status, 429, await second.text());
    assert.equal(model.received.length, 1);
  });
}

function usageOf(sent: string, generated: string): Record<string, number> {
  return { [sent]: 10, [generated]: 50_000, total_tokens: 50_010 };
}
