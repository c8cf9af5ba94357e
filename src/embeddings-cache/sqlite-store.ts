import type { Worker } from 'node:worker_threads';
import type { Clock } from '../lib/clock.ts';
import { startWorker } from '../lib/worker-thread.ts';
import { packedInputs, unpackedInputs } from './packed-inputs.ts';
import type { CacheCall, CacheRequest, CacheResponse, CacheWorkerSettings } from './sqlite-worker.ts';
import {
  type FoundInputs,
  type KeptInputs,
  NOTHING_STORED,
  type StoreStats,
  type VectorStore,
} from './vector-store.ts';

/** How long a request waits for the disk before it asks the upstream instead. */
const MAX_WAIT_MS = 5_000;
/** The same while the thread starts and opens the file. */
const MAX_START_MS = 15_000;
/** After a fault the file is left alone for so long. */
const RETRY_MS = 60_000;
/** Vectors on their way to the disk; beyond it they are not kept. */
const MAX_QUEUED_BYTES = 64 * 1024 * 1024;

export interface SqliteStoreOptions extends CacheWorkerSettings {
  readonly clock: Clock;
  /** The file cannot be used, and why in words; null: it can again. */
  readonly onFault: (fault: string | null) => void;
}

interface PendingCall {
  readonly kind: CacheCall['kind'];
  /** Of a `keep`. */
  readonly queuedBytes: number;
  settle(response: CacheResponse | null): void;
}

interface Fault {
  readonly text: string;
  /** By the monotonic clock. */
  readonly retryAtMs: number;
}

/**
 * The store in a SQLite file, in a thread of its own since SQLite is synchronous and a disk may stall. A fault of the file
 * never fails a request: nothing is found then, nothing is kept, and the file is tried again after a minute.
 */
export class SqliteStore implements VectorStore {
  readonly #options: SqliteStoreOptions;
  #maxBytes: number;
  #worker: Worker | null = null;
  #number = 0;
  #stats = NOTHING_STORED;
  readonly #pending = new Map<number, PendingCall>();
  #queuedBytes = 0;
  /** Null: the file can be read. */
  #readFault: Fault | null = null;
  /** Null: it can be written. A full disk can still be read. */
  #writeFault: Fault | null = null;
  /** Searches that took too long and have not come back. */
  #stalled = 0;
  /** The thread has responded. */
  #isOpened = false;
  #isClosed = false;

  constructor(options: SqliteStoreOptions) {
    this.#options = options;
    this.#maxBytes = options.maxBytes;
    // Starts the thread and opens the file, before a request waits for that.
    this.resize(options.maxBytes);
  }

  get stats(): StoreStats {
    return this.#stats;
  }

  async find(scope: string, keys: readonly string[]): Promise<FoundInputs> {
    const isUsable = this.#stalled === 0 && this.#isOver(this.#readFault);
    const response = isUsable ? await this.#findInTime({ kind: 'find', scope, keys }) : null;
    const found = response?.found;
    if (found === undefined) return { model: null, inputs: keys.map(() => null) };
    return { model: found.model, inputs: unpackedInputs(found.inputs) };
  }

  keep({ scope, model, keys, inputs }: KeptInputs): void {
    if (!this.#isOver(this.#readFault) || !this.#isOver(this.#writeFault)) return;
    if (this.#queuedBytes > MAX_QUEUED_BYTES) return;
    const packed = packedInputs(inputs);
    const call: CacheCall = { kind: 'keep', scope, model, keys, inputs: packed };
    void this.#call(call, packed.bytes);
  }

  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    void this.#call({ kind: 'resize', maxBytes });
  }

  async clear(): Promise<void> {
    // A fault may be what is to be repaired.
    const response = await this.#call({ kind: 'clear' });
    const fault = response === null ? 'its thread exited' : response.fault;
    if (fault !== undefined) throw new Error(fault);
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    if (worker === null || this.#isClosed) {
      this.#isClosed = true;
      return;
    }
    worker.ref();
    const exited = new Promise((resolve) => worker.once('exit', resolve));
    const closing = this.#call({ kind: 'close' });
    this.#isClosed = true;
    await closing;
    await exited;
  }

  #isOver(fault: Fault | null): boolean {
    return fault === null || this.#options.clock.monoMs() >= fault.retryAtMs;
  }

  async #findInTime(call: CacheCall): Promise<CacheResponse | null> {
    const searching = this.#call(call);
    return new Promise((resolve) => {
      let isLate = false;
      const timer = this.#options.clock.schedule(
        () => {
          isLate = true;
          this.#stalled += 1;
          resolve(null);
        },
        this.#isOpened ? MAX_WAIT_MS : MAX_START_MS,
      );
      void searching.then((response) => {
        timer.cancel();
        if (isLate) this.#stalled -= 1;
        resolve(response);
      });
    });
  }

  /** Null: the worker exited. Never rejects. */
  #call(call: CacheCall, handedOver?: ArrayBuffer): Promise<CacheResponse | null> {
    if (this.#isClosed) return Promise.resolve(null);
    const number = ++this.#number;
    const queuedBytes = handedOver?.byteLength ?? 0;
    return new Promise((resolve) => {
      this.#pending.set(number, { kind: call.kind, queuedBytes, settle: resolve });
      this.#queuedBytes += queuedBytes;
      try {
        this.#worker ??= this.#start();
        const request: CacheRequest = { number, call };
        this.#worker.postMessage(request, handedOver === undefined ? [] : [handedOver]);
      } catch (error) {
        this.#settle({ number, stats: this.#stats, fault: String(error) });
      }
    });
  }

  #start(): Worker {
    const { path } = this.#options;
    const worker = startWorker('sqlite-worker', import.meta.url, {
      name: 'embeddings-cache',
      workerData: { path, maxBytes: this.#maxBytes } satisfies CacheWorkerSettings,
    });
    worker.on('message', (response: CacheResponse) => this.#settle(response));
    worker.on('error', (error) => this.#fail(worker, error.message));
    worker.on('exit', () => this.#fail(worker, 'its thread exited'));
    // After the listeners, each of which keeps the process alive again.
    worker.unref();
    return worker;
  }

  #settle(response: CacheResponse): void {
    this.#isOpened = true;
    const call = this.#pending.get(response.number);
    this.#pending.delete(response.number);
    this.#queuedBytes -= call?.queuedBytes ?? 0;
    this.#stats = response.stats;
    if (call !== undefined) this.#note(call.kind === 'keep', response.fault ?? null);
    call?.settle(response);
  }

  /** What a call has shown of the file: a write that it can be read as well, a search nothing of its being written. */
  #note(isWrite: boolean, text: string | null): void {
    const before = this.#readFault ?? this.#writeFault;
    const fault = text === null ? null : { text, retryAtMs: this.#options.clock.monoMs() + RETRY_MS };
    if (isWrite) this.#writeFault = fault;
    if (!isWrite || fault === null) this.#readFault = fault;
    const now = this.#readFault ?? this.#writeFault;
    if ((before === null) !== (now === null)) this.#options.onFault(now?.text ?? null);
  }

  #fail(worker: Worker, reason: string): void {
    if (this.#worker !== worker) return;
    this.#worker = null;
    this.#isOpened = false;
    const lost = [...this.#pending.values()];
    this.#pending.clear();
    this.#queuedBytes = 0;
    if (!this.#isClosed) this.#note(false, reason);
    for (const call of lost) call.settle(null);
  }
}
