import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyOfInput, scopeOf } from '../../src/embeddings-cache/cache-key.ts';
import { EmbeddingInputs } from '../../src/openai/embeddings/embeddings-request.ts';

const FACTS = { upstream: 'u', model: 'm', query: '', headers: [undefined] };
const scope = (body: object | string, facts: Partial<typeof FACTS> = {}): string | null =>
  scopeOf(new EmbeddingInputs(typeof body === 'string' ? body : JSON.stringify(body)), {
    ...FACTS,
    ...facts,
  });

test('a parameter that reaches the upstream keeps vectors apart, whatever its name', () => {
  const plain = scope({ model: 'm', input: 'a' });
  const bodies = [
    { dimensions: 256 },
    { dimensions: 512 },
    { input_type: 'query' },
    { task: 'retrieval.passage' },
    { encoding_format: 'int8' },
    { truncate: false },
    { model: 'other' },
    { late_chunking: false },
  ].map((more) => scope({ model: 'm', input: 'a', ...more }));
  assert.equal(new Set([plain, ...bodies]).size, bodies.length + 1);
  for (const facts of [{ upstream: 'v' }, { model: 'n' }, { query: 'api-version=2' }])
    assert.notEqual(scope({ model: 'm', input: 'a' }, facts), plain);
  assert.notEqual(
    scopeOf(new EmbeddingInputs('{"model":"m","input":"a"}'), { ...FACTS, headers: ['x'] }),
    plain,
  );
});

test('what has no meaning for a vector does not', () => {
  const plain = scope({ model: 'm', input: 'a' });
  for (const more of [
    { encoding_format: 'float' },
    { encoding_format: 'base64' },
    { encoding_format: null },
    { dimensions: null },
    { user: 'someone' },
  ])
    assert.equal(scope({ model: 'm', input: 'another text', ...more }), plain);
  assert.equal(scope('{ "input" : [1, 2] , "model": "m" }'), plain);
});

test('vectors that depend on the other inputs of their request are not kept', () => {
  assert.equal(scope({ model: 'm', input: ['a', 'b'], late_chunking: true }), null);
});

test('equal texts have one key, however they are escaped', () => {
  assert.equal(keyOfInput('"caf\\u00e9 \\/"'), keyOfInput('"café /"'));
  assert.notEqual(keyOfInput('"a"'), keyOfInput('"a "'));
});

test('token ids have another key than the text that looks like them', () => {
  assert.equal(keyOfInput('[1, 2 ,3]'), keyOfInput('[1,2,3]'));
  assert.notEqual(keyOfInput('[1,2,3]'), keyOfInput('"[1,2,3]"'));
  assert.notEqual(keyOfInput('[1,23]'), keyOfInput('[12,3]'));
});
