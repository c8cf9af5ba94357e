import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorIn, Gateway, until } from '../helpers/gateway.ts';
import { RawClient, rawPost } from '../helpers/raw-client.ts';
import { answering, cutAfter, httpAnswer, RawUpstream } from '../helpers/raw-upstream.ts';
import { checkResponseObject, checkResponsesStream } from '../helpers/responses-checker.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { type ReceivedRequest, StandInModel } from '../helpers/stand-in-model.ts';
import { BEGUN, ChatOnlyUpstreams, chunk, SAID, saying } from './chat-only-upstreams.ts';

const ASK = { model: 'm', input: 'Hello' };
const STREAM = { ...ASK, stream: true };
const CHAT_ONLY = new ChatOnlyUpstreams({ responses: 'via_chat' }, { noauth: true });

const native = (endpoint: string) => ({ name: 'native', endpoint, sk: 'key-of-native', allow: ['m'] });

// biome-ignore lint/suspicious/noExplicitAny: JSON of an answer, looked at by the test.
const jsonOf = async (response: Response): Promise<any> => response.json();

test('S124 a Responses request reaches a chat-only upstream as a chat and comes back as a Response', async () => {
  await CHAT_ONLY.withModel({}, async ({ model, gateway }) => {
    const ask = { ...ASK, instructions: 'Be brief.', max_output_tokens: 50, metadata: { trip: '7' } };
    const reply = await gateway.post('/v1/responses', ask);
    assert.equal(reply.status, 200);
    assert.equal(reply.headers.get('x-tokenferry-upstream'), 'chat');
    assert.match(reply.headers.get('content-type') ?? '', /^application\/json/);
    const response = await jsonOf(reply);
    checkResponseObject(response, 'completed');
    assert.equal(response.output[0].content[0].text, SAID);
    assert.deepEqual([response.model, response.metadata], ['m', { trip: '7' }]);
    const received = model.received.at(-1);
    assert.equal(received?.path, '/v1/chat/completions');
    assert.equal(received?.token, 'key-of-chat');
    assert.deepEqual(received?.body, {
      model: 'm',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hello' },
      ],
      max_tokens: 50,
    });
    const row = await gateway.rowOf(reply.headers.get('x-request-id'));
    assert.deepEqual([row.path, row.model, row.outcome], ['/v1/responses', 'm', 'ok']);
    assert.equal(row.completion_tokens, response.usage.output_tokens);
  });
});

test('S125 its stream is the whole chain of events, recorded with its tokens', async () => {
  await CHAT_ONLY.withModel({}, async ({ gateway }) => {
    const reply = await gateway.post('/v1/responses', STREAM);
    assert.match(reply.headers.get('content-type') ?? '', /^text\/event-stream/);
    const { text, response } = checkResponsesStream(await reply.text());
    assert.equal(text, SAID);
    const row = await gateway.rowOf(reply.headers.get('x-request-id'));
    assert.equal(row.outcome, 'ok');
    assert.equal(row.completion_tokens, response?.usage.output_tokens);
    const metrics = await gateway.metrics();
    assert.match(metrics, /tokenferry_requests_total\{path="\/v1\/responses"[^}]*outcome="ok"[^}]*\} 1/);
    assert.match(metrics, /tokenferry_first_token_seconds_count\{[^}]*\} 1/);
  });
});

test('S2 S3 /responses works as every spelling of its path', async () => {
  await CHAT_ONLY.withModel({}, async ({ gateway }) => {
    for (const path of ['/responses', '/v1/v1/responses', '//v1/responses/', '/v1/responses/responses'])
      assert.equal((await gateway.post(path, ASK)).status, 200, path);
  });
});

