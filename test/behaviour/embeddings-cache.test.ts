import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import OpenAI from 'openai';
import { parse, stringify } from 'yaml';
import type { AdminEmbeddingsCache, AdminStatus } from '../../src/admin/api-types.ts';
import { AdminClient } from '../admin/admin-client.ts';
import { Gateway, until } from '../helpers/gateway.ts';
import { runService } from '../helpers/run-service.ts';
import { type ReceivedRequest, StandInModel, type StandInOptions } from '../helpers/stand-in-model.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';

interface Scene {
  readonly model: StandInModel;
  readonly gateway: Gateway;
  /** Sends an embeddings request for `vectors`, which has to succeed. */
  embed(input: unknown, more?: object, headers?: Record<string, string>): Promise<Embedded>;
  /** The inputs of each call that the upstream got since this was asked last. */
  asked(): unknown[];
  /** Changes the configuration and reloads it. */
  reconfigure(change: (config: Record<string, unknown>) => void): Promise<void>;
}

interface Embedded {
  readonly text: string;
  readonly body: {
    readonly data: readonly { readonly index: number; readonly embedding: unknown }[];
    readonly model: string;
    readonly usage: { readonly prompt_tokens: number; readonly total_tokens: number };
  };
  readonly headers: Headers;
}

const asked = ({ received }: StandInModel): unknown[] =>
  received.splice(0).map(({ body }: ReceivedRequest) => body.input);

/** Vectors without a zero, in the encoding that is asked for. */
const answering: StandInOptions = {
  intercept: ({ body }, response) => {
    const inputs = isOne(body.input) ? [body.input] : (body.input as unknown[]);
    const data = inputs.map((input, index) => {
      const vector = Array.from({ length: 24 }, (_, at) => Math.sin(JSON.stringify(input).length + at + 0.5));
      const base64 = Buffer.from(new Float32Array(vector).buffer).toString('base64');
      const embedding = body.encoding_format === 'base64' ? base64 : vector;
      return { object: 'embedding', index, embedding };
    });
    const tokens = inputs.length * 4;
    const usage = { prompt_tokens: tokens, total_tokens: tokens };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ object: 'list', data, model: body.model, usage }));
    return true;
  },
};

const isOne = (input: unknown): boolean => !Array.isArray(input) || typeof input[0] === 'number';

async function scene(
  context: TestContext,
  {
    model: options = answering,
    upstream = {},
    ...config
  }: Record<string, unknown> & { model?: StandInOptions; upstream?: object } = {},
): Promise<Scene> {
  const model = await StandInModel.start(options);
  context.after(() => model.close());
  const gateway = await Gateway.start({
    noauth: true,
    embeddings_cache: { size: '4MiB' },
    upstreams: [{ name: 'vectors', endpoint: model.url, sk: 'upstream-key', ...upstream }],
    ...config,
  });
  context.after(() => gateway.close());
  const embed = async (input: unknown, more: object = {}, headers: Record<string, string> = {}) => {
    const response = await gateway.post('/v1/embeddings', { model: 'bge', input, ...more }, { headers });
    const text = await response.text();
    assert.equal(response.status, 200, text);
    return { text, body: JSON.parse(text) as Embedded['body'], headers: response.headers };
  };
  const reconfigure: Scene['reconfigure'] = async (change) => {
    const file = join(gateway.folder, 'config.yaml');
    const written = parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    change(written);
    writeFileSync(file, stringify(written));
    assert.ok(await gateway.service.reload());
  };
  return { model, gateway, embed, asked: () => asked(model), reconfigure };
}

