import type { FerryError } from '../lib/errors/ferry-error.ts';
import { IdleTimer } from '../lib/idle-timer.ts';

/**
 * The one running time limit of an attempt. The limits of an attempt follow each other (headers, first content,
 * then idle), so one timer serves them all; `touch` restarts it without a new timer for each stream event.
 */
export class AttemptTimer {
  readonly #onExpired: (error: FerryError) => void;
  /** The time to a goal, which nothing restarts. */
  #goal: NodeJS.Timeout | null = null;
  /** The idle limit, which measures silence. At most one of the two runs. */
  #silence: IdleTimer | null = null;
  /** Makes the error of the running limit when it passes. */
  #makeError: (() => FerryError | null) | null = null;

  constructor(onExpired: (error: FerryError) => void) {
    this.#onExpired = onExpired;
  }

  /**
   * Starts a limit of `limitMs` in place of the running one; 0 or less means no limit. When it passes, `makeError`
   * makes the error; null: the upstream was not the cause, and the limit starts again.
   */
  start(limitMs: number, makeError: () => FerryError | null, restarts: 'on_bytes' | 'never' = 'never'): void {
    this.clear();
    if (limitMs <= 0) return;
    this.#makeError = makeError;
    if (restarts === 'on_bytes') this.#silence = new IdleTimer(limitMs, () => this.#expire());
    else this.#goal = setTimeout(() => this.#expire(), limitMs);
  }

  /** Bytes arrived: an idle limit restarts, any other continues. */
  touch(): void {
    this.#silence?.touch();
  }

  #expire(): void {
    const error = this.#makeError?.() ?? null;
    if (error === null) {
      this.#goal?.refresh();
      return;
    }
    this.clear();
    this.#onExpired(error);
  }

  clear(): void {
    if (this.#goal !== null) clearTimeout(this.#goal);
    this.#goal = null;
    this.#silence?.stop();
    this.#silence = null;
  }
}
