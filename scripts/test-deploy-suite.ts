/** `npm run test:deploy`: promtool over metrics, rules and their unit tests. Needs `npm run install:deploy`. */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

if (spawnSync('promtool', ['--version'], { stdio: 'ignore' }).status !== 0) {
  console.error('promtool is missing: npm run install:deploy');
  process.exit(1);
}
const files = globSync('test/deploy/promtool/*.test.ts', { cwd: root }).sort();
const { status } = spawnSync(process.execPath, ['--test', '--test-concurrency=1', ...files], {
  cwd: root,
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
