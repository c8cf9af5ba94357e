import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { errorIn, Gateway, until } from '../helpers/gateway.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { type ReplicateOptions, StandInReplicate } from '../helpers/stand-in-replicate.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';

const MODEL = 'mistralai/mixtral-8x7b-instruct-v0.1';
const QUESTION = { model: MODEL, messages: [{ role: 'user', content: 'When does it cross?' }] };

interface Scene {
  readonly replicate: StandInReplicate;
  readonly gateway: Gateway;
}

/** A gateway with one Replicate upstream. */
async function withReplicate(
  options: ReplicateOptions,
  use: (scene: Scene) => Promise<void>,
  config: object = {},
): Promise<void> {
  await using replicate = await StandInReplicate.start({ token: 'r8_key', ...options });
  const upstream = { name: 'replicate', type: 'replicate', endpoint: replicate.url, sk: 'r8_key' };
  await using gateway = await Gateway.start({ upstreams: [upstream], noauth: true, ...config });
  await use({ replicate, gateway });
}

interface Chunk {
  readonly id: string;
  readonly object: string;
  readonly model: string;
  readonly choices: readonly {
    readonly delta?: { readonly role?: string; readonly content?: string };
    readonly text?: string;
    readonly finish_reason: string | null;
  }[];
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null;
}

function chunksOf(body: string): Chunk[] {
  return body
    .split('\n\n')
    .filter((event) => event.startsWith('data: {'))
    .map((event) => JSON.parse(event.slice('data: '.length)) as Chunk);
}

function textOf(chunks: readonly Chunk[]): string {
  return chunks.map(({ choices }) => choices[0]?.delta?.content ?? choices[0]?.text ?? '').join('');
}

test('a chat is a prediction that is polled, and its response is OpenAI’s', async () => {
  await withReplicate({ polls: 1 }, async ({ replicate, gateway }) => {
    const response = await gateway.post('/v1/chat/completions', { ...QUESTION, max_tokens: 50 });
    assert.equal(response.status, 200);
    const body = (await response.json()) as Record<string, unknown>;
    assert.equal(body.object, 'chat.completion');
    assert.equal(body.model, MODEL);
    assert.equal(body.id, 'p1');
    assert.ok(typeof body.created === 'number');
    const choices = body.choices as readonly Record<string, unknown>[];
    assert.equal(choices[0]?.finish_reason, 'stop');
    const message = choices[0]?.message as Record<string, unknown>;
    assert.equal(message.role, 'assistant');
    assert.equal(message.content, 'The ferry crosses.');
    assert.deepEqual(body.usage, { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 });
    const [created] = replicate.received;
    assert.equal(created?.path, `/v1/models/${MODEL}/predictions`);
    assert.equal(created?.authorization, 'Token r8_key');
    assert.equal(replicate.lastInput.prompt, '<s> [INST] When does it cross? [/INST] ');
    const row = await gateway.rowOf(response.headers.get('x-request-id'));
    assert.equal(row.outcome, 'ok');
    assert.equal(row.upstream, 'replicate');
    assert.equal(row.completion_tokens, 7);
    assert.equal(replicate.canceled, 0);
  });
});

test('a stream is read from the prediction’s events and re-emitted as chunks', async () => {
  await withReplicate({ output: ['The\n', '{"a":', '1}', '  ferry\n\n', '[DONE]', ' ä'] }, async (scene) => {
    const { replicate, gateway } = scene;
    const options = { include_usage: true };
    const response = await gateway.post('/v1/chat/completions', {
      ...QUESTION,
      stream: true,
      stream_options: options,
    });
    const text = await response.text();
    assert.match(response.headers.get('content-type') ?? '', /text\/event-stream/);
    const chunks = chunksOf(text);
    assert.equal(textOf(chunks), 'The\n{"a":1}  ferry\n\n[DONE] ä');
    assert.equal(chunks[0]?.object, 'chat.completion.chunk');
    assert.equal(chunks[0]?.choices[0]?.delta?.role, 'assistant');
    assert.equal(chunks.find(({ choices }) => choices[0]?.finish_reason)?.choices[0]?.finish_reason, 'stop');
    assert.equal(chunks.at(-1)?.usage?.completion_tokens, 7);
    assert.ok(text.endsWith('data: [DONE]\n\n'), text);
    const stream = replicate.received.find(({ path }) => path.startsWith('/v1/streams/'));
    assert.equal(stream?.accept, 'text/event-stream');
    assert.equal(stream?.authorization, 'Token r8_key');
    assert.equal(replicate.canceled, 0);
  });
});

