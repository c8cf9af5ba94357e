import type { Clock } from '../../lib/clock.ts';
import type { Lease } from './lease.ts';

/** `get`: wants any usable token · `replay`: wants another one than was refused · `manual`: the result of the next attempt. */
export type WaiterKind = 'get' | 'replay' | 'manual';

/** Someone who waits for a token. */
interface Waiter {
  readonly kind: WaiterKind;
  readonly sinceMonoMs: number;
  readonly deadlineMonoMs: number;
  /** `null` only for `replay`: do not replay. */
  serve(lease: Lease | null): void;
  refuse(error: Error): void;
}

interface WaitSettings {
  readonly kind: WaiterKind;
  readonly maxWaitMs: number;
  readonly signal: AbortSignal | undefined;
  /** The error for a wait that lasted `maxWaitMs`. */
  readonly timeoutError: () => Error;
}

type WaitOutcome = 'served' | 'unavailable' | 'left';

/** The requests that wait for a token. A waiter that leaves takes nothing with it: the attempt goes on for the rest. */
export class WaitingRoom {
  readonly #clock: Clock;
  readonly #onEnd: (waitMs: number, outcome: WaitOutcome) => void;
  readonly #waiters = new Set<Waiter>();
  #manual = 0;

  constructor(clock: Clock, onEnd: (waitMs: number, outcome: WaitOutcome) => void) {
    this.#clock = clock;
    this.#onEnd = onEnd;
  }

  get size(): number {
    return this.#waiters.size;
  }

  get hasManual(): boolean {
    return this.#manual > 0;
  }

  /** A copy, since serving a waiter takes it out. */
  all(): Waiter[] {
    return [...this.#waiters];
  }

  /** Refuses those of whom `isMeant` holds, each with its own error. */
  refuse(isMeant: (waiter: Waiter) => boolean, error: () => Error): void {
    for (const waiter of this.all()) {
      if (isMeant(waiter)) waiter.refuse(error());
    }
  }

  /** Waits until served or refused, until `maxWaitMs` has passed or the signal aborts (rejects with its reason). */
  enter(settings: WaitSettings): Promise<Lease | null> {
    const { kind, signal, maxWaitMs } = settings;
    return new Promise((resolve, reject) => {
      const sinceMonoMs = this.#clock.monoMs();
      const leave = (outcome: WaitOutcome): boolean => {
        if (!this.#waiters.delete(waiter)) return false;
        if (kind === 'manual') this.#manual -= 1;
        timer.cancel();
        signal?.removeEventListener('abort', onAbort);
        this.#onEnd(this.#clock.monoMs() - sinceMonoMs, outcome);
        return true;
      };
      const waiter: Waiter = {
        kind,
        sinceMonoMs,
        deadlineMonoMs: sinceMonoMs + maxWaitMs,
        serve: (lease) => {
          if (leave('served')) resolve(lease);
        },
        refuse: (error) => {
          if (leave('unavailable')) reject(error);
        },
      };
      const onAbort = (): void => {
        if (leave('left')) reject(signal?.reason);
      };
      const timer = this.#clock.schedule(() => waiter.refuse(settings.timeoutError()), maxWaitMs);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiters.add(waiter);
      if (kind === 'manual') this.#manual += 1;
    });
  }
}
