import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { errorIn, Gateway } from '../helpers/gateway.ts';
import { answering, httpAnswer, RawUpstream } from '../helpers/raw-upstream.ts';
import { checkResponseObject, checkResponsesStream } from '../helpers/responses-checker.ts';
import { type ReceivedRequest, StandInModel } from '../helpers/stand-in-model.ts';

const ASK = { model: 'm', input: 'Hello' };
const STREAM = { ...ASK, stream: true };
const SAID = 'The ferry crosses the river every five minutes.';

const answer =
  (status: number, body: string, only = '/v1/responses') =>
  ({ path }: ReceivedRequest, response: ServerResponse): boolean => {
    if (!path.startsWith(only)) return false;
    const type = body.startsWith('<') ? 'text/html' : 'application/json';
    response.writeHead(status, { 'content-type': type }).end(body);
    return true;
  };

const upstream = (endpoint: string, more: object = {}) => ({
  name: 'one',
  endpoint,
  sk: 'key',
  allow: ['m'],
  ...more,
});

for (const [status, body] of [
  [404, '{"detail":"Not Found"}'],
  [404, '{"error":{"message":"Invalid URL (POST /v1/responses)","type":"invalid_request_error"}}'],
  [404, '{"error":{"code":"404","message":"Resource not found"}}'],
  [404, '<html><body>404 page not found</body></html>'],
  [404, ''],
  [405, '{"detail":"Method Not Allowed"}'],
  [405, '<html>nginx</html>'],
  [501, '{"error":{"message":"not implemented"}}'],
] as const) {
  test(`S124 an upstream that answers /responses with ${status} ${body} gets chats from then on, and does not cool down`, async () => {
    await using model = await StandInModel.start({ intercept: answer(status, body) });
    await using gateway = await Gateway.start({ noauth: true, upstreams: [upstream(model.url)] });
    for (const ask of [STREAM, STREAM, ASK]) {
      const reply = await gateway.post('/v1/responses', ask);
      assert.equal(reply.status, 200);
      assert.equal(reply.headers.get('x-tokenferry-attempts'), '1');
      const text = await reply.text();
      if ('stream' in ask) assert.equal(checkResponsesStream(text).text, SAID);
      else checkResponseObject(JSON.parse(text), 'completed');
    }
    assert.deepEqual(
      model.received.map(({ path }) => path),
      ['/v1/responses', ...Array.from({ length: 3 }, () => '/v1/chat/completions')],
    );
    assert.deepEqual((await gateway.readiness()).degraded, []);
  });
}

test('S124 what the chat of such an upstream refuses is left out in the same request', async () => {
  const refusal = '{"error":{"message":"Unrecognized request argument supplied: reasoning_effort"}}';
  await using model = await StandInModel.start({
    intercept: (request, response) => {
      if (request.path === '/v1/responses') return answer(404, '{"detail":"Not Found"}')(request, response);
      return 'reasoning_effort' in request.body && answer(400, refusal, '/')(request, response);
    },
  });
  await using gateway = await Gateway.start({ noauth: true, upstreams: [upstream(model.url)] });
  const reply = await gateway.post('/v1/responses', { ...STREAM, reasoning: { effort: 'high' } });
  assert.equal(checkResponsesStream(await reply.text()).text, SAID);
  assert.match(reply.headers.get('x-tokenferry-dropped') ?? '', /reasoning_effort/);
});

test('S124 a stored object that an upstream with /responses does not have stays its 404', async () => {
  const body =
    '{"error":{"message":"Previous response with id \'resp_1\' not found.","code":"previous_response_not_found"}}';
  await using model = await StandInModel.start({ intercept: answer(404, body) });
  await using gateway = await Gateway.start({ noauth: true, upstreams: [upstream(model.url)] });
  const reply = await gateway.post('/v1/responses', { ...ASK, previous_response_id: 'resp_1' });
  assert.equal(reply.status, 404);
  assert.equal(errorIn(await reply.text()).code, 'previous_response_not_found');
  assert.equal(model.received.length, 1);
});

