import { beginsJsonValue, JsonValueScanner } from '../../../lib/json/json-scanner.ts';

interface JsonFramingOptions {
  /** Longest value, in UTF-16 units. */
  readonly maxValueLength: number;
  readonly onValue: (text: string) => void;
  readonly onOverflow: () => void;
}

const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;

/**
 * Text of JSON values one after the other (NDJSON, one JSON body, pretty-printed or not) → one call per value. A list of
 * objects is its objects, each told as soon as it is there, since a stream may be one list that grows. What stands
 * between values is dropped; each character is read once.
 */
export class JsonFraming {
  readonly #options: JsonFramingOptions;
  readonly #scanner = new JsonValueScanner();
  /** Pieces of the value that is not complete yet, joined once at its end: `+=` and rescanning would be quadratic. */
  #pieces: string[] = [];
  #length = 0;
  /** A bracket came whose list is not known yet to be one of objects. */
  #holdsBracket = false;

  constructor(options: JsonFramingOptions) {
    this.#options = options;
  }

  push(text: string): void {
    let at = 0;
    while (at < text.length) {
      if (!this.#scanner.isInside && !this.#beginsValue(text.charCodeAt(at))) {
        at++;
        continue;
      }
      const end = this.#scanner.scan(text, at);
      this.#keep(text.slice(at, end === -1 ? undefined : end));
      if (end === -1) break;
      at = end;
      const value = this.#pieces.length === 1 ? (this.#pieces[0] as string) : this.#pieces.join('');
      this.#pieces = [];
      this.#length = 0;
      this.#options.onValue(value);
    }
  }

  /** What is left of a value that never ended. */
  get rest(): string {
    return this.#holdsBracket ? '[' : this.#pieces.join('');
  }

  /** Whether a value begins with this character, or began with the bracket before it. */
  #beginsValue(code: number): boolean {
    if (!this.#holdsBracket) {
      this.#holdsBracket = code === OPEN_BRACKET;
      return !this.#holdsBracket && beginsJsonValue(code);
    }
    if (isWhiteSpace(code)) return false;
    this.#holdsBracket = false;
    if (code === OPEN_BRACE) return true;
    this.#scanner.scan('[', 0);
    this.#keep('[');
    return true;
  }

  #keep(piece: string): void {
    this.#pieces.push(piece);
    this.#length += piece.length;
    if (this.#length > this.#options.maxValueLength) this.#options.onOverflow();
  }
}

function isWhiteSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}
