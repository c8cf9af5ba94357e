import type { Readable } from 'node:stream';

/** The bytes that tell a 1xx status line from others: `HTTP/1.1 1xx`. */
const STATUS_LINE_BYTES = 12;
const STATUS_LINE_START = Buffer.from('HTTP/1.1 1');
const STATUS_INDEX = STATUS_LINE_START.length - 1;
const INTERIM_DIGIT = 0x31;
/** An interim response is a line and a few headers; a longer one is left to the parser and its limit. */
const MAX_INTERIM_BYTES = 64 * 1024;

/**
 * Removes interim responses (1xx) from what a connection receives before a response. RFC 9110 section 15.2 wants them
 * skipped whether they were asked for or not, and some servers send `100 Continue` before every response to a POST;
 * undici 8 treats that one as a bad response and destroys the socket. 101 is left to it: no upgrade was requested.
 *
 * Reads before undici, whose `readable` listener comes after ours, and hands the rest back with `unshift`. (Costs a
 * microsecond a response; replacing `socket.read` would cost none.)
 */
export class InterimResponses {
  readonly #socket: Readable;
  #isResponseDue = false;
  /** The beginning of what may be an interim response. */
  #held: Buffer | null = null;

  /** To be made before undici gets the socket, so that its listener is the first. */
  constructor(socket: Readable) {
    this.#socket = socket;
    socket.on('readable', () => {
      if (this.#isResponseDue) this.#skip();
    });
  }

  /** A request is sent: what comes next is its response, or interim ones. */
  expectResponse(): void {
    this.#isResponseDue = true;
  }

  #skip(): void {
    for (;;) {
      const chunk = this.#socket.read() as Buffer | null;
      if (chunk === null) return;
      let bytes = this.#held === null ? chunk : Buffer.concat([this.#held, chunk]);
      this.#held = null;
      // Nearly always `HTTP/1.1 2…` comes at once.
      if ((bytes[STATUS_INDEX] ?? INTERIM_DIGIT) === INTERIM_DIGIT) {
        for (let end = endOfInterim(bytes); end > 0; end = endOfInterim(bytes)) bytes = bytes.subarray(end);
        if (bytes.length === 0) continue;
        if (mayBeInterim(bytes) && bytes.length <= MAX_INTERIM_BYTES) {
          this.#held = bytes;
          continue;
        }
      }
      this.#isResponseDue = false;
      this.#socket.unshift(bytes);
      return;
    }
  }
}

function mayBeInterim(bytes: Buffer): boolean {
  const known = Math.min(bytes.length, STATUS_LINE_START.length);
  if (bytes.compare(STATUS_LINE_START, 0, known, 0, known) !== 0) return false;
  return (
    bytes.length < STATUS_LINE_BYTES ||
    bytes.toString('latin1', STATUS_LINE_START.length, STATUS_LINE_BYTES) !== '01'
  );
}

/** Where what follows a whole interim response begins; 0 when the bytes do not begin with one. */
function endOfInterim(bytes: Buffer): number {
  if (bytes.length < STATUS_LINE_BYTES || !mayBeInterim(bytes)) return 0;
  const end = bytes.indexOf('\r\n\r\n');
  return end === -1 ? 0 : end + 4;
}
