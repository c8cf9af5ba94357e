import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createParser } from 'eventsource-parser';
import OpenAI, { APIError } from 'openai';
import { type ErrorBody, errorIn, Gateway } from '../helpers/gateway.ts';
import { chunkedHead, httpAnswer, httpChunk, type RawScript, RawUpstream } from '../helpers/raw-upstream.ts';

const event = (data: Readonly<Record<string, unknown>>): string =>
  `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;

const USAGE = { input_tokens: 3, output_tokens: 4, total_tokens: 7 };
const response = { id: 'resp_1', object: 'response', status: 'in_progress', output: [], usage: null };
const BEGUN =
  event({ type: 'response.created', sequence_number: 0, response }) +
  event({ type: 'response.output_text.delta', sequence_number: 1, delta: 'all is' });
const NEXT = event({ type: 'response.output_text.delta', sequence_number: 2, delta: ' well' });
const COMPLETED = event({
  type: 'response.completed',
  sequence_number: 3,
  response: { ...response, status: 'completed', usage: USAGE },
});

/** How a stream breaks behind its first events: what comes of it, and what happens then. */
const BREAKS: Readonly<
  Record<
    string,
    { readonly rest: string; readonly ending: 'reset' | 'end' | 'silence' | 'our end'; code: string }
  >
> = {
  'cut behind an event': { rest: '', ending: 'reset', code: 'upstream_disconnected' },
  'cut within an event': { rest: NEXT.slice(0, -20), ending: 'reset', code: 'upstream_disconnected' },
  'cut behind the name of an event': {
    rest: 'event: response.output_text.delta\n',
    ending: 'reset',
    code: 'upstream_disconnected',
  },
  'cut before a blank line': { rest: NEXT.slice(0, -1), ending: 'reset', code: 'upstream_disconnected' },
  'ended without its last chunk': { rest: '', ending: 'end', code: 'upstream_disconnected' },
  'silent within an event': { rest: NEXT.slice(0, 60), ending: 'silence', code: 'upstream_timeout' },
  'running when the service ends': { rest: NEXT, ending: 'our end', code: 'shutting_down' },
};

const LIMITS = { idle_timeout: '400ms', shutdown_grace: '100ms', retry: { same_upstream: 0 } };

/** Sends a beginning, then what the break says. */
function breaking(begun: string, { rest, ending }: { rest: string; ending: string }): RawScript {
  return async (connection) => {
    await connection.request();
    await connection.write(chunkedHead() + httpChunk(begun) + (rest === '' ? '' : httpChunk(rest)));
    // An RST at once would overtake bytes that the other side has not read yet.
    await sleep(20);
    if (ending === 'reset') connection.reset();
    if (ending === 'end') connection.end();
    // Silence would end the stream before the service does.
    while (ending === 'our end') {
      await sleep(50);
      await connection.write(httpChunk(': keep-alive\n\n'));
    }
  };
}

/** A gateway before one upstream; `isBeside`: another one is asked by chat, which gives /responses a route of its own. */
function gatewayBefore(url: string, isBeside: boolean): Promise<Gateway> {
  return Gateway.start({
    ...LIMITS,
    noauth: true,
    upstreams: [
      {
        name: 'native',
        endpoint: url,
        sk: 'key-of-native',
        allow: ['m', '/v1/threads/**', '/v1/responses/**'],
      },
      ...(isBeside
        ? [{ name: 'chat', endpoint: url, sk: 'key', allow: ['c'], profile: { responses: 'via_chat' } }]
        : []),
    ],
  });
}

interface ReadEvent {
  readonly name: string | undefined;
  readonly data: string;
}

function read(text: string): ReadEvent[] {
  const events: ReadEvent[] = [];
  createParser({ onEvent: ({ event: name, data }) => void events.push({ name, data }) }).feed(text);
  return events;
}

async function checkRow(gateway: Gateway, reply: Response, code: string): Promise<void> {
  const row = await gateway.rowOf(reply.headers.get('x-request-id'));
  assert.deepEqual([row.outcome, row.error_code, row.stream], ['stream_broken', code, 1]);
  assert.deepEqual(
    row.attempts.map(({ outcome }) => outcome),
    ['stream_broken'],
  );
}

for (const [how, broken] of Object.entries(BREAKS)) {
  for (const isBeside of [false, true]) {
    const where = isBeside ? ', beside an upstream that is asked by chat' : '';
    test(`S126 passed-through /responses that ${how} end with the error event${where}`, async () => {
      await using upstream = await RawUpstream.start(breaking(BEGUN, broken));
      await using gateway = await gatewayBefore(upstream.url, isBeside);
      const reply = await gateway.post('/v1/responses', { model: 'm', input: 'x', stream: true });
      assert.equal(reply.status, 200);
      const text = reply.text();
      if (broken.ending === 'our end') await gateway.end();
      const events = read(await text);
      const { name, data } = events.at(-1) ?? assert.fail('no event');
      assert.equal(name, 'error');
      const { type, sequence_number: place, message, error } = JSON.parse(data);
      assert.equal(type, 'error');
      assert.equal(place, events.length - 1, 'S125 no gap');
      assert.equal(error.code, broken.code);
      assert.equal(error.message, message);
      const {
        type: before,
        response: failed,
        sequence_number: number,
      } = JSON.parse(events.at(-2)?.data ?? '');
      assert.deepEqual([before, number], ['response.failed', events.length - 2], 'which Codex reads');
      assert.deepEqual([failed.id, failed.status, failed.error.message], ['resp_1', 'failed', message]);
      for (const one of events.slice(0, -1)) assert.match(JSON.parse(one.data).type, /^response\./);
      await checkRow(gateway, reply, broken.code);
    });
  }

  test(`S92 another passed-through event stream that ${how} ends with an error event`, async () => {
    const begun = event({ type: 'thread.run.created', id: 'run_1' });
    await using upstream = await RawUpstream.start(breaking(begun, broken));
    await using gateway = await gatewayBefore(upstream.url, false);
    const reply = await gateway.post('/v1/threads/t1/runs', { model: 'm', assistant_id: 'a', stream: true });
    const text = reply.text();
    if (broken.ending === 'our end') await gateway.end();
    const events = read(await text);
    assert.equal(events[0]?.name, 'thread.run.created');
    const [error, done] = events.slice(-2);
    assert.equal(error?.name, undefined);
    assert.equal(errorIn(error?.data ?? '').code, broken.code);
    assert.equal(done?.data, '[DONE]');
    await checkRow(gateway, reply, broken.code);
  });
}

test('S126 a Responses stream that ends without its final event is broken too', async () => {
  await using upstream = await RawUpstream.start(async (connection) => {
    await connection.request();
    await connection.write(chunkedHead() + httpChunk(BEGUN) + httpChunk(''));
  });
  await using gateway = await gatewayBefore(upstream.url, false);
  const reply = await gateway.post('/v1/responses', { model: 'm', input: 'x', stream: true });
  const last = read(await reply.text()).at(-1);
  assert.equal(last?.name, 'error');
  await checkRow(gateway, reply, 'upstream_disconnected');
});

/** What upstreams send in the place of the final event: the code of the record and of `error`, that of the Response, the words. */
const OWN_ERRORS: Readonly<
  Record<string, { readonly rest: string; codes: readonly [string, string]; says: RegExp }>
> = {
  'no error': {
    rest: '',
    codes: ['upstream_disconnected', 'server_error'],
    says: /ended its stream before the response was complete/,
  },
  'an error without a code': {
    rest: 'data: {"error":{"message":"out of memory","type":"server_error","code":null}}\n\n',
    codes: ['upstream_error', 'server_error'],
    says: /out of memory/,
  },
  'an error with a number for a code': {
    rest: 'data: {"error":{"message":"out of memory","type":"InternalServerError","code":500}}\n\n',
    codes: ['upstream_error', 'server_error'],
    says: /out of memory/,
  },
  'the flat event of the specification': {
    rest: event({
      type: 'error',
      sequence_number: 2,
      code: 'server_is_overloaded',
      message: 'too many',
      param: null,
    }),
    codes: ['upstream_error', 'server_is_overloaded'],
    says: /too many/,
  },
  'an event whose name alone says it': {
    rest: 'event: error\ndata: {"code":"server_is_overloaded","message":"too many"}\n\n',
    codes: ['upstream_error', 'server_is_overloaded'],
    says: /too many/,
  },
  'an error about the length': {
    rest: event({
      type: 'error',
      sequence_number: 2,
      error: {
        message: 'Your input exceeds the context window of this model.',
        type: 'invalid_request_error',
        code: 'context_length_exceeded',
      },
    }),
    codes: ['context_length_exceeded', 'context_length_exceeded'],
    says: /exceeds the context window/,
  },
  'an error about the rate': {
    rest: 'data: {"error":{"message":"Slow down, please.","type":"tokens","code":"rate_limit_exceeded"}}\n\n',
    codes: ['rate_limit_exceeded', 'rate_limit_exceeded'],
    says: /Slow down, please/,
  },
};

/** How the body ends behind it. */
const OWN_ENDS: Readonly<Record<string, readonly string[]>> = {
  ends: [httpChunk('')],
  'ends behind [DONE]': [httpChunk('data: [DONE]\n\n'), httpChunk('')],
  'ends behind [DONE] without a blank line': [httpChunk('data:[DONE]'), httpChunk('')],
  'has a named [DONE] and stays open': [httpChunk('event: done\ndata: [DONE]\n\n: more\n\n')],
};

for (const [what, { rest, codes, says }] of Object.entries(OWN_ERRORS)) {
  for (const [how, ending] of Object.entries(OWN_ENDS)) {
    test(`S126 a Responses stream with ${what} that ${how} fails in the upstream's words, with no [DONE] before them`, async () => {
      for (const isOnePiece of [false, true]) {
        await using upstream = await RawUpstream.start(async (connection) => {
          await connection.request();
          await connection.write(chunkedHead() + httpChunk(isOnePiece ? BEGUN + rest : BEGUN));
          await sleep(10);
          if (rest !== '' && !isOnePiece) await connection.write(httpChunk(rest));
          await connection.write(ending.join(''));
        });
        await using gateway = await gatewayBefore(upstream.url, false);
        const reply = await gateway.post('/v1/responses', { model: 'm', input: 'x', stream: true });
        const text = await reply.text();
        assert.ok(text.startsWith(BEGUN + rest), text);
        assert.doesNotMatch(text, /DONE/);
        const events = read(text);
        const [failed, error] = events.slice(-2).map(({ data }) => JSON.parse(data));
        assert.deepEqual([failed.type, error.type], ['response.failed', 'error']);
        assert.deepEqual([error.code, failed.response.error.code], codes);
        assert.match(failed.response.error.message, says);
        assert.equal(error.message, failed.response.error.message);
        const numbers = events.map(({ data }) => JSON.parse(data).sequence_number ?? null);
        const counted = numbers.filter((number) => number !== null);
        assert.deepEqual(counted, [...counted.keys()], 'S125 no gap');
        await checkRow(gateway, reply, codes[0]);
      }
    });
  }
}

