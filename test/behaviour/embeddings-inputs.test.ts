import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { loadTokenCounter } from '../../src/openai/usage/token-count.ts';
import { errorIn, Gateway } from '../helpers/gateway.ts';
import { RawUpstream, silent } from '../helpers/raw-upstream.ts';
import { type ReceivedRequest, StandInModel, type StandInOptions } from '../helpers/stand-in-model.ts';

interface Wire {
  readonly data: readonly { readonly index: number; readonly embedding: number[] | string }[];
}

/** A gateway with one upstream; `profile` is the upstream's. */
async function ferry(
  context: TestContext,
  options: StandInOptions,
  profile: object = {},
): Promise<{ model: StandInModel; gateway: Gateway }> {
  const model = await StandInModel.start(options);
  context.after(() => model.close());
  const gateway = await Gateway.start({
    noauth: true,
    upstreams: [{ name: 'vectors', endpoint: model.url, token: 'none', profile }],
  });
  context.after(() => gateway.close());
  return { model, gateway };
}

/** Answers as the model unless `refuse` has a body to refuse the request with. */
function refusing(
  refuse: (inputs: readonly unknown[]) => { status: number; message: string } | null,
): StandInOptions {
  return {
    intercept: ({ body }, response) => {
      const refusal = refuse(inputsOf(body.input));
      if (refusal === null) return false;
      response.writeHead(refusal.status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error: { message: refusal.message, type: 'invalid_request_error' } }));
      return true;
    },
  };
}

const inputsOf = (input: unknown): readonly unknown[] => (Array.isArray(input) ? input : [input]);
const isBlank = (input: unknown): boolean => typeof input === 'string' && input.trim() === '';
const sent = (model: StandInModel): unknown[] =>
  model.received.map(({ body }: ReceivedRequest) => body.input);

/** As Ollama and vLLM's older models do: whatever was asked, vectors have the model's own length. */
const ignoresDimensions: StandInOptions = {
  intercept: ({ body }, response) => {
    const data = inputsOf(body.input).map((_, index) => ({
      object: 'embedding',
      index,
      embedding: [0.5, 0.25, -1, 0],
    }));
    const reply = { object: 'list', data, model: 'bge-m3', usage: { prompt_tokens: 1, total_tokens: 1 } };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(reply));
    return true;
  },
};

test('S115 dimensions reach the upstream, and a model that ignores them is a 400', async (context) => {
  const { model, gateway } = await ferry(context, ignoresDimensions, { embedding_batch: 2 });
  for (const [input, encoding_format] of [
    ['a', 'float'],
    ['a', 'base64'],
    [['a', 'b', 'c'], 'float'],
    [['a', 'b', 'c'], 'base64'],
  ] as const) {
    const request = { model: 'bge-m3', input, encoding_format };
    const response = await gateway.post('/v1/embeddings', { ...request, dimensions: 2 });
    const text = await response.text();
    assert.equal(response.status, 400, text);
    const error = errorIn(text);
    assert.deepEqual([error.code, error.param], ['unsupported_dimensions', 'dimensions']);
    assert.match(error.message, /model "bge-m3" of upstream "vectors" .* 4 numbers .* asks for 2/);
    assert.equal((await gateway.post('/v1/embeddings', { ...request, dimensions: 4 })).status, 200);
    assert.equal((await gateway.post('/v1/embeddings', request)).status, 200);
  }
  assert.equal(model.received[0]?.body.dimensions, 2);
  const { degraded } = await gateway.readiness();
  assert.deepEqual(
    degraded.filter((text) => text.includes('cooling')),
    [],
    'the upstream is not to blame',
  );
});

test('S115 an upstream that shortens its vectors is relayed', async (context) => {
  const { gateway } = await ferry(context, {});
  const response = await gateway.post('/v1/embeddings', { model: 'm', input: ['a', 'b'], dimensions: 5 });
  const { data } = (await response.json()) as Wire;
  assert.deepEqual(
    data.map(({ embedding }) => embedding.length),
    [5, 5],
  );
});

/** Answers base64 as `encode` writes it, floats when floats are requested. */
function answering(encode: (vectors: readonly number[][]) => object): StandInOptions {
  return {
    intercept: ({ body }, response) => {
      if (body.encoding_format !== 'base64') return false;
      const reply = encode(inputsOf(body.input).map((_, index) => VECTOR.map((value) => value + index)));
      response.writeHead('error' in reply ? 400 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(reply));
      return true;
    },
  };
}