test('S125 reasoning, text and tool calls of one response are items in their order', async () => {
  const call = { index: 0, id: 'call_1', type: 'function', function: { name: 'weather', arguments: '' } };
  const intercept = saying(
    chunk({ role: 'assistant', content: '' }),
    chunk({ reasoning_content: 'Hm.' }),
    chunk({ content: 'Let me look.' }),
    chunk({ tool_calls: [call] }),
    chunk({ tool_calls: [{ index: 0, function: { arguments: '{"city":"Zü' } }] }),
    chunk({ tool_calls: [{ index: 0, function: { arguments: 'rich"}' } }] }),
    chunk({}, 'tool_calls'),
  );
  await CHAT_ONLY.withModel({ intercept }, async ({ gateway }) => {
    const tools = [{ type: 'function', name: 'weather', parameters: { type: 'object' } }];
    const reply = await gateway.post('/v1/responses', { ...STREAM, tools });
    const { reasoning, text, calls, response } = checkResponsesStream(await reply.text());
    assert.deepEqual([reasoning, text], ['Hm.', 'Let me look.']);
    assert.deepEqual(calls, [{ id: 'call_1', name: 'weather', arguments: '{"city":"Zürich"}' }]);
    assert.deepEqual(response?.tools, tools);
    // The same bytes for a request without `stream` are put together.
    const whole = await jsonOf(await gateway.post('/v1/responses', { ...ASK, tools }));
    checkResponseObject(whole, 'completed');
    assert.deepEqual(
      whole.output.map(({ type }: { type: string }) => type),
      ['reasoning', 'message', 'function_call'],
    );
  });
});

test('S125 a response that ends at the limit is an incomplete Response', async () => {
  const intercept = saying(
    chunk({ role: 'assistant', content: '' }),
    chunk({ content: 'Hel' }),
    chunk({}, 'length'),
  );
  await CHAT_ONLY.withModel({ intercept }, async ({ gateway }) => {
    const { response } = checkResponsesStream(await (await gateway.post('/v1/responses', STREAM)).text());
    assert.deepEqual(
      [response?.status, response?.incomplete_details],
      ['incomplete', { reason: 'max_output_tokens' }],
    );
  });
});

test('S124 what a chat cannot do is a 400 with a clear code, and no upstream is called', async () => {
  await CHAT_ONLY.withModel({}, async ({ model, gateway }) => {
    for (const [more, param] of [
      [{ previous_response_id: 'resp_1' }, 'previous_response_id'],
      [{ conversation: 'conv_1' }, 'conversation'],
      [{ background: true }, 'background'],
      [{ input: [{ type: 'hologram' }] }, 'input[0]'],
    ] as const) {
      const reply = await gateway.post('/v1/responses', { ...ASK, ...more });
      assert.equal(reply.status, 400);
      assert.equal(reply.headers.get('x-should-retry'), 'false');
      const error = errorIn(await reply.text());
      assert.deepEqual([error.code, error.param], ['unsupported_parameter', param]);
    }
    assert.equal(model.received.length, 0);
  });
});

test('S124 a request without a body, without a model or with invalid JSON is a 400, and no upstream is called', async () => {
  await CHAT_ONLY.withModel({ intercept: saying() }, async ({ model, gateway }) => {
    for (const [body, code] of [
      [undefined, 'invalid_json'],
      ['', 'invalid_json'],
      ['{"model"', 'invalid_json'],
      ['{"input":"Hello"}', 'missing_model'],
    ] as const) {
      const sent = body === undefined ? {} : { body };
      const reply = await fetch(`${gateway.url}/v1/responses`, { method: 'POST', ...sent });
      assert.equal(reply.status, 400, body);
      assert.equal(errorIn(await reply.text()).code, code);
    }
    assert.equal(model.received.length, 0);
  });
});

test('S124 a stored Response cannot be requested: a JSON error, as the upstream sends it', async () => {
  await CHAT_ONLY.withModel({}, async ({ gateway }) => {
    for (const method of ['GET', 'DELETE']) {
      const reply = await fetch(`${gateway.url}/v1/responses/resp_1`, { method });
      assert.equal(reply.status, 404);
      errorIn(await reply.text());
    }
  });
});

