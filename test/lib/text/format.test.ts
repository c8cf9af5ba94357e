import assert from 'node:assert/strict';
import { test } from 'node:test';
import { counted, inSeconds, times } from '../../../src/lib/text/format.ts';

test('counts use the plural except for one', () => {
  assert.deepEqual(
    [counted(0, 'vector'), counted(1, 'vector'), counted(2, 'vector')],
    ['0 vectors', '1 vector', '2 vectors'],
  );
  assert.deepEqual([times(0), times(1), times(2)], ['0 times', 'once', '2 times']);
});

test('durations are in seconds with three digits, long ones in whole seconds', () => {
  assert.deepEqual([120_000, 1_234_000, 86_400_499].map(inSeconds), ['120 s', '1234 s', '86400 s']);
  assert.deepEqual([500, 30_000, 495.774561, 1_234.5, 0].map(inSeconds), [
    '0.5 s',
    '30 s',
    '0.496 s',
    '1.23 s',
    '0 s',
  ]);
});