test('a model without a stream is polled, and its output is streamed as it grows', async () => {
  await withReplicate({ streams: false, polls: 2 }, async ({ replicate, gateway }) => {
    const response = await gateway.post('/v1/chat/completions', { ...QUESTION, stream: true });
    const chunks = chunksOf(await response.text());
    assert.equal(textOf(chunks), 'The ferry crosses.');
    assert.ok(chunks.filter(({ choices }) => choices[0]?.delta?.content).length > 1);
    assert.ok(replicate.received.filter(({ path }) => path === '/v1/predictions/p1').length >= 3);
  });
});

test('a stream at another host is not requested: the prediction is polled', async () => {
  await using other = await StandInModel.start();
  await withReplicate({ streamUrl: `${other.url}/secret` }, async ({ gateway }) => {
    const response = await gateway.post('/v1/chat/completions', { ...QUESTION, stream: true });
    assert.equal(textOf(chunksOf(await response.text())), 'The ferry crosses.');
    assert.equal(other.received.length, 0);
  });
});

test('a stream that does not open is polled as well', async () => {
  await withReplicate({ streamFault: 'missing' }, async ({ gateway }) => {
    const response = await gateway.post('/v1/chat/completions', { ...QUESTION, stream: true });
    assert.equal(textOf(chunksOf(await response.text())), 'The ferry crosses.');
  });
});

test('the output ends before a stop sequence, and the prediction is cancelled', async () => {
  for (const stream of [false, true]) {
    await withReplicate({ end: 'never', polls: 9 }, async ({ replicate, gateway }) => {
      const response = await gateway.post('/v1/chat/completions', { ...QUESTION, stream, stop: 'ferry' });
      const text = await response.text();
      if (stream) assert.equal(textOf(chunksOf(text)), 'The ');
      else assert.match(text, /"content":"The "/);
      await until(() => replicate.canceled === 1, 'the prediction is cancelled');
    });
  }
});

test('as many tokens as permitted are a length finish', async () => {
  await withReplicate({}, async ({ gateway }) => {
    const response = await gateway.post('/v1/chat/completions', { ...QUESTION, max_tokens: 7 });
    assert.match(await response.text(), /"finish_reason":"length"/);
  });
});

test('a completion sends its prompt as it is', async () => {
  await withReplicate({}, async ({ replicate, gateway }) => {
    const response = await gateway.post('/v1/completions', { model: MODEL, prompt: 'Once upon' });
    const body = (await response.json()) as { object: string; choices: { text: string }[] };
    assert.equal(body.object, 'text_completion');
    assert.equal(body.choices[0]?.text, 'The ferry crosses.');
    assert.equal(replicate.lastInput.prompt, 'Once upon');
    const streamed = await gateway.post('/v1/completions', { model: MODEL, prompt: 'Once', stream: true });
    assert.equal(textOf(chunksOf(await streamed.text())), 'The ferry crosses.');
  });
});

test('what Replicate has no place for is left out and named', async () => {
  await withReplicate({}, async ({ gateway }) => {
    const tools = [{ type: 'function', function: { name: 'f', parameters: {} } }];
    const response = await gateway.post('/v1/chat/completions', { ...QUESTION, tools, tool_choice: 'auto' });
    assert.equal(response.status, 200);
    assert.match(response.headers.get('x-tokenferry-dropped') ?? '', /tools/);
  });
});

test('the Responses API and the Messages API are served as chats', async () => {
  await withReplicate({}, async ({ gateway }) => {
    const response = await gateway.post('/v1/responses', { model: MODEL, input: 'hi' });
    assert.match(await response.text(), /The ferry crosses\./);
    const message = await gateway.post('/v1/messages', { ...QUESTION, max_tokens: 50 });
    assert.match(await message.text(), /The ferry crosses\./);
  });
});

