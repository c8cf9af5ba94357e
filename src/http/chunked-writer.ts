import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Writes texts to a response as chunks of HTTP, each with one write to its socket. `response.write` makes four of a chunk
 * (its size, its bytes, two line ends) and joins them a tick later, which costs an event of a stream more than all else
 * that is done with it. The response sends its headers with the first text and ends itself, as ever.
 */
export class ChunkedWriter {
  readonly #response: ServerResponse;
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
    // A chunk without bytes would be the end.
    if (byteLength === 0) return !this.needsDrain;
    const socket = this.#socketAfterHeaders();
    this.#hasHeadersAhead = true;
    if (socket === null) return this.#response.write(text);
    // Text of ASCII alone, as most is, needs no encoding.
    const encoding = byteLength === text.length ? 'latin1' : 'utf8';
    return socket.write(`${byteLength.toString(16)}\r\n${text}\r\n`, encoding);
  }

  /** null: only the response itself may write (no headers yet, HTTP/1.0, an earlier answer is on the connection, closed). */
  #socketAfterHeaders(): Socket | null {
    const { socket, chunkedEncoding } = this.#response;
    return this.#hasHeadersAhead && chunkedEncoding && socket?.writable === true ? socket : null;
  }
}
