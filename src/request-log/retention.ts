import type { Clock, Timer } from '../lib/clock.ts';
import type { RequestStore } from './request-store.ts';

/** Rows of one step: it takes a few milliseconds, and inserts run between steps. */
const ROWS_PER_STEP = 500;
const PAUSE_BETWEEN_STEPS_MS = 50;
const MAX_BETWEEN_ROUNDS_MS = 600_000;
const MIN_BETWEEN_ROUNDS_MS = 1_000;

interface RetentionOptions {
  readonly store: Pick<RequestStore, 'deleteBefore'>;
  readonly clock: Clock;
  /** How long a request is kept, in milliseconds; 0: without limit. */
  readonly retentionMs: number;
}

/** Deletes what is older than `retentionMs`, in small steps. Retries an unavailable store in the next round. */
export class Retention {
  readonly #options: RetentionOptions;
  #timer: Timer | null = null;
  #isStopped = false;

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#options.retentionMs > 0) this.#in(PAUSE_BETWEEN_STEPS_MS);
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #in(delayMs: number): void {
    if (this.#isStopped) return;
    this.#timer = this.#options.clock.schedule(() => void this.#step(), delayMs);
  }

  async #step(): Promise<void> {
    const { store, clock, retentionMs } = this.#options;
    let deleted = 0;
    try {
      deleted = await store.deleteBefore(clock.wallMs() - retentionMs, ROWS_PER_STEP);
    } catch {
      // The writer has the same fault and reports it; old rows can wait.
    }
    this.#in(deleted === ROWS_PER_STEP ? PAUSE_BETWEEN_STEPS_MS : roundMs(retentionMs));
  }
}

/** The time between rounds: a hundredth of the retention, so that nothing outlives it by much, within bounds. */
export function roundMs(retentionMs: number): number {
  return Math.min(MAX_BETWEEN_ROUNDS_MS, Math.max(MIN_BETWEEN_ROUNDS_MS, retentionMs / 100));
}
