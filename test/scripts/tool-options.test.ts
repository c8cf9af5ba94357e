import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

function start(file: string, ...options: string[]) {
  return spawnSync(process.execPath, [file, ...options], { cwd: root, encoding: 'utf8', timeout: 15_000 });
}

const TOOLS = [
  ['bench', 'bench/run.ts'],
  ['soak', 'bench/soak.ts'],
  ['crowd', 'bench/crowd.ts'],
  ['test:clients', 'scripts/test-client-suites.ts'],
  ['test:applications', 'scripts/test-applications.ts'],
  ['test:fuzz', 'scripts/test-fuzz-suite.ts'],
  ['test', 'scripts/test.ts'],
  ['walk', 'scripts/walk.ts'],
] as const;

for (const [name, file] of TOOLS) {
  test(`npm run ${name} lists its options on --help, and refuses others in one line`, () => {
    const help = start(file, '--help');
    assert.equal(help.status, 0, help.stderr);
    assert.match(help.stdout, new RegExp(`^npm (?:run )?${name} -- .*\n\n(?:  .+\n)+$`));
    const refused = start(file, '--colour');
    assert.equal(refused.status, 2);
    assert.equal(refused.stderr, "Unknown option '--colour'; --help lists what there is\n");
  });
}

test('what is no number is refused in one line', () => {
  for (const text of ['many', '', '-5', 'Infinity']) {
    const refused = start('bench/crowd.ts', `--streams=${text}`);
    assert.equal(refused.status, 2);
    assert.equal(
      refused.stderr,
      `--streams is to be a number, and "${text}" is none; --help lists what there is\n`,
    );
  }
});
