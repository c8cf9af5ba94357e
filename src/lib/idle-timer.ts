/**
 * Calls back after a silence of `limitMs`, and again after each further one. Made for events that come thousands of
 * times a second: `touch` only notes the time, and the timer looks at it when it rings. (Restarting a timer for each
 * event would move it through the list of all timers each time.)
 */
export class SilenceTimer {
  readonly #limitMs: number;
  readonly #onSilence: () => void;
  #touchedMs = performance.now();
  /** null after `stop`. */
  #timer: NodeJS.Timeout | null;

  constructor(limitMs: number, onSilence: () => void) {
    this.#limitMs = limitMs;
    this.#onSilence = onSilence;
    this.#timer = setTimeout(() => this.#ring(), limitMs);
  }

  /** Something happened: the silence begins anew. */
  touch(): void {
    this.#touchedMs = performance.now();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #ring(): void {
    const leftMs = this.#touchedMs + this.#limitMs - performance.now();
    // Timers ring up to a millisecond early.
    if (leftMs < 1) {
      this.touch();
      this.#onSilence();
    }
    if (this.#timer !== null)
      this.#timer = setTimeout(() => this.#ring(), leftMs < 1 ? this.#limitMs : leftMs);
  }
}
