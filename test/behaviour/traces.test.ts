import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Gateway, until } from '../helpers/gateway.ts';
import { sendJson } from '../helpers/json-answer.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { outline, type SpanTree, TraceCollector } from '../helpers/trace-collector.ts';

const PARENT = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' };
const TRACEPARENT = `00-${PARENT.traceId}-${PARENT.spanId}-01`;
const QUESTION = 'When does the secret ferry leave?';
const MESSAGES = [{ role: 'user', content: QUESTION }];
const KEY = 'key-of-the-client-0123456789';
const UPSTREAM_KEY = 'sk-of-the-upstream-0123456789';

/** A gateway with a collector; `ended` gives its spans after the shutdown, which sends all of them. */
async function traced(
  t: TestContext,
  config: object,
): Promise<{
  readonly gateway: Gateway;
  readonly collector: TraceCollector;
  /** Sends a request with the client's key. */
  ask(path: string, body: object, headers?: Readonly<Record<string, string>>): Promise<Response>;
  tree(): Promise<SpanTree>;
}> {
  const collector = await TraceCollector.start();
  t.after(() => collector.close());
  const gateway = await Gateway.start({
    authorization: KEY,
    tracing: { otlp: collector.endpoint },
    ...config,
  });
  t.after(() => gateway.close());
  return {
    gateway,
    collector,
    ask: (path, body, headers = {}) =>
      gateway.post(path, body, { headers: { authorization: `Bearer ${KEY}`, ...headers } }),
    tree: async () => {
      await gateway.end();
      return collector.tree();
    },
  };
}

test('a chat is traced as a request with the attempt that served it', async (t) => {
  await using model = await StandInModel.start();
  const { ask, tree, gateway, collector } = await traced(t, {
    upstreams: [
      { name: 'chat', endpoint: model.url, sk: UPSTREAM_KEY, models: { 'gpt-4o': 'gpt-4o-deploy' } },
    ],
  });
  const response = await ask('/v1/chat/completions', {
    model: 'gpt-4o',
    messages: MESSAGES,
    temperature: 0.25,
    max_tokens: 50,
    seed: 7,
    response_format: { type: 'json_object' },
    stop: ['secret'],
  });
  assert.equal(response.status, 200);
  await response.text();
  const root = await tree();
  assert.deepEqual(outline(root), ['POST /v1/chat/completions SERVER', '  chat gpt-4o-deploy CLIENT']);
  const { 'user_agent.original': _agent, ...attributes } = root.attributes;
  assert.deepEqual(attributes, {
    'http.request.method': 'POST',
    'http.route': '/v1/chat/completions',
    'http.response.status_code': 200,
    'url.path': '/v1/chat/completions',
    'url.scheme': 'http',
    'client.address': '127.0.0.1',
    'tokenferry.request.id': response.headers.get('x-request-id'),
    'tokenferry.outcome': 'ok',
    'tokenferry.client': 'key-1',
    'tokenferry.model': 'gpt-4o',
    'tokenferry.upstream': 'chat',
    'tokenferry.attempts': 1,
  });
  const [attempt] = root.children;
  assert.deepEqual(attempt?.attributes, {
    'tokenferry.upstream': 'chat',
    'server.address': '127.0.0.1',
    'server.port': model.port,
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'openai',
    'gen_ai.request.model': 'gpt-4o-deploy',
    'gen_ai.request.max_tokens': 50,
    'gen_ai.request.temperature': 0.25,
    'gen_ai.request.seed': 7,
    'gen_ai.output.type': 'json',
    'gen_ai.response.id': 'chatcmpl-1',
    'gen_ai.response.model': 'gpt-4o-deploy',
    'gen_ai.response.finish_reasons': ['stop'],
    'gen_ai.usage.input_tokens': 6,
    'gen_ai.usage.output_tokens': 8,
    'http.response.status_code': 200,
  });
  assert.deepEqual([root.status, attempt.status], ['UNSET', 'UNSET']);
  assert.ok(root.startMs <= attempt.startMs && attempt.endMs <= root.endMs);
  assert.equal(root.parentSpanId, '');
  assert.equal(collector.requests[0]?.path, '/v1/traces');
  assert.equal(collector.resource['service.name'], 'tokenferry');
  const sent = collector.requests.map(({ text }) => text).join('');
  for (const secret of [QUESTION, 'secret', KEY, UPSTREAM_KEY]) assert.ok(!sent.includes(secret), secret);
  assert.match(gateway.log, new RegExp(`"trace_id":"${root.traceId}"`));
});

