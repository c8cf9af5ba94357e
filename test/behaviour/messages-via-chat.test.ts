import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Gateway } from '../helpers/gateway.ts';
import { sendJson } from '../helpers/json-answer.ts';
import { checkErrorBody, checkMessage, checkMessagesStream } from '../helpers/messages-checker.ts';
import { cutAfter, httpAnswer, httpChunk, RawUpstream } from '../helpers/raw-upstream.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { type ReceivedRequest, StandInModel } from '../helpers/stand-in-model.ts';
import { BEGUN, ChatOnlyUpstreams, chunk, events, SAID } from './chat-only-upstreams.ts';

const KEY = 'client-key';
const ANTHROPIC = { 'x-api-key': KEY, 'anthropic-version': '2023-06-01' };
const ASK = { model: 'm', max_tokens: 50, messages: [{ role: 'user', content: 'Hello' }] };
const STREAM = { ...ASK, stream: true };
const CHAT_ONLY = new ChatOnlyUpstreams({ messages: 'via_chat' }, { authorization: KEY });

const native = (endpoint: string) => ({
  name: 'native',
  endpoint,
  sk: 'key-of-native',
  allow: ['m'],
  profile: { messages: 'native' },
});

const post = (gateway: Gateway, body: object, path = '/v1/messages', headers: object = ANTHROPIC) =>
  gateway.post(path, body, { headers: headers as Record<string, string> });

// biome-ignore lint/suspicious/noExplicitAny: JSON of a response, looked at by the test.
const jsonOf = async (response: Response): Promise<any> => response.json();

test('a Messages request reaches a chat-only upstream as a chat and comes back as a message', async () => {
  await CHAT_ONLY.withModel({}, async ({ model, gateway }) => {
    const ask = {
      ...ASK,
      system: 'Be brief.',
      metadata: { user_id: 'anna' },
      context_management: { edits: [{}] },
    };
    const reply = await post(gateway, ask);
    assert.equal(reply.status, 200);
    assert.equal(reply.headers.get('x-tokenferry-upstream'), 'chat');
    assert.equal(reply.headers.get('x-tokenferry-dropped'), 'context_management');
    assert.equal(reply.headers.get('request-id'), reply.headers.get('x-request-id'));
    const message = checkMessage(await jsonOf(reply));
    assert.equal(message.content[0].text, SAID);
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
      user: 'anna',
    });
    const row = await gateway.rowOf(reply.headers.get('x-request-id'));
    assert.deepEqual([row.path, row.model, row.outcome], ['/v1/messages', 'm', 'ok']);
    assert.equal(row.completion_tokens, message.usage.output_tokens);
  });
});

test('its stream is the whole chain of events, recorded and counted with its tokens', async () => {
  await CHAT_ONLY.withModel({}, async ({ gateway }) => {
    const reply = await post(gateway, STREAM);
    assert.match(reply.headers.get('content-type') ?? '', /^text\/event-stream/);
    assert.equal(reply.headers.get('request-id'), reply.headers.get('x-request-id'));
    const { text, message } = checkMessagesStream(await reply.text());
    assert.equal(text, SAID);
    const row = await gateway.rowOf(reply.headers.get('x-request-id'));
    assert.deepEqual([row.outcome, row.stream], ['ok', 1]);
    assert.equal(row.completion_tokens, message?.usage.output_tokens);
    const metrics = await gateway.metrics();
    assert.match(metrics, /tokenferry_requests_total\{path="\/v1\/messages"[^}]*outcome="ok"[^}]*\} 1/);
    assert.match(metrics, /tokenferry_first_token_seconds_count\{[^}]*\} 1/);
  });
});

