const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/**
 * Finds where a JSON object, array or string ends in text that arrives in pieces. Counts brackets and quotes only, so
 * it also finds the end of what JSON.parse would refuse (NaN, trailing commas). Each character is read once.
 */
export class JsonValueScanner {
  /** Open brackets; 0 before and after a value. */
  #depth = 0;
  #isInString = false;
  /** The last character of the previous piece was a backslash inside a string. */
  #isEscaped = false;

  /** False between values. */
  get isInside(): boolean {
    return this.#depth > 0 || this.#isInString;
  }

  /**
   * Reads on from `from`, which must be the first character of a value unless `isInside`. Returns the index after the
   * value's last character, or -1 when the value goes on in the next piece.
   */
  scan(text: string, from: number): number {
    let at = from;
    while (at < text.length) {
      if (this.#isInString) {
        at = this.#scanString(text, at);
        if (!this.isInside && at <= text.length) return at;
        continue;
      }
      const code = text.charCodeAt(at++);
      if (code === QUOTE) this.#isInString = true;
      else if (code === OPEN_BRACE || code === OPEN_BRACKET) this.#depth++;
      else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
        this.#depth--;
        if (this.#depth <= 0) {
          this.#depth = 0;
          return at;
        }
      }
    }
    return -1;
  }

  /** Reads the rest of a string; returns the index after its closing quote, or past the end of the text. */
  #scanString(text: string, from: number): number {
    let at = from;
    if (this.#isEscaped) {
      this.#isEscaped = false;
      at++;
    }
    while (at < text.length) {
      const code = text.charCodeAt(at);
      if (code === BACKSLASH) {
        if (at + 1 === text.length) this.#isEscaped = true;
        at += 2;
      } else {
        at++;
        if (code === QUOTE) {
          this.#isInString = false;
          return at;
        }
      }
    }
    return text.length + 1;
  }
}

/** Whether a JSON object, array or string can begin with this character. */
export function beginsJsonValue(code: number): boolean {
  return code === OPEN_BRACE || code === OPEN_BRACKET || code === QUOTE;
}

/** The texts of the JSON values that stand in `text` one after the other; what stands between them is dropped. */
export function splitJsonValues(text: string): string[] {
  const values: string[] = [];
  const scanner = new JsonValueScanner();
  let at = 0;
  while (at < text.length) {
    if (!beginsJsonValue(text.charCodeAt(at))) {
      at++;
      continue;
    }
    const end = scanner.scan(text, at);
    if (end === -1) break;
    values.push(text.slice(at, end));
    at = end;
  }
  return values;
}
