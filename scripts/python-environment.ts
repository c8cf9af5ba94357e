/** How suites that need packages of other languages get them: exact versions, in git-ignored folders of their own. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export type Version = readonly [number, number];

const OLDEST_PYTHON: Version = [3, 11];
/** Dify's newest SDK runs on nothing older. */
const WANTED_PYTHON: Version = [3, 12];

export interface Python {
  readonly command: string;
  readonly version: Version;
}

/** Runs one program quietly in `folder`; rejects with its whole output. */
export async function runQuietly(command: string, args: readonly string[], folder: string): Promise<void> {
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

/** Does `work` unless it was done for the same `inputs` before; resolves with its duration as text. */
export async function once(stamp: string, inputs: string, work: () => Promise<void>): Promise<string> {
  const wanted = createHash('sha256').update(inputs).digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return 'already there';
  const startedMs = performance.now();
  await work();
  writeFileSync(stamp, wanted);
  return `${((performance.now() - startedMs) / 1000).toFixed(0)} s`;
}

/**
 * `$PYTHON`, else the first of the wanted version, else the first that is not too old; null and a hint when there is none.
 * `below`: the first version that a package does not support yet.
 */
export function findPython(below: Version = [4, 0]): Python | null {
  const pyenv = process.env.PYENV_ROOT ?? join(homedir(), '.pyenv');
  const names = ['python3.13', 'python3.12', 'python3'];
  const own = process.env.PYTHON === undefined ? [] : [process.env.PYTHON];
  const commands = own.length > 0 ? own : [...names, ...globSync(`${pyenv}/versions/3.1[23]*/bin/python3`)];
  const found = commands.flatMap((command) => {
    const version = versionOf(command);
    const isUsable = version !== null && isAtLeast(version, OLDEST_PYTHON) && !isAtLeast(version, below);
    return isUsable ? [{ command, version }] : [];
  });
  const python = found.find(({ version }) => isAtLeast(version, WANTED_PYTHON)) ?? found[0] ?? null;
  if (python === null) {
    const newest = below[0] === 4 ? 'newer' : `newer, below ${below.join('.')},`;
    console.error(`No Python ${OLDEST_PYTHON.join('.')} or ${newest} with venv and ensurepip was found.`);
    console.error(
      'Install one: apt-get install -y python3 python3-venv   (or name one: PYTHON=/path/to/python3)',
    );
  }
  return python;
}

/** Makes the environment `home` with exactly what `requirements` lists; resolves with its duration as text. */
export function installPython(python: Python, home: string, requirements: string): Promise<string> {
  const { command, version } = python;
  const inputs = `${version.join('.')}\n${readFileSync(requirements, 'utf8')}`;
  return once(join(home, '.installed'), inputs, async () => {
    rmSync(home, { recursive: true, force: true });
    await runQuietly(command, ['-m', 'venv', home], '.');
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-compile'];
    const exact = ['--no-deps', '--only-binary', ':all:', '-r', requirements];
    await runQuietly(join(home, 'bin', 'python'), [...pip, ...exact], '.');
  });
}

/** The version of a Python that can make environments, or null. */
function versionOf(command: string): Version | null {
  const question = 'import sys, venv, ensurepip; print(*sys.version_info[:2])';
  const { status, stdout } = spawnSync(command, ['-c', question], { encoding: 'utf8' });
  const [major, minor] = (stdout ?? '').trim().split(' ').map(Number);
  return status === 0 && major !== undefined && minor !== undefined ? [major, minor] : null;
}

function isAtLeast([major, minor]: Version, [wantedMajor, wantedMinor]: Version): boolean {
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}
