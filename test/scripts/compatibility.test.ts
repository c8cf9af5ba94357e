import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { compatibilityPage } from '../../scripts/compatibility.ts';

test('docs/compatibility.md is what its generator writes: node scripts/compatibility.ts', () => {
  const page = readFileSync(new URL('../../docs/compatibility.md', import.meta.url), 'utf8');
  assert.ok(page === compatibilityPage(), 'run: node scripts/compatibility.ts');
});
