import type { Clock, Timer } from '../../src/lib/clock.ts';

interface Scheduled {
  readonly dueMonoMs: number;
  readonly order: number;
  readonly run: () => void;
}

/**
 * A clock that moves only when told to. Wall and monotonic time step independently, so that jumps (wall only)
 * and suspends (wall runs, monotonic stands still) can be played. `advance` runs due timers in order and lets
 * promises settle between them.
 */
export class VirtualClock implements Clock {
  #wallMs: number;
  #monoMs = 1_000;
  #order = 0;
  readonly #scheduled = new Set<Scheduled>();

  constructor(wallMs = Date.UTC(2026, 0, 1)) {
    this.#wallMs = wallMs;
  }

  wallMs(): number {
    return this.#wallMs;
  }

  monoMs(): number {
    return this.#monoMs;
  }

  schedule(run: () => void, delayMs: number): Timer {
    const entry: Scheduled = { dueMonoMs: this.#monoMs + Math.max(0, delayMs), order: this.#order++, run };
    this.#scheduled.add(entry);
    return { cancel: () => void this.#scheduled.delete(entry) };
  }

  /** How many timers wait: 0 after everything was stopped, or a timer leaked. */
  get pending(): number {
    return this.#scheduled.size;
  }

  /** When the next timer is due, in milliseconds from now; null when none waits. */
  get nextDueMs(): number | null {
    const next = this.#next();
    return next === undefined ? null : next.dueMonoMs - this.#monoMs;
  }

  /** Both clocks run for `ms`; every timer that comes due runs at its own time. */
  async advance(ms: number): Promise<void> {
    const endMonoMs = this.#monoMs + ms;
    await settle();
    for (;;) {
      const next = this.#next();
      if (next === undefined || next.dueMonoMs > endMonoMs) break;
      this.#moveTo(next.dueMonoMs);
      this.#scheduled.delete(next);
      next.run();
      await settle();
    }
    this.#moveTo(endMonoMs);
    await settle();
  }

  /** The wall clock jumps, the monotonic one does not notice: NTP, an operator. */
  stepWall(ms: number): void {
    this.#wallMs += ms;
  }

  /** The machine sleeps: the wall clock goes on, monotonic time and timers stand still. */
  suspend(ms: number): void {
    this.#wallMs += ms;
  }

  /** The event loop stalls: both clocks go on, timers are late. */
  stall(ms: number): void {
    this.#moveTo(this.#monoMs + ms);
  }

  #moveTo(monoMs: number): void {
    const step = Math.max(0, monoMs - this.#monoMs);
    this.#monoMs += step;
    this.#wallMs += step;
  }

  #next(): Scheduled | undefined {
    let next: Scheduled | undefined;
    for (const entry of this.#scheduled) {
      if (
        next === undefined ||
        entry.dueMonoMs < next.dueMonoMs ||
        (entry.dueMonoMs === next.dueMonoMs && entry.order < next.order)
      ) {
        next = entry;
      }
    }
    return next;
  }
}

/** Lets every promise that can settle without I/O do so. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  await new Promise<void>((resolve) => setImmediate(resolve));
}
