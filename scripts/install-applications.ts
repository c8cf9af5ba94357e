/**
 * `npm run install:applications`: other people's applications at exact versions, into git-ignored folders of
 * `test/applications`. What is there already is left alone; what cannot be installed is named, and its tests are skipped.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findPython, installPython, once, runQuietly, type Version } from './python-environment.ts';

const folder = fileURLToPath(new URL('../test/applications', import.meta.url));

interface Environment {
  readonly name: string;
  /** The first version of Python that its packages do not support. */
  readonly below?: Version;
}

/** Each in an environment of its own: their packages conflict. */
const ENVIRONMENTS: readonly Environment[] = [
  { name: 'aider', below: [3, 13] },
  { name: 'agents' },
  { name: 'smol' },
  { name: 'llama' },
  { name: 'litellm' },
  { name: 'lightrag' },
  { name: 'webui', below: [3, 13] },
];

/** Of two gigabytes: only installed when they are named on the command line. */
const LARGE: Readonly<Record<string, string>> = { promptfoo: '0.123.1' };

/** Of what a program printed; pip lists every version that it did not choose in one line. */
const MAX_REASON = 300;

async function attempt(name: string, install: () => Promise<string>): Promise<void> {
  try {
    console.log(`${name}: ${await install()}`);
  } catch (error) {
    const lines = String((error as Error).message)
      .trim()
      .split('\n');
    const reason = lines.slice(-3).map((line) => line.slice(-MAX_REASON));
    console.log(`${name}: not installed, its tests are skipped: ${reason.join(' ')}`);
  }
}

/** `npm install`, since `npm ci` refuses a lock file without the binaries of platforms that a registry does not have. */
async function installNode(home: string, packages: readonly string[], inputs: string): Promise<string> {
  const npm = process.env.npm_execpath;
  const [command, first] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
  const options = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts'];
  mkdirSync(home, { recursive: true });
  return once(join(home, 'node_modules', '.installed'), inputs, () =>
    runQuietly(command, [...first, 'install', '--prefix', home, ...options, ...packages], home),
  );
}

const lock = readFileSync(join(folder, 'package-lock.json'), 'utf8');
await attempt('applications for Node', () => installNode(folder, [], lock));
for (const { name, below } of ENVIRONMENTS) {
  const python = findPython(below);
  if (python === null) continue;
  const requirements = join(folder, 'python', `requirements-${name}.txt`);
  await attempt(`Python, ${name}`, () => installPython(python, join(folder, '.venv', name), requirements));
}

for (const [name, version] of Object.entries(LARGE)) {
  const wanted = `${name}@${version}`;
  if (process.argv.includes(name))
    await attempt(name, () => installNode(join(folder, '.large', name), [wanted], wanted));
  else console.log(`${name}: only installed when it is named: npm run install:applications -- ${name}`);
}
