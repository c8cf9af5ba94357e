import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FerryError } from '../../../src/lib/errors/ferry-error.ts';
import {
  areTokenIds,
  batchesOf,
  batchLimitFrom,
  EmbeddingInputs,
  readEmbeddingsRequest,
} from '../../../src/openai/embeddings/embeddings-request.ts';
import { loadTokenText, tokenIdsFor } from '../../../src/openai/embeddings/token-ids.ts';
import { parseRequest } from '../../../src/openai/request/parsed-request.ts';
import { adaptRequest } from '../../../src/openai/request/request-adaptation.ts';
import { REWRITE } from '../../../src/openai/request/request-rewrites.ts';
import { cpuMsSince } from '../../helpers/cpu-time.ts';
import { DEFAULT_PROFILE } from '../../helpers/default-profile.ts';

test('S108 inputs are counted: a text, texts, token ids, lists of token ids', () => {
  const count = (input: unknown): [number, boolean] => {
    const { inputs, hasTokenIds } = readEmbeddingsRequest({ input });
    return [inputs, hasTokenIds];
  };
  assert.deepEqual(count('a'), [1, false]);
  assert.deepEqual(count(''), [1, false]);
  assert.deepEqual(count(['a', 'b', '']), [3, false]);
  assert.deepEqual(count([1, 2, 3]), [1, true]);
  assert.deepEqual(count([[1, 2], [3]]), [2, true]);
  assert.deepEqual(count([{ text: 'a' }, { image: 'b' }]), [2, false]);
  assert.equal(readEmbeddingsRequest({ messages: [] }).inputs, 1);
});

test('a request without input is an error of the client', () => {
  for (const json of [{}, { input: null }, { input: [] }]) {
    assert.throws(
      () => readEmbeddingsRequest(json),
      (error: unknown) =>
        error instanceof FerryError && error.kind === 'invalid_request' && error.param === 'input',
    );
  }
});

test('S109 only base64 is base64; float, absent and null are floats', () => {
  const encoding = (encoding_format?: unknown): string =>
    readEmbeddingsRequest({ input: 'a', encoding_format }).encoding;
  assert.equal(encoding('base64'), 'base64');
  for (const other of ['float', undefined, null]) assert.equal(encoding(other), 'float');
});

test('S110 Q151 the format is the client’s, and floats from an upstream that refused base64', () => {
  const sent = (text: string, learnedDrops: readonly string[] = []): string =>
    adaptRequest(parseRequest(Buffer.from(text), 'embeddings'), {
      upstreamModel: 'm',
      profile: DEFAULT_PROFILE,
      wantUsage: true,
      learnedDrops,
      forceStream: false,
    }).body.toString();
  const base64 = '{"input":"a","encoding_format":"base64","model":"m","drop_params":true}';
  assert.equal(sent(base64), base64);
  assert.equal(
    sent(base64, [REWRITE.base64]),
    '{"input":"a","encoding_format":"float","model":"m","drop_params":true}',
  );
  for (const same of ['{"input":"a","model":"m"}', '{"encoding_format":"float","input":["a"],"model":"m"}']) {
    assert.equal(sent(same), same);
    assert.equal(sent(same, [REWRITE.base64]), same);
  }
  assert.equal(sent('{"input":"a","encoding_format":null,"model":"m"}'), '{"input":"a","model":"m"}');
});

test('S112 Q158 a batch of the inputs is sent with the rest byte for byte', () => {
  const inputs = new EmbeddingInputs('{"model":"m", "input" : [ "a,]" ,"b",\n"\\u00e9"], "dimensions":1.0}');
  assert.equal(inputs.count, 3);
  assert.equal(inputs.textOf(0), '"a,]"');
  assert.equal(inputs.bodyOf([0, 1]).toString(), '{"model":"m", "input" : ["a,]","b"], "dimensions":1.0}');
  assert.equal(inputs.bodyOf([2]).toString(), '{"model":"m", "input" : ["\\u00e9"], "dimensions":1.0}');
  const tokens = new EmbeddingInputs('{"input":[[1,2],[3]],"model":"m"}');
  assert.equal(tokens.bodyOf([1]).toString(), '{"input":[[3]],"model":"m"}');
});

test('a string and one list of token ids are one input each', () => {
  for (const text of ['{"input":"a"}', '{"input":[1,2,3]}', '{"input":["a"]}', '{"messages":[]}']) {
    const inputs = new EmbeddingInputs(text);
    assert.equal(inputs.count, 1);
    assert.equal(inputs.bodyOf([0]).toString(), text);
  }
  assert.equal(new EmbeddingInputs('{"input":[1,2,3]}').textOf(0), '[1,2,3]');
});

test('S112 batches cover all positions once, in order', () => {
  assert.deepEqual(batchesOf(5, 2), [[0, 1], [2, 3], [4]]);
  assert.deepEqual(batchesOf(3, 0), [[0, 1, 2]]);
  assert.deepEqual(batchesOf(3, 10), [[0, 1, 2]]);
  for (const count of [1, 10, 16, 64, 100, 512, 1000, 2048]) {
    assert.deepEqual(
      batchesOf(count, 25).flat(),
      Array.from({ length: count }, (_, i) => i),
    );
  }
});