test('a stream has the wait for its first content, and its usage', async (t) => {
  await using model = await StandInModel.start({ firstDelayMs: 30 });
  const { ask, tree } = await traced(t, {
    upstreams: [{ name: 'chat', endpoint: model.url, sk: UPSTREAM_KEY }],
  });
  await (await ask('/v1/chat/completions', { model: 'm', messages: MESSAGES, stream: true })).text();
  const root = await tree();
  assert.deepEqual(outline(root), [
    'POST /v1/chat/completions SERVER',
    '  chat m CLIENT',
    '    first content INTERNAL',
  ]);
  const [attempt] = root.children;
  const [content] = attempt?.children ?? [];
  assert.ok(attempt !== undefined && content !== undefined);
  assert.equal(attempt.attributes['gen_ai.request.stream'], true);
  assert.deepEqual(attempt.attributes['gen_ai.response.finish_reasons'], ['stop']);
  assert.equal(attempt.attributes['gen_ai.response.id'], 'chatcmpl-1');
  assert.equal(attempt.attributes['gen_ai.usage.output_tokens'], 8);
  const seconds = Number(attempt.attributes['gen_ai.response.time_to_first_chunk']);
  assert.ok(seconds >= 0.025, String(seconds));
  assert.ok(Math.abs(content.endMs - content.startMs - seconds * 1000) < 1);
});

test('the wait for a token is a span of its attempt', async (t) => {
  await using issuer = await ScriptedIssuer.start({ delayMs: 50 });
  await using model = await StandInModel.start({ isLive: (token) => issuer.isLive(token) });
  const { ask, tree } = await traced(t, {
    tokens: { corp: issuer.source },
    upstreams: [{ name: 'chat', endpoint: model.url, token: 'corp' }],
  });
  await (await ask('/v1/chat/completions', { model: 'm', messages: MESSAGES })).text();
  const root = await tree();
  assert.deepEqual(outline(root), [
    'POST /v1/chat/completions SERVER',
    '  chat m CLIENT',
    '    token wait INTERNAL',
  ]);
});

test('a rejected token is renewed within the attempt, which says so', async (t) => {
  await using issuer = await ScriptedIssuer.start();
  let rejected = 0;
  await using model = await StandInModel.start({ isLive: () => rejected++ > 0 });
  const { gateway, ask, tree } = await traced(t, {
    tokens: { corp: issuer.source },
    upstreams: [{ name: 'chat', endpoint: model.url, token: 'corp' }],
  });
  await until(() => gateway.service.status().tokens[0]?.state === 'fresh', 'a token');
  await (await ask('/v1/chat/completions', { model: 'm', messages: MESSAGES })).text();
  const root = await tree();
  assert.deepEqual(outline(root), [
    'POST /v1/chat/completions SERVER',
    '  chat m CLIENT',
    '    token wait INTERNAL',
  ]);
  assert.equal(root.children[0]?.attributes['tokenferry.token.renewed'], true);
});

