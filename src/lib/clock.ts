/**
 * The two clocks of this machine and its timers, injected so that tests can control them.
 *
 * Both are needed: the wall clock jumps (NTP, an operator, a resumed laptop), the monotonic clock stops while the machine
 * is suspended.
 */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00Z. May jump in either direction. */
  wallMs(): number;
  /** Milliseconds since an arbitrary start. Never goes back; may stop during a suspend. */
  monoMs(): number;
  /** Calls `run` once after `delayMs`. The timer never keeps the process alive by itself. */
  schedule(run: () => void, delayMs: number): Timer;
}

/** A scheduled call. */
export interface Timer {
  /** Idempotent; harmless after the call was made. */
  cancel(): void;
}

/** The real clocks. */
export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monoMs: () => performance.now(),
  schedule(run, delayMs) {
    // A time that has passed already is negative, for which Node prints a warning.
    const handle = setTimeout(run, Math.max(0, delayMs));
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};
