import type { Worker } from 'node:worker_threads';
import { startWorker } from '../lib/worker-thread.ts';
import {
  type InsertResult,
  type PageRequest,
  type RequestFilter,
  type RequestPage,
  type RequestStore,
  type RowBatch,
  type StatsQuery,
  type StatsSum,
  StoreError,
} from './request-store.ts';
import type { WorkerCall, WorkerRequest, WorkerResponse, WorkerSettings } from './store-worker.ts';

interface PendingCall {
  resolve(result: unknown): void;
  reject(error: StoreError): void;
}

/**
 * The store in a worker thread, because SQLite is synchronous, a disk may stall for seconds, and bodies are redacted there.
 * The worker starts with the first call, again with the first call after it exited, and never keeps the process alive.
 */
export class WorkerStore implements RequestStore {
  readonly #settings: WorkerSettings;
  #worker: Worker | null = null;
  #number = 0;
  /** Running `hold` calls, which keep the process alive. */
  #holds = 0;
  #isClosed = false;
  /** Calls without a response, by number. */
  readonly #pending = new Map<number, PendingCall>();

  constructor(settings: WorkerSettings) {
    this.#settings = settings;
  }

  insert(batch: RowBatch): Promise<InsertResult> {
    return this.#call({ kind: 'insert', batch }) as Promise<InsertResult>;
  }

  deleteBefore(createdAtMs: number, limit: number): Promise<number> {
    return this.#call({ kind: 'delete_before', createdAtMs, limit }) as Promise<number>;
  }

  recent(filter: RequestFilter, page: PageRequest): Promise<RequestPage> {
    return this.#call({ kind: 'recent', filter, page }) as Promise<RequestPage>;
  }

  series(query: StatsQuery): Promise<readonly StatsSum[]> {
    return this.#call({ kind: 'series', query }) as Promise<readonly StatsSum[]>;
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    if (this.#isClosed || worker === null) {
      this.#isClosed = true;
      return;
    }
    await this.hold(async () => {
      const exited = new Promise((resolve) => worker.once('exit', resolve));
      const closing = this.#call({ kind: 'close' });
      this.#isClosed = true;
      await closing.catch(() => {});
      await exited;
    });
  }

  /** Ends the worker at once, for a close that took too long. */
  async terminate(): Promise<void> {
    this.#isClosed = true;
    await this.#worker?.terminate();
  }

  /** Keeps the process alive until `wait`, which waits for this store, has settled. */
  async hold<T>(wait: () => Promise<T>): Promise<T> {
    this.#holds += 1;
    this.#worker?.ref();
    try {
      return await wait();
    } finally {
      this.#holds -= 1;
      if (this.#holds === 0) this.#worker?.unref();
    }
  }

  #call(call: WorkerCall): Promise<unknown> {
    if (this.#isClosed)
      return Promise.reject(new StoreError('unavailable', 'CLOSED', 'The request log is closed.'));
    const number = ++this.#number;
    return new Promise((resolve, reject) => {
      this.#pending.set(number, { resolve, reject });
      try {
        this.#worker ??= this.#start();
        this.#worker.postMessage({ number, call } satisfies WorkerRequest);
      } catch (error) {
        this.#pending.delete(number);
        reject(workerFault(error));
      }
    });
  }

  #start(): Worker {
    const worker = startWorker('store-worker', import.meta.url, {
      name: 'request-log',
      workerData: this.#settings,
    });
    worker.on('message', (response: WorkerResponse) => this.#settle(response));
    worker.on('error', (error) => this.#fail(worker, error));
    worker.on('exit', () => this.#fail(worker, new Error('the worker exited')));
    // After the listeners, each of which keeps the process alive again.
    if (this.#holds === 0) worker.unref();
    return worker;
  }

  #settle(response: WorkerResponse): void {
    const call = this.#pending.get(response.number);
    this.#pending.delete(response.number);
    if ('fault' in response) call?.reject(new StoreError(response.fault, response.code, response.message));
    else call?.resolve(response.result);
  }

  /** The worker exited without responding; a batch that it had just committed will be written twice. */
  #fail(worker: Worker, error: Error): void {
    if (this.#worker !== worker) return;
    this.#worker = null;
    const lost = [...this.#pending.values()];
    this.#pending.clear();
    for (const call of lost) call.reject(workerFault(error));
  }
}

function workerFault(error: unknown): StoreError {
  const text = error instanceof Error ? error.message : String(error);
  return new StoreError('unavailable', 'WORKER', `The worker of the request log failed: ${text}.`, error);
}
