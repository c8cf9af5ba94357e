import type { Clock, Timer } from '../lib/clock.ts';
import { BatchQueue, type BatchQueueLimits } from './batch-queue.ts';
import { type RequestStore, type RowBatch, StoreError, type StoreFault } from './request-store.ts';

/** What the service's log should say about the store: one event per change of state, never one per row. */
export type RequestLogEvent =
  | {
      readonly kind: 'unavailable';
      readonly fault: StoreFault;
      readonly code: string;
      readonly message: string;
    }
  | { readonly kind: 'available'; readonly waitingRows: number; readonly droppedRows: number }
  | { readonly kind: 'dropping'; readonly message: string }
  | { readonly kind: 'refused'; readonly rows: number; readonly message: string };

/** An insert of nothing: opens the store, and shows whether it can be written. */
const NOTHING: RowBatch = { rows: 0, values: '' };

interface BatchWriterOptions {
  readonly store: RequestStore;
  readonly clock: Clock;
  readonly limits: BatchQueueLimits;
  readonly onEvent: (event: RequestLogEvent) => void;
}

/** Rows of one transaction: bounds how long the worker is deaf to other calls. */
const MOST_ROWS_PER_INSERT = 1_000;
/** Inserts follow each other at this pace: waking the worker and a transaction cost as much as 30 rows. */
const INSERT_EVERY_MS = 500;
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 5_000;
/** A person has to act first; asking rarely is enough to notice that one did. */
const UNUSABLE_RETRY_MS = 30_000;

/**
 * Moves batches from the queue to the store, one insert at a time, in order; waits and asks again while the
 * store is away. Never throws and never blocks: what does not fit the queue is dropped and counted.
 */
export class BatchWriter {
  readonly #store: RequestStore;
  readonly #clock: Clock;
  readonly #queue: BatchQueue;
  readonly #onEvent: (event: RequestLogEvent) => void;
  #written = 0;
  #dropped = 0;
  /** Dropped since the store went away, for the event of its return. */
  #droppedInOutage = 0;
  /** Failures in a row; 0 while the store is there. */
  #failures = 0;
  #isDropping = false;
  #isFlushing = false;
  /** The insert under way, which never rejects; null between inserts. */
  #insert: Promise<void> | null = null;
  /** Runs after a failure, until the next try. */
  #retry: Timer | null = null;
  /** Runs after an insert, until the next one is due by the pace. */
  #pause: Timer | null = null;

  constructor(options: BatchWriterOptions) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#queue = new BatchQueue(options.limits);
    this.#onEvent = options.onEvent;
  }

  /** How many rows may be handed to `push` now. */
  get room(): number {
    return this.#queue.room;
  }

  get counts(): { written: number; dropped: number; queued: number } {
    return { written: this.#written, dropped: this.#dropped, queued: this.#queue.rows };
  }

  /** Opens the store now, so that what is wrong with it shows at the start and not at the first request. */
  open(): void {
    this.#insert ??= this.#write(NOTHING);
  }

  push(batch: RowBatch): void {
    this.#queue.push(batch);
    const isDue = this.#pause === null || this.#queue.rows >= MOST_ROWS_PER_INSERT;
    if (isDue && this.#retry === null) this.#pump();
  }

  /** Writes at once what waits for the pace, so that a question asked afterwards finds it. */
  async hurry(): Promise<void> {
    await this.#insert;
    if (this.#retry !== null) return;
    this.#pump();
    await this.#insert;
  }

  /** Counts rows for which there was no room. */
  drop(rows: number): void {
    this.#dropped += rows;
    this.#droppedInOutage += rows;
    if (this.#isDropping) return;
    this.#isDropping = true;
    const message = `The queue of ${this.#queue.rows} request records is full; further ones are dropped and counted.`;
    this.#onEvent({ kind: 'dropping', message });
  }

  /** Writes what waits, with one more try at a store that is away; resolves at the latest when `signal` aborts. */
  async flush(signal: AbortSignal): Promise<void> {
    this.#isFlushing = true;
    this.#cancelTimers();
    const { promise: aborted, resolve } = Promise.withResolvers<void>();
    signal.addEventListener('abort', () => resolve(), { once: true });
    this.#pump();
    while (this.#insert !== null && !signal.aborted) await Promise.race([this.#insert, aborted]);
  }

  /** Ends all tries. What still waits is counted as dropped. */
  stop(): void {
    this.#cancelTimers();
    this.#dropped += this.#queue.rows;
    for (let rest = this.#queue.take(Infinity); rest !== null; rest = this.#queue.take(Infinity)) {
      this.#queue.settle(rest);
    }
  }

  #pump(): void {
    if (this.#insert !== null) return;
    const batch = this.#queue.take(MOST_ROWS_PER_INSERT);
    if (batch !== null) this.#insert = this.#write(batch);
  }

  async #write(batch: RowBatch): Promise<void> {
    try {
      const { written, refused } = await this.#store.insert(batch);
      this.#queue.settle(batch);
      this.#written += written;
      this.#dropped += refused;
      if (refused > 0) this.#reportRefused(refused);
      this.#reportReturn();
      this.#insert = null;
      if (batch === NOTHING) this.#pump();
      else this.#goOn();
    } catch (error) {
      if (batch !== NOTHING) this.#queue.putBack(batch);
      this.#insert = null;
      this.#waitForStore(error);
    }
  }

  /** After an insert: what is much, or is the last, goes at once; the rest at the pace. */
  #goOn(): void {
    if (this.#isFlushing || this.#queue.rows >= MOST_ROWS_PER_INSERT) {
      this.#pump();
      return;
    }
    this.#pause ??= this.#clock.schedule(() => {
      this.#pause = null;
      this.#pump();
    }, INSERT_EVERY_MS);
  }

  #waitForStore(error: unknown): void {
    const fault =
      error instanceof StoreError ? error : new StoreError('unavailable', 'UNKNOWN', String(error), error);
    this.#failures += 1;
    if (this.#failures === 1) {
      this.#droppedInOutage = 0;
      this.#onEvent({ kind: 'unavailable', fault: fault.fault, code: fault.code, message: fault.message });
    }
    this.#retry = this.#clock.schedule(
      () => {
        this.#retry = null;
        this.#pump();
      },
      retryDelayMs(fault.fault, this.#failures),
    );
  }

  #reportReturn(): void {
    this.#isDropping = false;
    if (this.#failures === 0) return;
    this.#failures = 0;
    this.#onEvent({
      kind: 'available',
      waitingRows: this.#queue.rows,
      droppedRows: this.#droppedInOutage,
    });
  }

  #reportRefused(rows: number): void {
    const message = `The database refused ${rows} request records, which are lost: a value in them is too big.`;
    this.#onEvent({ kind: 'refused', rows, message });
  }

  #cancelTimers(): void {
    this.#retry?.cancel();
    this.#retry = null;
    this.#pause?.cancel();
    this.#pause = null;
  }
}

/** Pure: how long to wait after the `failures`-th failure in a row (1 and up). */
export function retryDelayMs(fault: StoreFault, failures: number): number {
  if (fault === 'unusable') return UNUSABLE_RETRY_MS;
  return Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (failures - 1));
}
