import type { ServerResponse } from 'node:http';
import { SilenceTimer } from '../../lib/idle-timer.ts';
import { keepAliveChunkAfter } from '../../openai/chat/keep-alive-chunk.ts';
import type { ChunkedWriter } from './chunked-writer.ts';

/** Sends an event with empty `choices` after so much silence within a stream. Told of every text that is written. */
export class KeepAliveChunks {
  readonly #response: ServerResponse;
  readonly #writer: ChunkedWriter;
  readonly #timer: SilenceTimer;
  /** What the client got last; '' before the first content, when the id of the answer is not known yet. */
  #last = '';

  constructor(response: ServerResponse, writer: ChunkedWriter, afterMs: number) {
    this.#response = response;
    this.#writer = writer;
    this.#timer = new SilenceTimer(afterMs, () => this.#send());
  }

  wrote(text: string): void {
    this.#last = text;
    this.#timer.touch();
  }

  stop(): void {
    this.#timer.stop();
  }

  #send(): void {
    const response = this.#response;
    // A client that does not read needs no sign of life, and would only collect them.
    if (response.destroyed || response.writableEnded || this.#writer.needsDrain) return;
    const chunk = keepAliveChunkAfter(this.#last);
    if (chunk !== null) this.#writer.write(chunk);
  }
}