test('/messages works below /anthropic and with every spelling of its path, with either header of the key', async () => {
  await CHAT_ONLY.withModel({}, async ({ gateway }) => {
    for (const path of [
      '/messages',
      '/anthropic/v1/messages',
      '/v1/anthropic/v1/messages?beta=true',
      '/anthropic/messages',
      '//v1/messages/',
      '/v1/v1/messages',
    ])
      assert.equal((await post(gateway, ASK, path)).status, 200, path);
    const bearer = { authorization: `Bearer ${KEY}` };
    const reply = await post(gateway, ASK, '/v1/messages', bearer);
    assert.equal((await gateway.rowOf(reply.headers.get('x-request-id'))).client, 'key-1');
    for (const headers of [{ 'x-api-key': 'wrong' }, {}]) {
      const refused = await post(gateway, ASK, '/anthropic/v1/messages', headers);
      assert.equal(refused.status, 401);
      assert.equal(checkErrorBody(await jsonOf(refused), 401).type, 'authentication_error');
    }
  });
});

test('count_tokens of a chat-only upstream is an estimate that says so, without a call', async () => {
  await CHAT_ONLY.withModel({}, async ({ model, gateway }) => {
    const count = async (body: object): Promise<number> => {
      const reply = await post(gateway, { model: 'm', ...body }, '/v1/messages/count_tokens?beta=true');
      assert.equal(reply.status, 200);
      assert.equal(reply.headers.get('x-tokenferry-estimated'), 'input_tokens');
      const counted = await jsonOf(reply);
      assert.deepEqual(Object.keys(counted), ['input_tokens']);
      return counted.input_tokens;
    };
    const messages = [{ role: 'user', content: 'The ferry leaves at noon.' }];
    const few = await count({ messages });
    assert.ok(few > 6 && few < 16, String(few));
    const tools = [{ name: 'read', description: 'Reads a file.', input_schema: { type: 'object' } }];
    assert.ok((await count({ messages, tools, system: 'Be brief.' })) > few + 15);
    const source = { type: 'base64', media_type: 'image/png', data: 'A'.repeat(400_000) };
    const image = [{ role: 'user', content: [{ type: 'image', source }] }];
    assert.ok((await count({ messages: image })) < 2_000);
    assert.equal(model.received.length, 0);
    const unknown = await post(gateway, { model: 'x', messages }, '/v1/messages/count_tokens');
    assert.equal(checkErrorBody(await jsonOf(unknown), unknown.status).type, 'not_found_error');
  });
});

test('count_tokens of an upstream that has it is passed through', async () => {
  await using upstream = await StandInModel.start({
    intercept: (_request, response) => {
      sendJson(response, { input_tokens: 4711 });
      return true;
    },
  });
  await using gateway = await Gateway.start({ authorization: KEY, upstreams: [native(upstream.url)] });
  const reply = await post(gateway, ASK, '/v1/messages/count_tokens');
  assert.deepEqual(await jsonOf(reply), { input_tokens: 4711 });
  assert.equal(reply.headers.get('x-tokenferry-estimated'), null);
});

test('what a chat cannot do is a 400 in the shape of Anthropic, and no upstream is called', async () => {
  await CHAT_ONLY.withModel({}, async ({ model, gateway }) => {
    const video = [{ role: 'user', content: [{ type: 'video' }] }];
    const reply = await post(gateway, { ...STREAM, messages: video });
    assert.equal(reply.headers.get('x-should-retry'), 'false');
    const error = checkErrorBody(await jsonOf(reply), reply.status);
    assert.deepEqual([reply.status, error.type], [400, 'invalid_request_error']);
    assert.match(error.message, /messages\.0\.content\.0/);
    assert.equal(model.received.length, 0);
  });
});

test('a thread is refused with the code by which Anthropic’s SDKs send the whole conversation', async () => {
  await CHAT_ONLY.withModel({}, async ({ model, gateway }) => {
    for (const thread of [{ type: 'create' }, { type: 'continue', previous_message_id: 'msg_1' }]) {
      const reply = await post(gateway, { ...STREAM, thread });
      const { details } = checkErrorBody(await jsonOf(reply), reply.status);
      assert.equal(reply.status, 400);
      assert.deepEqual(details, { error_code: 'thread_unsupported_request', unsupported: ['thread'] });
    }
    assert.equal(model.received.length, 0);
    assert.equal((await post(gateway, { ...STREAM, thread: null })).status, 200);
  });
});

