import { beginsJsonValue, JsonValueScanner } from './json-values.ts';

export interface JsonFramingOptions {
  /** Longest value, in UTF-16 units. */
  readonly maxValueLength: number;
  readonly onValue: (text: string) => void;
  readonly onOverflow: () => void;
}

/**
 * Text of JSON values one after the other (NDJSON, one JSON body, pretty-printed or not) → one call per value. What
 * stands between values is dropped; each character is read once.
 */
export class JsonFraming {
  readonly #options: JsonFramingOptions;
  readonly #scanner = new JsonValueScanner();
  /** Pieces of the value that is not complete yet, joined once at its end: `+=` and rescanning would be quadratic. */
  #pieces: string[] = [];
  #length = 0;

  constructor(options: JsonFramingOptions) {
    this.#options = options;
  }

  push(text: string): void {
    let at = 0;
    while (at < text.length) {
      if (!this.#scanner.isInside && !beginsJsonValue(text.charCodeAt(at))) {
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
    return this.#pieces.join('');
  }

  #keep(piece: string): void {
    this.#pieces.push(piece);
    this.#length += piece.length;
    if (this.#length > this.#options.maxValueLength) this.#options.onOverflow();
  }
}
