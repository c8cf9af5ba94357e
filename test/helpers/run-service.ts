import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { freePort } from './free-port.ts';
import { HANG_MS } from './until.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** From SIGTERM, which a service that hangs does not act on, to SIGKILL. */
const KILL_AFTER_MS = 15_000;

export interface RunOptions {
  /** In place of a free one. */
  readonly port?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Before the node command: `['taskset', '-c', '0']`. */
  readonly wrapper?: readonly string[];
  readonly nodeFlags?: readonly string[];
  /** The time in which it must be live; by default that of a wait that hangs. */
  readonly maxStartMs?: number;
}

/** The gateway as a process of its own, as users run it. */
export class ServiceProcess {
  readonly url: string;
  readonly port: number;
  /** The folder of `config.yaml`; relative paths of the configuration lie here. */
  readonly folder: string;
  stdout = '';
  stderr = '';
  readonly #child: ChildProcess;
  readonly #exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;

  constructor(child: ChildProcess, port: number, folder: string) {
    this.#child = child;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.folder = folder;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.#exited = new Promise((done) => child.once('close', (code, signal) => done({ code, signal })));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Everything it printed, for the message of a failed assertion. */
  get output(): string {
    return `${this.stdout}${this.stderr}`;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Resolves with the exit of the process, after its last output was read. */
  exited(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    return this.#exited;
  }

  /** Ends it, with SIGKILL when it hangs, and removes its folder. Resolves with the exit code. */
  async stop(name: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.isRunning) this.signal(name);
    const force = setTimeout(() => this.signal('SIGKILL'), KILL_AFTER_MS);
    const { code } = await this.#exited;
    clearTimeout(force);
    await rm(this.folder, { recursive: true, force: true });
    return code;
  }
}

/**
 * Writes `config` as YAML to a folder of its own, starts `node src/main.ts --config` there on a free port of
 * 127.0.0.1 and resolves when `GET /livez` is 200. Throws with all its output when it ends or hangs before.
 */
export async function runService(config: object, options: RunOptions = {}): Promise<ServiceProcess> {
  const port = options.port ?? (await freePort());
  const folder = await mkdtemp(join(tmpdir(), 'tokenferry-test-'));
  const file = join(folder, 'config.yaml');
  await writeFile(file, stringify({ address: `127.0.0.1:${port}`, ...config }));
  const command = [
    ...(options.wrapper ?? []),
    process.execPath,
    ...(options.nodeFlags ?? []),
    join(root, 'src/main.ts'),
    '--config',
    file,
  ];
  const child = spawn(command[0] ?? '', command.slice(1), {
    cwd: folder,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const service = new ServiceProcess(child, port, folder);
  try {
    await untilLive(service, options.maxStartMs ?? HANG_MS);
  } catch (error) {
    await service.stop('SIGKILL');
    throw error;
  }
  return service;
}

async function untilLive(service: ServiceProcess, maxMs: number): Promise<void> {
  const deadlineMs = performance.now() + maxMs;
  while (performance.now() < deadlineMs) {
    if (!service.isRunning) {
      await service.exited();
      throw new Error(`the service exited while starting:\n${service.output}`);
    }
    try {
      const response = await fetch(`${service.url}/livez`, { signal: AbortSignal.timeout(1000) });
      await response.body?.cancel();
      if (response.status === 200) return;
    } catch {
      // Nobody listens yet.
    }
    await sleep(20);
  }
  throw new Error(`the service is not live after ${maxMs} ms:\n${service.output}`);
}