test('an overflow of the context says so in the words that Claude Code knows', async () => {
  const intercept = (_request: ReceivedRequest, response: ServerResponse): boolean => {
    const message = "This model's maximum context length is 8192 tokens, you requested 9000.";
    sendJson(response, { error: { message, code: 'context_length_exceeded' } }, 400);
    return true;
  };
  await CHAT_ONLY.withModel({ intercept }, async ({ gateway }) => {
    const reply = await post(gateway, STREAM);
    const { message } = checkErrorBody(await jsonOf(reply), 400);
    assert.match(message, /^prompt is too long: .*maximum context length/);
  });
});

test('before content the next upstream takes over, whether it fails by status, by silence or in its stream', async () => {
  await CHAT_ONLY.checkTakeOver(
    (gateway) => post(gateway, STREAM),
    (stream) => checkMessagesStream(stream).text,
  );
});

test('upstreams with and without /messages take over from each other', async () => {
  await using down = await RawUpstream.start(cutAfter(httpAnswer('{}', { status: 503 }), 1_000));
  await using chat = await StandInModel.start();
  await using forward = await Gateway.start({
    authorization: KEY,
    upstreams: [native(down.url), CHAT_ONLY.upstream(chat.url)],
  });
  assert.equal(checkMessagesStream(await (await post(forward, STREAM)).text()).text, SAID);
  const whole = JSON.stringify({ id: 'msg_1', type: 'message', role: 'assistant', content: [] });
  await using anthropic = await StandInModel.start({
    intercept: (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(whole);
      return true;
    },
  });
  await using back = await Gateway.start({
    authorization: KEY,
    upstreams: [CHAT_ONLY.upstream(down.url), native(anthropic.url)],
  });
  assert.equal(await (await post(back, ASK)).text(), whole);
  assert.deepEqual(anthropic.received.at(-1)?.body, ASK);
  // It would refuse the signature of what another model thought.
  const thought = { type: 'thinking', thinking: 'Hm.', signature: 'tokenferry.' };
  const foreign = { type: 'thinking', thinking: 'Hm.', signature: 'EqQB' };
  const answered = (...content: readonly object[]) => ({
    ...ASK,
    messages: [...ASK.messages, { role: 'assistant', content }, ...ASK.messages],
  });
  await post(back, answered(thought, foreign, { type: 'text', text: 'Yes.' }));
  assert.deepEqual(anthropic.received.at(-1)?.body, answered(foreign, { type: 'text', text: 'Yes.' }));
  // What a chat cannot do goes to the one that has the API.
  const video = { ...ASK, messages: [{ role: 'user', content: [{ type: 'video' }] }] };
  const reply = await post(back, video);
  assert.equal(reply.headers.get('x-tokenferry-attempts'), '1');
  assert.equal(await reply.text(), whole);
});

test('after content a stream that breaks ends with an error event, and is recorded as broken', async () => {
  await using bad = await RawUpstream.start(cutAfter(BEGUN, BEGUN.length, true));
  await using gateway = await Gateway.start({ authorization: KEY, upstreams: [CHAT_ONLY.upstream(bad.url)] });
  const reply = await post(gateway, STREAM);
  assert.equal(reply.status, 200);
  const { text, error } = checkMessagesStream(await reply.text());
  assert.deepEqual([text, error?.type], ['Hel', 'api_error']);
  const row = await gateway.rowOf(reply.headers.get('x-request-id'));
  assert.deepEqual([row.outcome, row.error_code], ['stream_broken', 'upstream_disconnected']);
});

test('while the client waits it gets comments before the message has begun, and pings from then on', async () => {
  await using slow = await RawUpstream.start(async (connection) => {
    await connection.request();
    await sleep(200);
    await connection.write(BEGUN);
    await sleep(200);
    await connection.write(
      httpChunk(events(chunk({ content: 'lo' }), chunk({}, 'stop'), '[DONE]')) + httpChunk(''),
    );
  });
  await using gateway = await Gateway.start({
    authorization: KEY,
    early_headers: '30ms',
    keep_alive_comments: '30ms',
    upstreams: [CHAT_ONLY.upstream(slow.url)],
  });
  const body = await (await post(gateway, STREAM)).text();
  assert.match(body, /^: keep-alive\n\n/);
  const { text, events: told } = checkMessagesStream(body);
  assert.equal(text, 'Hello');
  assert.ok(told.filter(({ type }) => type === 'ping').length > 1);
});

