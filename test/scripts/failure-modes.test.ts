import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FAILURE_MODES, testsOfModes, withTable } from '../../scripts/failure-modes.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

test('each of the 43 failure modes has a test', () => {
  const tests = testsOfModes(root);
  const missing = FAILURE_MODES.map((_, index) => index + 1).filter((number) => !tests.has(number));
  assert.deepEqual(missing, []);
  assert.equal(FAILURE_MODES.length, 43);
  const unknown = [...tests.keys()].filter((number) => number > FAILURE_MODES.length);
  assert.deepEqual(unknown, [], 'numbers that no mode has');
});

test('the table in docs/tokens.md names the tests as they are: node scripts/failure-modes.ts', () => {
  assert.equal(readFileSync(`${root}docs/tokens.md`, 'utf8'), withTable(root));
});
