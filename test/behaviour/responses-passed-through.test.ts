import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorIn, Gateway } from '../helpers/gateway.ts';
import {
  answering,
  chunkedHead,
  cutAfter,
  httpAnswer,
  httpChunk,
  type RawScript,
  RawUpstream,
} from '../helpers/raw-upstream.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { TIGHT_LIMITS } from './fault-rig.ts';

const event = (data: Readonly<Record<string, unknown>>): string =>
  `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;

const CREATED = event({
  type: 'response.created',
  response: { id: 'resp_1', status: 'in_progress', error: null },
});
const DELTA = event({ type: 'response.output_text.delta', delta: 'all is well' });
const COMPLETED = event({ type: 'response.completed', response: { id: 'resp_1', status: 'completed' } });
const STREAM = CREATED + DELTA + COMPLETED;
/** Spaces and numbers as no serializer of ours would write them. */
const WHOLE =
  '{ "id":"resp_1", "object":"response", "status":"completed", "created_at":1.0, "error":null, "output":[{"type":"message"}], "usage":{"input_tokens":3,"output_tokens":4,"total_tokens":7} }';

const events = (text: string): string => `${chunkedHead()}${httpChunk(text)}${httpChunk('')}`;

/** Says so much of a stream or of a whole answer, then nothing. */
function stoppingAfter(text: string, type?: string): RawScript {
  return async (connection) => {
    await connection.request();
    await connection.write(chunkedHead(type) + (text === '' ? '' : httpChunk(text)));
  };
}

const good: RawScript = async (connection) => {
  for (;;) {
    const request = await connection.request();
    const isStream = /"stream":true/.test(request);
    await connection.write(isStream ? events(STREAM) : httpAnswer(WHOLE));
  }
};

interface Fault {
  readonly script: RawScript;
  readonly isStream: boolean;
  readonly status: number;
  readonly code: string;
}

const error500 = { message: 'out of memory', type: 'server_error', code: 'server_error' };
const FAILED = event({
  type: 'response.failed',
  response: { id: 'resp_1', status: 'failed', error: error500 },
});
const whole = { isStream: false, status: 502 };
const stream = { isStream: true, status: 502 };

const FAULTS: Readonly<Record<string, Fault>> = {
  'an error in a 200': {
    ...whole,
    script: answering(httpAnswer(JSON.stringify({ error: error500 }))),
    code: 'upstream_error',
  },
  'a Response that failed': {
    ...whole,
    script: answering(
      httpAnswer(JSON.stringify({ id: 'resp_1', status: 'failed', output: [], error: error500 })),
    ),
    code: 'upstream_error',
  },
  'an empty 200': { ...whole, script: answering(httpAnswer('')), code: 'upstream_invalid_response' },
  'a text': { ...whole, script: answering(httpAnswer('hello')), code: 'upstream_invalid_response' },
  'a list': { ...whole, script: answering(httpAnswer('[]')), code: 'upstream_invalid_response' },
  'JSON that is cut': { ...whole, script: cutAfter(httpAnswer(WHOLE), 160), code: 'upstream_disconnected' },
  'JSON that does not end': {
    ...whole,
    script: stoppingAfter(WHOLE.slice(0, 80), 'application/json'),
    status: 504,
    code: 'upstream_timeout',
  },
  'headers and then nothing': {
    ...stream,
    script: stoppingAfter(''),
    status: 504,
    code: 'upstream_timeout',
  },
  'a stream that was only accepted': {
    ...stream,
    script: stoppingAfter(`: hello\n\n${CREATED}`),
    status: 504,
    code: 'upstream_timeout',
  },
  'a stream that is cut before content': {
    ...stream,
    script: cutAfter(events(STREAM), 150, true),
    code: 'upstream_disconnected',
  },
  'a stream that ends before content': {
    ...stream,
    script: answering(events(CREATED)),
    code: 'upstream_disconnected',
  },
  'a stream of comments': {
    ...stream,
    script: answering(events(': a\n\n: b\n\ndata: [DONE]\n\n')),
    code: 'upstream_invalid_response',
  },
  'an error as the first event': {
    ...stream,
    script: answering(events(event({ type: 'error', code: 'server_error', message: 'out of memory' }))),
    code: 'upstream_error',
  },
  'a failure behind the acceptance': {
    ...stream,
    script: answering(events(CREATED + FAILED)),
    code: 'upstream_error',
  },
};

const post = (gateway: Gateway, model: string, isStream: boolean): Promise<Response> =>
  gateway.post('/v1/responses', { model, input: 'hello', ...(isStream && { stream: true }) });

test('passed-through /responses: after an invalid response the next upstream is tried, and the last one is an error', {
  concurrency: true,
}, async (context) => {
  await using goodOne = await RawUpstream.start(good);
  const upstreams: object[] = [];
  await using raws = new AsyncDisposableStack();
  for (const [index, [what, { script }]] of Object.entries(FAULTS).entries()) {
    const raw = raws.use(await RawUpstream.start(script));
    upstreams.push(
      { name: `bad-${index}`, endpoint: raw.url, sk: 'key-of-the-bad-one', allow: [`${what}, then good`] },
      { name: `good-${index}`, endpoint: goodOne.url, sk: 'key-of-good', allow: [`${what}, then good`] },
      { name: `lone-${index}`, endpoint: raw.url, sk: 'key-of-the-bad-one', allow: [`${what} alone`] },
    );
  }
  await using gateway = await Gateway.start({ ...TIGHT_LIMITS, upstreams });
  await Promise.all(
    Object.entries(FAULTS).map(([what, { isStream, status, code }]) =>
      context.test(what, async () => {
        const alone = await post(gateway, `${what} alone`, isStream);
        const text = await alone.text();
        assert.equal(alone.status, status, text);
        assert.equal(errorIn(text).code, code, text);
        const paired = await post(gateway, `${what}, then good`, isStream);
        assert.equal(await paired.text(), isStream ? STREAM : WHOLE, 'byte for byte, and nothing before it');
        assert.equal(paired.status, 200);
        assert.equal(paired.headers.get('x-tokenferry-attempts'), '2');
        const row = await gateway.rowOf(paired.headers.get('x-request-id'));
        assert.equal(row.outcome, 'ok');
        assert.equal(row.attempts.at(-1)?.outcome, 'ok');
      }),
    ),
  );
});

test('/responses that are handed through reach the client with their first content, and their tokens are recorded', async () => {
  let goOn = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  await using upstream = await RawUpstream.start(async (connection) => {
    for (;;) {
      const request = await connection.request();
      if (!request.includes('"stream":true')) {
        await connection.write(httpAnswer(WHOLE));
        continue;
      }
      await connection.write(chunkedHead() + httpChunk(CREATED));
      await sleep(30);
      await connection.write(httpChunk(DELTA));
      await gate;
      await connection.write(httpChunk(COMPLETED) + httpChunk(''));
    }
  });
  await using gateway = await Gateway.start({
    upstreams: [{ name: 'only', endpoint: upstream.url, sk: 'key-of-only' }],
  });
  const streamed = await post(gateway, 'm', true);
  const reader = (streamed.body ?? assert.fail('no body')).getReader();
  const first = new TextDecoder().decode((await reader.read()).value);
  assert.equal(first, CREATED + DELTA);
  goOn();
  await reader.read();
  const kept = await post(gateway, 'm', false);
  assert.equal(await kept.text(), WHOLE);
  const row = await gateway.rowOf(kept.headers.get('x-request-id'));
  assert.equal(row.completion_tokens, 4);
});

test('a Response in the background is handed through from its first event on', async () => {
  await using upstream = await RawUpstream.start(stoppingAfter(CREATED));
  await using gateway = await Gateway.start({
    ...TIGHT_LIMITS,
    upstreams: [{ name: 'only', endpoint: upstream.url, sk: 'key-of-only' }],
  });
  const response = await gateway.post('/v1/responses', {
    model: 'm',
    input: 'x',
    stream: true,
    background: true,
  });
  assert.equal(response.status, 200);
  const reader = (response.body ?? assert.fail('no body')).getReader();
  assert.equal(new TextDecoder().decode((await reader.read()).value), CREATED);
  await reader.cancel();
});

for (const [what, answer] of [
  ['a 200', httpAnswer('{"code":40101,"msg":"token expired"}')],
  ['the first event', events('data: {"code":40101,"msg":"token expired"}\n\n')],
] as const) {
  test(`/responses that are handed through: reject.body in ${what} renews the token`, async () => {
    await using issuer = await ScriptedIssuer.start();
    await using upstream = await RawUpstream.start(async (connection) => {
      for (;;) {
        const token = /^authorization: Bearer (\S+)/im.exec(await connection.request())?.[1] ?? '';
        await connection.write(issuer.isLive(token) ? httpAnswer(WHOLE) : answer);
      }
    });
    await using gateway = await Gateway.start({
      tokens: { corp: { ...issuer.source, reject: { body: { '/code': [40101] } } } },
      upstreams: [{ name: 'only', endpoint: upstream.url, token: 'corp' }],
    });
    await (await post(gateway, 'm', false)).text();
    issuer.revokeAll();
    const response = await post(gateway, 'm', what !== 'a 200');
    assert.equal(await response.text(), WHOLE);
    assert.equal(response.headers.get('x-tokenferry-attempts'), '1');
    assert.equal(issuer.callCount, 2);
  });
}

test('a passed-through response whose body never starts is an error with a status, not a cut connection', async () => {
  await using upstream = await RawUpstream.start(stoppingAfter('', 'audio/mpeg'));
  await using gateway = await Gateway.start({
    ...TIGHT_LIMITS,
    upstreams: [{ name: 'only', endpoint: upstream.url, sk: 'key-of-only' }],
  });
  const response = await fetch(`${gateway.url}/v1/files/file-1/content`);
  const text = await response.text();
  assert.equal(response.status, 504, text);
  assert.equal(errorIn(text).code, 'upstream_timeout');
});
