import { FairQueue } from './fair-queue.ts';

/** How a wait in the queue ended: with a slot, refused because the queue is full, or when the time for it was over. */
export type QueueOutcome = 'acquired' | 'queue_full' | 'timed_out';

interface SlotRequest {
  /** Each client has a queue of its own. */
  readonly client: string;
  /** Aborted when the client disconnects; its reason is thrown. */
  readonly signal: AbortSignal;
  /** The longest wait; infinite when there is no deadline. */
  readonly waitMs: number;
}

interface Waiter {
  settle(outcome: QueueOutcome): void;
}

/** Longer queues would only turn a refusal, which a client can act on, into a timeout. */
const MAX_WAITING_PER_SLOT = 4;
const MIN_QUEUE_LENGTH = 16;
/** The longest delay of a Node timer. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * The slots of one upstream (`max_concurrency`) and the bounded queue before them. The queues of the clients take turns;
 * when all together are full, the last request of the longest one is refused in favour of a client with a shorter one.
 */
export class ConcurrencyLimiter {
  /** 0: no limit. */
  readonly #maxRunning: number;
  readonly #maxWaiting: number;
  readonly #queue = new FairQueue<Waiter>();
  #running = 0;

  constructor(maxRunning: number) {
    this.#maxRunning = maxRunning;
    this.#maxWaiting = Math.max(MIN_QUEUE_LENGTH, MAX_WAITING_PER_SLOT * maxRunning);
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  get hasFreeSlot(): boolean {
    return this.#maxRunning === 0 || this.#running < this.#maxRunning;
  }

  /** True: a new request is refused, unless its client has a shorter queue than another. */
  get isQueueFull(): boolean {
    return !this.hasFreeSlot && this.#queue.length >= this.#maxWaiting;
  }

  /** Takes a slot when one is free; the caller releases it once. */
  tryAcquire(): boolean {
    if (!this.hasFreeSlot) return false;
    this.#running += 1;
    return true;
  }

  /** Waits for a slot; rejects with the signal's reason. */
  acquire({ client, signal, waitMs }: SlotRequest): Promise<QueueOutcome> {
    if (this.tryAcquire()) return Promise.resolve('acquired');
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#queue.length >= this.#maxWaiting && !this.#makeRoomFor(client))
      return Promise.resolve('queue_full');
    return new Promise((resolve, reject) => {
      const stopWaiting = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
      };
      const waiter: Waiter = {
        settle: (outcome) => {
          stopWaiting();
          resolve(outcome);
        },
      };
      const onAbort = (): void => {
        stopWaiting();
        this.#queue.remove(client, waiter);
        reject(signal.reason);
      };
      const onTimeout = (): void => {
        this.#queue.remove(client, waiter);
        waiter.settle('timed_out');
      };
      const timer = Number.isFinite(waitMs)
        ? setTimeout(onTimeout, Math.min(waitMs, MAX_TIMER_MS))
        : undefined;
      signal.addEventListener('abort', onAbort);
      this.#queue.add(client, waiter);
    });
  }

  /** Gives a slot back; the waiter whose turn it is gets it. */
  release(): void {
    if (this.#queue.length === 0) this.#running -= 1;
    else this.#queue.shift()?.settle('acquired');
  }

  /** False: no other client has a longer queue than this one would have. */
  #makeRoomFor(client: string): boolean {
    const last = this.#queue.makeRoomFor(client);
    last?.settle('queue_full');
    return last !== undefined;
  }
}
