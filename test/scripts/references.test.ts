import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const FOREIGN = ['**/node_modules/**', '**/.venv/**', 'dist/**'];

function filesOf(pattern: string): string[] {
  return globSync(pattern, { cwd: root, exclude: FOREIGN });
}

test('every document that code or documentation names is in the repository', () => {
  const documents = new Set(filesOf('{*,docs/**/*,deploy/**/*}.md').map((path) => basename(path)));
  assert.ok(documents.has('README.md') && documents.has('failover.md'));
  const places = ['{src,test,scripts,bench,ui}/**/*.{ts,mjs,py}', '*.{md,yaml}', 'docs/*.md'];
  const dangling = places
    .flatMap(filesOf)
    .flatMap((path) =>
      [...readFileSync(join(root, path), 'utf8').matchAll(/[\w-]+\.md\b/g)]
        .filter(([name]) => !documents.has(name))
        .map(([name]) => `${path}: ${name}`),
    );
  assert.deepEqual(dangling, []);
});
