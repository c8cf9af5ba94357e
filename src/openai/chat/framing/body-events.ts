import { StringDecoder } from 'node:string_decoder';
import { beginsJsonValue, JsonValueScanner } from '../../../lib/json/json-scanner.ts';
import { type SseItem, SseReader } from '../../../lib/sse/sse-reader.ts';
import type { OnRepair } from '../../vendors/repairs.ts';

interface BodyEventsOptions {
  /** Only its charset is used. */
  readonly contentType: string | null;
  /** Longest event, in UTF-16 units. */
  readonly maxEventLength: number;
  readonly onRepair: OnRepair;
}

const NO_ITEMS: readonly SseItem[] = [];

/** Bytes of an upstream's body → its events, in any framing. Each call returns all events that a piece completes. */
export class BodyEvents {
  /** What the body is, judged by its first character and never by its content-type (Q32). */
  form: 'empty' | 'sse' | 'json' | 'html' = 'empty';
  readonly #options: BodyEventsOptions;
  readonly #decoder: { write(bytes: Uint8Array): string; end(): string };
  #sse: SseReader | null = null;
  #json: JsonValues | null = null;

  constructor(options: BodyEventsOptions) {
    this.#options = options;
    this.#decoder = decoderFor(options);
  }

  /** The events that these bytes complete; a piece of an HTML page is a stray text. */
  push(bytes: Uint8Array): readonly SseItem[] {
    return this.#read(this.#decoder.write(bytes));
  }

  /** The body ended: an event that nothing closed counts too. */
  end(): readonly SseItem[] {
    const items = this.#read(this.#decoder.end());
    return this.#sse === null ? items : [...items, ...this.#sse.end()];
  }

  /** The body ended within a JSON value. */
  get wasCut(): boolean {
    return this.#json?.isOpen === true;
  }

  /** An event was longer than the maximum; nothing is read after it. */
  get hasOverflowed(): boolean {
    return (this.#sse ?? this.#json)?.hasOverflowed === true;
  }

  #read(text: string): readonly SseItem[] {
    if (this.#sse !== null) return this.#sse.push(text);
    if (this.#json !== null) return this.#json.push(text);
    return this.form === 'html' ? [{ kind: 'stray', text }] : this.#begin(text);
  }

  /** White space before the body (Q37) and a byte order mark (Q5) are dropped. */
  #begin(text: string): readonly SseItem[] {
    const start = text.search(/\S/);
    if (start === -1) return NO_ITEMS;
    const { maxEventLength, onRepair } = this.#options;
    const first = text.charAt(start);
    if (first === '<') {
      this.form = 'html';
    } else if (first === '{' || first === '[' || first === '"') {
      this.form = 'json';
      this.#json = new JsonValues(maxEventLength);
    } else {
      this.form = 'sse';
      this.#sse = new SseReader({ maxEventLength, onRepair });
    }
    return this.#read(text.slice(start));
  }
}

/** For the content-type's charset; UTF-8 when it names none, or one that is unknown: JSON and event streams are UTF-8 by their standards. */
function decoderFor({ contentType, onRepair }: BodyEventsOptions): {
  write(bytes: Uint8Array): string;
  end(): string;
} {
  const charset = contentType === null ? undefined : /charset\s*=\s*"?([^\s";]+)/i.exec(contentType)?.[1];
  if (charset !== undefined && !/^utf-?8$/i.test(charset)) {
    try {
      const decoder = new TextDecoder(charset);
      onRepair('charset');
      return { write: (bytes) => decoder.decode(bytes, { stream: true }), end: () => decoder.decode() };
    } catch {
      // An unknown name.
    }
  }
  // TextDecoder costs twice as much for the small pieces that streams consist of.
  return new StringDecoder('utf8');
}

const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;

/**
 * Text of JSON values one after the other (NDJSON, one JSON body, pretty-printed or not) → its values. A list of objects
 * is its objects, each given as soon as it is there, since a stream may be one list that grows. Anything between
 * values is dropped; each character is read once.
 */
class JsonValues {
  hasOverflowed = false;
  readonly #maxLength: number;
  readonly #scanner = new JsonValueScanner();
  /** Pieces of the value that is not complete yet, joined once at its end: `+=` and rescanning would be quadratic. */
  #pieces: string[] = [];
  #length = 0;
  /** A bracket came whose list is not known yet to be one of objects. */
  #holdsBracket = false;

  constructor(maxLength: number) {
    this.#maxLength = maxLength;
  }

  push(text: string): readonly SseItem[] {
    const items: SseItem[] = [];
    let at = 0;
    while (at < text.length && !this.hasOverflowed) {
      if (!this.#scanner.isInside && !this.#beginsValue(text.charCodeAt(at))) {
        at++;
        continue;
      }
      const end = this.#scanner.scan(text, at);
      this.#keep(text.slice(at, end === -1 ? undefined : end));
      if (end === -1 || this.hasOverflowed) break;
      at = end;
      const data = this.#pieces.length === 1 ? (this.#pieces[0] as string) : this.#pieces.join('');
      this.#pieces = [];
      this.#length = 0;
      items.push({ kind: 'event', data, name: undefined });
    }
    return items;
  }

  /** A value, or a list of them, did not end. */
  get isOpen(): boolean {
    return this.#holdsBracket || this.#pieces.length > 0;
  }

  /** Whether a value begins with this character, or began with the bracket before it. */
  #beginsValue(code: number): boolean {
    if (!this.#holdsBracket) {
      this.#holdsBracket = code === OPEN_BRACKET;
      return !this.#holdsBracket && beginsJsonValue(code);
    }
    if (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) return false;
    this.#holdsBracket = false;
    if (code === OPEN_BRACE) return true;
    this.#scanner.scan('[', 0);
    this.#keep('[');
    return true;
  }

  #keep(piece: string): void {
    this.#pieces.push(piece);
    this.#length += piece.length;
    if (this.#length > this.#maxLength) this.hasOverflowed = true;
  }
}
