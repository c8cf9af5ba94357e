import type { ServerResponse } from 'node:http';
import { quietChunkAfter } from '../canonical/quiet-chunk.ts';

/** Sends an event with empty `choices` after so much silence within a stream. Told of every text that is written. */
export class KeepAliveChunks {
  readonly #response: ServerResponse;
  readonly #timer: NodeJS.Timeout;
  /** What the client got last; '' before the first content, when the id of the answer is not known yet. */
  #last = '';

  constructor(response: ServerResponse, afterMs: number) {
    this.#response = response;
    this.#timer = setTimeout(() => this.#send(), afterMs);
  }

  wrote(text: string): void {
    this.#last = text;
    this.#timer.refresh();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #send(): void {
    const response = this.#response;
    if (response.destroyed || response.writableEnded) return;
    const chunk = response.writableNeedDrain ? null : quietChunkAfter(this.#last);
    if (chunk !== null) response.write(chunk);
    this.#timer.refresh();
  }
}