/** The model answers with this JSON text for each input. */
function replying(vector: (input: string) => string, facts: () => object = () => ({})): StandInOptions {
  return {
    intercept: ({ body }, response) => {
      const inputs = Array.isArray(body.input) ? body.input : [body.input];
      const data = inputs.map(
        (input, index) => `{"object":"embedding","index":${index},"embedding":${vector(String(input))}}`,
      );
      const { model, ...rest } = {
        model: body.model,
        usage: { prompt_tokens: 7, total_tokens: 7 },
        ...facts(),
      };
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(
        `{"object":"list","data":[${data.join(',')}],"model":${JSON.stringify(model)},"usage":${JSON.stringify(rest.usage)}}`,
      );
      return true;
    },
  };
}

for (const encoding_format of ['float', 'base64', undefined]) {
  test(`the same inputs again ask the upstream nothing and get the same bytes (${encoding_format})`, async (context) => {
    const { embed, asked: askedFor } = await scene(context);
    const more = encoding_format === undefined ? {} : { encoding_format };
    const first = await embed(['one', 'two', 'three'], more);
    assert.equal(first.headers.get('x-tokenferry-cached'), null);
    assert.deepEqual(askedFor(), [['one', 'two', 'three']]);
    const again = await embed(['one', 'two', 'three'], more);
    assert.deepEqual(askedFor(), []);
    assert.equal(again.text, first.text);
    assert.equal(again.headers.get('x-tokenferry-cached'), '3');
    assert.equal(again.headers.get('x-tokenferry-attempts'), '0');
    assert.deepEqual((await embed('two', more)).body.data[0]?.embedding, first.body.data[1]?.embedding);
    assert.deepEqual(askedFor(), []);
  });
}

test('only unknown inputs are asked for, and all come in the order of the request', async (context) => {
  const { embed, asked: askedFor } = await scene(context);
  const all = await embed(['a', 'b', 'c', 'd', 'e']);
  askedFor();
  const some = await embed(['x', 'b', 'y', 'd', 'b']);
  assert.deepEqual(askedFor(), [['x', 'y']]);
  assert.equal(some.headers.get('x-tokenferry-cached'), '3');
  assert.equal(some.headers.get('x-tokenferry-attempts'), '1');
  assert.deepEqual(
    some.body.data.map(({ index }) => index),
    [0, 1, 2, 3, 4],
  );
  for (const [at, from] of [
    [1, 1],
    [3, 3],
    [4, 1],
  ] as const)
    assert.deepEqual(some.body.data[at]?.embedding, all.body.data[from]?.embedding);
  const alone = await embed(['x', 'y']);
  assert.deepEqual(askedFor(), []);
  assert.deepEqual(some.body.data[0]?.embedding, alone.body.data[0]?.embedding);
  assert.deepEqual(some.body.data[2]?.embedding, alone.body.data[1]?.embedding);
});

test('digits come back as the upstream wrote them', async (context) => {
  const vector = '[0.10, -1E-3,5.3e-05 ,0.000053,0.30000000000000004,1]';
  const { embed, asked: askedFor } = await scene(context, { model: replying(() => vector) });
  const first = await embed('a', { encoding_format: 'float' });
  const again = await embed('a', { encoding_format: 'float' });
  assert.equal(askedFor().length, 1);
  assert.ok(first.text.includes(vector), first.text);
  assert.equal(again.text, first.text);
});

test('one entry serves floats and base64', async (context) => {
  const { embed, asked: askedFor } = await scene(context);
  const floats = await embed(['a'], { encoding_format: 'float' });
  const base64 = await embed(['a'], { encoding_format: 'base64' });
  assert.deepEqual(askedFor(), [['a']]);
  const decoded = (embedding: unknown) => {
    const bytes = Buffer.from(String(embedding), 'base64');
    return [...new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))];
  };
  const numbers = floats.body.data[0]?.embedding as number[];
  assert.deepEqual(decoded(base64.body.data[0]?.embedding), numbers.map(Math.fround));
  await embed(['b'], { encoding_format: 'base64' });
  const later = await embed(['b'], { encoding_format: 'float' });
  assert.deepEqual(askedFor(), [['b']]);
  const again = await embed(['b'], { encoding_format: 'base64' });
  assert.deepEqual(decoded(again.body.data[0]?.embedding), later.body.data[0]?.embedding);
});

