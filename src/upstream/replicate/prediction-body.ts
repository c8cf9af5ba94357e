import { asFerryError, type FerryError } from '../../lib/errors/ferry-error.ts';
import { type BodySource, ResponseBody } from '../transport/body.ts';

/**
 * The body of a response that is made here from what a prediction puts out. `onAbandoned` is called once if the reader stops,
 * or the attempt is aborted, before `end`.
 */
export class PredictionBody implements BodySource {
  readonly body: ResponseBody = new ResponseBody(this);
  readonly #signal: AbortSignal;
  readonly #onAbandoned: () => void;
  /** Set while the reader is behind. */
  #resume: (() => void) | null = null;
  #whenRead: Promise<void> | null = null;
  #isOver = false;

  constructor(signal: AbortSignal, onAbandoned: () => void) {
    this.#signal = signal;
    this.#onAbandoned = onAbandoned;
    signal.addEventListener('abort', this);
  }

  /** True: nothing more is read. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Resolves when the reader has room for more. */
  async write(text: string): Promise<void> {
    if (text !== '' && !this.#isOver) this.body.push(Buffer.from(text));
    if (this.#whenRead !== null) await this.#whenRead;
  }

  end(text: string): void {
    if (this.#isOver) return;
    if (text !== '') this.body.push(Buffer.from(text));
    this.#settle();
    this.body.finish();
  }

  /** The prediction cannot be followed any further. */
  fail(error: unknown): void {
    if (this.#isOver) return;
    const failure: FerryError = asFerryError(error);
    this.#settle();
    this.body.fail(failure);
    this.#onAbandoned();
  }

  /** The attempt was aborted. */
  handleEvent(): void {
    this.fail(this.#signal.reason);
  }

  pause(): void {
    this.#whenRead ??= new Promise((resolve) => {
      this.#resume = resolve;
    });
  }

  resume(): void {
    this.#resume?.();
    this.#resume = null;
    this.#whenRead = null;
  }

  /** The reader stopped. */
  abort(): void {
    if (this.#isOver) return;
    this.#settle();
    this.#onAbandoned();
  }

  #settle(): void {
    this.#isOver = true;
    this.#signal.removeEventListener('abort', this);
    this.resume();
  }
}