const VECTOR = Array.from({ length: 64 }, (_, at) => Math.fround(Math.sin(at) / 3));

const listOf = (texts: readonly string[]): object => ({
  object: 'list',
  data: texts.map((embedding, index) => ({ object: 'embedding', index, embedding })),
  model: 'bge-m3',
  usage: { prompt_tokens: 2, total_tokens: 2 },
});

test('base64 is requested as the client requests it and relayed byte for byte', async (context) => {
  const encode = (vectors: readonly number[][]): object =>
    listOf(vectors.map((one) => Buffer.from(new Float32Array(one).buffer).toString('base64')));
  const { model, gateway } = await ferry(context, answering(encode));
  const request = { model: 'bge-m3', input: ['a', 'b'], encoding_format: 'base64' };
  const response = await gateway.post('/v1/embeddings', request);
  assert.equal(await response.text(), JSON.stringify(encode([VECTOR, VECTOR.map((value) => value + 1)])));
  assert.equal(model.received[0]?.body.encoding_format, 'base64');
});

test('S110 Q151 Q155 an upstream without usable base64 is asked for floats, at once and from then on', async (context) => {
  const doubles = (vectors: readonly number[][]): object =>
    listOf(vectors.map((one) => Buffer.from(new Float64Array(one).buffer).toString('base64')));
  const refusal = (message: string) => (): object => ({ error: { message, type: 'BadRequestError' } });
  const upstreams: readonly [string, (vectors: readonly number[][]) => object][] = [
    ['vLLM before 0.5.2 (vllm#6174)', refusal('base64 encoding is not currently supported')],
    ['named by its value', refusal("encoding_format: Input should be 'float'")],
    ['no vector (OpenRouter, mem0#4151)', () => listOf([])],
    ['float64 (vLLM 0.5.3, vllm#6744)', doubles],
    ['no base64', (vectors) => listOf(vectors.map(() => '*'.repeat(88)))],
  ];
  for (const [name, encode] of upstreams) {
    const { model, gateway } = await ferry(context, answering(encode));
    const request = { model: 'bge-m3', input: ['a', 'b'], encoding_format: 'base64' };
    for (const calls of [2, 3]) {
      const response = await gateway.post('/v1/embeddings', request);
      const text = await response.text();
      assert.equal(response.status, 200, `${name}: ${text}`);
      const { data } = JSON.parse(text) as Wire;
      assert.equal(data.length, 2, name);
      for (const { embedding } of data) assert.match(String(embedding), /^[A-Za-z0-9+/]+=*$/, name);
      assert.match(
        response.headers.get('x-tokenferry-dropped') ?? '',
        /^encoding_format(?::base64|="float")$/,
        name,
      );
      assert.equal(model.received.length, calls, name);
    }
    const formats = model.received.map(({ body }) => body.encoding_format);
    assert.deepEqual(formats, ['base64', 'float', 'float'], name);
    assert.deepEqual(
      (await gateway.readiness()).degraded.filter((text) => text.includes('cooling')),
      [],
      name,
    );
  }
});

test('S113 blank inputs are sent unchanged to an upstream that accepts them', async (context) => {
  const { model, gateway } = await ferry(context, {});
  const body = '{"model":"m","input":["a",""," \\n"],"encoding_format":"float"}';
  const response = await gateway.post('/v1/embeddings', body);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('x-tokenferry-dropped'), null);
  assert.equal(model.received[0]?.text, body);
});

for (const [who, status, message] of [
  ['OpenAI', 400, "'$.input' is invalid. Please check the API reference."],
  ['vLLM', 400, 'Prompt cannot be empty'],
  ['llama.cpp', 400, 'Input content cannot be empty'],
  ['TEI', 413, '`inputs` cannot be empty'],
  ['FastAPI', 422, 'input.1: String should have at least 1 character'],
] as const) {
  test(`S113 blank inputs do not fail the batch at an upstream that refuses them (${who})`, async (context) => {
    const { model, gateway } = await ferry(
      context,
      refusing((inputs) => (inputs.some(isBlank) ? { status, message } : null)),
    );
    const post = (input: unknown) => gateway.post('/v1/embeddings', { model: 'm', input });
    const first = await post(['a', '', 'b']);
    assert.equal(first.status, 200, await first.clone().text());
    assert.equal(first.headers.get('x-tokenferry-dropped'), 'input:blank');
    assert.equal(((await first.json()) as Wire).data.length, 3);
    assert.equal((await post('  ')).status, 200);
    const plain = await post(['c']);
    assert.equal(plain.headers.get('x-tokenferry-dropped'), null);
    assert.deepEqual(
      sent(model),
      [['a', '', 'b'], ['a', '.', 'b'], '.', ['c']],
      'learned for the next requests',
    );
  });
}

