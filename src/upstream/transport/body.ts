import { FerryError } from '../../lib/errors/ferry-error.ts';

/** Above this many unread bytes the upstream's socket is paused; it resumes when the reader catches up. */
const HIGH_WATER_BYTES = 128 * 1024;

/** What a reader of each piece returns: continue, stop, or continue once a promise has resolved. */
export type ReadDirective = 'more' | 'enough' | Promise<void>;

interface EachReader {
  readonly take: (chunk: Buffer) => ReadDirective;
  /** False: the reader stopped before the end. */
  readonly resolve: (hasEnded: boolean) => void;
  readonly reject: (error: Error) => void;
  /** While it handles a piece or waits for its promise, pieces are buffered for it. */
  isBusy: boolean;
}

/** What fills the body. An object and not three closures: short responses make thousands of them a second. */
export interface BodySource {
  pause(): void;
  resume(): void;
  abort(reason: Error): void;
}

/**
 * The body of an upstream's response, read in pieces or whole. It buffers at most `HIGH_WATER_BYTES` beyond what was
 * read, so that a client that does not read stalls the upstream instead of filling memory.
 *
 * One reader at a time. A reader that stops before the end calls `destroy`, which closes the socket.
 */
export class ResponseBody {
  readonly #source: BodySource;
  #chunks: Buffer[] = [];
  #unreadBytes = 0;
  #isPaused = false;
  #isEnded = false;
  #error: Error | null = null;
  /** Set while `next` waits for bytes; cleared as soon as it is settled. */
  #waiting: { resolve: (chunk: Buffer | null) => void; reject: (error: Error) => void } | null = null;
  /** Set while `readEach` runs. */
  #each: EachReader | null = null;

  /** Called once, when the body is complete or will not be. */
  onSettled: (() => void) | null = null;

  constructor(source: BodySource) {
    this.#source = source;
  }

  get isSettled(): boolean {
    return this.#isEnded || this.#error !== null;
  }

  /** True: bytes are buffered for the reader, so that silence is not the upstream's. */
  get isBacklogged(): boolean {
    return this.#unreadBytes > 0;
  }

  /** The next piece in arrival order, null at the end. Throws what `fail` or `destroy` was given. */
  next(): Promise<Buffer | null> {
    const chunk = this.takeBuffered();
    if (chunk !== null) return Promise.resolve(chunk);
    if (this.#error !== null) return Promise.reject(this.#error);
    if (this.#isEnded) return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  /**
   * The beginning of the rest, of `minBytes` unless it is shorter, which is left there to be read; null at the end.
   * Throws as `next` does.
   */
  async peek(minBytes = 1): Promise<Buffer | null> {
    let chunk = await this.next();
    if (chunk === null) return null;
    while (chunk.length < minBytes) {
      const more = await this.next();
      if (more === null) break;
      chunk = Buffer.concat([chunk, more]);
    }
    this.#chunks.unshift(chunk);
    this.#unreadBytes += chunk.length;
    return chunk;
  }

  /** Everything that arrived and was not read yet as one piece, without waiting; null when there is nothing. */
  takeBuffered(): Buffer | null {
    const first = this.#chunks[0];
    if (first === undefined) return null;
    const all = this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks, this.#unreadBytes);
    this.#chunks = [];
    this.#unreadBytes = 0;
    if (this.#isPaused) {
      this.#isPaused = false;
      this.#source.resume();
    }
    return all;
  }

  /**
   * Hands each piece to `take` at the moment at which it arrives: a promise for each would cost a stream more than its
   * bytes do. True: the body ended; false: `take` stopped. Rejects like `next`.
   */
  readEach(take: (chunk: Buffer) => ReadDirective): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#each = { take, resolve, reject, isBusy: false };
      this.#serveEach(this.#each);
    });
  }

  /** Gives the reader what was buffered for it, then the end if there is one. */
  #serveEach(reader: EachReader): void {
    for (let chunk = this.takeBuffered(); chunk !== null; chunk = this.takeBuffered()) {
      if (!this.#handTo(reader, chunk)) return;
    }
    if (!this.isSettled) return;
    this.#each = null;
    if (this.#error === null) reader.resolve(true);
    else reader.reject(this.#error);
  }

  /** Whether the reader continues at once. */
  #handTo(reader: EachReader, chunk: Buffer): boolean {
    reader.isBusy = true;
    const appetite = this.#ask(reader, chunk);
    if (appetite === 'more') {
      reader.isBusy = false;
      return true;
    }
    if (appetite === 'enough') {
      this.#each = null;
      reader.resolve(false);
    } else {
      appetite.then(() => {
        reader.isBusy = false;
        this.#serveEach(reader);
      }, reader.reject);
    }
    return false;
  }

  /** A defect in the reader must not reach the transport, which is the caller. */
  #ask(reader: EachReader, chunk: Buffer): ReadDirective {
    try {
      return reader.take(chunk);
    } catch (error) {
      reader.reject(error as Error);
      return 'enough';
    }
  }

  /**
   * The whole body; `head` is what was read of it before. Throws `invalid_response` and closes the socket beyond
   * `limitBytes`.
   */
  async readAll(limitBytes: number, head: Buffer | null = null): Promise<Buffer> {
    const chunks = await this.readChunks(limitBytes, head);
    const [first] = chunks;
    return chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
  }

  /** The whole body in the pieces in which it arrived; otherwise as `readAll`. */
  async readChunks(limitBytes: number, head: Buffer | null = null): Promise<Buffer[]> {
    const chunks: Buffer[] = [];
    let size = 0;
    for (let chunk = head ?? (await this.next()); chunk !== null; chunk = await this.next()) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > limitBytes) {
        const error = new FerryError('invalid_response', {
          message: `Upstream response too large: more than ${limitBytes} bytes (limits.response). Raise the limit or ask for less.`,
        });
        this.destroy(error);
        throw error;
      }
    }
    return chunks;
  }

  /** Ends the exchange; a reader that waits gets `reason`. Idempotent. */
  destroy(reason: Error): void {
    if (this.isSettled) {
      this.#chunks = [];
      return;
    }
    this.fail(reason);
    this.#chunks = [];
    this.#source.abort(reason);
  }

  /** For the transport: bytes arrived. */
  push(chunk: Buffer): void {
    if (this.isSettled) return;
    const waiting = this.#waiting;
    if (waiting !== null) {
      this.#waiting = null;
      waiting.resolve(chunk);
      return;
    }
    const reader = this.#each;
    if (reader !== null && !reader.isBusy) {
      // `take` may have ended the body itself.
      if (this.#handTo(reader, chunk) && this.isSettled) this.#serveEach(reader);
      return;
    }
    this.#chunks.push(chunk);
    this.#unreadBytes += chunk.length;
    if (this.#unreadBytes > HIGH_WATER_BYTES && !this.#isPaused) {
      this.#isPaused = true;
      this.#source.pause();
    }
  }

  /** For the transport: the body is complete. */
  finish(): void {
    if (this.isSettled) return;
    this.#isEnded = true;
    this.onSettled?.();
    this.#waiting?.resolve(null);
    this.#waiting = null;
    this.#endEach();
  }

  /** For the transport: the body will not be completed. Pieces that arrived before can still be read. */
  fail(error: Error): void {
    if (this.isSettled) return;
    this.#error = error;
    this.onSettled?.();
    this.#waiting?.reject(error);
    this.#waiting = null;
    this.#endEach();
  }

  #endEach(): void {
    if (this.#each !== null && !this.#each.isBusy) this.#serveEach(this.#each);
  }
}
