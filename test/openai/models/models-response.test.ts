import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FerryError } from '../../../src/lib/errors/ferry-error.ts';
import { readModelsResponse } from '../../../src/openai/models/models-response.ts';
import { randomFrom } from '../../helpers/seeded-random.ts';

const read = (body: unknown): unknown[] => readModelsResponse(Buffer.from(JSON.stringify(body)), 1000);
const model = (id: string, more: object = {}): object => ({
  id,
  object: 'model',
  created: 1000,
  owned_by: 'upstream',
  ...more,
});

test('S8 S9 OpenAI’s list keeps ids, times, owners and known limits, and loses nulls', () => {
  const data = [
    { id: 'gpt-4o', object: 'model', created: 1715367049, owned_by: 'openai' },
    { id: 'bge', name: null, created: null, owned_by: null, max_model_len: 8192, root: 'x', parent: null },
    { id: 'a', context_length: '32768', max_tokens: 4096.0 },
    { id: 'b', context_length: null, max_tokens: 0 },
  ];
  assert.deepEqual(read({ object: 'list', data }), [
    { id: 'gpt-4o', object: 'model', created: 1715367049, owned_by: 'openai' },
    model('bge', { context_length: 8192 }),
    model('a', { context_length: 32768, max_tokens: 4096 }),
    model('b'),
  ]);
});

test('Q164 bare arrays, Ollama, Gemini, envelopes and lists of strings are parsed', () => {
  const expected = [model('a'), model('b')];
  for (const body of [
    [{ id: 'a' }, { id: 'b' }],
    ['a', 'b'],
    { data: ['a', 'b'] },
    { models: [{ name: 'a' }, { name: 'b' }] },
    { models: [{ name: 'models/a' }, { name: 'models/b' }] },
    { models: [{ model: 'a', name: 'Nice A' }, { model: 'b' }] },
    { code: 0, msg: 'ok', data: { data: [{ id: 'a' }, { id: 'b' }] } },
    { success: true, result: [{ id: 'a' }, { id: 'b' }, { id: 'a' }, { id: '' }, null, 7, {}] },
  ]) {
    assert.deepEqual(read(body), expected, JSON.stringify(body));
  }
  assert.deepEqual(read({ models: [{ name: 'models/x', inputTokenLimit: 1048576 }] }), [
    model('x', { context_length: 1048576 }),
  ]);
  assert.deepEqual(read({ data: [] }), []);
});

test('Q164 created is integer seconds from any form', () => {
  const created = (value: unknown): number =>
    (read([{ id: 'a', created: value }])[0] as { created: number }).created;
  assert.equal(created(1715367049.7), 1715367049);
  assert.equal(created(1715367049123), 1715367049);
  assert.equal(created('1715367049'), 1715367049);
  assert.equal(created('2024-05-10T18:50:49Z'), 1715367049);
  for (const nothing of [null, 0, -1, '', 'x', {}]) assert.equal(created(nothing), 1000);
  assert.equal(
    (read({ models: [{ name: 'a', modified_at: '2024-05-10T18:50:49.5+00:00' }] })[0] as { created: number })
      .created,
    1715367049,
  );
});

test('anything but a list is upstream_invalid_response (seeded)', () => {
  const random = randomFrom(31);
  const bodies = [
    '',
    '<html>',
    '{}',
    'null',
    '7',
    '{"data":{}}',
    '{"error":{"message":"x"}}',
    '{"data":[{"id":"a"}',
  ];
  for (const body of bodies) {
    assert.throws(
      () => readModelsResponse(Buffer.from(body), 0),
      (error: unknown) => error instanceof FerryError && error.kind === 'invalid_response',
    );
  }
  const seed = '{"object":"list","data":[{"id":"a","created":1},{"id":"b","max_model_len":5}]}';
  for (let round = 0; round < 3000; round++) {
    const body = Buffer.from(seed);
    body[Math.floor(random() * body.length)] = Math.floor(random() * 256);
    try {
      readModelsResponse(body, 0);
    } catch (error) {
      assert.ok(error instanceof FerryError, String(error));
    }
  }
});
