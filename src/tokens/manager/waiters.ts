import type { Clock, Timer } from '../../lib/clock.ts';
import type { Lease } from './lease.ts';

/** `get`: needs any usable token · `replay`: another one than was rejected · `manual`: the result of the next acquisition. */
export type WaiterKind = 'get' | 'replay' | 'manual';

/** A request that waits for a token. Times are monotonic. */
export interface Waiter {
  readonly kind: WaiterKind;
  readonly sinceMonoMs: number;
  readonly deadlineMonoMs: number;
}

interface Pending {
  resolve(lease: Lease | null): void;
  reject(error: unknown): void;
  timer: Timer | null;
  readonly signal: AbortSignal | undefined;
  readonly onAbort: () => void;
}

interface WaitEnds {
  /** The deadline has passed. */
  expired(waiter: Waiter): void;
  aborted(waiter: Waiter, reason: unknown): void;
}

/** The promises of the requests that wait for a token, with the timer and the abort listener of each. */
export class Waiters {
  readonly #clock: Clock;
  readonly #ends: WaitEnds;
  readonly #pending = new Map<Waiter, Pending>();

  constructor(clock: Clock, ends: WaitEnds) {
    this.#clock = clock;
    this.#ends = ends;
  }

  /** `begin` may settle the waiter at once: then neither a timer nor a listener is made for it. */
  wait(waiter: Waiter, signal: AbortSignal | undefined, begin: () => void): Promise<Lease | null> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => this.#ends.aborted(waiter, signal?.reason);
      const pending: Pending = { resolve, reject, timer: null, signal, onAbort };
      this.#pending.set(waiter, pending);
      begin();
      if (!this.#pending.has(waiter)) return;
      const expire = (): void => this.#ends.expired(waiter);
      pending.timer = this.#clock.schedule(expire, waiter.deadlineMonoMs - this.#clock.monoMs());
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Null: do not replay. */
  resolve(waiter: Waiter, lease: Lease | null): void {
    this.#take(waiter)?.resolve(lease);
  }

  reject(waiter: Waiter, error: unknown): void {
    this.#take(waiter)?.reject(error);
  }

  #take(waiter: Waiter): Pending | undefined {
    const pending = this.#pending.get(waiter);
    if (pending === undefined) return undefined;
    this.#pending.delete(waiter);
    pending.timer?.cancel();
    pending.signal?.removeEventListener('abort', pending.onAbort);
    return pending;
  }
}
