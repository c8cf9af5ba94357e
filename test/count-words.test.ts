import assert from 'node:assert/strict';
import { test } from 'node:test';
import { counted, times } from '../src/count-words.ts';

test('one is no plural', () => {
  assert.deepEqual(
    [counted(0, 'vector'), counted(1, 'vector'), counted(2, 'vector')],
    ['0 vectors', '1 vector', '2 vectors'],
  );
  assert.deepEqual([times(0), times(1), times(2)], ['0 times', 'once', '2 times']);
});
