import { isJsonObject, parseJson } from '../../lib/json/json-object.ts';

const BEGINNING = /^\s*\{\s*"input"\s*:\s*"/;
/** The longest beginning of arguments in which the text is searched for. UTF-16 units. */
const MAX_BEGINNING = 64;

/**
 * The text of a custom tool's call, read out of a function's arguments (`{"input":"…"}`) while they arrive. Models that
 * write other JSON, or the text itself, are understood at the end.
 */
export class CustomInput {
  #arguments = '';
  /** Where the text goes on in the arguments; null: its beginning was not found. */
  #position: number | null = null;
  #isEnded = false;
  #text = '';

  /** What a piece of the arguments adds to the text. */
  add(piece: string): string {
    this.#arguments += piece;
    if (this.#isEnded) return '';
    if (this.#position === null) {
      const found = BEGINNING.exec(this.#arguments.slice(0, MAX_BEGINNING));
      if (found === null) return '';
      this.#position = found[0].length;
    }
    return this.#decodeFrom(this.#position);
  }

  /** The whole text, and what of it `add` has not returned. */
  end(): { readonly text: string; readonly rest: string } {
    const text = this.#whole();
    // A text that goes on otherwise than it began is passed on as it began.
    if (!text.startsWith(this.#text)) return { text: this.#text, rest: '' };
    return { text, rest: text.slice(this.#text.length) };
  }

  /** Whether the arguments are complete JSON. */
  get isWhole(): boolean {
    return parseJson(this.#arguments) !== undefined;
  }

  #whole(): string {
    const json = parseJson(this.#arguments);
    if (typeof json === 'string') return json;
    if (!isJsonObject(json)) return this.#position === null ? this.#arguments : this.#text;
    if (typeof json.input === 'string') return json.input;
    const texts = Object.values(json).filter((value) => typeof value === 'string');
    return texts.length === 1 ? (texts[0] ?? '') : this.#arguments;
  }

  /** Decodes up to the closing quotation mark, or to the last character whose escape is complete. */
  #decodeFrom(start: number): string {
    const source = this.#arguments;
    let end = start;
    while (end < source.length) {
      const character = source[end];
      if (character === '"') {
        this.#isEnded = true;
        break;
      }
      const length = character === '\\' ? (source[end + 1] === 'u' ? 6 : 2) : 1;
      if (end + length > source.length) break;
      // The halves of a character outside of the BMP belong together.
      const isFirstHalf = character === '\\' && /^\\u[dD][89abAB]/.test(source.slice(end, end + 6));
      if (isFirstHalf && end + 12 > source.length) break;
      end += length;
    }
    this.#position = end;
    const decoded = parseJson(`"${source.slice(start, end).replace(/[\n\r\t]/g, escaped)}"`);
    const text = typeof decoded === 'string' ? decoded : '';
    this.#text += text;
    return text;
  }
}

/** Models write line ends unescaped into JSON. */
function escaped(character: string): string {
  return JSON.stringify(character).slice(1, -1);
}
