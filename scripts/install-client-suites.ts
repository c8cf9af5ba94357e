/**
 * `npm run install:clients`: other people's clients at exact versions, into git-ignored folders of `test/clients`.
 * What is there already is left alone. Needs npm, and Python 3.11 or newer with `venv` (3.12 for Dify's newest SDK).
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../test/clients', import.meta.url));

/** Each has packages that cannot live beside the other's; see the heads of the requirement files. */
const ENVIRONMENTS = [
  { name: 'main', requirements: 'python/requirements.txt' },
  { name: 'llamaindex', requirements: 'python/requirements-llamaindex.txt' },
];

const OLDEST_PYTHON = [3, 11] as const;
const WANTED_PYTHON = [3, 12] as const;

interface Python {
  readonly command: string;
  readonly version: readonly [number, number];
}

/** Runs one program quietly; rejects with all that it said. */
async function run(command: string, args: readonly string[]): Promise<void> {
  const child = spawn(command, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stdout.on('data', (text) => {
    said += text;
  });
  child.stderr.on('data', (text) => {
    said += text;
  });
  const code = await new Promise<number | null>((done) => {
    child.on('error', (error) => {
      said += error.message;
      done(127);
    });
    child.on('close', done);
  });
  if (code !== 0) throw new Error(`${command} ${args.slice(0, 3).join(' ')} ended with ${code}:\n${said}`);
}

/** Does `work` unless it was done for the same `inputs` before. */
async function once(stamp: string, inputs: string, work: () => Promise<void>): Promise<string> {
  const wanted = createHash('sha256').update(inputs).digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return 'already there';
  const startedMs = performance.now();
  await work();
  writeFileSync(stamp, wanted);
  return `${((performance.now() - startedMs) / 1000).toFixed(0)} s`;
}

async function installNode(): Promise<void> {
  const lock = readFileSync(join(folder, 'package-lock.json'), 'utf8');
  const npm = process.env.npm_execpath;
  const [command, first] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
  const took = await once(join(folder, 'node_modules', '.installed'), lock, () =>
    run(command, [...first, 'ci', '--no-audit', '--no-fund', '--ignore-scripts']),
  );
  console.log(`clients for Node: ${took}`);
}

/** The version of a Python that can make environments, or null. */
function versionOf(command: string): Python['version'] | null {
  const question = 'import sys, venv, ensurepip; print(*sys.version_info[:2])';
  const { status, stdout } = spawnSync(command, ['-c', question], { encoding: 'utf8' });
  const [major, minor] = (stdout ?? '').trim().split(' ').map(Number);
  return status === 0 && major !== undefined && minor !== undefined ? [major, minor] : null;
}

function isAtLeast(
  [major, minor]: Python['version'],
  [wantedMajor, wantedMinor]: Python['version'],
): boolean {
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

/** `$PYTHON`, else the first that Dify's newest SDK runs on, else the first that the others run on. */
function findPython(): Python | null {
  const pyenv = process.env.PYENV_ROOT ?? join(homedir(), '.pyenv');
  const names = ['python3.13', 'python3.12', 'python3'];
  const own = process.env.PYTHON === undefined ? [] : [process.env.PYTHON];
  const commands = own.length > 0 ? own : [...names, ...globSync(`${pyenv}/versions/3.1[23]*/bin/python3`)];
  const found = commands.flatMap((command) => {
    const version = versionOf(command);
    return version !== null && isAtLeast(version, OLDEST_PYTHON) ? [{ command, version }] : [];
  });
  return found.find(({ version }) => isAtLeast(version, WANTED_PYTHON)) ?? found[0] ?? null;
}

async function installPython({ command, version }: Python): Promise<void> {
  for (const { name, requirements } of ENVIRONMENTS) {
    const home = join(folder, '.venv', name);
    const inputs = `${version.join('.')}\n${readFileSync(join(folder, requirements), 'utf8')}`;
    const took = await once(join(home, '.installed'), inputs, async () => {
      rmSync(home, { recursive: true, force: true });
      await run(command, ['-m', 'venv', home]);
      const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-compile'];
      const exact = ['--no-deps', '--only-binary', ':all:', '-r', requirements];
      await run(join(home, 'bin', 'python'), [...pip, ...exact]);
    });
    console.log(`clients for Python ${version.join('.')} (${name}): ${took}`);
  }
}

const python = findPython();
if (python === null) {
  console.error(`No Python ${OLDEST_PYTHON.join('.')} or newer with venv and ensurepip was found.`);
  console.error(
    'Install one: apt-get install -y python3 python3-venv   (or name one: PYTHON=/path/to/python3)',
  );
  process.exit(1);
}
const results = await Promise.allSettled([installNode(), installPython(python)]);
for (const result of results) {
  if (result.status === 'rejected') {
    console.error(String(result.reason.message));
    process.exitCode = 1;
  }
}
