import { Worker } from 'node:worker_threads';
import type { RequestStore, RowBatch, StoredRequest } from '../request-store.ts';
import {
  type InsertResult,
  type PageRequest,
  type RequestFilter,
  type RequestPage,
  StoreError,
} from '../request-store.ts';
import type { WorkerAnswer, WorkerCall, WorkerQuestion, WorkerSettings } from './store-worker.ts';

interface Waiting {
  resolve(result: unknown): void;
  reject(error: StoreError): void;
}

/**
 * The store in a worker thread: SQLite is synchronous, a disk may stall for seconds, and bodies are redacted there. The worker is started
 * by the first call, again by the first call after it died, and never keeps the process alive by itself.
 */
export class WorkerStore implements RequestStore {
  readonly #settings: WorkerSettings;
  #worker: Worker | null = null;
  #number = 0;
  /** Waits under way that the process must not end before. */
  #holds = 0;
  #isClosed = false;
  /** Calls without an answer yet, by number. */
  readonly #waiting = new Map<number, Waiting>();

  constructor(settings: WorkerSettings) {
    this.#settings = settings;
  }

  insert(batch: RowBatch): Promise<InsertResult> {
    return this.#ask({ kind: 'insert', batch }) as Promise<InsertResult>;
  }

  deleteBefore(createdAtMs: number, limit: number): Promise<number> {
    return this.#ask({ kind: 'delete_before', createdAtMs, limit }) as Promise<number>;
  }

  recent(filter: RequestFilter, page: PageRequest): Promise<RequestPage> {
    return this.#ask({ kind: 'recent', filter, page }) as Promise<RequestPage>;
  }

  byId(id: string): Promise<StoredRequest | null> {
    return this.#ask({ kind: 'by_id', id }) as Promise<StoredRequest | null>;
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    if (this.#isClosed || worker === null) {
      this.#isClosed = true;
      return;
    }
    await this.hold(async () => {
      const exited = new Promise((resolve) => worker.once('exit', resolve));
      const asked = this.#ask({ kind: 'close' });
      this.#isClosed = true;
      await asked.catch(() => {});
      await exited;
    });
  }

  /** Ends the worker in the middle of whatever it does; for a close that took too long. */
  async terminate(): Promise<void> {
    this.#isClosed = true;
    await this.#worker?.terminate();
  }

  /** Runs `wait`, which waits for this store, and keeps the process alive until it has settled. */
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

  #ask(call: WorkerCall): Promise<unknown> {
    if (this.#isClosed)
      return Promise.reject(new StoreError('unavailable', 'CLOSED', 'The request log is closed.'));
    const number = ++this.#number;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject });
      try {
        this.#worker ??= this.#start();
        this.#worker.postMessage({ number, call } satisfies WorkerQuestion);
      } catch (error) {
        this.#waiting.delete(number);
        reject(workerFault(error));
      }
    });
  }

  #start(): Worker {
    // The source runs as it is (.ts) and built (.js); a URL is not rewritten by the compiler as imports are.
    const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
    const worker = new Worker(new URL(`./store-worker${extension}`, import.meta.url), {
      name: 'request-log',
      workerData: this.#settings,
      // Flags of the main thread may be about its own input, which this file is not.
      execArgv: [],
    });
    worker.on('message', (answer: WorkerAnswer) => this.#settle(answer));
    worker.on('error', (error) => this.#lose(worker, error));
    worker.on('exit', () => this.#lose(worker, new Error('the worker ended')));
    // After the listeners: each of them holds the process anew.
    if (this.#holds === 0) worker.unref();
    return worker;
  }

  #settle(answer: WorkerAnswer): void {
    const waiting = this.#waiting.get(answer.number);
    this.#waiting.delete(answer.number);
    if ('fault' in answer) waiting?.reject(new StoreError(answer.fault, answer.code, answer.message));
    else waiting?.resolve(answer.result);
  }

  /** The worker is gone and with it every answer; a batch that was committed in that instant is written twice. */
  #lose(worker: Worker, error: Error): void {
    if (this.#worker !== worker) return;
    this.#worker = null;
    const lost = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const waiting of lost) waiting.reject(workerFault(error));
  }
}

function workerFault(error: unknown): StoreError {
  const text = error instanceof Error ? error.message : String(error);
  return new StoreError('unavailable', 'WORKER', `The worker of the request log failed: ${text}.`, error);
}