test('each attempt of a fail-over is a span with the reason of its failure', async (t) => {
  await using broken = await StandInModel.start({
    intercept: (_request, response) => {
      sendJson(response, { error: { message: 'overloaded' } }, 503);
      return true;
    },
  });
  await using model = await StandInModel.start();
  const { ask, tree } = await traced(t, {
    upstreams: [
      { name: 'gone', endpoint: 'http://127.0.0.1:9/v1', sk: UPSTREAM_KEY },
      { name: 'broken', endpoint: broken.url, sk: UPSTREAM_KEY },
      { name: 'good', endpoint: model.url, sk: UPSTREAM_KEY },
    ],
  });
  await (await ask('/v1/chat/completions', { model: 'm', messages: MESSAGES })).text();
  const root = await tree();
  assert.deepEqual(
    root.children.map(({ name, status, attributes }) => [
      name,
      attributes['tokenferry.upstream'],
      status,
      attributes['error.type'],
      attributes['http.response.status_code'],
      attributes['http.request.resend_count'],
    ]),
    [
      ['chat m', 'gone', 'ERROR', 'unreachable', undefined, undefined],
      ['chat m', 'broken', 'ERROR', 'retryable_status', 503, 1],
      ['chat m', 'good', 'UNSET', undefined, 200, 2],
    ],
  );
  assert.equal(root.status, 'UNSET');
  assert.equal(root.attributes['tokenferry.attempts'], 3);
});

test('the trace of the client goes on, and the upstream gets the span of the attempt', async (t) => {
  await using model = await StandInModel.start();
  const { ask, tree } = await traced(t, {
    upstreams: [{ name: 'chat', endpoint: model.url, sk: UPSTREAM_KEY, keep_header: true }],
  });
  const headers = { traceparent: TRACEPARENT, tracestate: 'vendor=value' };
  await (await ask('/v1/chat/completions', { model: 'm', messages: MESSAGES }, headers)).text();
  const root = await tree();
  assert.deepEqual([root.traceId, root.parentSpanId], [PARENT.traceId, PARENT.spanId]);
  const [attempt] = root.children;
  const { traceparent, tracestate } = model.received[0]?.headers ?? {};
  assert.equal(traceparent, `00-${PARENT.traceId}-${attempt?.spanId}-01`);
  assert.equal(tracestate, 'vendor=value');
});

test('a trace that the client does not sample is passed on and not sent', async (t) => {
  await using model = await StandInModel.start();
  const { ask, gateway, collector } = await traced(t, {
    upstreams: [{ name: 'chat', endpoint: model.url, sk: UPSTREAM_KEY }],
  });
  const traceparent = `00-${PARENT.traceId}-${PARENT.spanId}-00`;
  await (await ask('/v1/chat/completions', { model: 'm', messages: MESSAGES }, { traceparent })).text();
  await gateway.end();
  assert.deepEqual(collector.spans, []);
  assert.match(
    String(model.received[0]?.headers.traceparent),
    new RegExp(`^00-${PARENT.traceId}-[0-9a-f]{16}-00$`),
  );
});

test('an invalid trace of the client is replaced, its state is not passed on', async (t) => {
  await using model = await StandInModel.start();
  const { ask, tree } = await traced(t, {
    upstreams: [
      { name: 'chat', endpoint: model.url, sk: UPSTREAM_KEY, forward_headers: ['traceparent', 'tracestate'] },
    ],
  });
  const headers = { traceparent: '00-0-0-01', tracestate: 'vendor=value' };
  await (await ask('/v1/chat/completions', { model: 'm', messages: MESSAGES }, headers)).text();
  const root = await tree();
  assert.equal(root.parentSpanId, '');
  const sent = model.received[0]?.headers ?? {};
  assert.equal(sent.traceparent, `00-${root.traceId}-${root.children[0]?.spanId}-01`);
  assert.equal(sent.tracestate, undefined);
});

test('without tracing the headers of a trace go upstream as the configuration says', async () => {
  await using model = await StandInModel.start();
  await using gateway = await Gateway.start({
    noauth: true,
    upstreams: [
      { name: 'plain', endpoint: model.url, sk: UPSTREAM_KEY, allow: ['a'] },
      {
        name: 'forwarding',
        endpoint: model.url,
        sk: UPSTREAM_KEY,
        allow: ['b'],
        forward_headers: ['traceparent'],
      },
    ],
  });
  for (const name of ['a', 'b']) {
    const init = { headers: { traceparent: TRACEPARENT } };
    await (await gateway.post('/v1/chat/completions', { model: name, messages: MESSAGES }, init)).text();
  }
  assert.deepEqual(
    model.received.map(({ headers }) => headers.traceparent),
    [undefined, TRACEPARENT],
  );
  await gateway.end();
  assert.ok(!gateway.log.includes('trace_id'));
  assert.deepEqual(
    gateway.rows().map((row) => (row as unknown as { trace_id: unknown }).trace_id),
    [null, null],
  );
});