test('S125 before content the next upstream takes over, whether it fails by status, by silence or in its stream', async () => {
  await CHAT_ONLY.checkTakeOver(
    (gateway) => gateway.post('/v1/responses', STREAM),
    (stream) => checkResponsesStream(stream).text,
  );
});

test('S124 an upstream without /chat/completions is an error with that path, and cools down', async () => {
  const page = httpAnswer('<html><body>404 page not found</body></html>', {
    status: 404,
    headers: { 'content-type': 'text/html' },
  });
  await using bad = await RawUpstream.start(answering(page));
  await using gateway = await Gateway.start({
    noauth: true,
    cool_down: { failures: 1 },
    upstreams: [CHAT_ONLY.upstream(bad.url)],
  });
  const reply = await gateway.post('/v1/responses', ASK);
  assert.equal(reply.status, 502);
  const { code, message } = errorIn(await reply.text());
  assert.equal(code, 'upstream_not_found');
  assert.match(message, /\/v1\/chat\/completions/);
  assert.equal((await gateway.readiness()).degraded.length, 1);
});

test('an alias is sent to the upstream, and reply_model selects the name in the response', async () => {
  await using model = await StandInModel.start();
  for (const [replyModel, name] of [
    ['upstream', 'real'],
    ['requested', 'm'],
  ]) {
    await using gateway = await Gateway.start({
      noauth: true,
      reply_model: replyModel,
      upstreams: [CHAT_ONLY.upstream(model.url, 'chat', { models: { m: 'real' } })],
    });
    const { response } = checkResponsesStream(await (await gateway.post('/v1/responses', STREAM)).text());
    assert.equal(model.received.at(-1)?.body.model, 'real');
    assert.equal(response?.model, name);
  }
});

test('S126 after content an error event with flat and nested members is the last one', async () => {
  await using bad = await RawUpstream.start(cutAfter(BEGUN, BEGUN.length, true));
  await using gateway = await Gateway.start({ noauth: true, upstreams: [CHAT_ONLY.upstream(bad.url)] });
  const reply = await gateway.post('/v1/responses', STREAM);
  assert.equal(reply.status, 200);
  const { text, error } = checkResponsesStream(await reply.text());
  assert.equal(text, 'Hel');
  assert.equal(error?.code, 'upstream_disconnected');
  const row = await gateway.rowOf(reply.headers.get('x-request-id'));
  assert.deepEqual([row.outcome, row.error_code], ['stream_broken', 'upstream_disconnected']);
  assert.deepEqual(
    row.attempts.map(({ outcome }) => outcome),
    ['stream_broken'],
  );
});

test('S126 silence within the stream ends it with the same event', async () => {
  await using bad = await RawUpstream.start(async (connection) => {
    await connection.request();
    await connection.write(BEGUN);
  });
  const limits = { idle_timeout: '200ms' };
  await using gateway = await Gateway.start({
    noauth: true,
    ...limits,
    upstreams: [CHAT_ONLY.upstream(bad.url)],
  });
  const { error } = checkResponsesStream(await (await gateway.post('/v1/responses', STREAM)).text());
  assert.equal(error?.code, 'upstream_timeout');
});

test('S126 early headers are followed by comments, and by the error event when every upstream fails', async () => {
  await using bad = await RawUpstream.start(async (connection) => {
    await connection.request();
    await sleep(200);
    await connection.write(httpAnswer('{"error":{"message":"down"}}', { status: 503 }));
  });
  await using gateway = await Gateway.start({
    noauth: true,
    early_headers: '30ms',
    keep_alive_comments: '30ms',
    retry: { same_upstream: 0 },
    upstreams: [CHAT_ONLY.upstream(bad.url)],
  });
  const reply = await gateway.post('/v1/responses', STREAM);
  assert.equal(reply.status, 200);
  const body = await reply.text();
  assert.match(body, /^: keep-alive\n\n/);
  const { error, events: told } = checkResponsesStream(body);
  assert.equal(told.length, 2);
  assert.equal(typeof error?.message, 'string');
});

