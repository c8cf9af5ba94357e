import { ambiguousForm } from './form-error.ts';
import { readPartHead } from './part-headers.ts';

/** A part of a form: where its value stands in the bytes; the end is exclusive and null while it has not come. */
export interface FormPart {
  readonly name: string | null;
  readonly isFile: boolean;
  readonly valueStart: number;
  valueEnd: number | null;
}

/** A part's own headers are a few lines; readers have limits of their own, and not all refuse what is longer. Bytes. */
const LONGEST_PART_HEAD = 16 * 1024;

/** No client's form has so many parts. */
const MOST_PARTS = 1000;

/** Boundaries are made so that they stand nowhere else; a body of nothing but them must not hold up everybody else. */
const MOST_MENTIONS = 100_000;

/** So many bytes around a boundary say what it is. */
const BEFORE = 2;
const BEHIND = 3;

type Place = 'preamble' | 'head' | 'value' | 'closed';

/** What the bytes behind a boundary make of it. `odd`: an end of a part to some readers and content to others. */
type Mention = 'part' | 'close' | 'content' | 'odd';

/**
 * Divides a form that comes in pieces. Jumps from boundary to boundary with the native search, so that nothing within a
 * file is taken for a field, whatever it says. Throws `invalid_request` where readers differ: Go and PHP take a line
 * feed alone for a line end, Werkzeug a carriage return too, busboy looks for headers before it looks for boundaries.
 */
export class FormDivider {
  readonly #dashed: Buffer;
  readonly #parts: FormPart[] = [];
  #place: Place = 'preamble';
  #mentions = 0;
  /** What was not settled yet, with the bytes before it that it depends on. */
  #rest: Buffer = Buffer.alloc(0);
  /** Positions in the whole form: of the first byte of `#rest`, and of the first one not looked at. */
  #restStart = 0;
  #next = 0;

  constructor(boundary: string) {
    this.#dashed = Buffer.from(`--${boundary}`);
  }

  /** The parts whose heads have come, in their order. */
  get parts(): readonly FormPart[] {
    return this.#parts;
  }

  /** Takes the next bytes of the form; `isLast`: no more follow. */
  push(piece: Buffer, isLast = false): void {
    const bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    let isMoving = true;
    while (isMoving)
      isMoving = this.#place === 'head' ? this.#takeHead(bytes, isLast) : this.#takeMention(bytes, isLast);
    const kept = Math.max(0, this.#next - this.#restStart - BEFORE);
    // A copy: the pieces of a socket are large and would be kept for a few bytes.
    this.#rest = Buffer.from(bytes.subarray(kept));
    this.#restStart += kept;
  }

  /** False: the head of the part is not there yet. */
  #takeHead(bytes: Buffer, isLast: boolean): boolean {
    const start = this.#next - this.#restStart;
    const head = bytes.subarray(start, start + LONGEST_PART_HEAD);
    const end = head.indexOf('\r\n\r\n');
    if (end === -1 && head.length === LONGEST_PART_HEAD)
      throw ambiguousForm(`the head of a part is longer than ${LONGEST_PART_HEAD} bytes`);
    if (end === -1 && !isLast) return false;
    const text = head.toString('utf8', 0, end === -1 ? head.length : end);
    if (text.includes(`\n${this.#dashed.toString()}`)) throw ambiguousForm('a part ends within its head');
    if (end === -1) return false;
    if (this.#parts.length === MOST_PARTS) throw ambiguousForm(`it has more than ${MOST_PARTS} parts`);
    const valueStart = this.#next + end + 4;
    this.#parts.push({ ...readPartHead(text), valueStart, valueEnd: null });
    this.#place = 'value';
    this.#next = valueStart;
    return true;
  }

  /** False: there is no boundary any more in what came, or it cannot be told yet what it is. */
  #takeMention(bytes: Buffer, isLast: boolean): boolean {
    const dashed = this.#dashed;
    const at = bytes.indexOf(dashed, this.#next - this.#restStart);
    if (at === -1) {
      this.#next = Math.max(this.#next, this.#restStart + bytes.length - dashed.length + 1);
      return false;
    }
    const end = at + dashed.length;
    this.#next = this.#restStart + at;
    if (!isLast && end + BEHIND > bytes.length) return false;
    if (++this.#mentions > MOST_MENTIONS) throw ambiguousForm('its boundary stands in it too often');
    const mention = mentionOf(bytes.toString('latin1', end, end + BEHIND));
    if (this.#isDelimiter(bytes.toString('latin1', Math.max(0, at - BEFORE), at), mention)) {
      const last = this.#parts.at(-1);
      if (last !== undefined) last.valueEnd = this.#next - BEFORE;
      this.#place = mention === 'close' ? 'closed' : 'head';
      this.#next += dashed.length;
    } else {
      this.#next += 1;
    }
    return true;
  }

  /** Whether the boundary that comes next ends what stands before it; `before` are the bytes in front of it. */
  #isDelimiter(before: string, mention: Mention): boolean {
    const isFirst = this.#next === 0;
    const isLine = isFirst || /[\r\n]$/.test(before);
    if (this.#place !== 'preamble' && (!isLine || mention === 'content')) return false;
    const valueStart = this.#parts.at(-1)?.valueStart ?? 0;
    const isWhole = isFirst || (before === '\r\n' && this.#next - BEFORE >= valueStart);
    if (this.#place === 'closed' || !isWhole || mention === 'content' || mention === 'odd')
      throw ambiguousForm('a boundary stands where only some readers see one');
    return true;
  }
}

function mentionOf(behind: string): Mention {
  if (behind.startsWith('\r\n') || behind === '') return 'part';
  if (behind.startsWith('--')) return /^--(?:\s|$)/.test(behind) ? 'close' : 'odd';
  // RFC 2046 lets white space follow, and not every reader does.
  return /^\s/.test(behind) ? 'odd' : 'content';
}
