/**
 * `npm run install:applications`: other people's applications at exact versions, into git-ignored folders of
 * `test/applications`. What is there already is left alone; what cannot be installed is named, and its tests are skipped.
 */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findPython, installPython, once, runQuietly } from './python-environment.ts';

const folder = fileURLToPath(new URL('../test/applications', import.meta.url));

/** Each in an environment of its own: their packages conflict. */
const ENVIRONMENTS = ['aider', 'agents', 'smol', 'llama', 'litellm'];

async function attempt(name: string, install: () => Promise<string>): Promise<void> {
  try {
    console.log(`${name}: ${await install()}`);
  } catch (error) {
    const lines = String((error as Error).message)
      .trim()
      .split('\n');
    console.log(`${name}: not installed, its tests are skipped: ${lines.slice(-3).join(' ')}`);
  }
}

async function installNode(): Promise<string> {
  const lock = readFileSync(join(folder, 'package-lock.json'), 'utf8');
  const npm = process.env.npm_execpath;
  const [command, first] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
  return once(join(folder, 'node_modules', '.installed'), lock, () =>
    runQuietly(command, [...first, 'ci', '--no-audit', '--no-fund', '--ignore-scripts'], folder),
  );
}

await attempt('applications for Node', installNode);
const python = findPython();
if (python !== null) {
  for (const name of ENVIRONMENTS) {
    const requirements = join(folder, 'python', `requirements-${name}.txt`);
    const home = join(folder, '.venv', name);
    await attempt(`Python, ${basename(home)}`, () => installPython(python, home, requirements));
  }
}
