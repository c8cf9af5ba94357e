/** As long as the status line of any announcement has to be to be known as one: `HTTP/1.1 1xx`. */
const KNOWN_BY = 12;
const BEGINNING = Buffer.from('HTTP/1.1 1');
/** An announcement is a line and a few headers; what is longer is left to the parser and its own limit. Bytes. */
const LONGEST = 64 * 1024;

/**
 * Takes announcements (1xx) out of what a connection brings before an answer. RFC 9110 section 15.2 wants them skipped
 * whether they were asked for or not, and some servers send `100 Continue` before every answer to a POST; undici takes
 * that one for a broken answer and closes the connection. 101 is left to it: nobody asked for another protocol.
 */
export class InterimResponses {
  #isDue = false;
  /** The beginning of what may be an announcement. */
  #held: Buffer | null = null;

  /** True from the head of a request to the first bytes of its answer. */
  get isDue(): boolean {
    return this.#isDue;
  }

  /** A request was sent: what comes next is its answer, or announcements of it. */
  expectAnswer(): void {
    this.#isDue = true;
  }

  /** What `read` brings without the announcements before it; null: nothing that is no announcement has come yet. */
  readPast(read: () => Buffer | null): Buffer | null {
    for (;;) {
      const chunk = read();
      if (chunk === null) return null;
      let bytes = this.#held === null ? chunk : Buffer.concat([this.#held, chunk]);
      this.#held = null;
      for (let end = endOfInterim(bytes); end > 0; end = endOfInterim(bytes)) bytes = bytes.subarray(end);
      if (bytes.length === 0) continue;
      if (!mayBeInterim(bytes) || bytes.length > LONGEST) {
        this.#isDue = false;
        return bytes;
      }
      this.#held = bytes;
    }
  }
}

function mayBeInterim(bytes: Buffer): boolean {
  const known = Math.min(bytes.length, BEGINNING.length);
  if (bytes.compare(BEGINNING, 0, known, 0, known) !== 0) return false;
  return bytes.length < KNOWN_BY || bytes.toString('latin1', BEGINNING.length, KNOWN_BY) !== '01';
}

/** Where what follows a whole announcement begins; 0 when the bytes do not begin with one. */
function endOfInterim(bytes: Buffer): number {
  if (bytes.length < KNOWN_BY || !mayBeInterim(bytes)) return 0;
  const end = bytes.indexOf('\r\n\r\n');
  return end === -1 ? 0 : end + 4;
}
