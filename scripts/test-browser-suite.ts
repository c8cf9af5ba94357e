/** `npm run test:browser`: the page at /ui/ in a real browser, against a running gateway. Needs `npm run install:browser`. */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { findBrowser } from './browser.ts';
import { buildPage, isPageStale } from './page-build.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const words = process.argv.slice(2);

if (findBrowser() === null) {
  console.error('There is no Chromium: npm run install:browser, or name one in CHROMIUM.');
  process.exit(1);
}
if (isPageStale(root) && !buildPage(root)) process.exit(1);
const files = globSync('test/browser/*.test.ts', { cwd: root })
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort();
if (files.length === 0) {
  console.error(`no test file matches ${words.join(' ')}`);
  process.exit(2);
}
const { status } = spawnSync(
  process.execPath,
  ['--test', '--test-concurrency=1', '--test-timeout=180000', ...files],
  {
    cwd: root,
    stdio: 'inherit',
  },
);
process.exitCode = status ?? 1;
