/**
 * Calls `onIdle` after `limitMs` without a `touch`, and again after each further `limitMs`. Made for events that come
 * thousands of times a second: `touch` only stores the time, and the timer compares when it fires. Restarting a timer for
 * each event would move it through Node's timer lists each time.
 */
export class IdleTimer {
  readonly #limitMs: number;
  readonly #onIdle: () => void;
  #touchedMs: number;
  /** null after `stop`. */
  #timer: NodeJS.Timeout | null;

  constructor(limitMs: number, onIdle: () => void) {
    this.#limitMs = limitMs;
    this.#onIdle = onIdle;
    this.#touchedMs = performance.now();
    this.#timer = setTimeout(() => this.#fire(), limitMs);
  }

  /** Restarts the idle time. */
  touch(): void {
    this.#touchedMs = performance.now();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #fire(): void {
    const leftMs = this.#touchedMs + this.#limitMs - performance.now();
    // Timers fire up to a millisecond early.
    const isIdle = leftMs < 1;
    if (isIdle) {
      this.touch();
      this.#onIdle();
    }
    if (this.#timer !== null) this.#timer = setTimeout(() => this.#fire(), isIdle ? this.#limitMs : leftMs);
  }
}