test('early headers are followed by the error event when every upstream fails', async () => {
  await using bad = await RawUpstream.start(async (connection) => {
    await connection.request();
    await sleep(150);
    await connection.write(httpAnswer('{"error":{"message":"down"}}', { status: 503 }));
  });
  await using gateway = await Gateway.start({
    authorization: KEY,
    early_headers: '30ms',
    retry: { same_upstream: 0 },
    upstreams: [CHAT_ONLY.upstream(bad.url)],
  });
  const reply = await post(gateway, STREAM);
  assert.equal(reply.status, 200);
  assert.equal(checkMessagesStream(await reply.text()).error?.type, 'overloaded_error');
});

test('a conversation with tools goes on over renewals of the token', async () => {
  await using issuer = await ScriptedIssuer.start({ lifetimeMs: 60_000 });
  const call = {
    index: 0,
    id: 'functions.read:0',
    type: 'function',
    function: { name: 'read', arguments: '{}' },
  };
  await using model = await StandInModel.start({
    isLive: (token) => issuer.isLive(token),
    intercept: ({ body }, response) => {
      const hasResult = body.messages?.some(({ role }) => role === 'tool');
      if (hasResult === true) return false;
      const chunks = [
        chunk({ reasoning_content: 'Hm.' }),
        chunk({ tool_calls: [call] }),
        chunk({}, 'tool_calls'),
      ];
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end(events(...chunks, '[DONE]'));
      return true;
    },
  });
  await using gateway = await Gateway.start({
    authorization: KEY,
    tokens: { corp: issuer.source },
    upstreams: [{ ...CHAT_ONLY.upstream(model.url), sk: null, token: 'corp' }],
  });
  const tools = [{ name: 'read', input_schema: { type: 'object' } }];
  const first = checkMessagesStream(await (await post(gateway, { ...STREAM, tools })).text());
  const [{ id } = { id: '' }] = first.calls;
  assert.match(id, /^toolu_b64_/);
  issuer.revokeAll();
  const messages = [
    ...ASK.messages,
    { role: 'assistant', content: first.message?.content },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: id, content: 'noon' }] },
  ];
  const second = checkMessagesStream(await (await post(gateway, { ...STREAM, tools, messages })).text());
  assert.equal(second.text, SAID);
  const [, told, output] = model.received.at(-1)?.body.messages ?? [];
  assert.deepEqual(told, {
    role: 'assistant',
    content: null,
    reasoning_content: 'Hm.',
    tool_calls: [{ id: 'functions.read:0', type: 'function', function: { name: 'read', arguments: '{}' } }],
  });
  assert.deepEqual(output, { role: 'tool', tool_call_id: 'functions.read:0', content: 'noon' });
});

const NOT_FOUND = [
  [404, '{"detail":"Not Found"}'],
  [404, '{"error":{"message":"Invalid URL (POST /v1/messages)","type":"invalid_request_error"}}'],
  [404, '{"statusCode":404,"message":"Resource not found"}'],
  [404, '<html><body>404 page not found</body></html>'],
  [404, ''],
  [404, '{"error":{"code":404,"message":"File Not Found","type":"not_found_error"}}'],
  [
    404,
    '{"code":5,"error":"url.not_found","method":"POST","scode":"0x5","status":false,"url":"/v1/messages"}',
  ],
  [405, '{"detail":"Method Not Allowed"}'],
  [501, '{"error":{"message":"unknown request path","type":"api_error","code":null,"param":null}}'],
  // LM Studio, Amazon API Gateway.
  [200, '{"error":"Unexpected endpoint or method. (POST /v1/messages)"}'],
  [403, '{"message":"Missing Authentication Token"}'],
] as const;