test('S126 an upstream that is cut or silent behind its own error fails with that error', async () => {
  const { rest, codes, says } = OWN_ERRORS['an error about the length'] ?? assert.fail();
  for (const ending of ['reset', 'silence'] as const) {
    await using upstream = await RawUpstream.start(breaking(BEGUN, { rest, ending }));
    await using gateway = await gatewayBefore(upstream.url, false);
    const reply = await gateway.post('/v1/responses', { model: 'm', input: 'x', stream: true });
    const { data } = read(await reply.text()).at(-2) ?? assert.fail('no event');
    const { error } = JSON.parse(data).response;
    assert.equal(error.code, codes[1]);
    assert.match(error.message, says);
    await checkRow(gateway, reply, codes[0]);
  }
});

test('a [DONE] behind the final event is passed on as it came', async () => {
  for (const pieces of [
    [BEGUN, `${NEXT}${COMPLETED}data: [DONE]\n\n`],
    [BEGUN + NEXT, COMPLETED, 'data: [DONE]\n\n'],
  ]) {
    await using upstream = await RawUpstream.start(async (connection) => {
      await connection.request();
      await connection.write(chunkedHead());
      for (const piece of pieces) {
        await connection.write(httpChunk(piece));
        await sleep(5);
      }
      await connection.write(httpChunk(''));
    });
    await using gateway = await gatewayBefore(upstream.url, false);
    const reply = await gateway.post('/v1/responses', { model: 'm', input: 'x', stream: true });
    assert.equal(await reply.text(), pieces.join(''));
    const row = await gateway.rowOf(reply.headers.get('x-request-id'));
    assert.equal(row.outcome, 'ok');
  }
});