test('S126 a stream that is running at shutdown ends with shutting_down', async () => {
  await CHAT_ONLY.withModel(
    { reply: 'word '.repeat(500), wordDelayMs: 20 },
    async ({ gateway }) => {
      const reply = await gateway.post('/v1/responses', STREAM);
      const body = reply.text();
      await gateway.end();
      const { error } = checkResponsesStream(await body);
      assert.equal(error?.code, 'shutting_down');
    },
    { shutdown_grace: '100ms' },
  );
});

test('S65 a client that disconnects in mid-stream frees the upstream within a second', async () => {
  await CHAT_ONLY.withModel({ reply: 'word '.repeat(1_000), wordDelayMs: 20 }, async ({ model, gateway }) => {
    const client = await RawClient.connect(gateway.port);
    client.send(rawPost('/v1/responses', JSON.stringify(STREAM)));
    await until(() => client.received.includes('output_text.delta'), 'content');
    client.reset();
    await until(() => model.open === 0, 'the upstream is free', 1_000);
    await until(() => gateway.rows().length === 1, 'the record');
    assert.equal(gateway.rows()[0]?.outcome, 'client_gone');
    assert.deepEqual((await gateway.readiness()).degraded, []);
  });
});

test('S124 a parameter that the upstream refuses is dropped or renamed, as for chats', async () => {
  const intercept = ({ body }: ReceivedRequest, response: ServerResponse): boolean => {
    const refused = ['max_tokens', 'user'].find((name) => name in body);
    if (refused === undefined) return false;
    const error = {
      message: `Unsupported parameter: '${refused}'.`,
      param: refused,
      type: 'invalid_request_error',
    };
    response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ error }));
    return true;
  };
  await CHAT_ONLY.withModel({ intercept }, async ({ model, gateway }) => {
    const more = { max_output_tokens: 5, user: 'u', truncation: 'auto' };
    const reply = await gateway.post('/v1/responses', { ...ASK, ...more });
    assert.equal(reply.status, 200);
    assert.equal(reply.headers.get('x-tokenferry-dropped'), 'truncation, user');
    checkResponseObject(await jsonOf(reply), 'completed');
    const sent = model.received.at(-1)?.body;
    assert.equal(sent?.max_completion_tokens, 5);
    assert.ok(sent !== undefined && !('user' in sent));
  });
});

test('a refused token is renewed and the request sent once more', async () => {
  await using issuer = await ScriptedIssuer.start();
  await using model = await StandInModel.start({ isLive: (token) => issuer.isLive(token) });
  await using gateway = await Gateway.start({
    noauth: true,
    tokens: { corp: issuer.source },
    upstreams: [CHAT_ONLY.upstream(model.url, 'chat', { sk: null, token: 'corp' })],
  });
  assert.equal((await gateway.post('/v1/responses', ASK)).status, 200);
  issuer.revokeAll();
  const reply = await gateway.post('/v1/responses', STREAM);
  assert.equal(checkResponsesStream(await reply.text()).text, SAID);
  assert.equal(model.refused, 1);
  assert.equal((await gateway.rowOf(reply.headers.get('x-request-id'))).attempts[0]?.token_renewed, true);
});

test('tokens count for the limit of the client', async () => {
  await CHAT_ONLY.withModel(
    {},
    async ({ gateway }) => {
      const headers = { authorization: 'Bearer key-of-ragflow' };
      const first = await gateway.post('/v1/responses', STREAM, { headers });
      checkResponsesStream(await first.text());
      const second = await gateway.post('/v1/responses', ASK, { headers });
      assert.equal(second.status, 429);
      assert.equal(errorIn(await second.text()).code, 'rate_limit_exceeded');
    },
    { noauth: false, clients: [{ name: 'ragflow', key: 'key-of-ragflow', tpm: 5 }] },
  );
});