test('token ids are inputs with keys of their own', async (context) => {
  const { embed, asked: askedFor } = await scene(context, { upstream: { profile: { token_ids: 'pass' } } });
  await embed([1, 2, 3]);
  await embed('[1,2,3]');
  assert.deepEqual(askedFor(), [[1, 2, 3], '[1,2,3]']);
  await embed([
    [1, 2, 3],
    [4, 5],
  ]);
  assert.deepEqual(askedFor(), [[[4, 5]]]);
});

test('usage covers all inputs as the upstream counted them, and the record only what was asked for', async (context) => {
  const { embed, gateway } = await scene(context);
  const first = await embed(['one', 'two', 'a longer text than the others', 'four']);
  assert.equal(first.body.usage.total_tokens, 16);
  const again = await embed(['one', 'two', 'a longer text than the others', 'four']);
  assert.deepEqual(again.body.usage, first.body.usage);
  const parts = await Promise.all(
    ['one', 'two', 'a longer text than the others', 'four'].map((text) => embed(text)),
  );
  assert.equal(
    parts.reduce((sum, { body }) => sum + body.usage.total_tokens, 0),
    16,
  );
  assert.ok((parts[2]?.body.usage.total_tokens ?? 0) > (parts[0]?.body.usage.total_tokens ?? 0));
  const some = await embed(['one', 'new']);
  assert.equal(some.body.usage.total_tokens, 4 + (parts[0]?.body.usage.total_tokens ?? 0));
  const recorded = async ({ headers }: Embedded) => {
    const row = (await gateway.rowOf(headers.get('x-request-id'))) as unknown as Record<string, unknown>;
    const { upstream, upstream_model, attempts, prompt_tokens, total_tokens, adaptations } = row;
    return [
      upstream,
      upstream_model,
      (attempts as unknown[]).length,
      prompt_tokens,
      total_tokens,
      adaptations,
    ];
  };
  const note = (reason: string) => JSON.stringify([{ upstream: 'vectors', change: 'input:cached', reason }]);
  assert.deepEqual(await recorded(first), ['vectors', 'bge', 1, 16, 16, null]);
  assert.deepEqual(await recorded(again), [
    'vectors',
    'bge',
    0,
    0,
    0,
    note('4 of 4 inputs were in the embeddings cache'),
  ]);
  assert.deepEqual(await recorded(some), [
    'vectors',
    'bge',
    1,
    4,
    4,
    note('1 of 2 inputs were in the embeddings cache'),
  ]);
});

test('hits, misses, entries, bytes and saved tokens are metrics', async (context) => {
  const { embed, gateway } = await scene(context);
  await embed(['a', 'b']);
  await embed(['a', 'b', 'c']);
  const text = await gateway.metrics();
  const value = (name: string) =>
    Number(new RegExp(`^tokenferry_embeddings_cache_${name} (\\S+)$`, 'm').exec(text)?.[1]);
  assert.equal(value('hits_total{upstream="vectors"}'.replace(/[{}]/g, '\\$&')), 2);
  assert.equal(value('misses_total\\{upstream="vectors"\\}'), 3);
  assert.equal(value('saved_tokens_total\\{upstream="vectors"\\}'), 8);
  assert.equal(value('entries'), 3);
  assert.ok(value('bytes') > 3 * 32);
  assert.equal(value('evictions_total'), 0);
  assert.equal(value('faults_total'), 0);
});

test('what the cache has all is served while the upstream is down, and takes no turn', async (context) => {
  const { embed, model, gateway } = await scene(context, { upstream: { pace: { rpm: 1 } } });
  await embed(['a', 'b']);
  await embed(['b']);
  await model.kill();
  assert.equal((await embed(['b', 'a'])).headers.get('x-tokenferry-cached'), '2');
  const unknown = await gateway.post(
    '/v1/embeddings',
    { model: 'bge', input: ['c'] },
    {
      headers: { 'x-stainless-read-timeout': '1' },
    },
  );
  assert.notEqual(unknown.status, 200);
});

