/**
 * `npm run check`: format and lint, types, architecture. All of them run, so that one pass shows everything.
 * `npm run format` (`--write`) repairs what can be repaired first.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Code only: prose and sample files are laid out by hand. */
const CODE = ['src', 'test', 'scripts', 'bench', 'ui', 'package.json', 'biome.json', 'tsconfig.json'];

const CHECKS = [
  { name: 'format and lint', command: ['biome', 'check', '--error-on-warnings', ...CODE.filter(isThere)] },
  { name: 'types', command: ['tsc', '-p', 'tsconfig.json'] },
  { name: 'types of the page', command: ['tsc', '-p', 'ui/tsconfig.json'] },
  { name: 'architecture', command: ['node', 'scripts/architecture.ts'] },
];

function isThere(path: string): boolean {
  return existsSync(new URL(`../${path}`, import.meta.url));
}

/** Runs every check in `root` and returns the names of those that failed; their findings go to the terminal. */
export function runChecks(root: string): string[] {
  const failed: string[] = [];
  for (const { name, command } of CHECKS) {
    const startedMs = performance.now();
    const [tool = '', ...args] = command;
    const program = tool === 'node' ? process.execPath : `${root}/node_modules/.bin/${tool}`;
    const result = spawnSync(program, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    const isGood = result.status === 0;
    console.log(`${isGood ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)`);
    if (!isGood) failed.push(name);
  }
  return failed;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = fileURLToPath(new URL('..', import.meta.url));
  if (process.argv.includes('--write')) {
    spawnSync(`${root}/node_modules/.bin/biome`, ['check', '--write', ...CODE.filter(isThere)], {
      cwd: root,
    });
  }
  process.exitCode = runChecks(root).length === 0 ? 0 : 1;
}
