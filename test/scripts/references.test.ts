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

test('every test file that the documentation names, and every script of `npm run`, exists', () => {
  const tests = filesOf('test/**/*.test.ts');
  const scripts = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object })
    .scripts;
  const missing: string[] = [];
  for (const path of [...filesOf('*.md'), ...filesOf('docs/*.md')]) {
    const text = readFileSync(join(root, path), 'utf8');
    for (const [command, words = ''] of text.matchAll(/npm test -- ([a-z][\w/ -]*)/g))
      for (const word of words.split(' '))
        if (!tests.some((test) => test.includes(word))) missing.push(`${path}: ${command}`);
    for (const [command, script = ''] of text.matchAll(/npm run ([a-z][a-z:-]*)/g))
      if (!(script in scripts)) missing.push(`${path}: ${command}`);
  }
  for (const line of readFileSync(join(root, 'docs/failover.md'), 'utf8').split('\n')) {
    const lastCell = line.startsWith('|') ? (line.split('|').at(-2) ?? '') : '';
    for (const [, word = ''] of lastCell.matchAll(/`([a-z][a-z0-9-]+)`/g))
      if (!tests.some((test) => test.includes(word))) missing.push(`docs/failover.md: ${word}`);
  }
  assert.deepEqual(missing, []);
});

test('every test that a table of docs/migrate.md names in its last cell exists', () => {
  const tests = filesOf('test/**/*.test.ts').map((path) => path.replaceAll('\\', '/'));
  const missing: string[] = [];
  for (const line of readFileSync(join(root, 'docs/migrate.md'), 'utf8').split('\n')) {
    const lastCell = line.startsWith('|') ? (line.split('|').at(-2) ?? '') : '';
    for (const [name] of lastCell.matchAll(/(?<![\w./`])[a-z]+(?:\/[a-z0-9-]+)+(?![\w./`])/g))
      if (!tests.some((test) => test === `test/${name}.test.ts` || test.startsWith(`test/${name}/`)))
        missing.push(name);
  }
  assert.deepEqual(missing, []);
});