test('nothing is kept of clients that send their own key, nor where every header is passed on', async (context) => {
  for (const upstream of [{ sk: 'asis' }, { keep_header: true }]) {
    const { embed, asked: askedFor, gateway } = await scene(context, { upstream });
    for (const authorization of ['Bearer key-one', 'Bearer key-two'])
      await embed(['a'], {}, { authorization });
    assert.equal(askedFor().length, 2);
    assert.match(await gateway.metrics(), /^tokenferry_embeddings_cache_entries 0$/m);
  }
});

test('a client that may not use the upstream gets nothing of what others have asked it for', async (context) => {
  const { gateway, asked: askedFor } = await scene(context, {
    noauth: false,
    clients: [
      { name: 'indexer', key: 'key-of-the-indexer' },
      { name: 'chat', key: 'key-of-the-chat', models: ['gpt-*'] },
    ],
  });
  const statusFor = async (key: string): Promise<number> => {
    const headers = { authorization: `Bearer ${key}` };
    return (await gateway.post('/v1/embeddings', { model: 'bge', input: ['a'] }, { headers })).status;
  };
  assert.equal(await statusFor('key-of-the-indexer'), 200);
  assert.equal(await statusFor('key-of-the-indexer'), 200);
  assert.equal(await statusFor('key-of-the-chat'), 403);
  assert.equal(await statusFor('unknown-key'), 401);
  assert.equal(askedFor().length, 1);
});

test('a header that is passed on keeps its values apart', async (context) => {
  const { embed, asked: askedFor } = await scene(context, { upstream: { forward_headers: ['X-Tenant'] } });
  await embed(['a'], {}, { 'x-tenant': 'one' });
  await embed(['a'], {}, { 'x-tenant': 'two', 'x-other': 'one' });
  await embed(['a'], {}, { 'x-tenant': 'one', 'x-other': 'two' });
  assert.equal(askedFor().length, 2);
});

test('an alias that means another model, and another address, do not mix with what was kept', async (context) => {
  const {
    embed,
    asked: askedFor,
    reconfigure,
  } = await scene(context, {
    upstream: { models: { bge: 'bge-small' } },
  });
  await embed(['a']);
  const change = (more: object) =>
    reconfigure((config) => {
      const [upstream] = config.upstreams as object[];
      config.upstreams = [{ ...upstream, ...more }];
    });
  await change({ models: { bge: 'bge-large' } });
  assert.equal((await embed(['a'])).body.model, 'bge-large');
  assert.equal(askedFor().length, 2);
  await change({ models: { bge: 'bge-small' }, timeout: 7 });
  assert.equal((await embed(['a'])).body.model, 'bge-small');
  assert.equal(askedFor().length, 0, 'a time limit has nothing to do with vectors');
  await change({ query: { revision: '2' } });
  await embed(['a']);
  assert.equal(askedFor().length, 1);
});

test('a model that was replaced at the upstream under the same name is asked for all inputs', async (context) => {
  let model = 'release-1';
  const vector = (): string => (model === 'release-1' ? '[1,0,0]' : '[0,1,0]');
  const { embed, asked: askedFor } = await scene(context, { model: replying(vector, () => ({ model })) });
  await embed(['a', 'b']);
  askedFor();
  model = 'release-2';
  const mixed = await embed(['a', 'c']);
  assert.deepEqual(askedFor(), [['c'], ['a', 'c']]);
  assert.deepEqual(
    mixed.body.data.map(({ embedding }) => embedding),
    [
      [0, 1, 0],
      [0, 1, 0],
    ],
  );
  assert.equal(mixed.body.model, 'release-2');
  assert.deepEqual((await embed(['b'])).body.data[0]?.embedding, [0, 1, 0]);
  assert.deepEqual(askedFor(), [['b']]);
  await embed(['a', 'b', 'c']);
  assert.deepEqual(askedFor(), []);
});

