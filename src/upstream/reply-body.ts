import { FerryError } from '../errors.ts';

/** Above this many unread bytes the upstream's socket is paused; it resumes when the reader catches up. */
const HIGH_WATER_BYTES = 128 * 1024;

/** What fills the body. An object and not three closures: a stream of short replies makes thousands of them a second. */
export interface BodySource {
  pause(): void;
  resume(): void;
  abort(reason: Error): void;
  /** Bytes arrived; called for each piece before it is read. */
  touched(): void;
}

/**
 * The body of an upstream's reply, read in pieces or whole. It buffers at most `HIGH_WATER_BYTES` beyond what was
 * read, so that a client that does not read stalls the upstream instead of filling memory.
 *
 * One reader at a time. Whoever does not read to the end calls `destroy`, which closes the socket.
 */
export class ReplyBody {
  readonly #source: BodySource;
  #chunks: Buffer[] = [];
  #unreadBytes = 0;
  #isPaused = false;
  #isEnded = false;
  #error: Error | null = null;
  /** Set while `next` waits for bytes; cleared as soon as it is settled. */
  #waiting: { resolve: (chunk: Buffer | null) => void; reject: (error: Error) => void } | null = null;

  /** Called once, when the body is complete or will not be. */
  onSettled: (() => void) | null = null;

  constructor(source: BodySource) {
    this.#source = source;
  }

  get isSettled(): boolean {
    return this.#isEnded || this.#error !== null;
  }

  /** True: bytes wait for the reader, so silence is the reader's doing. */
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

  /** The whole body. Throws `invalid_response` and closes the socket beyond `limitBytes`. */
  async readAll(limitBytes: number): Promise<Buffer> {
    const first = await this.next();
    if (first === null) return Buffer.alloc(0);
    const chunks = [first];
    let size = first.length;
    for (let chunk = await this.next(); chunk !== null; chunk = await this.next()) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > limitBytes) {
        const error = new FerryError('invalid_response', {
          message: `The upstream's reply is larger than limits.response (${limitBytes} bytes). Raise the limit or ask for less.`,
        });
        this.destroy(error);
        throw error;
      }
    }
    return chunks.length === 1 ? first : Buffer.concat(chunks, size);
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
    this.#source.touched();
    if (this.isSettled) return;
    const waiting = this.#waiting;
    if (waiting !== null) {
      this.#waiting = null;
      waiting.resolve(chunk);
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
  }

  /** For the transport: the body will not be completed. Pieces that arrived before can still be read. */
  fail(error: Error): void {
    if (this.isSettled) return;
    this.#error = error;
    this.onSettled?.();
    this.#waiting?.reject(error);
    this.#waiting = null;
  }
}
