/** `npm run test:clients`: other people's clients against a running gateway. Needs `npm run install:clients`. */
import { spawnSync } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { toolOptions } from './tool-options.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** One client with all its vectors; a test that takes longer hangs. */
const MAX_TEST_MS = 240_000;

const USAGE = `npm run test:clients -- [words] [options]

  dify      only tests whose title matches
  --write   keeps what was found, and writes docs/compatibility.md from it`;

const { values, positionals } = toolOptions(USAGE, {
  allowPositionals: true,
  options: { write: { type: 'boolean' } },
});

for (const folder of [
  'test/clients/node_modules',
  'test/clients/.venv/main',
  'test/clients/.venv/llamaindex',
  'test/clients/.venv/anthropic',
]) {
  if (existsSync(`${root}/${folder}`)) continue;
  console.error(`${folder} is missing: npm run install:clients`);
  process.exit(1);
}

// Node 24 runs `before` and not `after` in a file of which no test is selected, whose gateway would keep it alive.
const exit = positionals.length > 0 ? ['--test-force-exit'] : [];
const flags = ['--test', '--test-concurrency=2', `--test-timeout=${MAX_TEST_MS}`, ...exit];
const names = positionals.map((name) => `--test-name-pattern=/${name}/i`);
const files = globSync('test/clients/*.test.ts', { cwd: root }).sort();
const { status } = spawnSync(process.execPath, [...flags, ...names, ...files], {
  cwd: root,
  stdio: 'inherit',
  env: values.write === true ? { ...process.env, WRITE_RESULTS: '1' } : process.env,
});
if (status === 0 && values.write === true) {
  spawnSync(process.execPath, ['scripts/compatibility.ts'], { cwd: root, stdio: 'inherit' });
}
process.exitCode = status ?? 1;
