/**
 * `npm run install:clients`: other people's clients at exact versions, into git-ignored folders of `test/clients`.
 * What is there already is left alone. Needs npm, and Python 3.11 or newer with `venv` (3.12 for Dify's newest SDK).
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findPython, installPython, once, type Python, runQuietly } from './python-environment.ts';

const folder = fileURLToPath(new URL('../test/clients', import.meta.url));

/** Each has packages that conflict with those of the others; see the first comments of the requirement files. */
const ENVIRONMENTS = [
  { name: 'main', requirements: 'python/requirements.txt' },
  { name: 'llamaindex', requirements: 'python/requirements-llamaindex.txt' },
  { name: 'anthropic', requirements: 'python/requirements-anthropic.txt' },
];

async function installNode(): Promise<void> {
  const lock = readFileSync(join(folder, 'package-lock.json'), 'utf8');
  const npm = process.env.npm_execpath;
  const [command, first] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
  const took = await once(join(folder, 'node_modules', '.installed'), lock, () =>
    runQuietly(command, [...first, 'ci', '--no-audit', '--no-fund', '--ignore-scripts'], folder),
  );
  console.log(`clients for Node: ${took}`);
}

async function installAll(python: Python): Promise<void> {
  for (const { name, requirements } of ENVIRONMENTS) {
    const took = await installPython(python, join(folder, '.venv', name), join(folder, requirements));
    console.log(`clients for Python ${python.version.join('.')} (${name}): ${took}`);
  }
}

const python = findPython();
if (python === null) process.exit(1);
const results = await Promise.allSettled([installNode(), installAll(python)]);
for (const result of results) {
  if (result.status === 'rejected') {
    console.error(String(result.reason.message));
    process.exitCode = 1;
  }
}
