/** `npm test`: all checks, then all tests, also after failed checks; one exit code for both. */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runChecks } from './check.ts';
import { toolOptions } from './tool-options.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Suites with needs of their own (other clients' packages, a browser) have scripts of their own. */
const SEPARATE_SUITES = [
  'test/clients/',
  'test/applications/',
  'test/browser/',
  'test/deploy/promtool/',
  'test/fuzz/api.test.ts',
];

/** A test that takes longer hangs. Applies to a whole file too, as the runner counts it. */
const MAX_TEST_MS = 180_000;

/** Test processes at a time: most wait on sockets and timers, so one per core of a small machine. */
const CONCURRENCY = 2;

const USAGE = `npm test -- [words] [options]

  routing tokens/lease   only test files whose path contains one of the words, no checks
  --name 'one renewal'   only tests whose title matches
  --no-check             all tests, no checks`;

const { values, positionals: words } = toolOptions(USAGE, {
  allowPositionals: true,
  options: { name: { type: 'string' }, check: { type: 'boolean', default: true } },
  allowNegative: true,
});

const files = globSync('test/**/*.test.ts', { cwd: root })
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => !SEPARATE_SUITES.some((folder) => file.startsWith(folder)))
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort();

if (files.length === 0) {
  console.error(`no test file matches ${words.join(' ')}`);
  process.exit(2);
}

const isWhole = words.length === 0 && values.name === undefined;
const failedChecks = isWhole && values.check ? runChecks(root) : [];

const flags = ['--test', `--test-concurrency=${CONCURRENCY}`, `--test-timeout=${MAX_TEST_MS}`];
if (values.name !== undefined) flags.push(`--test-name-pattern=${values.name}`);
const tests = spawnSync(process.execPath, [...flags, ...files], { cwd: root, stdio: 'inherit' });

if (failedChecks.length > 0)
  console.error(`\nfailed before the tests: ${failedChecks.join(', ')} (see above)`);
process.exit(tests.status !== 0 || failedChecks.length > 0 ? 1 : 0);