test('S126 the openai client raises what is behind a stream that ends with [DONE] alone', async () => {
  await using upstream = await RawUpstream.start(async (connection) => {
    await connection.request();
    await connection.write(chunkedHead() + httpChunk(`${BEGUN}data: [DONE]\n\n`) + httpChunk(''));
  });
  await using gateway = await gatewayBefore(upstream.url, false);
  const client = new OpenAI({ apiKey: 'any', baseURL: `${gateway.url}/v1`, maxRetries: 0 });
  await assert.rejects(
    async () => {
      const stream = await client.responses.create({ model: 'm', input: 'x', stream: true });
      for await (const { type } of stream) assert.match(type, /^response\./);
    },
    (thrown) => thrown instanceof APIError && (thrown.error as ErrorBody).code === 'upstream_disconnected',
  );
});

test('S126 the openai client raises the error of a stream that is cut within an event', async () => {
  await using upstream = await RawUpstream.start(
    breaking(BEGUN, { rest: NEXT.slice(0, -20), ending: 'reset' }),
  );
  await using gateway = await gatewayBefore(upstream.url, false);
  const client = new OpenAI({ apiKey: 'any', baseURL: `${gateway.url}/v1`, maxRetries: 0 });
  const types: string[] = [];
  await assert.rejects(
    async () => {
      const stream = await client.responses.create({ model: 'm', input: 'x', stream: true });
      for await (const { type } of stream) types.push(type);
    },
    (thrown) => thrown instanceof APIError && (thrown.error as ErrorBody).code === 'upstream_disconnected',
  );
  assert.deepEqual(types, ['response.created', 'response.output_text.delta', 'response.failed']);
});

