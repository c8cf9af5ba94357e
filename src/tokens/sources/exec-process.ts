import { type ChildProcess, spawn } from 'node:child_process';

/** How a program ended and what it printed. */
export interface ExecResult {
  readonly stdout: string;
  /** The last part of what it wrote to stderr. */
  readonly stderr: string;
  /** Null: it was killed. */
  readonly exitCode: number | null;
  readonly end: 'exit' | 'aborted' | 'too_much_output';
}

export interface ExecOptions {
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
    const stdout: Buffer[] = [];
    let stdoutBytes = 0;
    let stderr = '';
    let end: ExecResult['end'] = 'exit';
    let exitCode: number | null = null;
    let grace: NodeJS.Timeout | undefined;
    const finish = () => {
      clearTimeout(grace);
      signal.removeEventListener('abort', onAbort);
      killGroup(child);
      child.stdout.destroy();
      child.stderr.destroy();
      resolve({ stdout: Buffer.concat(stdout).toString('utf8'), stderr, exitCode, end });
    };
    const stop = (why: ExecResult['end']) => {
      end = why;
      killGroup(child);
    };
    const onAbort = () => stop('aborted');
    child.on('error', (error) => {
      signal.removeEventListener('abort', onAbort);
      reject(error);
    });
    child.stdout.on('data', (chunk: Buffer) => {
      stdoutBytes += chunk.length;
      if (stdoutBytes <= LONGEST_STDOUT) stdout.push(chunk);
      else if (end === 'exit') stop('too_much_output');
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString('utf8')).slice(-STDERR_KEPT);
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

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // The whole group has ended, or the system has no groups: then only the program itself can be killed.
    child.kill('SIGKILL');
  }
}