test('embeddings are traced with their dimensions and format', async (t) => {
  await using model = await StandInModel.start();
  const { ask, tree } = await traced(t, {
    upstreams: [{ name: 'vectors', endpoint: model.url, sk: UPSTREAM_KEY, profile: { embedding_batch: 1 } }],
  });
  const body = { model: 'bge', input: ['one', 'two'], dimensions: 4, encoding_format: 'float' };
  await (await ask('/v1/embeddings', body)).text();
  const root = await tree();
  assert.deepEqual(outline(root), ['POST /v1/embeddings SERVER', '  embeddings bge CLIENT']);
  const { attributes } = root.children[0] as SpanTree;
  assert.equal(attributes['gen_ai.operation.name'], 'embeddings');
  assert.equal(attributes['gen_ai.embeddings.dimension.count'], 4);
  assert.deepEqual(attributes['gen_ai.request.encoding_formats'], ['float']);
  assert.equal(attributes['gen_ai.usage.input_tokens'], 8);
  assert.equal(attributes['gen_ai.usage.output_tokens'], undefined);
  assert.equal(attributes['gen_ai.response.model'], 'bge');
  // Both calls of the attempt name it as their parent.
  const parents = model.received.map(({ headers }) => headers.traceparent);
  assert.deepEqual(parents, Array(2).fill(`00-${root.traceId}-${root.children[0]?.spanId}-01`));
});

test('Responses and Messages are traced as chats, native and translated', async (t) => {
  await using chat = await StandInModel.start();
  await using native = await StandInModel.start({
    intercept: ({ path }, response) => {
      const id = path.includes('/messages') ? 'msg_1' : 'resp_1';
      sendJson(response, {
        id,
        type: 'message',
        object: 'response',
        role: 'assistant',
        model: 'native-1',
        status: 'completed',
        content: [{ type: 'text', text: 'soon' }],
        output: [],
        stop_reason: 'end_turn',
        usage: { input_tokens: 3, output_tokens: 2 },
      });
      return true;
    },
  });
  const profile = { responses: 'via_chat', messages: 'via_chat' };
  const { ask, gateway, collector } = await traced(t, {
    upstreams: [
      { name: 'chats', endpoint: chat.url, sk: UPSTREAM_KEY, allow: ['chatty'], profile },
      { name: 'native', endpoint: native.url, sk: UPSTREAM_KEY, allow: ['own'] },
    ],
  });
  for (const model of ['chatty', 'own']) {
    await (await ask('/v1/responses', { model, input: QUESTION, reasoning: { effort: 'low' } })).text();
    await (await ask('/v1/messages', { model, messages: MESSAGES, max_tokens: 9 })).text();
  }
  await gateway.end();
  const roots = collector.spans.filter(({ kind }) => kind === 'SERVER').map(({ traceId }) => traceId);
  const seen = roots.map((traceId) => {
    const root = collector.tree(traceId);
    const { name, attributes } = root.children[0] as SpanTree;
    return [
      root.name,
      name,
      attributes['gen_ai.provider.name'],
      attributes['gen_ai.response.id'],
      attributes['gen_ai.usage.output_tokens'],
      attributes['gen_ai.request.max_tokens'],
    ];
  });
  assert.deepEqual(seen, [
    ['POST /v1/responses', 'chat chatty', 'openai', 'chatcmpl-1', 8, undefined],
    ['POST /v1/messages', 'chat chatty', 'openai', 'chatcmpl-1', 8, 9],
    ['POST /v1/responses', 'chat own', 'openai', 'resp_1', 2, undefined],
    ['POST /v1/messages', 'chat own', 'anthropic', 'msg_1', 2, 9],
  ]);
});

