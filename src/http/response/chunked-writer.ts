import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Writes texts to a response as chunks of HTTP: what comes in one turn is one chunk and one write to the socket.
 * `response.write` makes four writes of a chunk (its size, its bytes, two line ends) and joins them a tick later, which
 * costs an event of a stream more than all else that is done with it. The response sends its headers with the first text.
 */
export class ChunkedWriter {
  readonly #response: ServerResponse;
  readonly #flush = (): void => this.#sendHeld();
  /** Written in this turn, and its length in UTF-8. */
  #held = '';
  #heldBytes = 0;
  /** The headers went out, or wait before the first text: what is written to the socket comes after them. */
  #hasHeadersAhead = false;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  /** The client reads more slowly than it is written to. */
  get needsDrain(): boolean {
    const { writableNeedDrain, socket } = this.#response;
    return writableNeedDrain || socket?.writableNeedDrain === true;
  }

  /** Sends the headers at once, before there is any text. */
  flushHeaders(): void {
    this.#response.flushHeaders();
    this.#hasHeadersAhead = true;
  }

  /** `byteLength`: of `text` in UTF-8. False: wait for `drained` before the next text. */
  write(text: string, byteLength: number = Buffer.byteLength(text)): boolean {
    const socket = this.#socketAfterHeaders();
    this.#hasHeadersAhead = true;
    if (socket === null) return this.#response.write(text);
    // A chunk without bytes would be the end.
    if (this.#held === '' && text !== '') queueMicrotask(this.#flush);
    this.#held += text;
    this.#heldBytes += byteLength;
    return !socket.writableNeedDrain;
  }

  /** Ends the response behind the last text, with one write for both. */
  end(): void {
    // `response.end` uncorks.
    this.#response.socket?.cork();
    this.#sendHeld();
    this.#response.end();
  }

  #sendHeld(): void {
    const text = this.#held;
    if (text === '') return;
    const byteLength = this.#heldBytes;
    this.#held = '';
    this.#heldBytes = 0;
    // Text of ASCII alone, as most is, needs no encoding. A client that has left gets nothing.
    const encoding = byteLength === text.length ? 'latin1' : 'utf8';
    this.#socketAfterHeaders()?.write(`${byteLength.toString(16)}\r\n${text}\r\n`, encoding);
  }

  /** null: only the response itself may write (no headers yet, HTTP/1.0, an earlier answer is on the connection, closed). */
  #socketAfterHeaders(): Socket | null {
    const { socket, chunkedEncoding } = this.#response;
    return this.#hasHeadersAhead && chunkedEncoding && socket?.writable === true ? socket : null;
  }
}
