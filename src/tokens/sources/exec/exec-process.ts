import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';

/** How a program ended and what it printed. */
export interface ExecResult {
  readonly stdout: string;
  /** The last part of what it wrote to stderr. */
  readonly stderr: string;
  /** Null: it was killed. */
  readonly exitCode: number | null;
  readonly end: 'exit' | 'aborted' | 'too_much_output';
}

interface ExecOptions {
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

const LONGEST_STDOUT = 256 * 1024;
const STDERR_KEPT = 2_048;
/** A program that has ended may leave children that hold its pipes open; what it wrote arrives within this. */
const PIPE_GRACE_MS = 100;

/**
 * Runs a program in a process group of its own, so that killing it kills what it started. Never outlives its
 * signal; rejects only when the program cannot be started.
 */
export function runProcess(options: ExecOptions): Promise<ExecResult> {
  const [program = '', ...args] = options.command;
  const { cwd, env, signal } = options;
  const child = spawn(program, args, {
    cwd,
    env: env as NodeJS.ProcessEnv,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    windowsHide: true,
  });
  return new Promise((resolve, reject) => {
    let end: ExecResult['end'] = 'exit';
    let exitCode: number | null = null;
    let grace: NodeJS.Timeout | undefined;
    const stop = (why: ExecResult['end']) => {
      if (end === 'exit') end = why;
      killGroup(child);
    };
    const printed = collectOutput(child, () => stop('too_much_output'));
    const onAbort = () => stop('aborted');
    const finish = () => {
      clearTimeout(grace);
      signal.removeEventListener('abort', onAbort);
      killGroup(child);
      child.stdout.destroy();
      child.stderr.destroy();
      resolve({ ...printed(), exitCode, end });
    };
    child.on('error', (error) => {
      signal.removeEventListener('abort', onAbort);
      reject(error);
    });
    child.on('exit', (code) => {
      exitCode = code;
      grace = setTimeout(finish, PIPE_GRACE_MS);
    });
    child.on('close', finish);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}

/** Keeps the beginning of stdout and the end of stderr; `onTooMuch` is called for each chunk beyond the limit. */
function collectOutput(
  child: ChildProcessByStdio<null, Readable, Readable>,
  onTooMuch: () => void,
): () => { stdout: string; stderr: string } {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= LONGEST_STDOUT) chunks.push(chunk);
    else onTooMuch();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString('utf8')).slice(-STDERR_KEPT);
  });
  return () => ({ stdout: Buffer.concat(chunks).toString('utf8'), stderr });
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // The whole group has ended, or the system has no groups: then only the program itself can be killed.
    child.kill('SIGKILL');
  }
}