test('a passed-through path without a model is traced by its pattern', async (t) => {
  await using model = await StandInModel.start({
    intercept: (_request, response) => {
      sendJson(response, { id: 'file-1', object: 'file' });
      return true;
    },
  });
  const { gateway, tree } = await traced(t, {
    upstreams: [{ name: 'files', endpoint: model.url, sk: UPSTREAM_KEY }],
  });
  const response = await fetch(`${gateway.url}/v1/files/file-1?secret=abc`, {
    headers: { authorization: `Bearer ${KEY}` },
  });
  await response.text();
  const root = await tree();
  assert.deepEqual(outline(root), ['GET /v1/files/** SERVER', '  /v1/files/** CLIENT']);
  assert.equal(root.attributes['url.path'], '/v1/files/file-1');
  assert.equal(root.children[0]?.attributes['gen_ai.operation.name'], undefined);
});

test('waiting for a free slot is a span before the attempt', async (t) => {
  await using model = await StandInModel.start({ firstDelayMs: 40 });
  const { ask, gateway, collector } = await traced(t, {
    upstreams: [{ name: 'chat', endpoint: model.url, sk: UPSTREAM_KEY, max_concurrency: 1 }],
  });
  const send = async (): Promise<string> =>
    (await ask('/v1/chat/completions', { model: 'm', messages: MESSAGES })).text();
  await Promise.all([send(), send()]);
  await gateway.end();
  const roots = collector.spans.filter(({ kind }) => kind === 'SERVER').map(({ traceId }) => traceId);
  const outlines = roots.map((traceId) => outline(collector.tree(traceId)).join('\n')).sort();
  assert.deepEqual(outlines, [
    'POST /v1/chat/completions SERVER\n  chat m CLIENT',
    'POST /v1/chat/completions SERVER\n  queue wait INTERNAL\n  chat m CLIENT',
  ]);
  const wait = collector.spans.find(({ name }) => name === 'queue wait');
  assert.equal(wait?.attributes['tokenferry.queue.reason'], 'slot');
});

test('a turn at a limited rate that comes too late is an error of its wait', async (t) => {
  await using model = await StandInModel.start();
  const { ask, gateway, collector } = await traced(t, {
    upstreams: [{ name: 'chat', endpoint: model.url, sk: UPSTREAM_KEY, pace: { rpm: 1, max_wait: '10ms' } }],
  });
  const statuses: number[] = [];
  for (const _ of [1, 2]) {
    const response = await ask('/v1/chat/completions', { model: 'm', messages: MESSAGES });
    await response.text();
    statuses.push(response.status);
  }
  assert.deepEqual(statuses, [200, 429]);
  await gateway.end();
  const wait = collector.spans.find(({ name }) => name === 'queue wait');
  assert.ok(wait !== undefined);
  assert.deepEqual(outline(collector.tree(wait.traceId)), [
    'POST /v1/chat/completions SERVER',
    '  queue wait INTERNAL',
  ]);
  assert.deepEqual(
    [wait.attributes['tokenferry.queue.reason'], wait.attributes['error.type'], wait.status],
    ['rate', 'rate_limited', 'ERROR'],
  );
});

test('a request without a usable upstream is an error with its code', async (t) => {
  const { ask, tree } = await traced(t, {
    upstreams: [{ name: 'gone', endpoint: 'http://127.0.0.1:9/v1', sk: UPSTREAM_KEY }],
  });
  const response = await ask('/v1/chat/completions', { model: 'm', messages: MESSAGES });
  assert.equal(response.status, 502);
  const root = await tree();
  assert.equal(root.status, 'ERROR');
  assert.equal(root.attributes['error.type'], 'upstream_unreachable');
  assert.equal(root.attributes['http.response.status_code'], 502);
});

