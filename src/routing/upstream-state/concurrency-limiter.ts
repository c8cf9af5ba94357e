/** How a wait for a place ended: with one, refused because too many wait already, or with the end of the time for it. */
export type Admission = 'taken' | 'full' | 'too_late';

interface PlaceRequest {
  /** Whose line it waits in. */
  readonly client: string;
  /** Aborted when the client leaves; its reason is thrown. */
  readonly signal: AbortSignal;
  /** The longest wait; infinite when there is no deadline. */
  readonly waitMs: number;
}

interface Waiter {
  settle(admission: Admission): void;
}

/** Longer lines would only turn a refusal, which a client can act on, into a timeout. */
const WAITING_PER_PLACE = 4;
const LEAST_WAITING = 16;
/** What a timer can hold. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * The places of one upstream (`max_concurrency`) and the bounded queue before them. Each client has a line of its own
 * and the lines take turns, so that one that sends a thousand requests delays the others by one each; when the queue
 * is full, the last of the longest line gives way to a client with a shorter one.
 */
export class Places {
  /** 0: no limit. */
  readonly #most: number;
  readonly #mostWaiting: number;
  /** In the order of their turns; no line is empty. */
  readonly #lines = new Map<string, Waiter[]>();
  #taken = 0;
  #waiting = 0;

  constructor(most: number) {
    this.#most = most;
    this.#mostWaiting = Math.max(LEAST_WAITING, WAITING_PER_PLACE * most);
  }

  get taken(): number {
    return this.#taken;
  }

  get waiting(): number {
    return this.#waiting;
  }

  get isFree(): boolean {
    return this.#most === 0 || this.#taken < this.#most;
  }

  /** True: whoever comes now is refused, unless its client has a shorter line than another. */
  get isQueueFull(): boolean {
    return !this.isFree && this.#waiting >= this.#mostWaiting;
  }

  /** Takes a place when one is free. Whoever has one calls `release` once. */
  tryTake(): boolean {
    if (!this.isFree) return false;
    this.#taken += 1;
    return true;
  }

  /** Waits for a place; rejects with the signal's reason. */
  take({ client, signal, waitMs }: PlaceRequest): Promise<Admission> {
    if (this.tryTake()) return Promise.resolve('taken');
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#waiting >= this.#mostWaiting && !this.#makeRoom(client)) return Promise.resolve('full');
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
      };
      const waiter: Waiter = {
        settle: (admission) => {
          leave();
          resolve(admission);
        },
      };
      const onAbort = (): void => {
        leave();
        this.#remove(client, waiter);
        reject(signal.reason);
      };
      const timer = Number.isFinite(waitMs)
        ? setTimeout(
            () => {
              this.#remove(client, waiter);
              waiter.settle('too_late');
            },
            Math.min(waitMs, LONGEST_TIMER_MS),
          )
        : undefined;
      signal.addEventListener('abort', onAbort);
      this.#add(client, waiter);
    });
  }

  /** Gives a place back: to the next in turn, when one waits. */
  release(): void {
    const next = this.#lines.entries().next();
    if (next.done === true) {
      this.#taken -= 1;
      return;
    }
    const [client, line] = next.value;
    const waiter = line.shift();
    this.#waiting -= 1;
    // To the end of the turns; a client that waits no longer has none.
    this.#lines.delete(client);
    if (line.length > 0) this.#lines.set(client, line);
    waiter?.settle('taken');
  }

  #add(client: string, waiter: Waiter): void {
    this.#waiting += 1;
    const line = this.#lines.get(client);
    if (line === undefined) this.#lines.set(client, [waiter]);
    else line.push(waiter);
  }

  #remove(client: string, waiter: Waiter): void {
    const line = this.#lines.get(client);
    const at = line?.indexOf(waiter) ?? -1;
    if (line === undefined || at === -1) return;
    line.splice(at, 1);
    this.#waiting -= 1;
    if (line.length === 0) this.#lines.delete(client);
  }

  /** False: no other client has a line that is longer than this one's would be. */
  #makeRoom(client: string): boolean {
    let longest: Waiter[] = [];
    for (const line of this.#lines.values()) if (line.length > longest.length) longest = line;
    if (longest.length <= (this.#lines.get(client)?.length ?? 0) + 1) return false;
    const last = longest.pop();
    this.#waiting -= 1;
    last?.settle('full');
    return true;
  }
}