test('S124 a model that an upstream with /responses does not have is no missing path', async () => {
  const body = '{"error":{"message":"The model `m` does not exist","code":"model_not_found"}}';
  await using model = await StandInModel.start({ intercept: answer(404, body) });
  await using gateway = await Gateway.start({ noauth: true, upstreams: [upstream(model.url)] });
  const reply = await gateway.post('/v1/responses', ASK);
  assert.equal(errorIn(await reply.text()).code, 'model_not_found');
  assert.deepEqual(
    model.received.map(({ path }) => path),
    ['/v1/responses'],
  );
});

test('S124 a request that a chat cannot do says so when the upstream has no /responses', async () => {
  await using model = await StandInModel.start({ intercept: answer(404, '{"detail":"Not Found"}') });
  await using gateway = await Gateway.start({ noauth: true, upstreams: [upstream(model.url)] });
  const reply = await gateway.post('/v1/responses', { ...ASK, background: true });
  assert.equal(reply.status, 400);
  assert.equal(errorIn(await reply.text()).param, 'background');
});

test('S124 an upstream that does not chat for the model, or is said to be native, is not sent chats', async () => {
  for (const more of [
    { allow: ['/v1/responses'] },
    { deny: ['/v1/chat/completions'] },
    { profile: { responses: 'native' } },
  ]) {
    await using model = await StandInModel.start({ intercept: answer(404, '{"detail":"Not Found"}') });
    await using gateway = await Gateway.start({ noauth: true, upstreams: [upstream(model.url, more)] });
    const reply = await gateway.post('/v1/responses', ASK);
    assert.ok(reply.status === 404 || reply.status === 502, String(reply.status));
    assert.match(errorIn(await reply.text()).message, /\/v1\/responses/);
    assert.equal(model.received.length, 1);
  }
});

test('S124 an endpoint with a wrong base URL is not taken for one that only chats', async () => {
  await using model = await StandInModel.start({ intercept: answer(404, '<html>nginx</html>', '/') });
  await using gateway = await Gateway.start({ noauth: true, upstreams: [upstream(model.url)] });
  for (let asked = 0; asked < 2; asked++) {
    const reply = await gateway.post('/v1/responses', ASK);
    assert.equal(reply.status, 502);
    assert.equal(errorIn(await reply.text()).code, 'upstream_not_found');
  }
  assert.deepEqual(
    model.received.map(({ path }) => path.split('/').at(-1)),
    ['responses', 'completions', 'responses', 'completions'],
  );
});

test('S124 client_metadata stays here, the rest reaches an upstream with /responses byte for byte', async () => {
  const own = '{"id":"resp_own","object":"response"}';
  await using model = await StandInModel.start({ intercept: answer(200, own) });
  await using gateway = await Gateway.start({ noauth: true, upstreams: [upstream(model.url)] });
  const text =
    '{"model":"m", "input":"é","top_p":1.0,"client_metadata":{"installation":"i"}, "n":12345678901234567890}';
  const reply = await gateway.post('/v1/responses', text);
  assert.equal(await reply.text(), own);
  assert.equal(
    model.received.at(-1)?.text,
    '{"model":"m", "input":"é","top_p":1.0,"n":12345678901234567890}',
  );
});

test('a Responses request without a model is passed through', async () => {
  const own = '{"id":"resp_own","object":"response"}';
  await using model = await StandInModel.start({ intercept: answer(200, own) });
  await using gateway = await Gateway.start({
    noauth: true,
    upstreams: [upstream(model.url, { allow: ['/v1/responses'] })],
  });
  const reply = await gateway.post('/v1/responses', { prompt: { id: 'pmpt_1' } });
  assert.equal(await reply.text(), own);
});