test('pass_through.deny refuses it here as well', async () => {
  await CHAT_ONLY.withModel(
    {},
    async ({ gateway, model }) => {
      assert.equal((await gateway.post('/v1/responses', ASK)).status, 403);
      assert.equal(model.received.length, 0);
    },
    { pass_through: { deny: ['/v1/responses'] } },
  );
});

test('S124 for an upstream with /responses request and response are passed through byte for byte', async () => {
  const own = '{"id":"resp_own",  "object":"response","n":1.0}';
  await using upstream = await StandInModel.start({
    intercept: (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(own);
      return true;
    },
  });
  await using chat = await StandInModel.start();
  const text =
    '{ "model":"m", "previous_response_id":"resp_1", "tools":[{"type":"web_search"}], "top_p":1.0 }';
  // With and without one beside it that only chats: what a chat cannot do goes to the other alone.
  for (const upstreams of [[native(upstream.url)], [CHAT_ONLY.upstream(chat.url), native(upstream.url)]]) {
    await using gateway = await Gateway.start({ noauth: true, upstreams });
    const reply = await gateway.post('/v1/responses', text);
    assert.equal(await reply.text(), own);
    assert.equal(reply.headers.get('x-tokenferry-upstream'), 'native');
    assert.equal(upstream.received.at(-1)?.path, '/v1/responses');
    assert.equal(upstream.received.at(-1)?.text, text);
  }
  assert.equal(chat.received.length, 0);
});

test('S124 S125 upstreams with and without /responses take over from each other', async () => {
  const own = 'event: response.completed\ndata: {"type":"response.completed","sequence_number":0}\n\n';
  await using upstream = await StandInModel.start({
    intercept: (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end(own);
      return true;
    },
  });
  await using chat = await StandInModel.start();
  await using bad = await RawUpstream.start(cutAfter(httpAnswer('{}', { status: 503 }), 1_000));
  await using first = await Gateway.start({
    noauth: true,
    upstreams: [native(bad.url), CHAT_ONLY.upstream(chat.url)],
  });
  const translated = await first.post('/v1/responses', STREAM);
  assert.equal(translated.headers.get('x-tokenferry-attempts'), '2');
  assert.equal(checkResponsesStream(await translated.text()).text, SAID);
  await using second = await Gateway.start({
    noauth: true,
    // They wait for an upstream that may have headers of its own.
    early_headers: '1ms',
    upstreams: [CHAT_ONLY.upstream(bad.url, 'bad'), native(upstream.url)],
  });
  const handed = await second.post('/v1/responses', STREAM);
  assert.equal(handed.headers.get('x-tokenferry-upstream'), 'native');
  assert.equal(await handed.text(), own);
});

test('S124 a response is found by its id in the next turn, unless the client sent store: false', async () => {
  await CHAT_ONLY.withModel({}, async ({ model, gateway }) => {
    const referring = (id: string) => ({
      model: 'm',
      input: [
        { role: 'user', content: 'When?' },
        { type: 'item_reference', id },
        { role: 'user', content: 'And then?' },
      ],
    });
    const told = await jsonOf(await gateway.post('/v1/responses', ASK));
    const next = await gateway.post('/v1/responses', referring(told.output[0].id));
    assert.equal(next.status, 200);
    assert.deepEqual(model.received.at(-1)?.body.messages, [
      { role: 'user', content: 'When?' },
      { role: 'assistant', content: SAID },
      { role: 'user', content: 'And then?' },
    ]);
    const { response } = checkResponsesStream(await (await gateway.post('/v1/responses', STREAM)).text());
    assert.equal((await gateway.post('/v1/responses', referring(response?.output[0].id))).status, 200);
    const unkept = await jsonOf(await gateway.post('/v1/responses', { ...ASK, store: false }));
    const refused = await gateway.post('/v1/responses', referring(unkept.output[0].id));
    assert.equal(refused.status, 400);
    assert.match(errorIn(await refused.text()).message, /"store" to false/);
  });
});
