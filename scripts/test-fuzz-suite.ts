/** `npm run test:fuzz`: generated requests, against a running gateway. Needs `npm run install:fuzz`. */
import { spawnSync } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { toolOptions } from './tool-options.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Two minutes on two cores of a small machine. */
const USUAL_EXAMPLES = '120';

const USAGE = `npm run test:fuzz -- [words] [options]

  raw            only the files whose path contains the word (api, raw, streams)
  --seed N       other requests; the seed of a failure repeats it (1)
  --examples N   so many for each operation, twenty times as many raw requests (${USUAL_EXAMPLES})`;

const { values, positionals: words } = toolOptions(USAGE, {
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: '1' },
    examples: { type: 'string', default: USUAL_EXAMPLES },
  },
});

if (!existsSync(`${root}/test/fuzz/.venv/.installed`)) {
  console.error('test/fuzz/.venv is missing: npm run install:fuzz');
  process.exit(1);
}
const files = globSync('test/fuzz/*.test.ts', { cwd: root })
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort();
if (files.length === 0) {
  console.error(`no test file matches ${words.join(' ')}`);
  process.exit(2);
}
console.log(`seed ${values.seed}, ${values.examples} examples for each operation`);
const { status } = spawnSync(process.execPath, ['--test', '--test-concurrency=1', ...files], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, FUZZ_SEED: values.seed, FUZZ_EXAMPLES: values.examples },
});
process.exitCode = status ?? 1;