for (const [path, key] of [
  ['/v1/completions', 'profile: { completions: via_chat }'],
  ['/v1/embeddings', 'deny'],
] as const) {
  test(`a 404 or 405 on ${path} says nothing of the upstream's chat, and the error says what to set`, async () => {
    for (const status of [404, 405]) {
      await using raw = await RawUpstream.start(answering(httpAnswer('{"detail":"no"}', { status })));
      await using gateway = await Gateway.start({ noauth: true, upstreams: [upstream(raw.url)] });
      for (let asked = 0; asked < 4; asked++) {
        const reply = await gateway.post(path, { model: 'm', prompt: 'Hi', input: 'Hi' });
        assert.equal(reply.status, 502);
        const { code, message } = errorIn(await reply.text());
        assert.equal(code, 'upstream_not_found');
        assert.ok(message.includes(key), message);
      }
      assert.deepEqual((await gateway.readiness()).degraded, []);
    }
  });
}

/** Chunks of a chat that calls one function, its arguments in pieces of three characters. */
function calling(name: string, args: string): string {
  const chunk = (delta: object, finish: string | null = null) =>
    `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1_763_000_000, model: 'up', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
  const call = (fragment: object) => chunk({ tool_calls: [{ index: 0, ...fragment }] });
  const pieces = args.match(/[\s\S]{1,3}/g) ?? [];
  return [
    chunk({ role: 'assistant', content: '' }),
    call({ id: 'call_1', type: 'function', function: { name, arguments: '' } }),
    ...pieces.map((piece) => call({ function: { arguments: piece } })),
    chunk({}, 'tool_calls'),
    'data: [DONE]\n\n',
  ].join('');
}

const PATCH = '*** Begin Patch\n*** Add File: "héllo 🚢\\x".txt\n+hi\n*** End Patch\n';

test('S125 calls come back under the names of the client: namespace and name apart, custom tools with their text', async () => {
  const tools = [
    { type: 'custom', name: 'apply_patch', format: { type: 'grammar', syntax: 'lark', definition: 'x' } },
    {
      type: 'namespace',
      name: 'agents',
      tools: [
        { type: 'function', name: 'close' },
        { type: 'custom', name: 'say' },
      ],
    },
    { type: 'tool_search', execution: 'client', parameters: { type: 'object' } },
    { type: 'web_search' },
  ];
  for (const [name, args, expected] of [
    [
      'apply_patch',
      JSON.stringify({ input: PATCH }),
      { type: 'custom_tool_call', name: 'apply_patch', input: PATCH },
    ],
    [
      'apply_patch',
      JSON.stringify({ patch: PATCH }),
      { type: 'custom_tool_call', name: 'apply_patch', input: PATCH },
    ],
    [
      'agents__close',
      '{"id":7}',
      { type: 'function_call', namespace: 'agents', name: 'close', arguments: '{"id":7}' },
    ],
    [
      'agents__say',
      '{ "input": "a\\u00e9\\ud83d\\udea2" }',
      { type: 'custom_tool_call', namespace: 'agents', name: 'say', input: 'aé🚢' },
    ],
    [
      'tool_search',
      '{"query":"mail"}',
      { type: 'tool_search_call', execution: 'client', arguments: { query: 'mail' } },
    ],
  ] as const) {
    await using model = await StandInModel.start({
      intercept: (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).end(calling(name, args));
        return true;
      },
    });
    await using gateway = await Gateway.start({
      noauth: true,
      upstreams: [upstream(model.url, { profile: { responses: 'via_chat' } })],
    });
    const reply = await gateway.post('/v1/responses', { ...STREAM, tools });
    assert.equal(reply.headers.get('x-tokenferry-dropped'), 'web_search');
    const { response } = checkResponsesStream(await reply.text());
    const { id, status, call_id: callId, ...item } = response?.output[0] ?? {};
    assert.deepEqual(item, expected);
    assert.deepEqual([status, callId], ['completed', 'call_1']);
    assert.match(id, /^(?:fc|ctc|tsc)_\w{16,}$/);
    // The same bytes for a request without `stream` are put together.
    const whole = JSON.parse(await (await gateway.post('/v1/responses', { ...ASK, tools })).text());
    assert.deepEqual({ ...whole.output[0], id, status }, { id, status, call_id: callId, ...expected });
  }
});
