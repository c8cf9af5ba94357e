import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adaptRequest, readRequest } from '../../src/canonical/chat-request.ts';
import {
  batchesOf,
  batchLimitFrom,
  EmbeddingInputs,
  readEmbeddingsRequest,
} from '../../src/canonical/embeddings-request.ts';
import { DEFAULT_PROFILE } from '../../src/canonical/profile.ts';
import { FerryError } from '../../src/errors.ts';

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

test('nothing to embed is the client’s fault', () => {
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

test('S110 Q151 the upstream is asked for floats, and not asked at all when the client did not', () => {
  const sent = (text: string): string =>
    adaptRequest(readRequest(Buffer.from(text), 'embeddings'), {
      upstreamModel: 'm',
      profile: DEFAULT_PROFILE,
      wantUsage: true,
      learnedDrops: [],
      forceStream: false,
    }).body.toString();
  assert.equal(
    sent('{"input":"a","encoding_format":"base64","model":"m","drop_params":true}'),
    '{"input":"a","encoding_format":"float","model":"m","drop_params":true}',
  );
  for (const same of ['{"input":"a","model":"m"}', '{"encoding_format":"float","input":["a"],"model":"m"}']) {
    assert.equal(sent(same), same);
  }
  assert.equal(sent('{"input":"a","encoding_format":null,"model":"m"}'), '{"input":"a","model":"m"}');
});

test('S112 Q158 some of the inputs are sent with everything else byte for byte', () => {
  const inputs = new EmbeddingInputs('{"model":"m", "input" : [ "a,]" ,"b",\n"\\u00e9"], "dimensions":1.0}');
  assert.equal(inputs.count, 3);
  assert.equal(inputs.textOf(0), '"a,]"');
  assert.equal(inputs.bodyOf([0, 1]).toString(), '{"model":"m", "input" : ["a,]","b"], "dimensions":1.0}');
  assert.equal(inputs.bodyOf([2]).toString(), '{"model":"m", "input" : ["\\u00e9"], "dimensions":1.0}');
  const tokens = new EmbeddingInputs('{"input":[[1,2],[3]],"model":"m"}');
  assert.equal(tokens.bodyOf([1]).toString(), '{"input":[[3]],"model":"m"}');
});

test('a text and one list of token ids are one input each', () => {
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

test('Q158 a refusal of the batch size tells the limit, a 413 halves it', () => {
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