test('Q158 a refusal of the batch size states the limit, a 413 halves it', () => {
  const limit = (message: string, status = 400, sent = 64): number | null =>
    batchLimitFrom(new FerryError('client_fault', { message, status }), sent);
  assert.equal(limit('batch size is invalid, it should not be larger than 10.: input.contents'), 10);
  assert.equal(limit('batch size 64 > maximum allowed batch size 32', 422), 32);
  assert.equal(limit('the input array exceeds the limit'), 32);
  assert.equal(limit('input数组最大不得超过64条', 400, 100), 64);
  assert.equal(limit('Payload Too Large', 413), 32);
  assert.equal(limit('larger than 10 MB', 413), 32);
  assert.equal(limit('Payload Too Large', 413, 1), null);
  assert.equal(limit('dimensions is not supported'), null);
  assert.equal(batchLimitFrom(new FerryError('rate_limited', { message: 'batch limit 5' }), 64), null);
});

test('S115 only valid dimensions are a length', () => {
  const of = (dimensions?: unknown) => readEmbeddingsRequest({ input: 'a', dimensions }).dimensions;
  assert.equal(of(256), 256);
  for (const other of [undefined, null, '256', 0, -1, 2.5]) assert.equal(of(other), null);
});

test('S108 the model decides which token ids are decoded to text, unless the profile does', () => {
  for (const model of ['text-embedding-3-small', 'text-embedding-ada-002', 'openai/text-embedding-3-large']) {
    assert.equal(tokenIdsFor('auto', model), 'pass', model);
  }
  for (const model of [
    'bge-m3',
    'text-embedding-v3',
    'text-embedding-004',
    'qwen3-embedding',
    'my-text-embedding-3',
  ]) {
    assert.equal(tokenIdsFor('auto', model), 'cl100k_base', model);
  }
  assert.equal(tokenIdsFor('pass', 'bge-m3'), 'pass');
  assert.equal(tokenIdsFor('o200k_base', 'text-embedding-3-small'), 'o200k_base');
  assert.equal(tokenIdsFor('refuse', 'text-embedding-3-small'), 'refuse');
});

test('S108 only lists of numbers are token ids', () => {
  for (const input of [[1], [[1, 2], [3]], [[], [1]]]) assert.equal(areTokenIds(input), true);
  for (const input of ['a', ['a'], [], [{}], [['a']], null, 5]) assert.equal(areTokenIds(input), false);
});

async function decoded(
  input: string,
  learnedDrops: string[] = [],
): Promise<{ sent: string; dropped: readonly string[] }> {
  const adapted = adaptRequest(
    parseRequest(Buffer.from(`{"model":"m","input":${input},"x":1.0}`), 'embeddings'),
    {
      upstreamModel: 'm',
      profile: DEFAULT_PROFILE,
      wantUsage: false,
      learnedDrops,
      forceStream: false,
      tokenText: await loadTokenText('cl100k_base'),
    },
  );
  return { sent: adapted.body.toString(), dropped: adapted.dropped };
}

test('S108 cl100k token ids are decoded to text, the rest is unchanged', async () => {
  // As tiktoken's cl100k_base has them.
  const hello = '[9906,1917,0]';
  const chinese = '[3574,244,98220]';
  assert.deepEqual(await decoded(hello), {
    sent: '{"model":"m","input":"Hello world!","x":1.0}',
    dropped: ['input:token_ids'],
  });
  assert.equal(
    (await decoded(`[${hello},${chinese},[]]`)).sent,
    '{"model":"m","input":["Hello world!","世界",""],"x":1.0}',
  );
  assert.equal((await decoded('["text"]')).sent, '{"model":"m","input":["text"],"x":1.0}');
});

test('S108 an invalid token id is a 400 with its position', async () => {
  for (const [input, param] of [
    ['[9906,100256]', 'input.1'],
    ['[9906,200000]', 'input.1'],
    ['[[9906],[1,-1]]', 'input.1.1'],
    ['[[9906],[1.5]]', 'input.1.0'],
    ['[9906,"a"]', 'input.1'],
    ['[9906,[1]]', 'input.1'],
    ['[[9906],"a"]', 'input.1'],
  ] as const) {
    await assert.rejects(
      () => decoded(input),
      (error: unknown) =>
        error instanceof FerryError &&
        error.kind === 'invalid_request' &&
        error.param === param &&
        /check_embedding_ctx_length=False/.test(error.message),
      input,
    );
  }
});

test('S108 a wrong one among a million token ids is found in a second', async () => {
  const ids = Array.from({ length: 1_000_000 }, (_, position) =>
    position === 654_321 ? 250_001 : position % 100_000,
  );
  const began = process.cpuUsage();
  await assert.rejects(
    () => decoded(JSON.stringify(ids)),
    (error: unknown) => error instanceof FerryError && error.param === 'input.654321',
  );
  assert.ok(cpuMsSince(began) < 2_000);
});

test('S113 blank inputs are sent as a full stop to an upstream that refused them, the others byte for byte', async () => {
  const sent = (text: string): string =>
    adaptRequest(parseRequest(Buffer.from(text), 'embeddings'), {
      upstreamModel: 'm',
      profile: DEFAULT_PROFILE,
      wantUsage: false,
      learnedDrops: [REWRITE.blankInputs],
      forceStream: false,
    }).body.toString();
  assert.equal(sent('{"model":"m","input":""}'), '{"model":"m","input":"."}');
  assert.equal(
    sent('{"model":"m","input":[ "\\u00e9" , " \\n" ,"","\\u00a0"], "x":1.0}'),
    '{"model":"m","input":[ "\\u00e9" , "." ,".","."], "x":1.0}',
  );
  for (const same of ['{"model":"m","input":["a" ]}', '{"model":"m","input":[ 1, 2]}'])
    assert.equal(sent(same), same);
  assert.equal(
    (await decoded('[[9906],[]]', [REWRITE.blankInputs])).sent,
    '{"model":"m","input":["Hello","."],"x":1.0}',
  );
});
