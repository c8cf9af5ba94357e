import { parentPort, workerData } from 'node:worker_threads';
import { redactBody } from '../redaction.ts';
import type {
  InsertResult,
  PageRequest,
  RequestFilter,
  RequestPage,
  RowBatch,
  StoredRequest,
  StoreFault,
} from '../request-store.ts';
import { openFaultOf } from './sqlite-errors.ts';

/** What the worker is asked to do; every call is answered once, in order of asking. */
export type WorkerCall =
  | { readonly kind: 'insert'; readonly batch: RowBatch }
  | { readonly kind: 'delete_before'; readonly createdAtMs: number; readonly limit: number }
  | { readonly kind: 'recent'; readonly filter: RequestFilter; readonly page: PageRequest }
  | { readonly kind: 'by_id'; readonly id: string }
  | { readonly kind: 'close' };

export interface WorkerQuestion {
  readonly number: number;
  readonly call: WorkerCall;
}

export type WorkerAnswer =
  | { readonly number: number; readonly result: unknown }
  | { readonly number: number; readonly fault: StoreFault; readonly code: string; readonly message: string };

/** What the worker is started with. */
export interface WorkerSettings {
  readonly type: 'sqlite' | 'postgres';
  /** A file, or the address of a PostgreSQL. */
  readonly path: string;
  readonly maxBodyBytes: number;
  /** Regular expressions beside the built-in ones; they were compiled once before, so they are valid. */
  readonly redact: readonly string[];
}

/** What a database does for the worker, at once or later. Throws or rejects with `StoreError`. */
interface WorkerDatabase {
  insert(batch: RowBatch): InsertResult | Promise<InsertResult>;
  deleteBefore(createdAtMs: number, limit: number): number | Promise<number>;
  recent(filter: RequestFilter, page: PageRequest): RequestPage | Promise<RequestPage>;
  byId(id: string): StoredRequest | null | Promise<StoredRequest | null>;
  close(): void | Promise<void>;
}

const port = parentPort;
// Imported by mistake on the main thread, this file does nothing.
if (port !== null) {
  const settings = workerData as WorkerSettings;
  const opening = openDatabase(settings);
  port.on('message', async ({ number, call }: WorkerQuestion) => {
    let answer: WorkerAnswer;
    try {
      answer = { number, result: await run(await opening, call) };
    } catch (error) {
      const { fault, code, message } = openFaultOf(error, settings.path);
      answer = { number, fault, code, message };
    }
    port.postMessage(answer);
    if (call.kind === 'close') port.close();
  });
}

/** Only the driver that is needed is loaded. */
async function openDatabase({ type, path, maxBodyBytes, redact }: WorkerSettings): Promise<WorkerDatabase> {
  const patterns = redact.map((source) => new RegExp(source, 'g'));
  const clean = (body: string): string => redactBody(body, { maxBytes: maxBodyBytes, patterns });
  if (type === 'postgres') {
    const { PostgresDatabase } = await import('../postgres/postgres-database.ts');
    return new PostgresDatabase({ address: path, redact: clean });
  }
  const { SqliteDatabase } = await import('./sqlite-database.ts');
  const database = new SqliteDatabase({ path, redact: clean });
  // Loaded with the first question: the query builder is half of what a start would cost.
  const queries = async () => {
    const { RequestQueries } = await import('../request-queries.ts');
    return new RequestQueries(database.connection());
  };
  return {
    insert: (batch) => database.insert(batch),
    deleteBefore: (createdAtMs, limit) => database.deleteBefore(createdAtMs, limit),
    recent: async (filter, page) => (await queries()).recent(filter, page),
    byId: async (id) => (await queries()).byId(id),
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
    case 'by_id':
      return database.byId(call.id);
    case 'close':
      return database.close();
  }
}
