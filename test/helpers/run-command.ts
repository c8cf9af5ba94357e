import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { mock } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export interface EndedCommand {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly elapsedMs: number;
  /** Each line of standard output with when it came, in milliseconds since the start of the process. */
  readonly lines: readonly { readonly text: string; readonly atMs: number }[];
  /** The same of standard error. */
  readonly errorLines: readonly { readonly text: string; readonly atMs: number }[];
}

/** Runs `tokenferry COMMAND --config FILE …` as a process of its own, in a folder of its own, until it ends. */
export async function runCommand(
  command: string,
  config: object,
  options: { readonly args?: readonly string[]; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<EndedCommand> {
  const folder = await mkdtemp(join(tmpdir(), 'tokenferry-command-'));
  try {
    const file = join(folder, 'config.yaml');
    await writeFile(file, stringify(config));
    return await run([command, '--config', file, ...(options.args ?? [])], folder, options.env ?? {});
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Calls a command within this process, which takes a tenth of the time; nothing else may print meanwhile. */
export async function callCommand(
  command: (args: readonly string[]) => Promise<number>,
  config: object,
  args: readonly string[] = [],
): Promise<{ readonly code: number; readonly stdout: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'tokenferry-command-'));
  const lines: string[] = [];
  const print = mock.method(console, 'log', (...words: unknown[]) => void lines.push(`${words.join(' ')}\n`));
  try {
    const file = join(folder, 'config.yaml');
    await writeFile(file, stringify(config));
    const code = await command(['--config', file, ...args]);
    return { code, stdout: lines.join('') };
  } finally {
    print.mock.restore();
    await rm(folder, { recursive: true });
  }
}

function run(
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>>,
): Promise<EndedCommand> {
  const startMs = performance.now();
  const child = spawn(process.execPath, [main, ...args], {
    cwd,
    env: { ...process.env, TMPDIR: cwd, ...env },
  });
  const lines: { text: string; atMs: number }[] = [];
  const errorLines: { text: string; atMs: number }[] = [];
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    const atMs = performance.now() - startMs;
    for (const line of text.split('\n')) if (line !== '') lines.push({ text: line, atMs });
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    const atMs = performance.now() - startMs;
    for (const line of text.split('\n')) if (line !== '') errorLines.push({ text: line, atMs });
  });
  return new Promise((resolve) =>
    child.once('close', (code) =>
      resolve({ code, stdout, stderr, lines, errorLines, elapsedMs: performance.now() - startMs }),
    ),
  );
}