for (const [status, body] of NOT_FOUND) {
  test(`auto: an upstream that answers /messages with ${status} ${body} gets chats from then on`, async () => {
    const intercept = ({ path }: ReceivedRequest, response: ServerResponse): boolean => {
      if (!path.startsWith('/v1/messages')) return false;
      response
        .writeHead(status, { 'content-type': body.startsWith('<') ? 'text/html' : 'application/json' })
        .end(body);
      return true;
    };
    await using model = await StandInModel.start({ intercept });
    const upstream = { name: 'one', endpoint: model.url, sk: 'key', allow: ['m'] };
    await using gateway = await Gateway.start({ authorization: KEY, upstreams: [upstream] });
    for (const ask of [STREAM, STREAM, ASK]) {
      const reply = await post(gateway, ask);
      assert.equal(reply.status, 200);
      assert.equal(reply.headers.get('x-tokenferry-attempts'), '1');
      const text = await reply.text();
      if ('stream' in ask) assert.equal(checkMessagesStream(text).text, SAID);
      else checkMessage(JSON.parse(text));
    }
    const counted = await post(gateway, ASK, '/v1/messages/count_tokens');
    assert.equal(counted.headers.get('x-tokenferry-estimated'), 'input_tokens');
    assert.deepEqual(
      model.received.map(({ path }) => path),
      ['/v1/messages', ...Array.from({ length: 3 }, () => '/v1/chat/completions')],
    );
    assert.deepEqual((await gateway.readiness()).degraded, []);
  });
}

test('auto: an upstream with /messages and without count_tokens keeps its messages, and its count is an estimate', async () => {
  const whole = JSON.stringify({ id: 'msg_1', type: 'message', role: 'assistant', content: [] });
  await using model = await StandInModel.start({
    intercept: ({ path }, response) => {
      if (path === '/v1/messages') response.writeHead(200, { 'content-type': 'application/json' }).end(whole);
      else sendJson(response, { detail: 'Not Found' }, 404);
      return true;
    },
  });
  const upstream = { name: 'one', endpoint: model.url, sk: 'key', allow: ['m'] };
  await using gateway = await Gateway.start({ authorization: KEY, upstreams: [upstream] });
  for (let round = 0; round < 2; round++) {
    const counted = await post(gateway, ASK, '/v1/messages/count_tokens');
    assert.equal(counted.headers.get('x-tokenferry-estimated'), 'input_tokens');
    assert.equal(await (await post(gateway, ASK)).text(), whole);
  }
  assert.equal(model.received.filter(({ path }) => path.endsWith('count_tokens')).length, 1);
});

test('auto: a model that an upstream with /messages does not have stays an error', async () => {
  await using model = await StandInModel.start({
    intercept: (_request, response) => {
      sendJson(response, { type: 'error', error: { type: 'not_found_error', message: 'model: m' } }, 404);
      return true;
    },
  });
  const upstream = { name: 'one', endpoint: model.url, sk: 'key', allow: ['m'] };
  await using gateway = await Gateway.start({ authorization: KEY, upstreams: [upstream] });
  const reply = await post(gateway, ASK);
  assert.equal(checkErrorBody(await jsonOf(reply), reply.status).type, 'not_found_error');
  assert.equal(model.received.length, 1);
});

test('native: an upstream without /messages is a 404 that names it', async () => {
  await using model = await StandInModel.start({
    intercept: (_request, response) => {
      sendJson(response, { detail: 'Not Found' }, 404);
      return true;
    },
  });
  await using gateway = await Gateway.start({ authorization: KEY, upstreams: [native(model.url)] });
  const reply = await post(gateway, ASK);
  const error = checkErrorBody(await jsonOf(reply), reply.status);
  assert.deepEqual([reply.status, error.type], [404, 'not_found_error']);
  assert.match(error.message, /"native"/);
});

