import { parentPort, workerData } from 'node:worker_threads';
import { redactBody } from './redaction.ts';
import type { RequestQueries } from './request-queries.ts';
import type { PageRequest, RequestFilter, RowBatch, StoreFault } from './request-store.ts';
import { SqliteDatabase } from './sqlite-database.ts';
import { openFaultOf } from './sqlite-fault.ts';

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
  readonly path: string;
  readonly maxBodyBytes: number;
  /** Regular expressions beside the built-in ones; they were compiled once before, so they are valid. */
  readonly redact: readonly string[];
}

const port = parentPort;
// Imported by mistake on the main thread, this file does nothing.
if (port !== null) {
  const settings = workerData as WorkerSettings;
  const patterns = settings.redact.map((source) => new RegExp(source, 'g'));
  const database = new SqliteDatabase({
    path: settings.path,
    redact: (body) => redactBody(body, { maxBytes: settings.maxBodyBytes, patterns }),
  });
  port.on('message', async ({ number, call }: WorkerQuestion) => {
    let answer: WorkerAnswer;
    try {
      answer = { number, result: await run(database, call) };
    } catch (error) {
      const { fault, code, message } = openFaultOf(error, settings.path);
      answer = { number, fault, code, message };
    }
    port.postMessage(answer);
    if (call.kind === 'close') port.close();
  });
}

async function run(database: SqliteDatabase, call: WorkerCall): Promise<unknown> {
  switch (call.kind) {
    case 'insert':
      return database.insert(call.batch);
    case 'delete_before':
      return database.deleteBefore(call.createdAtMs, call.limit);
    case 'recent':
      return (await queries(database)).recent(call.filter, call.page);
    case 'by_id':
      return (await queries(database)).byId(call.id);
    case 'close':
      return database.close();
  }
}

/** Loaded with the first question: the query builder is half of what a start would cost. */
async function queries(database: SqliteDatabase): Promise<RequestQueries> {
  const module = await import('./request-queries.ts');
  return new module.RequestQueries(database.connection());
}
