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
 * The slots of one upstream (`max_concurrency`) and the bounded queue before them. Each client has a queue of its own and
 * the queues take turns, so that a client that sends a thousand requests delays each of the others by one; when all
 * queues together are full, the last request of the longest one is refused in favour of a client with a shorter one.
 */
export class ConcurrencyLimiter {
  /** 0: no limit. */
  readonly #maxRunning: number;
  readonly #maxWaiting: number;
  /** In the order of their turns; no queue is empty. */
  readonly #queues = new Map<string, Waiter[]>();
  #running = 0;
  #waiting = 0;

  constructor(maxRunning: number) {
    this.#maxRunning = maxRunning;
    this.#maxWaiting = Math.max(MIN_QUEUE_LENGTH, MAX_WAITING_PER_SLOT * maxRunning);
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting;
  }

  get hasFreeSlot(): boolean {
    return this.#maxRunning === 0 || this.#running < this.#maxRunning;
  }

  /** True: a new request is refused, unless its client has a shorter queue than another. */
  get isQueueFull(): boolean {
    return !this.hasFreeSlot && this.#waiting >= this.#maxWaiting;
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
    if (this.#waiting >= this.#maxWaiting && !this.#makeRoomFor(client)) return Promise.resolve('queue_full');
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
        this.#remove(client, waiter);
        reject(signal.reason);
      };
      const onTimeout = (): void => {
        this.#remove(client, waiter);
        waiter.settle('timed_out');
      };
      const timer = Number.isFinite(waitMs)
        ? setTimeout(onTimeout, Math.min(waitMs, MAX_TIMER_MS))
        : undefined;
      signal.addEventListener('abort', onAbort);
      this.#add(client, waiter);
    });
  }

  /** Gives a slot back; the waiter whose turn it is gets it. */
  release(): void {
    const next = this.#queues.entries().next();
    if (next.done === true) {
      this.#running -= 1;
      return;
    }
    const [client, queue] = next.value;
    const waiter = queue.shift();
    this.#waiting -= 1;
    // The client's next turn comes after those of all others.
    this.#queues.delete(client);
    if (queue.length > 0) this.#queues.set(client, queue);
    waiter?.settle('acquired');
  }

  #add(client: string, waiter: Waiter): void {
    this.#waiting += 1;
    const queue = this.#queues.get(client);
    if (queue === undefined) this.#queues.set(client, [waiter]);
    else queue.push(waiter);
  }

  #remove(client: string, waiter: Waiter): void {
    const queue = this.#queues.get(client);
    const at = queue?.indexOf(waiter) ?? -1;
    if (queue === undefined || at === -1) return;
    queue.splice(at, 1);
    this.#waiting -= 1;
    if (queue.length === 0) this.#queues.delete(client);
  }

  /** False: no other client has a longer queue than this one would have. */
  #makeRoomFor(client: string): boolean {
    let longest: Waiter[] = [];
    for (const queue of this.#queues.values()) if (queue.length > longest.length) longest = queue;
    if (longest.length <= (this.#queues.get(client)?.length ?? 0) + 1) return false;
    const last = longest.pop();
    this.#waiting -= 1;
    last?.settle('queue_full');
    return true;
  }
}
