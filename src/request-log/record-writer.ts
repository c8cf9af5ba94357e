import type { Clock, Timer } from '../lib/clock.ts';
import { counted } from '../lib/text/format.ts';
import { type RequestStore, type RowBatch, StoreError, type StoreFault } from './request-store.ts';

/** A change of the store's state for the service's log: one event per change, never one per row. */
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

interface RecordWriterOptions {
  readonly store: RequestStore;
  readonly clock: Clock;
  /** Rows that may wait. */
  readonly maxRows: number;
  /** Characters of all waiting rows together; bodies make rows large. */
  readonly maxChars: number;
  readonly onEvent: (event: RequestLogEvent) => void;
}

/** An insert of no rows: opens the store, and shows whether it can be written. */
const NO_ROWS: RowBatch = { rows: 0, values: '' };

/** Rows of one transaction: bounds how long the worker cannot serve other calls. */
const MAX_ROWS_PER_INSERT = 1_000;
/** Minimum time between two inserts: a message to the worker and a transaction cost as much as 30 rows. */
const INSERT_EVERY_MS = 500;
const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 5_000;
/** A person has to act first; a rare retry is enough to notice it. */
const UNUSABLE_RETRY_MS = 30_000;

/**
 * Queues batches of rows in memory, bounded in rows and characters, and inserts them in order, one insert at a time.
 * Retries while the store is unavailable. Never throws and never blocks: rows beyond the bounds are dropped and counted.
 */
export class RecordWriter {
  readonly #store: RequestStore;
  readonly #clock: Clock;
  readonly #maxRows: number;
  readonly #maxChars: number;
  readonly #onEvent: (event: RequestLogEvent) => void;
  /** Oldest first, without the batch that is being inserted. */
  #batches: RowBatch[] = [];
  /** Rows and characters that wait, those of the insert in progress included. */
  #queuedRows = 0;
  #queuedChars = 0;
  #written = 0;
  #dropped = 0;
  /** Dropped since the store became unavailable, for the event of its return. */
  #droppedInOutage = 0;
  /** Failed inserts in a row; 0 while the store is available. */
  #failures = 0;
  /** The message of the last failed insert. */
  #fault = '';
  #isDropping = false;
  #isFlushing = false;
  #isStopped = false;
  /** The insert in progress, which never rejects; null between inserts. */
  #insert: Promise<void> | null = null;
  /** Runs after a failure, until the next attempt. */
  #retry: Timer | null = null;
  /** Runs after an insert, until the next one may start. */
  #pause: Timer | null = null;

