import type { FerryError } from '../errors.ts';

/**
 * The one running time limit of an attempt. The limits of an attempt follow each other (headers, first content,
 * then idle), so one timer serves them all; `touch` restarts it without a new timer for each stream event.
 */
export class AttemptTimer {
  readonly #onExpired: (error: FerryError) => void;
  #handle: NodeJS.Timeout | null = null;
  /** What the client is told when the running limit passes; read by the timer's callback. */
  #makeError: (() => FerryError | null) | null = null;
  /** True for the idle limit, which measures silence; the others measure the time to a goal. */
  #isRestartable = false;

  constructor(onExpired: (error: FerryError) => void) {
    this.#onExpired = onExpired;
  }

  /**
   * Starts a limit of `limitMs` in place of the running one; 0 or less means no limit. When it passes, `makeError`
   * says what that means; null means that it was not the upstream's doing, and the limit starts again.
   */
  start(limitMs: number, makeError: () => FerryError | null, restarts: 'on_bytes' | 'never' = 'never'): void {
    this.clear();
    this.#isRestartable = restarts === 'on_bytes';
    if (limitMs <= 0) return;
    this.#makeError = makeError;
    this.#handle = setTimeout(() => this.#expire(), limitMs);
  }

  /** Bytes arrived: an idle limit begins anew, any other runs on. */
  touch(): void {
    if (this.#isRestartable) this.#handle?.refresh();
  }

  #expire(): void {
    const error = this.#makeError?.() ?? null;
    if (error === null) {
      this.#handle?.refresh();
      return;
    }
    this.#handle = null;
    this.#onExpired(error);
  }

  clear(): void {
    if (this.#handle === null) return;
    clearTimeout(this.#handle);
    this.#handle = null;
  }
}