test('a client that leaves ends the prediction, while it is created, polled or streamed', async () => {
  const cases: readonly (readonly [ReplicateOptions, boolean])[] = [
    [{ createDelayMs: 200, end: 'never' }, false],
    [{ end: 'never', polls: 99 }, false],
    [{ end: 'never' }, true],
  ];
  for (const [options, stream] of cases) {
    await withReplicate(options, async ({ replicate, gateway }) => {
      const leaving = new AbortController();
      const response = gateway.post(
        '/v1/chat/completions',
        { ...QUESTION, stream },
        { signal: leaving.signal },
      );
      await until(() => replicate.predictions.size === 1, 'the prediction is created');
      if (stream) await (await response).body?.getReader().read();
      leaving.abort();
      await response.catch(() => undefined);
      await until(() => replicate.canceled === 1, 'the prediction is cancelled');
      await until(
        () => gateway.rows().some(({ outcome }) => outcome === 'client_gone'),
        'the record says so',
      );
    });
  }
});

const FAILURES: readonly (readonly [name: string, options: ReplicateOptions, stream: boolean])[] = [
  ['a failed prediction', { end: 'failed' }, false],
  ['a cancelled prediction', { end: 'canceled' }, false],
  ['an error event before the output', { streamFault: 'error', output: [] }, true],
  ['a cancelled stream', { streamFault: 'canceled', output: [] }, true],
  ['a refused creation', { intercept: refusing(503) }, false],
  ['a rejected key', { token: 'another' }, true],
  ['a body that is no prediction', { intercept: answering('{"ok":true}') }, false],
  ['a page', { intercept: answering('<html>hello</html>') }, true],
  ['an unknown model', { intercept: refusing(404) }, false],
];

function refusing(status: number): NonNullable<ReplicateOptions['intercept']> {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ detail: 'The requested resource could not be found.', status }));
    return true;
  };
}

function answering(text: string): NonNullable<ReplicateOptions['intercept']> {
  return (_request, response) => {
    response.end(text);
    return true;
  };
}

for (const [name, options, stream] of FAILURES) {
  test(`${name} goes to the next upstream`, async () => {
    await using model = await StandInModel.start({ reply: 'from the second' });
    await using replicate = await StandInReplicate.start({ token: 'r8_key', ...options });
    await using gateway = await Gateway.start({
      noauth: true,
      upstreams: [
        { name: 'replicate', type: 'replicate', endpoint: replicate.url, sk: 'r8_key' },
        { name: 'second', endpoint: model.url, sk: 'k' },
      ],
    });
    const response = await gateway.post('/v1/chat/completions', { ...QUESTION, stream });
    const text = await response.text();
    assert.equal(response.status, 200, text);
    assert.equal(response.headers.get('x-tokenferry-upstream'), 'second');
    assert.equal(model.received.length, 1);
  });
}

test('alone, a failed prediction is an error in OpenAI’s form with its text', async () => {
  await withReplicate({ end: 'failed', error: 'CUDA out of memory' }, async ({ gateway }) => {
    const response = await gateway.post('/v1/chat/completions', QUESTION);
    assert.equal(response.status, 502);
    assert.match(errorIn(await response.text()).message, /CUDA out of memory/);
  });
});

test('polls that fail a moment do not end the prediction; ones that go on failing do', async () => {
  let failing = 2;
  const intercept: ReplicateOptions['intercept'] = ({ method, path }, response) => {
    if (method !== 'GET' || !path.startsWith('/v1/predictions/') || failing <= 0) return false;
    failing -= 1;
    response.writeHead(502).end();
    return true;
  };
  await withReplicate(
    { intercept },
    async ({ gateway, replicate }) => {
      const response = await gateway.post('/v1/chat/completions', QUESTION);
      assert.equal(response.status, 200);
      failing = 99;
      const failed = await gateway.post('/v1/chat/completions', QUESTION);
      assert.equal(failed.status, 502);
      errorIn(await failed.text());
      await until(() => replicate.canceled >= 1, 'the prediction is cancelled');
    },
    { retry: { same_upstream: 0 } },
  );
});