for (const [what, vectorsOf] of [
  ['leaves out', (inputs: readonly unknown[]) => inputs.filter((input) => !isBlank(input)).map(() => [1])],
  ['leaves empty', (inputs: readonly unknown[]) => inputs.map((input) => (isBlank(input) ? [] : [1]))],
] as const) {
  test(`S113 Q156 an upstream that ${what} the vectors of blank inputs gets the request again with a full stop`, async (context) => {
    const { model, gateway } = await ferry(context, {
      intercept: ({ body }, response) => {
        response.end(
          JSON.stringify({ data: vectorsOf(inputsOf(body.input)).map((embedding) => ({ embedding })) }),
        );
        return true;
      },
    });
    const response = await gateway.post('/v1/embeddings', { model: 'm', input: ['a', ''] });
    assert.equal(response.status, 200);
    assert.deepEqual(sent(model), [
      ['a', ''],
      ['a', '.'],
    ]);
  });
}

test('S115 dimensions that the profile does not send are still the required length of the vectors', async (context) => {
  const { model, gateway } = await ferry(context, ignoresDimensions, { drop_params: ['dimensions'] });
  const post = (dimensions: number) => gateway.post('/v1/embeddings', { model: 'm', input: 'a', dimensions });
  assert.equal((await post(4)).status, 200);
  assert.equal((await post(2)).status, 400);
  assert.ok(model.received.every(({ body }) => !('dimensions' in body)));
});

test('S113 an input that an upstream still refuses is a 400 with the index of the blank', async (context) => {
  const { model, gateway } = await ferry(
    context,
    refusing(() => ({ status: 400, message: 'input is not valid' })),
    { embedding_batch: 2 },
  );
  const response = await gateway.post('/v1/embeddings', { model: 'm', input: ['a', 'b', 'c', ' '] });
  const error = errorIn(await response.text());
  assert.equal(response.status, 400);
  assert.equal(error.param, 'input.3');
  assert.match(error.message, /^input is not valid\.? The input at position 3 of the list is blank/);
  assert.ok(model.received.length >= 2);
});

test('S113 with learn: false the upstream’s refusal is passed on at once, with the index of the blank', async (context) => {
  const refusal = refusing((inputs) => (inputs.some(isBlank) ? { status: 422, message: 'too short' } : null));
  const { model, gateway } = await ferry(context, refusal, { learn: false });
  const response = await gateway.post('/v1/embeddings', { model: 'm', input: '' });
  assert.equal(response.status, 400);
  assert.match(errorIn(await response.text()).message, /too short.* The input is blank/);
  assert.equal(model.received.length, 1);
});

const HELLO = [9906, 1917, 0];

test('S108 LangChain’s token ids are converted to text for other models than OpenAI’s', async (context) => {
  const { model, gateway } = await ferry(context, {});
  const many = await gateway.post('/v1/embeddings', { model: 'bge-m3', input: [HELLO, [9906]] });
  assert.equal(many.status, 200);
  assert.equal(many.headers.get('x-tokenferry-dropped'), 'input:token_ids');
  assert.equal(((await many.json()) as Wire).data.length, 2);
  await gateway.post('/v1/embeddings', { model: 'bge-m3', input: HELLO });
  const own = await gateway.post('/v1/embeddings', { model: 'text-embedding-3-small', input: [HELLO] });
  assert.equal(own.headers.get('x-tokenferry-dropped'), null);
  assert.deepEqual(sent(model), [['Hello world!', 'Hello'], 'Hello world!', [HELLO]]);
});

test('S108 the model behind an alias decides about token ids', async (context) => {
  const model = await StandInModel.start();
  context.after(() => model.close());
  const gateway = await Gateway.start({
    noauth: true,
    upstreams: [{ endpoint: model.url, token: 'none', models: { 'text-embedding-3-small': 'bge-m3' } }],
  });
  context.after(() => gateway.close());
  await gateway.post('/v1/embeddings', { model: 'text-embedding-3-small', input: [HELLO] });
  assert.deepEqual(sent(model), [['Hello world!']]);
});