test('unknown inputs are sent in batches of the limit of the upstream', async (context) => {
  const { embed, asked: askedFor } = await scene(context, { upstream: { profile: { embedding_batch: 2 } } });
  await embed(['b', 'd']);
  askedFor();
  const { body } = await embed(['a', 'b', 'c', 'd', 'e', 'f']);
  assert.deepEqual(askedFor().sort(), [
    ['a', 'c'],
    ['e', 'f'],
  ]);
  assert.equal(body.data.length, 6);
  assert.equal((await embed(['f', 'a'])).headers.get('x-tokenferry-cached'), '2');
});

test('the parts of a request that came are kept when another one fails', async (context) => {
  const failing: StandInOptions = {
    intercept: ({ body }, response) => {
      if (!JSON.stringify(body.input).includes('bad')) return false;
      response.writeHead(500).end();
      return true;
    },
  };
  const {
    embed,
    asked: askedFor,
    gateway,
  } = await scene(context, {
    model: failing,
    upstream: { profile: { embedding_batch: 1 }, max_concurrency: 1 },
    retry: { same_upstream: 0 },
  });
  const response = await gateway.post('/v1/embeddings', { model: 'bge', input: ['good', 'bad'] });
  assert.equal(response.status, 502);
  askedFor();
  await embed(['good']);
  assert.deepEqual(askedFor(), []);
});

test('of several upstreams any that has the same model may have the vectors', async (context) => {
  const second = await StandInModel.start();
  context.after(() => second.close());
  const first = await StandInModel.start();
  context.after(() => first.close());
  await using gateway = await Gateway.start({
    noauth: true,
    embeddings_cache: { size: '4MiB' },
    cool_down: { failures: 1, first: '5m', max: '5m' },
    upstreams: [
      { name: 'first', endpoint: first.url, token: 'none' },
      { name: 'second', endpoint: second.url, token: 'none' },
    ],
  });
  const embed = (input: string[]) => gateway.post('/v1/embeddings', { model: 'bge', input });
  await embed(['a']);
  await first.kill();
  await embed(['b']);
  assert.deepEqual(
    asked(second),
    ['b'].map((text) => [text]),
  );
  for (const text of ['a', 'b']) {
    const response = await embed([text]);
    assert.equal(response.headers.get('x-tokenferry-cached'), '1', text);
  }
  const mixed = await embed(['a', 'b']);
  assert.deepEqual(asked(second), [['a']], 'one response has vectors of one upstream');
  assert.equal(mixed.headers.get('x-tokenferry-cached'), '1');
});

test('the cache is turned on, made smaller, moved and turned off while the gateway runs', async (context) => {
  const {
    embed,
    asked: askedFor,
    reconfigure,
    gateway,
  } = await scene(context, { embeddings_cache: { size: 0 } });
  const set = (embeddings_cache: object) =>
    reconfigure((config) => {
      config.embeddings_cache = embeddings_cache;
    });
  await embed(['a']);
  await embed(['a']);
  assert.equal(askedFor().length, 2, 'off');
  await set({ size: '4MiB' });
  await embed(['a']);
  await embed(['a']);
  assert.equal(askedFor().length, 1, 'on');
  await set({ size: '1MiB' });
  await embed(['a']);
  assert.equal(askedFor().length, 0, 'smaller');
  await set({ size: '1MiB', path: join(gateway.folder, 'vectors.sqlite') });
  await embed(['a']);
  await embed(['a']);
  assert.equal(askedFor().length, 1, 'in a file');
  await set({ size: 0 });
  await embed(['a']);
  assert.equal(askedFor().length, 1, 'off again');
  await set({ size: '1MiB', path: join(gateway.folder, 'vectors.sqlite') });
  await embed(['a']);
  assert.equal(askedFor().length, 0, 'what is in the file is found');
});