test('S126 an upstream that counts the bytes of its stream does not cut the error event off', async () => {
  await using upstream = await RawUpstream.start(async (connection) => {
    await connection.request();
    const whole = httpAnswer(BEGUN + NEXT, { headers: { 'content-type': 'text/event-stream' } });
    await connection.write(whole.slice(0, -20));
    await sleep(20);
    connection.reset();
  });
  await using gateway = await gatewayBefore(upstream.url, false);
  const reply = await gateway.post('/v1/responses', { model: 'm', input: 'x', stream: true });
  assert.equal(read(await reply.text()).at(-1)?.name, 'error');
});

test('a passed-through event stream is recorded as a stream, with its usage', async () => {
  const texts: Readonly<Record<string, string>> = {
    '/v1/responses': BEGUN + NEXT + COMPLETED,
    '/v1/responses/resp_1': BEGUN + NEXT + COMPLETED,
    '/v1/threads/t1/runs': `${event({ type: 'thread.run.completed', usage: USAGE })}event: done\ndata: [DONE]\n\n`,
  };
  await using upstream = await RawUpstream.start(async (connection) => {
    for (;;) {
      const path = /^\w+ ([^ ?]+)/.exec(await connection.request())?.[1] ?? '';
      const text = texts[path] ?? '';
      const [first, rest] = [text.slice(0, -70), text.slice(-70)];
      await connection.write(chunkedHead() + httpChunk(first));
      await sleep(10);
      await connection.write(httpChunk(rest) + httpChunk(''));
    }
  });
  for (const isBeside of [false, true]) {
    await using gateway = await gatewayBefore(upstream.url, isBeside);
    const asked = { model: 'm', input: 'x', stream: true };
    for (const [path, reply, isAsked] of [
      ['/v1/responses', await gateway.post('/v1/responses', asked), true],
      ['/v1/responses', await gateway.post('/v1/responses', { ...asked, stream: false }), false],
      ['/v1/responses/resp_1', await fetch(`${gateway.url}/v1/responses/resp_1?stream=true`), true],
      ['/v1/threads/t1/runs', await gateway.post('/v1/threads/t1/runs', asked), true],
    ] as const) {
      assert.equal(await reply.text(), texts[path], 'byte for byte');
      const row = await gateway.rowOf(reply.headers.get('x-request-id'));
      assert.deepEqual([row.outcome, row.stream, row.completion_tokens], ['ok', isAsked ? 1 : 0, 4], path);
    }
  }
});

test('a response that is no event stream is not recorded as one although the client requested a stream', async () => {
  const whole = httpAnswer(JSON.stringify({ ...response, status: 'completed', usage: USAGE }));
  await using upstream = await RawUpstream.start(async (connection) => {
    for (;;) {
      await connection.request();
      await connection.write(whole);
    }
  });
  for (const isBeside of [false, true]) {
    await using gateway = await gatewayBefore(upstream.url, isBeside);
    const reply = await gateway.post('/v1/responses', { model: 'm', input: 'x', stream: true });
    await reply.text();
    const row = await gateway.rowOf(reply.headers.get('x-request-id'));
    assert.deepEqual([row.outcome, row.stream, row.completion_tokens], ['ok', 0, 4]);
  }
});