test('S108 token_ids: refuse is a 400 that names the setting; an invalid token id is a 400 with its index', async (context) => {
  const refusal = await ferry(context, {}, { token_ids: 'refuse' });
  const refused = await refusal.gateway.post('/v1/embeddings', { model: 'bge-m3', input: [HELLO] });
  assert.equal(refused.status, 400);
  assert.match(errorIn(await refused.text()).message, /check_embedding_ctx_length=False/);
  assert.equal((await refusal.gateway.post('/v1/embeddings', { model: 'bge-m3', input: ['a'] })).status, 200);
  assert.equal(refusal.model.received.length, 1);

  const { gateway, model } = await ferry(context, {});
  const odd = await gateway.post('/v1/embeddings', { model: 'bge-m3', input: [HELLO, [1, 250_001]] });
  assert.equal(odd.status, 400);
  assert.equal(errorIn(await odd.text()).param, 'input.1.1');
  assert.equal(model.received.length, 0);
});

test('S108 token_ids: pass sends them unchanged', async (context) => {
  const { gateway, model } = await ferry(context, {}, { token_ids: 'pass' });
  const body = '{"model":"bge-m3","input":[[9906,1917],[250001]],"encoding_format":"float"}';
  assert.equal((await gateway.post('/v1/embeddings', body)).status, 200);
  assert.equal(model.received[0]?.text, body);
});

test('S120 embeddings and rerank without a response are a 504 after embeddings_timeout', async (context) => {
  const upstream = await RawUpstream.start(silent);
  context.after(() => upstream.close());
  const gateway = await Gateway.start({
    noauth: true,
    embeddings_timeout: '300ms',
    upstreams: [
      { name: 'whole', allow: ['whole'], endpoint: upstream.url, token: 'none' },
      {
        name: 'parts',
        allow: ['parts'],
        endpoint: upstream.url,
        token: 'none',
        profile: { embedding_batch: 1 },
      },
    ],
  });
  context.after(() => gateway.close());
  for (const [path, body] of [
    ['/v1/embeddings', { model: 'whole', input: 'a' }],
    ['/v1/embeddings', { model: 'parts', input: ['a', 'b', 'c'] }],
    ['/v1/rerank', { model: 'whole', query: 'q', documents: ['a'] }],
    ['/rerank', { model: 'whole', query: 'q', documents: ['a'] }],
  ] as const) {
    const startedMs = performance.now();
    const response = await gateway.post(path, body);
    const text = await response.text();
    assert.equal(response.status, 504, text);
    assert.equal(errorIn(text).code, 'upstream_timeout');
    assert.ok(
      performance.now() - startedMs < 300 + 3_000,
      `${path} took ${performance.now() - startedMs} ms`,
    );
  }
});

test('S114 Q157 the usage of a split request without usage is estimated from what each part sent', async (context) => {
  const model = await StandInModel.start({
    intercept: ({ body }, response) => {
      response.end(JSON.stringify({ embeddings: inputsOf(body.input).map(() => [0.5]) }));
      return true;
    },
  });
  context.after(() => model.close());
  const upstream = { endpoint: model.url, token: 'none' };
  const gateway = await Gateway.start({
    noauth: true,
    upstreams: [
      { ...upstream, allow: ['whole'] },
      { ...upstream, allow: ['split'], profile: { embedding_batch: 1 } },
    ],
  });
  context.after(() => gateway.close());
  const input = Array.from({ length: 8 }, (_, position) => `the text number ${position} of the eight`);
  const tokensOf = async (name: string, of: unknown): Promise<number> => {
    const response = await gateway.post('/v1/embeddings', { model: name, input: of });
    return ((await response.json()) as { usage: { total_tokens: number } }).usage.total_tokens;
  };
  // The first estimate of a process is a rule of thumb, until the tokenizer is loaded.
  await loadTokenCounter();
  const [whole, split] = [await tokensOf('whole', input), await tokensOf('split', input)];
  assert.ok(Math.abs(whole - split) <= whole / 2, `${split} tokens in parts, ${whole} at once`);
  const ids = await tokensOf('whole', [HELLO]);
  assert.ok(ids <= 8, `${ids} tokens for three ids: their text is what was sent`);
});