test('a file that cannot be used fails no request: it is logged, counted and shown', async (context) => {
  const path = join(temporaryDirectory(context), 'vectors.sqlite');
  writeFileSync(path, 'this is a letter\n'.repeat(100));
  const {
    embed,
    asked: askedFor,
    gateway,
  } = await scene(context, {
    embeddings_cache: { size: '4MiB', path },
  });
  const [first, again] = [await embed(['a']), await embed(['a'])];
  assert.equal(again.text, first.text);
  assert.equal(askedFor().length, 2);
  const problem = `embeddings cache: the file ${path} cannot be used: file is not a database (SQLITE_NOTADB).`;
  await until(() => gateway.log.includes(problem), 'the line in the log');
  assert.deepEqual((await gateway.readiness()).degraded, [problem]);
  assert.match(await gateway.metrics(), /^tokenferry_embeddings_cache_faults_total 1$/m);
});

test('an administrator sees the cache and clears it', async (context) => {
  const { embed, asked: askedFor, gateway } = await scene(context);
  const admin = new AdminClient(gateway.url);
  await embed(['a', 'b']);
  await embed(['a']);
  const { embeddings_cache: cache } = await admin.get<AdminStatus>('/admin/status');
  assert.ok(cache !== null);
  const { bytes, ...shown } = cache;
  assert.ok(bytes > 0);
  const none = { path: null, evictions: 0, problem: null };
  assert.deepEqual(shown, { ...none, max_bytes: 4 * 1024 * 1024, entries: 2, hits: 1, misses: 2 });
  const cleared = await admin.post<AdminEmbeddingsCache>('/admin/embeddings-cache/clear');
  assert.deepEqual([cleared.entries, cleared.bytes], [0, 0]);
  askedFor();
  await embed(['a']);
  assert.equal(askedFor().length, 1);
  await until(() => gateway.log.includes('admin: clear the embeddings cache'), 'the line in the log');
});

test('there is nothing to clear while the cache is off', async (context) => {
  const { gateway } = await scene(context, { embeddings_cache: { size: 0 } });
  const admin = new AdminClient(gateway.url);
  assert.equal((await admin.get<AdminStatus>('/admin/status')).embeddings_cache, null);
  assert.equal(await admin.status('POST', '/admin/embeddings-cache/clear'), 501);
});

test('an index that is built again after a restart asks the upstream nothing', async (context) => {
  const model = await StandInModel.start({ dimension: 64 });
  context.after(() => model.close());
  const path = join(temporaryDirectory(context), 'vectors.sqlite');
  const config = {
    noauth: true,
    dbtype: 'none',
    embeddings_cache: { size: '32MiB', path },
    upstreams: [{ name: 'vectors', endpoint: model.url, sk: 'upstream-key' }],
  };
  const texts = Array.from({ length: 2_000 }, (_, index) => `Chapter ${index}: what ferries carry.`);
  const index = async (): Promise<{ vectors: number[][]; tokens: number }> => {
    const service = await runService(config);
    try {
      const client = new OpenAI({ baseURL: `${service.url}/v1`, apiKey: 'none', maxRetries: 0 });
      const vectors: number[][] = [];
      let tokens = 0;
      for (let start = 0; start < texts.length; start += 100) {
        const input = texts.slice(start, start + 100);
        const { data, usage } = await client.embeddings.create({ model: 'bge', input });
        vectors.push(...data.map(({ embedding }) => embedding));
        tokens += usage.total_tokens;
      }
      return { vectors, tokens };
    } finally {
      await service.stop();
    }
  };
  const first = await index();
  assert.equal(model.received.splice(0).length, 20);
  const again = await index();
  assert.equal(model.received.length, 0);
  assert.deepEqual(again, first);
});