test('an upstream without /chat/completions is an error with that path, and the query of Anthropic’s clients is not sent', async () => {
  const page = { status: 404, body: '<html><body>404 page not found</body></html>' };
  await using model = await StandInModel.start({
    intercept: (_request, response) => {
      response.writeHead(page.status, { 'content-type': 'text/html' }).end(page.body);
      return true;
    },
  });
  await using gateway = await Gateway.start({
    authorization: KEY,
    upstreams: [{ name: 'one', endpoint: model.url, sk: 'key', allow: ['m'] }],
  });
  const reply = await post(gateway, ASK, '/v1/messages?beta=true');
  const error = checkErrorBody(await jsonOf(reply), reply.status);
  assert.equal(reply.status, 502);
  assert.match(error.message, /\/v1\/chat\/completions/);
  assert.deepEqual(
    model.received.map(({ path }) => path),
    ['/v1/messages?beta=true', '/v1/chat/completions'],
  );
});

test('an effort that the upstream refuses is left out of later requests, and reasoning of earlier turns has the name that it takes', async () => {
  const refuse = (body: Record<string, unknown>): string | null => {
    if (body.reasoning_effort !== undefined)
      return 'Unrecognized request argument supplied: reasoning_effort';
    const isThinking = JSON.stringify(body.messages).includes('reasoning_content');
    return isThinking ? 'messages[1].reasoning_content: Extra inputs are not permitted' : null;
  };
  const intercept = ({ body }: ReceivedRequest, response: ServerResponse): boolean => {
    const message = refuse(body);
    if (message !== null) sendJson(response, { error: { message } }, 400);
    return message !== null;
  };
  await CHAT_ONLY.withModel({ intercept }, async ({ model, gateway }) => {
    const turn = { type: 'thinking', thinking: 'Hm.', signature: 'tokenferry.' };
    const messages = [
      ...ASK.messages,
      { role: 'assistant', content: [turn, { type: 'text', text: 'Yes.' }] },
      ...ASK.messages,
    ];
    const ask = { ...STREAM, messages, thinking: { type: 'adaptive' }, output_config: { effort: 'high' } };
    for (const calls of [3, 1]) {
      const count = model.received.length;
      const reply = await post(gateway, ask);
      assert.equal(checkMessagesStream(await reply.text()).text, SAID);
      assert.match(reply.headers.get('x-tokenferry-dropped') ?? '', /^reasoning_effort/);
      assert.match(JSON.stringify(model.received.at(-1)?.body.messages), /"reasoning":"Hm\."/);
      assert.equal(model.received.length - count, calls);
    }
  });
});

test('sk: asis sends the key of an Anthropic client as it came, and as a bearer token where it gets a chat', async () => {
  const heads: (string | undefined)[][] = [];
  await using model = await StandInModel.start({
    intercept: ({ path, headers }, response) => {
      heads.push([path, headers.authorization, headers['x-api-key'] as string | undefined]);
      if (path === '/v1/messages') sendJson(response, { detail: 'Not Found' }, 404);
      return path === '/v1/messages';
    },
  });
  await using gateway = await Gateway.start({
    noauth: true,
    upstreams: [{ name: 'one', endpoint: model.url, sk: 'asis', allow: ['m'] }],
  });
  checkMessage(await jsonOf(await post(gateway, ASK, '/v1/messages', { 'x-api-key': 'own' })));
  assert.deepEqual(heads, [
    ['/v1/messages', undefined, 'own'],
    ['/v1/chat/completions', 'Bearer own', undefined],
  ]);
});

test('a prompt without usage is estimated with its tools and without the bytes of its images', async () => {
  const intercept = (_request: ReceivedRequest, response: ServerResponse): boolean => {
    const chunks = [chunk({ content: 'Yes.' }), chunk({}, 'stop')];
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end(events(...chunks, '[DONE]'));
    return true;
  };
  await CHAT_ONLY.withModel({ intercept }, async ({ gateway }) => {
    const inputOf = async (more: object): Promise<number> => {
      const { message } = checkMessagesStream(await (await post(gateway, { ...STREAM, ...more })).text());
      return message?.usage.input_tokens;
    };
    const source = { type: 'base64', media_type: 'image/png', data: 'A'.repeat(100_000) };
    const image = [{ role: 'user', content: [{ type: 'image', source }] }];
    assert.ok((await inputOf({ messages: image })) < 100);
    const tools = [{ name: 'read', description: 'word '.repeat(500), input_schema: { type: 'object' } }];
    assert.ok((await inputOf({ tools })) > 400);
  });
});
