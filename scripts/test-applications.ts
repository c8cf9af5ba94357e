/** `npm run test:applications`: other people's applications on a running gateway. Needs `npm run install:applications`. */
import { spawnSync } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { toolOptions } from './tool-options.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** One application with all its turns; a test that takes longer hangs. */
const MAX_TEST_MS = 600_000;

const USAGE = `npm run test:applications -- [words]

  claude    only tests whose title matches`;

const { positionals } = toolOptions(USAGE, { allowPositionals: true, options: {} });

if (!existsSync(`${root}/test/applications/node_modules`)) {
  console.error('test/applications/node_modules is missing: npm run install:applications');
  process.exit(1);
}

const flags = ['--test', '--test-concurrency=1', `--test-timeout=${MAX_TEST_MS}`];
const names = positionals.map((name) => `--test-name-pattern=/${name}/i`);
const files = globSync('test/applications/*.test.ts', { cwd: root }).sort();
const { status } = spawnSync(process.execPath, [...flags, ...names, ...files], {
  cwd: root,
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
