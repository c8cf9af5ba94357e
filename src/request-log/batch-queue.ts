import type { RowBatch } from './request-store.ts';

export interface BatchQueueLimits {
  readonly rows: number;
  /** Characters of all waiting rows together; bodies make rows large. */
  readonly chars: number;
}

/**
 * Rows that wait for the store, oldest first, bounded in number and size. Room is reserved before a row is
 * encoded, so that a queue that stays full costs next to nothing.
 */
export class BatchQueue {
  readonly #limits: BatchQueueLimits;
  #batches: RowBatch[] = [];
  #rows = 0;
  #chars = 0;

  constructor(limits: BatchQueueLimits) {
    this.#limits = limits;
  }

  /** Rows that wait, those of a batch that was taken and not yet returned or settled included. */
  get rows(): number {
    return this.#rows;
  }

  /** How many more rows fit. */
  get room(): number {
    return this.#chars >= this.#limits.chars ? 0 : this.#limits.rows - this.#rows;
  }

  get isEmpty(): boolean {
    return this.#batches.length === 0;
  }

  push(batch: RowBatch): void {
    this.#batches.push(batch);
    this.#rows += batch.rows;
    this.#chars += batch.values.length;
  }

  /** The oldest batches joined, up to about `mostRows`, or null. They keep their place until `settle`. */
  take(mostRows: number): RowBatch | null {
    let rows = 0;
    let count = 0;
    for (const batch of this.#batches) {
      if (count > 0 && rows + batch.rows > mostRows) break;
      rows += batch.rows;
      count += 1;
    }
    if (count === 0) return null;
    const taken = this.#batches.splice(0, count);
    return { rows, values: taken.map((batch) => batch.values).join(',') };
  }

  /** A taken batch did not reach the store: it waits again, first in line, as one. */
  putBack(batch: RowBatch): void {
    this.#batches.unshift(batch);
  }

  /** A taken batch is done with, written or lost. */
  settle(batch: RowBatch): void {
    this.#rows -= batch.rows;
    this.#chars = Math.max(0, this.#chars - batch.values.length);
  }
}