test('a stream that is cut after its first piece ends with an error event and is recorded as broken', async () => {
  await withReplicate({ streamFault: 'cut' }, async ({ gateway }) => {
    const response = await gateway.post('/v1/chat/completions', { ...QUESTION, stream: true });
    const text = await response.text();
    assert.match(text, /data: \{"error":/);
    assert.ok(text.endsWith('data: [DONE]\n\n'));
    const row = await gateway.rowOf(response.headers.get('x-request-id'));
    assert.equal(row.outcome, 'stream_broken');
  });
});

test('an error event after content ends the stream with its text, and is recorded as broken', async () => {
  await withReplicate({ streamFault: 'error', error: 'CUDA out of memory' }, async ({ gateway }) => {
    const response = await gateway.post('/v1/chat/completions', { ...QUESTION, stream: true });
    const text = await response.text();
    assert.match(text, /"content":"The "/);
    assert.match(text, /data: \{"error":\{"message":"[^"]*CUDA out of memory/);
    assert.ok(text.endsWith('data: [DONE]\n\n'));
    const row = await gateway.rowOf(response.headers.get('x-request-id'));
    assert.equal(row.outcome, 'stream_broken');
  });
});

test('a prediction that takes too long is cancelled, and the next upstream serves', async () => {
  for (const stream of [false, true]) {
    await using model = await StandInModel.start();
    await using replicate = await StandInReplicate.start({ end: 'never', output: [] });
    const limits = { timeout: '150ms', first_content_timeout: '150ms' };
    await using gateway = await Gateway.start({
      noauth: true,
      upstreams: [
        { name: 'replicate', type: 'replicate', endpoint: replicate.url, sk: 'r8_key', ...limits },
        { name: 'second', endpoint: model.url, sk: 'k' },
      ],
    });
    const response = await gateway.post('/v1/chat/completions', { ...QUESTION, stream });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('x-tokenferry-upstream'), 'second');
    await response.text();
    const row = await gateway.rowOf(response.headers.get('x-request-id'));
    assert.equal(row.attempts[0]?.outcome, 'timeout');
    await until(() => replicate.canceled === 1, 'the prediction is cancelled');
  }
});

test('an OpenAI model and an embeddings request pass by a Replicate upstream without an allow list', async () => {
  await using model = await StandInModel.start();
  await using replicate = await StandInReplicate.start({ token: 'r8_key' });
  await using gateway = await Gateway.start({
    noauth: true,
    upstreams: [
      { name: 'replicate', type: 'replicate', endpoint: replicate.url, sk: 'r8_key' },
      { name: 'second', endpoint: model.url, sk: 'k' },
    ],
  });
  const chat = await gateway.post('/v1/chat/completions', { ...QUESTION, model: 'gpt-4' });
  assert.equal(chat.status, 200);
  await chat.text();
  const vectors = await gateway.post('/v1/embeddings', { model: 'bge', input: 'a' });
  assert.equal(vectors.status, 200);
  await vectors.text();
  assert.equal(replicate.received.length, 0);
  const own = await gateway.post('/v1/chat/completions', QUESTION);
  assert.equal(own.headers.get('x-tokenferry-upstream'), 'replicate');
  await own.text();
});

test('a short-lived token is renewed for a prediction as for every request', async (t) => {
  const told = join(temporaryDirectory(t), 'told');
  const script = `n=$(cat ${told} 2>/dev/null || echo first); echo second > ${told}; echo $n`;
  await using replicate = await StandInReplicate.start({ token: 'second' });
  await using gateway = await Gateway.start({
    noauth: true,
    tokens: {
      issuer: {
        type: 'exec',
        command: ['sh', '-c', script],
        default_ttl: 300,
      },
    },
    upstreams: [{ name: 'replicate', type: 'replicate', endpoint: replicate.url, token: 'issuer' }],
  });
  const response = await gateway.post('/v1/chat/completions', QUESTION);
  assert.equal(response.status, 200, await response.text());
  assert.equal(replicate.received.at(-1)?.authorization, 'Bearer second');
});