test('a mistake of the client is no error of the request span', async (t) => {
  const { ask, tree } = await traced(t, {
    upstreams: [{ name: 'gone', endpoint: 'http://127.0.0.1:9/v1', sk: UPSTREAM_KEY }],
  });
  const response = await ask('/v1/chat/completions', { messages: MESSAGES });
  assert.equal(response.status, 400);
  const root = await tree();
  assert.deepEqual(outline(root), ['POST /v1/chat/completions SERVER']);
  assert.equal(root.status, 'UNSET');
  assert.equal(root.attributes['error.type'], undefined);
  assert.equal(root.attributes['tokenferry.error.code'], 'missing_model');
});

test('a client that leaves is an error of both spans', async (t) => {
  await using model = await StandInModel.start({ wordDelayMs: 20 });
  const { ask, tree, gateway } = await traced(t, {
    upstreams: [{ name: 'chat', endpoint: model.url, sk: UPSTREAM_KEY }],
  });
  const response = await ask('/v1/chat/completions', { model: 'm', messages: MESSAGES, stream: true });
  const reader = response.body?.getReader();
  await reader?.read();
  await reader?.cancel();
  await gateway.rowOf(response.headers.get('x-request-id'));
  const root = await tree();
  assert.deepEqual([root.status, root.attributes['error.type']], ['ERROR', 'client_gone']);
  assert.equal(root.attributes['http.response.status_code'], 499);
  const [attempt] = root.children;
  assert.deepEqual([attempt?.status, attempt?.attributes['error.type']], ['ERROR', 'client_gone']);
  assert.deepEqual(attempt?.attributes['gen_ai.response.finish_reasons'], ['error']);
});

test('probes, metrics and the admin API are not traced', async (t) => {
  const { gateway, collector } = await traced(t, { upstreams: [], noauth: true });
  for (const path of ['/livez', '/readyz', '/metrics']) await (await fetch(`${gateway.url}${path}`)).text();
  await gateway.end();
  assert.deepEqual(collector.requests, []);
});

test('the record has the id of the trace, by which it is found', async (t) => {
  await using model = await StandInModel.start();
  const { ask, gateway, collector } = await traced(t, {
    upstreams: [{ name: 'chat', endpoint: model.url, sk: UPSTREAM_KEY }],
  });
  const response = await ask('/v1/chat/completions', { model: 'm', messages: MESSAGES });
  await response.text();
  const row = (await gateway.rowOf(response.headers.get('x-request-id'))) as unknown as { trace_id: string };
  await gateway.end();
  assert.equal(row.trace_id, collector.tree().traceId);
});

test('a collector that refuses or hangs costs no request, and the loss is counted and logged once', async (t) => {
  await using model = await StandInModel.start();
  const { ask, gateway, collector } = await traced(t, {
    upstreams: [{ name: 'chat', endpoint: model.url, sk: UPSTREAM_KEY }],
    shutdown_grace: 1,
  });
  collector.respond = (response) => void response.writeHead(401).end('{"token":"echoed"}');
  const send = async (): Promise<void> => {
    const response = await ask('/v1/chat/completions', { model: 'm', messages: MESSAGES });
    assert.equal(response.status, 200);
    await response.text();
  };
  await send();
  await until(() => collector.requests.length === 1, 'the first spans');
  await send();
  await until(() => collector.requests.length === 2, 'the second spans');
  assert.match(await gateway.metrics(), /tokenferry_trace_spans_dropped_total [24]\b/);
  collector.respond = () => undefined;
  await send();
  await until(() => collector.requests.length === 3, 'the third spans');
  const beganMs = performance.now();
  await gateway.end();
  assert.ok(performance.now() - beganMs < 9_000, 'the shutdown waits for a collector that hangs');
  const lines = gateway.log.split('\n').filter((line) => line.includes('tracing:'));
  assert.equal(lines.length, 1, lines.join('\n'));
  assert.match(lines[0] ?? '', /2 spans lost: the collector did not accept them: status 401/);
  assert.ok(!gateway.log.includes('echoed'));
});
