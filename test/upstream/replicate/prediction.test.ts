import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FerryError } from '../../../src/lib/errors/ferry-error.ts';
import { readPrediction } from '../../../src/upstream/replicate/prediction.ts';

function read(json: unknown): ReturnType<typeof readPrediction> {
  return readPrediction(typeof json === 'string' ? json : JSON.stringify(json), 'replicate');
}

test('output is a list of texts or one text, and absent before the end', () => {
  assert.equal(read({ id: 'a', status: 'succeeded', output: ['x', 'y'] }).output, 'xy');
  assert.equal(read({ id: 'a', status: 'succeeded', output: 'xy' }).output, 'xy');
  assert.equal(read({ id: 'a', status: 'starting', output: null }).output, '');
});

test('every state of the API is running, succeeded, failed or canceled', () => {
  const states = ['starting', 'processing', 'succeeded', 'failed', 'canceled', 'aborted'];
  assert.deepEqual(
    states.map((status) => read({ id: 'a', status }).state),
    ['running', 'running', 'succeeded', 'failed', 'canceled', 'canceled'],
  );
});

test('errors are texts, and tokens are counted when both counts are there', () => {
  assert.equal(read({ id: 'a', status: 'failed', error: 'out of memory' }).error, 'out of memory');
  assert.equal(read({ id: 'a', status: 'failed', error: { detail: 'no' } }).error, 'no');
  assert.equal(read({ id: 'a', status: 'failed', error: null }).error, null);
  const metrics = { input_token_count: 3, output_token_count: 4 };
  assert.deepEqual(read({ id: 'a', status: 'succeeded', metrics }).usage, {
    promptTokens: 3,
    completionTokens: 4,
  });
  assert.equal(read({ id: 'a', status: 'succeeded', metrics: { input_token_count: 3 } }).usage, null);
});

test('anything else is an invalid response, whatever it is', () => {
  const bodies: readonly unknown[] = [
    '',
    'null',
    '[]',
    '<html></html>',
    {},
    { id: 7, status: 'starting' },
    { id: '../account', status: 'starting' },
    { id: 'a', status: 'wonderful' },
    { id: 'a', status: '__proto__' },
    { id: 'a', status: 'succeeded', output: { url: 'https://x' } },
    { id: 'a', status: 'succeeded', output: [1, 2] },
    { id: 'a', status: 'succeeded', output: 7 },
  ];
  for (const body of bodies)
    assert.throws(
      () => read(body),
      (error) => error instanceof FerryError && error.kind === 'invalid_response',
      JSON.stringify(body),
    );
});