  constructor(options: RecordWriterOptions) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#maxRows = options.maxRows;
    this.#maxChars = options.maxChars;
    this.#onEvent = options.onEvent;
  }

  /** How many rows `push` may take now. Asked before rows are encoded, so that a full queue costs next to nothing. */
  get room(): number {
    return this.#queuedChars >= this.#maxChars ? 0 : this.#maxRows - this.#queuedRows;
  }

  /** Why records cannot be written now; null when they can, as far as is known. */
  get problem(): string | null {
    if (this.#failures === 0) return this.#isDropping ? 'The queue is full.' : null;
    return this.#fault;
  }

  get counts(): { written: number; dropped: number; queued: number } {
    return { written: this.#written, dropped: this.#dropped, queued: this.#queuedRows };
  }

  /** Opens the store now, so that a defect of it is reported at the start and not at the first request. */
  open(): void {
    this.#insert ??= this.#write(NO_ROWS);
  }

  push(batch: RowBatch): void {
    this.#batches.push(batch);
    this.#queuedRows += batch.rows;
    this.#queuedChars += batch.values.length;
    const isDue = this.#pause === null || this.#queuedRows >= MAX_ROWS_PER_INSERT;
    if (isDue && this.#retry === null) this.#startInsert();
  }

  /** Inserts without the pause, so that a query afterwards finds every row. */
  async hurry(): Promise<void> {
    await this.#insert;
    if (this.#retry !== null) return;
    this.#startInsert();
    await this.#insert;
  }

  /** Counts rows for which there was no room. */
  drop(rows: number): void {
    this.#dropped += rows;
    this.#droppedInOutage += rows;
    if (this.#isDropping) return;
    this.#isDropping = true;
    const message = `the queue is full at ${counted(this.#queuedRows, 'record')}. Further records are dropped and counted.`;
    this.#onEvent({ kind: 'dropping', message });
  }

  /** Inserts what waits, with one more attempt at an unavailable store; resolves at the latest when `signal` aborts. */
  async flush(signal: AbortSignal): Promise<void> {
    this.#isFlushing = true;
    this.#cancelTimers();
    const { promise: aborted, resolve } = Promise.withResolvers<void>();
    signal.addEventListener('abort', () => resolve(), { once: true });
    this.#startInsert();
    while (this.#insert !== null && !signal.aborted) await Promise.race([this.#insert, aborted]);
  }

  /** Ends all attempts. What waits is counted as dropped, and so is an insert in progress, whose result is not awaited. */
  stop(): void {
    this.#isStopped = true;
    this.#cancelTimers();
    this.#dropped += this.#queuedRows;
    this.#queuedRows = 0;
    this.#queuedChars = 0;
    this.#batches = [];
  }

  #startInsert(): void {
    if (this.#insert !== null || this.#batches.length === 0) return;
    let rows = 0;
    let count = 0;
    let values = '';
    for (const batch of this.#batches) {
      if (count > 0 && rows + batch.rows > MAX_ROWS_PER_INSERT) break;
      rows += batch.rows;
      values += count === 0 ? batch.values : `,${batch.values}`;
      count += 1;
    }
    this.#batches.splice(0, count);
    this.#insert = this.#write({ rows, values });
  }

  async #write(batch: RowBatch): Promise<void> {
    try {
      const { written, refused } = await this.#store.insert(batch);
      if (this.#isStopped) return;
      this.#queuedRows -= batch.rows;
      // Joined batches have a comma more between each two.
      this.#queuedChars = Math.max(0, this.#queuedChars - batch.values.length);
      this.#written += written;
      this.#dropped += refused;
      if (refused > 0) this.#reportRefused(refused);
      this.#reportAvailable();
      this.#insert = null;
      if (batch === NO_ROWS || this.#isFlushing || this.#queuedRows >= MAX_ROWS_PER_INSERT) {
        this.#startInsert();
      } else {
        this.#pause ??= this.#clock.schedule(() => {
          this.#pause = null;
          this.#startInsert();
        }, INSERT_EVERY_MS);
      }
    } catch (error) {
      if (this.#isStopped) return;
      if (batch !== NO_ROWS) this.#batches.unshift(batch);
      this.#insert = null;
      this.#retryLater(error);
    }
  }

  #retryLater(error: unknown): void {
    const fault =
      error instanceof StoreError ? error : new StoreError('unavailable', 'UNKNOWN', String(error), error);
    this.#failures += 1;
    this.#fault = fault.message;
    if (this.#failures === 1) {
      this.#droppedInOutage = 0;
      this.#onEvent({ kind: 'unavailable', fault: fault.fault, code: fault.code, message: fault.message });
    }
    this.#retry = this.#clock.schedule(
      () => {
        this.#retry = null;
        // Without rows too, so that a store that is available again is noticed in an idle service.
        if (this.#batches.length > 0) this.#startInsert();
        else this.open();
      },
      retryDelayMs(fault.fault, this.#failures),
    );
  }

  #reportAvailable(): void {
    this.#isDropping = false;
    if (this.#failures === 0) return;
    this.#failures = 0;
    this.#onEvent({
      kind: 'available',
      waitingRows: this.#queuedRows,
      droppedRows: this.#droppedInOutage,
    });
  }

  #reportRefused(rows: number): void {
    const message = `the database rejected ${counted(rows, 'record')}, which ${rows === 1 ? 'is' : 'are'} lost: a value is too large for it.`;
    this.#onEvent({ kind: 'refused', rows, message });
  }

  #cancelTimers(): void {
    this.#retry?.cancel();
    this.#retry = null;
    this.#pause?.cancel();
    this.#pause = null;
  }
}

/** The pause after the `failures`-th failure in a row (1 and up). */
export function retryDelayMs(fault: StoreFault, failures: number): number {
  if (fault === 'unusable') return UNUSABLE_RETRY_MS;
  return Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** (failures - 1));
}
