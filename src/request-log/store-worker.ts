import { parentPort, workerData } from 'node:worker_threads';
import { redactBody } from './redaction.ts';
import type {
  InsertResult,
  PageRequest,
  RequestFilter,
  RequestPage,
  RowBatch,
  StatsQuery,
  StatsSum,
  StoreFault,
} from './request-store.ts';
import { openFaultOf } from './sqlite/sqlite-errors.ts';

/** The calls of the worker; each gets one response. */
export type WorkerCall =
  | { readonly kind: 'insert'; readonly batch: RowBatch }
  | { readonly kind: 'delete_before'; readonly createdAtMs: number; readonly limit: number }
  | { readonly kind: 'recent'; readonly filter: RequestFilter; readonly page: PageRequest }
  | { readonly kind: 'series'; readonly query: StatsQuery }
  | { readonly kind: 'close' };

export interface WorkerRequest {
  readonly number: number;
  readonly call: WorkerCall;
}

export type WorkerResponse =
  | { readonly number: number; readonly result: unknown }
  | { readonly number: number; readonly fault: StoreFault; readonly code: string; readonly message: string };

/** The settings that the worker is started with. */
export interface WorkerSettings {
  readonly type: 'sqlite' | 'postgres';
  /** A file, or the address of a PostgreSQL. */
  readonly path: string;
  readonly maxBodyBytes: number;
  /** Sources of regular expressions in addition to the built-in ones; valid, as the main thread compiled them. */
  readonly redact: readonly string[];
}

/** A database, synchronous or not. Throws or rejects with `StoreError`. */
interface WorkerDatabase {
  insert(batch: RowBatch): InsertResult | Promise<InsertResult>;
  deleteBefore(createdAtMs: number, limit: number): number | Promise<number>;
  recent(filter: RequestFilter, page: PageRequest): Promise<RequestPage>;
  series(query: StatsQuery): Promise<StatsSum[]>;
  close(): void | Promise<void>;
}

const port = parentPort;
// Null on the main thread, where this file does nothing.
if (port !== null) {
  const settings = workerData as WorkerSettings;
  const opening = openDatabase(settings);
  port.on('message', async ({ number, call }: WorkerRequest) => {
    let response: WorkerResponse;
    try {
      response = { number, result: await run(await opening, call) };
    } catch (error) {
      const { fault, code, message } = openFaultOf(error, settings.path);
      response = { number, fault, code, message };
    }
    port.postMessage(response);
    if (call.kind === 'close') port.close();
  });
}

/** Loads only the driver that is needed. */
async function openDatabase({ type, path, maxBodyBytes, redact }: WorkerSettings): Promise<WorkerDatabase> {
  const patterns = redact.map((source) => new RegExp(source, 'g'));
  const clean = (body: string): string => redactBody(body, { maxBytes: maxBodyBytes, patterns });
  if (type === 'postgres') {
    const { PostgresDatabase } = await import('./postgres/postgres-database.ts');
    return new PostgresDatabase({ address: path, redact: clean });
  }
  const { SqliteDatabase } = await import('./sqlite/sqlite-database.ts');
  const database = new SqliteDatabase({ path, redact: clean });
  const reader = async () => {
    // Loaded by the first query: the query builder doubles the cost of a start.
    const { SqliteReader } = await import('./sqlite/sqlite-reader.ts');
    return new SqliteReader(database.connection());
  };
  return {
    insert: (batch) => database.insert(batch),
    deleteBefore: (createdAtMs, limit) => database.deleteBefore(createdAtMs, limit),
    recent: async (filter, page) => (await reader()).recent(filter, page),
    series: async (query) => (await reader()).series(query),
    close: () => database.close(),
  };
}

async function run(database: WorkerDatabase, call: WorkerCall): Promise<unknown> {
  switch (call.kind) {
    case 'insert':
      return database.insert(call.batch);
    case 'delete_before':
      return database.deleteBefore(call.createdAtMs, call.limit);
    case 'recent':
      return database.recent(call.filter, call.page);
    case 'series':
      return database.series(call.query);
    case 'close':
      return database.close();
  }
}
