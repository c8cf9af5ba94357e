import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Gateway } from '../helpers/gateway.ts';
import {
  answering,
  chunkedHead,
  httpAnswer,
  httpChunk,
  type RawScript,
  RawUpstream,
} from '../helpers/raw-upstream.ts';

const event = (data: Readonly<Record<string, unknown>>): string =>
  `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;

const MESSAGE = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'm',
  content: [],
  stop_reason: null,
};
const START = event({
  type: 'message_start',
  message: { ...MESSAGE, usage: { input_tokens: 25, cache_read_input_tokens: 3, output_tokens: 1 } },
});
const BLOCK = event({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } });
const delta = (text: string): string =>
  event({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } });
const END =
  event({ type: 'content_block_stop', index: 0 }) +
  event({ type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 15 } }) +
  event({ type: 'message_stop' });
const WHOLE = START + event({ type: 'ping' }) + BLOCK + delta('Hello "type":"message_stop"') + END;
const ASKED = { model: 'm', max_tokens: 99, stream: true, messages: [{ role: 'user', content: 'hello' }] };

const KEY = 'client-key';
const HEADERS = {
  'x-api-key': KEY,
  'anthropic-version': '2023-06-01',
  'anthropic-beta': 'tools-2024,files-api',
};

async function before(
  scripts: readonly RawScript[],
  use: (gateway: Gateway, upstreams: readonly RawUpstream[]) => Promise<void>,
): Promise<void> {
  const upstreams = await Promise.all(scripts.map((script) => RawUpstream.start(script)));
  try {
    await using gateway = await Gateway.start({
      authorization: KEY,
      idle_timeout: '300ms',
      shutdown_grace: '100ms',
      retry: { same_upstream: 0 },
      upstreams: upstreams.map(({ url }, at) => ({
        name: `u${at}`,
        endpoint: url,
        sk: `upstream-key-${at}`,
        pace: 'off',
        allow: ['m'],
      })),
    });
    await use(gateway, upstreams);
  } finally {
    for (const upstream of upstreams) await upstream.close();
  }
}

const post = (gateway: Gateway, body: object, path = '/v1/messages'): Promise<Response> =>
  gateway.post(path, body, { headers: HEADERS });

/** Sends the pieces as one body, and ends it. */
const streaming =
  (...pieces: readonly string[]): RawScript =>
  async (connection) => {
    for (;;) {
      await connection.request();
      await connection.write(chunkedHead() + pieces.map(httpChunk).join('') + httpChunk(''));
    }
  };

async function anthropicError(response: Response): Promise<{ type: string; message: string }> {
  const body = JSON.parse(await response.text()) as {
    type: string;
    error: { type: string; message: string };
  };
  assert.equal(body.type, 'error');
  assert.deepEqual(Object.keys(body.error).sort(), ['message', 'type']);
  return body.error;
}

test('a stream of messages comes byte for byte, with its headers, and its usage is recorded', async () => {
  let head = '';
  const script: RawScript = async (connection) => {
    head = await connection.request();
    const at = WHOLE.indexOf('"usage"') + 4;
    await connection.write(chunkedHead() + httpChunk(WHOLE.slice(0, at)));
    await sleep(20);
    await connection.write(httpChunk(WHOLE.slice(at)) + httpChunk(''));
  };
  await before([script], async (gateway) => {
    const response = await post(gateway, ASKED);
    assert.equal(await response.text(), WHOLE);
    assert.match(head, /^anthropic-version: 2023-06-01$/im);
    assert.match(head, /^anthropic-beta: tools-2024,files-api$/im);
    assert.match(head, /^authorization: Bearer upstream-key-0$/im);
    assert.doesNotMatch(head, /x-api-key|client-key/i);
    const row = await gateway.rowOf(response.headers.get('x-request-id'));
    assert.deepEqual([row.outcome, row.stream, row.completion_tokens], ['ok', 1, 15]);
    assert.equal((row as unknown as { prompt_tokens: number }).prompt_tokens, 25);
  });
});

for (const [how, rest, ending, type] of [
  ['is cut', delta('Hello'), 'reset', 'api_error'],
  ['is cut within an event', delta('Hello').slice(0, -20), 'reset', 'api_error'],
  ['ends without message_stop', delta('Hello'), 'end', 'api_error'],
  ['falls silent', delta('Hello'), 'silence', 'timeout_error'],
  ['runs when the service ends', delta('Hello'), 'our end', 'overloaded_error'],
] as const) {
  test(`a stream of messages that ${how} ends with an error event of Anthropic, and without [DONE]`, async () => {
    const script: RawScript = async (connection) => {
      await connection.request();
      await connection.write(
        chunkedHead() + httpChunk(START + BLOCK + delta('All is well. ')) + httpChunk(rest),
      );
      await sleep(20);
      if (ending === 'reset') connection.reset();
      if (ending === 'end') await connection.write(httpChunk(''));
      while (ending === 'our end') {
        await sleep(50);
        await connection.write(httpChunk(event({ type: 'ping' })));
      }
    };
    await before([script], async (gateway) => {
      const response = await post(gateway, ASKED);
      const reading = response.text();
      if (ending === 'our end') await gateway.end();
      const text = await reading;
      assert.doesNotMatch(text, /\[DONE\]/);
      const [, data = ''] = /\n\nevent: error\ndata: ([^\n]+)\n\n$/.exec(text) ?? [];
      const last = JSON.parse(data) as { type: string; error: { type: string; message: string } };
      assert.deepEqual([last.type, last.error.type], ['error', type], data);
      assert.equal(text.split('event: error').length, 2);
      const row = await gateway.rowOf(response.headers.get('x-request-id'));
      assert.equal(row.outcome, 'stream_broken');
    });
  });
}

test('an error of the upstream before any content is tried at the next one, and then told with its status', async () => {
  const overloaded = event({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } });
  await before([streaming(START, overloaded), streaming(WHOLE)], async (gateway) => {
    const response = await post(gateway, ASKED);
    assert.equal(await response.text(), WHOLE);
    assert.equal(response.headers.get('x-tokenferry-upstream'), 'u1');
  });
  await before([streaming(START, overloaded)], async (gateway) => {
    const response = await post(gateway, ASKED);
    assert.equal(response.status, 529);
    assert.equal((await anthropicError(response)).type, 'overloaded_error');
  });
});

for (const [status, body, told, type, says] of [
  [
    400,
    { type: 'error', error: { type: 'invalid_request_error', message: 'max_tokens: required' } },
    400,
    'invalid_request_error',
    /max_tokens: required/,
  ],
  [
    404,
    { type: 'error', error: { type: 'not_found_error', message: 'model: m' } },
    404,
    'not_found_error',
    /does not exist/,
  ],
  [
    413,
    { type: 'error', error: { type: 'request_too_large', message: 'Too large' } },
    413,
    'request_too_large',
    /Too large/,
  ],
  [
    429,
    { type: 'error', error: { type: 'rate_limit_error', message: 'Slow down' } },
    429,
    'rate_limit_error',
    /Slow down.*Retry after 1 s/,
  ],
  [
    401,
    { type: 'error', error: { type: 'authentication_error', message: 'no' } },
    502,
    'api_error',
    /Upstream authentication/,
  ],
  [500, { type: 'error', error: { type: 'api_error', message: 'oops' } }, 502, 'api_error', /500/],
  [
    529,
    { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } },
    529,
    'overloaded_error',
    /Overloaded/,
  ],
] as const) {
  test(`status ${status} of Anthropic is a ${told} ${type} in its shape`, async () => {
    const answer = httpAnswer(JSON.stringify(body), {
      status,
      headers: { 'content-type': 'application/json' },
    });
    await before([answering(answer)], async (gateway) => {
      const response = await post(gateway, ASKED);
      assert.equal(response.status, told);
      const error = await anthropicError(response);
      assert.equal(error.type, type);
      assert.match(error.message, says);
    });
  });
}

test('errors of ours on these paths have the shape of Anthropic, and elsewhere that of OpenAI', async () => {
  await before([streaming(WHOLE)], async (gateway) => {
    for (const [path, body, headers, status, type] of [
      ['/v1/messages', ASKED, { 'x-api-key': 'wrong' }, 401, 'authentication_error'],
      ['/v1/messages', { ...ASKED, model: 'none' }, HEADERS, 404, 'not_found_error'],
      ['/messages/count_tokens', '{"model":', HEADERS, 400, 'invalid_request_error'],
      ['/v1/messages/batches/b1', ASKED, { 'x-api-key': 'wrong' }, 401, 'authentication_error'],
    ] as const) {
      const response = await gateway.post(path, body, { headers });
      assert.equal(response.status, status, path);
      assert.equal((await anthropicError(response)).type, type);
    }
    const other = await gateway.post('/v1/chat/completions', ASKED, { headers: { 'x-api-key': 'wrong' } });
    assert.equal('type' in (JSON.parse(await other.text()) as object), false);
  });
});

test('whole messages and counts of tokens come byte for byte, the usage of a message is recorded', async () => {
  const message = JSON.stringify({
    ...MESSAGE,
    stop_reason: 'end_turn',
    usage: { input_tokens: 7, output_tokens: 4 },
  });
  await before([answering(httpAnswer(message))], async (gateway) => {
    const response = await post(gateway, { ...ASKED, stream: false });
    assert.equal(await response.text(), message);
    const row = await gateway.rowOf(response.headers.get('x-request-id'));
    assert.deepEqual([row.outcome, row.completion_tokens], ['ok', 4]);
  });
  await before([answering(httpAnswer('{"input_tokens":12}'))], async (gateway) => {
    const response = await post(gateway, ASKED, '/v1/messages/count_tokens');
    assert.equal(await response.text(), '{"input_tokens":12}');
  });
});
