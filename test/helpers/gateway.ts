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
import { hasTable } from '../../src/request-log/sqlite/sqlite-migrations.ts';
import type { CircuitState } from '../../src/routing/upstream-state/circuit.ts';
import type { TokenEvent } from '../../src/tokens/manager/token-event.ts';
import { HANG_MS } from './until.ts';

export { until } from './until.ts';

/** One row of `tokenferry_requests` with its attempts parsed. */
export interface StoredRow {
  readonly id: string;
  readonly client: string | null;
  readonly path: string;
  readonly model: string | null;
  readonly upstream: string | null;
  /** 1: the client requested a stream and got one. */
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

  /** Starts with `config`; address, database and log have defaults. */
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

  /** The log so far; all of it after `end`. */
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

  /** Every row written so far, oldest first. A database that is being created has no table yet, and so no rows. */
  rows(): StoredRow[] {
    if (!existsSync(this.databaseFile)) return [];
    // The SQLite of the service: a second copy of the library in one process would release the locks of the first.
    const database = new Database(this.databaseFile, { readonly: true, fileMustExist: true });
    try {
      if (!hasTable(database)) return [];
      const rows = database.prepare('SELECT * FROM tokenferry_requests ORDER BY rowid').all();
      return (rows as { attempts: string }[]).map(
        (row) => ({ ...row, attempts: JSON.parse(row.attempts) }) as unknown as StoredRow,
      );
    } finally {
      database.close();
    }
  }

  /** Waits for the row of one request, which is written in batches by a worker. */
  async rowOf(id: string | null): Promise<StoredRow> {
    const deadlineMs = performance.now() + HANG_MS;
    for (;;) {
      const row = this.rows().find((one) => one.id === id);
      if (row !== undefined) return row;
      assert.ok(performance.now() < deadlineMs, `no record of request ${id}`);
      await sleep(25);
    }
  }

  /** Shuts the service down and keeps its folder, so that a test can look at the files. */
  async end(): Promise<void> {
    await this.service.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Shuts the service down and removes its folder. */
  async close(): Promise<void> {
    await this.service.close();
    closeSync(this.#logDescriptor);
    await rm(this.folder, { recursive: true, force: true });
  }
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
