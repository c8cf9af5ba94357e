import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { stringify } from 'yaml';
import { loadConfig } from '../../src/config/load/load-config.ts';
import { type RunningService, type ServiceOptions, startService } from '../../src/gateway/server.ts';
import type { CircuitState } from '../../src/routing/upstream-state/circuit.ts';
import type { TokenEvent } from '../../src/tokens/manager/token-event.ts';

/** One row of `tokenferry_requests`, with its attempts read. */
export interface StoredRow {
  readonly id: string;
  readonly client: string | null;
  readonly path: string;
  readonly model: string | null;
  readonly upstream: string | null;
  /** 1: the client was answered with a stream that it asked for. */
  readonly stream: number;
  readonly status: number;
  readonly outcome: string;
  readonly attempts: readonly {
    readonly upstream: string;
    readonly outcome: string;
    readonly status: number | null;
    readonly ms: number;
    readonly token_renewed: boolean;
  }[];
  readonly error_code: string | null;
  readonly error_message: string | null;
  readonly completion_tokens: number | null;
  readonly body: string | null;
  readonly response: string | null;
}

export interface CircuitEvent {
  /** By `performance.now`. */
  readonly atMs: number;
  readonly upstream: string;
  readonly state: CircuitState;
}

/** The records travel in batches: 100 ms to the sinks, then through a worker. */
const LONGEST_RECORD_WAIT_MS = 15_000;

/** The whole service inside the test's process, on port 0, with SQLite and a log of its own. */
export class Gateway {
  readonly folder: string;
  readonly tokenEvents: TokenEvent[] = [];
  readonly circuitEvents: CircuitEvent[] = [];
  readonly #logFile: string;
  readonly #logDescriptor: number;
  #service: RunningService | null = null;

  private constructor(folder: string) {
    this.folder = folder;
    this.#logFile = join(folder, 'gateway.log');
    this.#logDescriptor = openSync(this.#logFile, 'a');
  }

  /** Starts on `config`; address, database and log are filled in. */
  static async start(
    config: object,
    env: Readonly<Record<string, string>> = {},
    options: ServiceOptions = {},
  ): Promise<Gateway> {
    const gateway = new Gateway(await mkdtemp(join(tmpdir(), 'tokenferry-gateway-')));
    const file = join(gateway.folder, 'config.yaml');
    const defaults = { address: '127.0.0.1:0', dbaddr: gateway.databaseFile };
    await writeFile(file, stringify({ ...defaults, ...config }));
    gateway.#service = await startService(loadConfig(file, env), {
      ...options,
      logDescriptor: gateway.#logDescriptor,
      loadAgain: () => loadConfig(file, env),
      onTokenEvent: (event) => void gateway.tokenEvents.push(event),
      onCircuit: (upstream, state) =>
        void gateway.circuitEvents.push({ atMs: performance.now(), upstream, state }),
    });
    return gateway;
  }

  get service(): RunningService {
    assert.ok(this.#service !== null);
    return this.#service;
  }

  /** Without `/v1`. */
  get url(): string {
    return this.service.url;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  get databaseFile(): string {
    return join(this.folder, 'db.sqlite');
  }

  /** What was logged so far; all of it after `end`. */
  get log(): string {
    return readFileSync(this.#logFile, 'utf8');
  }

  post(path: string, body: unknown, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (!headers.has('content-type')) headers.set('content-type', 'application/json');
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return fetch(`${this.url}${path}`, { method: 'POST', body: text, ...init, headers });
  }

  async readiness(): Promise<{ status: number; degraded: string[]; text: string }> {
    const response = await fetch(`${this.url}/readyz`);
    const text = await response.text();
    const { degraded } = JSON.parse(text) as { degraded: string[] };
    return { status: response.status, degraded, text };
  }

  async metrics(): Promise<string> {
    return (await fetch(`${this.url}/metrics`)).text();
  }

  /** Every row written so far, oldest first. A file that is being made has no table yet, and so no row. */
  rows(): StoredRow[] {
    if (!existsSync(this.databaseFile)) return [];
    // The service's own SQLite: a second copy of the library in one process takes away the locks of the first.
    let database: Database.Database | null = null;
    try {
      database = new Database(this.databaseFile, { readonly: true, fileMustExist: true });
      const rows = database.prepare('SELECT * FROM tokenferry_requests ORDER BY rowid').all();
      return (rows as { attempts: string }[]).map(
        (row) => ({ ...row, attempts: JSON.parse(row.attempts) }) as unknown as StoredRow,
      );
    } catch {
      return [];
    } finally {
      database?.close();
    }
  }

  /** The row of one request, waited for. */
  async rowOf(id: string | null): Promise<StoredRow> {
    const deadlineMs = performance.now() + LONGEST_RECORD_WAIT_MS;
    for (;;) {
      const row = this.rows().find((one) => one.id === id);
      if (row !== undefined) return row;
      assert.ok(performance.now() < deadlineMs, `no record of request ${id}`);
      await sleep(25);
    }
  }

  /** Stops the service in order and keeps its folder, for a look at what it left. */
  async end(): Promise<void> {
    await this.service.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Stops the service and removes everything. */
  async close(): Promise<void> {
    await this.service.close();
    closeSync(this.#logDescriptor);
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Waits until `isTrue`, looking every 5 ms; fails with `what` after `longestMs`. */
export async function until(isTrue: () => boolean, what: string, longestMs = 15_000): Promise<number> {
  const startedMs = performance.now();
  while (!isTrue()) {
    assert.ok(performance.now() - startedMs < longestMs, `${what}: not within ${longestMs} ms`);
    await sleep(5);
  }
  return performance.now() - startedMs;
}

export interface ErrorBody {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
}

/** Fails unless `text` is the OpenAI-shaped error with all four keys (S81); gives its fields. */
export function errorIn(text: string): ErrorBody {
  const body = JSON.parse(text) as { error: ErrorBody };
  assert.deepEqual(Object.keys(body), ['error'], text);
  assert.deepEqual(Object.keys(body.error).sort(), ['code', 'message', 'param', 'type'], text);
  assert.ok(typeof body.error.message === 'string' && body.error.message !== '', text);
  assert.equal(typeof body.error.type, 'string', text);
  for (const field of [body.error.param, body.error.code]) {
    assert.ok(field === null || typeof field === 'string', text);
  }
  return body.error;
}
