import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StopSequences } from '../../../src/upstream/replicate/stop-sequences.ts';

function cut(stops: readonly string[], pieces: readonly string[]): string {
  const sequences = new StopSequences(stops);
  return pieces.map((piece) => sequences.push(piece)).join('') + sequences.end();
}

test('the text ends before the first stop sequence, in whatever pieces it comes', () => {
  for (const pieces of [['one END two'], ['one E', 'ND two'], [...'one END two']])
    assert.equal(cut(['END'], pieces), 'one ', pieces.join('|'));
  assert.equal(cut(['two', 'e'], ['one two']), 'on');
});

test('a beginning of a stop sequence that does not go on is passed on', () => {
  assert.equal(cut(['END'], ['one E', 'N', 'one']), 'one ENone');
  assert.equal(cut(['END'], ['one EN']), 'one EN');
  assert.equal(cut(['aab'], ['a', 'a', 'a', 'b']), 'a');
});

test('without stop sequences nothing is held', () => {
  assert.equal(new StopSequences([]).push('text'), 'text');
});
