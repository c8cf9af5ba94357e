/** Without a request for so long, nobody minds slower retries. */
const IDLE_MS = 60_000;

/** Whether anybody cares for a token: it is renewed for a while after the last request, and then no more until the next. */
export class Attention {
  readonly #idleStopMs: number;
  #lastRequestMonoMs: number;
  #isDormant = false;
  /** The background start waits until then (jitter); minus infinity once a request needed a token, which does not wait. */
  #startMonoMs = Number.NEGATIVE_INFINITY;

  constructor(monoMs: number, idleStopMs: number) {
    this.#lastRequestMonoMs = monoMs;
    this.#idleStopMs = idleStopMs;
  }

  /** The first attempt is not made before, on the monotonic clock. */
  get startMonoMs(): number {
    return this.#startMonoMs;
  }

  /** True: renewal stopped for want of requests. */
  get isDormant(): boolean {
    return this.#isDormant;
  }

  /** A request came. */
  note(monoMs: number): void {
    this.#lastRequestMonoMs = monoMs;
  }

  /** Tokens are wanted from now on, the first one after `jitterMs`. */
  begin(monoMs: number, jitterMs: number): void {
    this.#lastRequestMonoMs = monoMs;
    this.#startMonoMs = monoMs + jitterMs;
  }

  /** A request came that needs renewal to begin or to go on. */
  wake(monoMs: number): void {
    this.#lastRequestMonoMs = monoMs;
    this.#isDormant = false;
    this.#startMonoMs = Number.NEGATIVE_INFINITY;
  }

  isIdle(monoMs: number): boolean {
    return monoMs - this.#lastRequestMonoMs > IDLE_MS;
  }

  idleMs(monoMs: number): number {
    return monoMs - this.#lastRequestMonoMs;
  }

  /** Lets renewal stop when the last request is long past; true: it stopped just now. */
  lapse(monoMs: number): boolean {
    if (this.#isDormant || this.idleMs(monoMs) < this.#idleStopMs) return false;
    this.#isDormant = true;
    return true;
  }
}
