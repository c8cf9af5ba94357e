import { FerryError } from '../../lib/errors/ferry-error.ts';

/** A part of a form: the offsets of its value in the bytes; the end is exclusive and null until it has arrived. */
export interface FormPart {
  readonly name: string | null;
  readonly isFile: boolean;
  readonly valueStart: number;
  valueEnd: number | null;
}

/** A part's own headers are a few lines; readers have limits of their own, and not all refuse what is longer. Bytes. */
const MAX_PART_HEAD_BYTES = 16 * 1024;

/** No client's form has so many parts. */
const MAX_PARTS = 1000;

/** Boundaries are chosen so that they occur nowhere else; a body of nothing but boundaries must not block other requests. */
const MAX_MENTIONS = 100_000;

/** This many bytes around a boundary decide whether it is one. */
const BEFORE = 2;
const BEHIND = 3;

type Place = 'preamble' | 'head' | 'value' | 'closed';

/** What the bytes behind a boundary make of it. `ambiguous`: an end of a part to some parsers and content to others. */
type Mention = 'part' | 'close' | 'content' | 'ambiguous';

/**
 * Divides a form that comes in pieces. Jumps from boundary to boundary with the native search, so that nothing within a
 * file is parsed as a field. Throws `invalid_request` where parsers differ: Go and PHP take a line
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
    const head = bytes.subarray(start, start + MAX_PART_HEAD_BYTES);
    const end = head.indexOf('\r\n\r\n');
    if (end === -1 && head.length === MAX_PART_HEAD_BYTES)
      throw ambiguousForm(`the headers of a part are longer than ${MAX_PART_HEAD_BYTES} bytes`);
    if (end === -1 && !isLast) return false;
    const text = head.toString('utf8', 0, end === -1 ? head.length : end);
    if (text.includes(`\n${this.#dashed.toString()}`))
      throw ambiguousForm('a part ends within its headersers');
    if (end === -1) return false;
    if (this.#parts.length === MAX_PARTS) throw ambiguousForm(`it has more than ${MAX_PARTS} parts`);
    const valueStart = this.#next + end + 4;
    this.#parts.push({ ...readPartHead(text), valueStart, valueEnd: null });
    this.#place = 'value';
    this.#next = valueStart;
    return true;
  }

  /** False: the bytes have no further boundary, or not yet enough bytes behind it. */
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
    if (++this.#mentions > MAX_MENTIONS) throw ambiguousForm('its boundary occurs too often');
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

  /** Whether the next boundary ends the data before it; `before` are the bytes in front of it. */
  #isDelimiter(before: string, mention: Mention): boolean {
    const isFirst = this.#next === 0;
    const isLine = isFirst || /[\r\n]$/.test(before);
    if (this.#place !== 'preamble' && (!isLine || mention === 'content')) return false;
    const valueStart = this.#parts.at(-1)?.valueStart ?? 0;
    const isWhole = isFirst || (before === '\r\n' && this.#next - BEFORE >= valueStart);
    if (this.#place === 'closed' || !isWhole || mention === 'content' || mention === 'ambiguous')
      throw ambiguousForm('a boundary is in a place where only some parsers find it');
    return true;
  }
}

function mentionOf(behind: string): Mention {
  if (behind.startsWith('\r\n') || behind === '') return 'part';
  if (behind.startsWith('--')) return /^--(?:\s|$)/.test(behind) ? 'close' : 'ambiguous';
  // RFC 2046 lets white space follow, and not every reader does.
  return /^\s/.test(behind) ? 'ambiguous' : 'content';
}

/** What the headers of a part state. */
interface PartHead {
  /** Null: the part has none that all readers agree on, and none of them takes it for the model. */
  readonly name: string | null;
  readonly isFile: boolean;
}

const NAMELESS: PartHead = { name: null, isFile: false };

/** All but the tab: the NUL that ends a string in C, and line ends that only some parsers accept. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f]/;

/** Parameters that are divided alike with and without a sense for backslashes. */
const PLAIN =
  /^[ \t]*form-data[ \t]*(?:;[ \t]*[\w!#$&+.^`|~*'-]+[ \t]*=[ \t]*(?:"[^"\\]*"|[^\s;"\\]+)[ \t]*)*;?[ \t]*$/i;
const PARAMETER = /;[ \t]*([^\s=;"]+)[ \t]*=[ \t]*(?:"([^"\\]*)"|([^\s;"\\]+))/g;

/** Where a reader could see the name begin, be it within another parameter's value; never in `filename`. */
const NAME = /(?<![\w-])name\s*[*=]/gi;

/** A name that is, in any notation, the model's; encoded ones (RFC 2047, RFC 2231) count as such. */
const NAMES_MODEL = /(?<![\w-])name\s*(?:\*|=["'`\s]*(?:model["'`\s]*(?:[;,[\]]|$)|model["'`\s]|=\?))/i;
const IS_MODEL = /^["'`\s]*(?:model["'`\s]*(?:\[.*)?$|=\?)/i;

/** ASCII is the same in these, so that the model is its bytes. */
const OTHER_CHARSET =
  /\r\ncontent-type[ \t]*:[^\r\n]*charset\s*=(?!\s*["']?(?:utf-?8|us-ascii|ascii|iso-8859-\d{1,2}|windows-125\d)(?:["'\s;]|$))/i;
const ENCODED = /\r\ncontent-transfer-encoding[ \t]*:(?![ \t]*(?:7bit|8bit|binary)[ \t]*(?:\r\n|$))/i;

/**
 * Reads the head of a part, from the line end of its delimiter on. Throws `invalid_request` for a part that any reader
 * could parse as the model unless it is the one plain field `model`: Go parses a file without a name as a field, PHP
 * reads `model[]`, formidable the first `name=` anywhere, Java what RFC 2047 hides.
 */
function readPartHead(head: string): PartHead {
  if (CONTROL.test(head.replaceAll('\r\n', '')))
    throw ambiguousForm('control characters in the headers of a part');
  const mentions = head.match(/\r\n[ \t]*content-disposition[ \t]*:/gi)?.length ?? 0;
  if (mentions === 0) return NAMELESS;
  const unfolded = head.replace(/\r\n[ \t]+/g, ' ');
  const disposition = /\r\ncontent-disposition:([^\r\n]*)/i.exec(unfolded)?.[1];
  if (mentions > 1 || disposition === undefined)
    throw ambiguousForm('a part whose headers do not have exactly one plain Content-Disposition');
  const read = readPlain(disposition);
  if (read === null) {
    if (readingsOf(disposition).some((text) => NAMES_MODEL.test(text))) throw notPlain();
    return NAMELESS;
  }
  if (read.name !== null && readingsOf(read.name).some((name) => IS_MODEL.test(name))) {
    if (read.name !== 'model' || OTHER_CHARSET.test(unfolded) || ENCODED.test(unfolded)) throw notPlain();
  }
  return read;
}

/** The name as every reader finds it; null when they could find different ones. */
function readPlain(disposition: string): PartHead | null {
  const names = disposition.match(NAME)?.length ?? 0;
  if (names > 1 || !PLAIN.test(disposition)) return null;
  const parameters = [...disposition.matchAll(PARAMETER)].map(([, key = '', quoted, bare]) => ({
    key: key.toLowerCase(),
    value: quoted ?? bare ?? '',
  }));
  const name = parameters.find(({ key }) => key === 'name')?.value ?? null;
  if (names === 1 && name === null) return null;
  const files = parameters.filter(({ key }) => /^filename(?:\*|$)/.test(key));
  // Without a plain and a full name of the file, Go and others take it for a field.
  const isFile = files.some(({ key, value }) => key === 'filename' && value.trim() !== '');
  if (name === 'model' && files.length > 0 && !isFile) throw notPlain();
  return { name: files.length > 0 && !isFile ? null : name, isFile };
}

/** A text as readers understand it that undo backslashes, percent signs or neither. */
function readingsOf(text: string): string[] {
  const unescaped = text.replaceAll('\\', '');
  const decoded = unescaped.replace(/%([0-9a-f]{2})/gi, (_match, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return [text, unescaped, decoded];
}

function notPlain(): Error {
  return ambiguousForm('a part could be parsed as "model" and is not the plain field', 'model');
}

/**
 * The 400 for a multipart form that another reader could understand in another way than we do: we would go by one
 * model and the upstream perhaps by another, which the client may not use.
 */
export function ambiguousForm(why: string, param: string | null = null): FerryError {
  return new FerryError('invalid_request', {
    message: `Ambiguous multipart form: ${why}.`,
    ...(param !== null && { param }),
  });
}
