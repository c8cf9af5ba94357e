import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { HOLDER_MUTANTS, mutated } from '../../scripts/holder-mutants.ts';

test('every mutant of the holder changes one place of the code as it is now', () => {
  for (const mutant of HOLDER_MUTANTS) {
    const text = readFileSync(new URL(`../../src/tokens/manager/${mutant.file}`, import.meta.url), 'utf8');
    assert.notEqual(mutated(text, mutant), text, mutant.what);
  }
});
