import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LoadResult, Order } from './load.ts';
import type { Allocation, Reading } from './meter.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** A step of the benchmark that takes longer hangs. */
const MAX_STEP_MS = 120_000;

/** Which core a child runs on: the gateway alone on one, everything else on the other. */
export type Core = 'gateway' | 'rest';

/** Whether children are pinned: Linux with two cores or more. */
export const canPin =
  process.platform === 'linux' && availableParallelism() > 1 && existsSync('/usr/bin/taskset');

export const GATEWAY_CORE = '1';
const CORE_NUMBER: Readonly<Record<Core, string>> = { rest: '0', gateway: GATEWAY_CORE };

/** A process of the benchmark, spoken to over its IPC channel, one question at a time. */
export class Child {
  readonly #process: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#process = child;
  }

  /** `file` and its arguments as a Node process; its output goes to `logFile`, or to nowhere. */
  static start(core: Core, file: string, args: readonly string[], logFile?: string, folder = root): Child {
    const node = [
      process.execPath,
      '--expose-gc',
      '--import',
      join(root, 'bench/meter.ts'),
      join(folder, file),
      ...args,
    ];
    const command = canPin ? ['taskset', '-c', CORE_NUMBER[core], ...node] : node;
    const output = logFile === undefined ? 'ignore' : openSync(logFile, 'a');
    const child = spawn(command[0] ?? '', command.slice(1), {
      stdio: ['ignore', output, logFile === undefined ? 'inherit' : output, 'ipc'],
      serialization: 'advanced',
    });
    return new Child(child);
  }

  /** The port that a server reports once it listens. */
  async port(): Promise<number> {
    return (await this.#next<{ port: number }>('port')).port;
  }

  /** What the process has used so far; `isClean` collects garbage first. */
  async meter(isClean = false): Promise<Reading> {
    const answer = this.#next<{ reading: Reading }>('reading');
    this.#process.send(isClean ? 'meter after collection' : 'meter');
    return (await answer).reading;
  }

  /** What `work` has the process allocate. */
  async allocation(work: () => Promise<unknown>): Promise<Allocation> {
    const watching = this.#next<{ watching: true }>('watching');
    this.#process.send('watch allocation');
    await watching;
    await work();
    const answer = this.#next<{ allocation: Allocation }>('allocation');
    this.#process.send('allocation');
    return (await answer).allocation;
  }

  /** Has the load generator do its work. Throws when a request failed. */
  async load(order: Order): Promise<LoadResult> {
    const answer = this.#next<{ result: LoadResult }>('result');
    this.#process.send(order);
    const { result } = await answer;
    if (result.failed > 0) throw new Error(`the load failed: ${result.failure}`);
    return result;
  }

  get isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  async stop(): Promise<void> {
    if (!this.isRunning) return;
    this.#process.kill('SIGTERM');
    const force = setTimeout(() => this.#process.kill('SIGKILL'), 5000);
    await once(this.#process, 'exit');
    clearTimeout(force);
  }

  async #next<Message extends object>(key: keyof Message & string): Promise<Message> {
    const signal = AbortSignal.timeout(MAX_STEP_MS);
    const leaving = new AbortController();
    const ended = once(this.#process, 'exit', { signal: leaving.signal }).then(([code]) => {
      throw new Error(`a process of the benchmark ended with ${code}`);
    });
    ended.catch(() => undefined);
    try {
      for (;;) {
        const [message] = await Promise.race([once(this.#process, 'message', { signal }), ended]);
        if (key in (message as object)) return message as Message;
      }
    } finally {
      leaving.abort();
    }
  }
}
