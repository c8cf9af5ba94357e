import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gateway, until } from '../helpers/gateway.ts';
import { RawClient, rawPost } from '../helpers/raw-client.ts';
import { chunkedHead, httpChunk, RawUpstream } from '../helpers/raw-upstream.ts';

const chunk = (delta: object, finish: string | null, usage?: object): string =>
  `data: ${JSON.stringify({
    id: 'c-1',
    object: 'chat.completion.chunk',
    created: 1_700_000_000,
    model: 'm',
    choices: [{ index: 0, delta, finish_reason: finish, logprobs: null }],
    ...(usage && { usage }),
  })}\n\n`;
const event = (data: Readonly<Record<string, unknown>>): string =>
  `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;

const HELLO = chunk({ role: 'assistant', content: 'Hello' }, null);
const COMPLETED = { id: 'resp_1', object: 'response', status: 'completed', output: [] };

interface Case {
  readonly path: string;
  readonly body: object;
  /** What the upstream sends before it only holds its connection. */
  readonly events: string;
  /** In what the client reads before it closes. */
  readonly last: RegExp;
  readonly outcome: 'ok' | 'client_gone';
}

const CHAT = { model: 'm', stream: true, messages: [{ role: 'user', content: 'hello' }] };
const CASES: Readonly<Record<string, Case>> = {
  'a chat with its finish': {
    path: '/v1/chat/completions',
    body: CHAT,
    events: HELLO + chunk({}, 'stop'),
    last: /"finish_reason":"stop"/,
    outcome: 'ok',
  },
  'a chat whose finish is still to come': {
    path: '/v1/chat/completions',
    body: CHAT,
    events: HELLO,
    last: /Hello/,
    outcome: 'client_gone',
  },
  'a Response that is completed': {
    path: '/v1/responses',
    body: { model: 'm', stream: true, input: 'hello' },
    events:
      event({ type: 'response.output_text.delta', delta: 'Hello' }) +
      event({ type: 'response.completed', response: COMPLETED }),
    last: /response\.completed/,
    outcome: 'ok',
  },
  'a Response that is not completed': {
    path: '/v1/responses',
    body: { model: 'm', stream: true, input: 'hello' },
    events: event({ type: 'response.output_text.delta', delta: 'the "type":"response.completed"' }),
    last: /delta/,
    outcome: 'client_gone',
  },
  'a message with message_stop': {
    path: '/v1/messages',
    body: { model: 'm', stream: true, max_tokens: 9, messages: [] },
    events:
      event({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hello' } }) +
      event({ type: 'message_stop' }),
    last: /message_stop/,
    outcome: 'ok',
  },
  'events of any path with [DONE]': {
    path: '/v1/anything',
    body: { model: 'm', stream: true },
    events: 'data: {"a":1}\n\ndata: [DONE]\n\n',
    last: /\[DONE\]/,
    outcome: 'ok',
  },
};

for (const [what, { path, body, events, last, outcome }] of Object.entries(CASES)) {
  test(`a client that closes behind ${what}, before the upstream ends: ${outcome}`, async () => {
    let isFree = false;
    await using raw = await RawUpstream.start(async (connection) => {
      await connection.request();
      await connection.write(chunkedHead() + httpChunk(events));
      connection.socket.once('close', () => {
        isFree = true;
      });
    });
    await using gateway = await Gateway.start({
      upstreams: [{ name: 'lone', endpoint: raw.url, sk: 'key-of-lone', allow: ['m'] }],
    });
    const client = await RawClient.connect(gateway.port);
    client.send(rawPost(path, JSON.stringify(body)));
    await until(() => last.test(client.received), 'the last event');
    client.close();
    await until(() => gateway.rows().length === 1, 'the record');
    const [row] = gateway.rows();
    assert.equal(row?.outcome, outcome, JSON.stringify(row));
    assert.equal(row?.status, outcome === 'ok' ? 200 : 499);
    assert.deepEqual(
      row?.attempts.map((attempt) => attempt.outcome),
      [outcome],
    );
    assert.match(await gateway.metrics(), new RegExp(`requests_total\\{[^}]*outcome="${outcome}"`));
    await until(() => isFree, 'the end of the connection to the upstream', 1_000);
  });
}

test('an upstream that holds its connection behind the last event does not break the stream', async () => {
  const { events, body } = CASES['a Response that is completed'] as Case;
  await using raw = await RawUpstream.start(async (connection) => {
    await connection.request();
    await connection.write(chunkedHead() + httpChunk(events));
  });
  await using gateway = await Gateway.start({
    idle_timeout: '300ms',
    upstreams: [{ name: 'lone', endpoint: raw.url, sk: 'key-of-lone', allow: ['m'] }],
  });
  const response = await gateway.post('/v1/responses', body);
  assert.equal(await response.text(), events);
  await until(() => gateway.rows().length === 1, 'the record');
  assert.equal(gateway.rows()[0]?.outcome, 'ok');
});
