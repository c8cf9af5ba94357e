import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { mutated, TOKEN_MANAGER_MUTANTS } from '../../scripts/token-manager-mutants.ts';

test('every mutant of the manager changes one place of the code as it is now', () => {
  for (const mutant of TOKEN_MANAGER_MUTANTS) {
    const text = readFileSync(new URL(`../../src/tokens/manager/${mutant.file}`, import.meta.url), 'utf8');
    assert.notEqual(mutated(text, mutant), text, mutant.what);
  }
});
