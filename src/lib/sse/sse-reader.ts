import { createParser, type EventSourceParser } from 'eventsource-parser';
import { beginsJsonValue, JsonValueScanner } from '../json/json-scanner.ts';

/** What a piece of an event stream holds, in the order in which it came. */
export type SseItem =
  | { readonly kind: 'event'; readonly data: string; readonly name: string | undefined }
  /** A line that is no field, no comment and no JSON, with its line end. */
  | { readonly kind: 'stray'; readonly text: string };

/** What had to be put right in the lines of an event stream. */
type SseRepair = 'sse_missing_blank_line' | 'sse_missing_data_field' | 'sse_field_name_case';

interface SseReaderOptions {
  /** Longest event, in UTF-16 units. */
  readonly maxEventLength: number;
  readonly onRepair?: ((repair: SseRepair) => void) | undefined;
  /** True: data is plain text, so lines are taken as they are, also those that look like JSON. */
  readonly isPlainText?: boolean;
}

const FIELD = /^(?:data|event|id|retry)(?::|$)|^:/;
/** Field names are lower case; servers that take them for headers write them in any case. */
const FIELD_IN_CAPITALS = /^(?:data|event|id|retry):/i;

/** Room for `data: ` in a line whose value has the maximum length. */
const FIELD_NAME_LENGTH = 6;
const DONE_LINE_LENGTH = 'data: [DONE]'.length;
const LF = 0x0a;
const SPACE = 0x20;
const NO_ITEMS: readonly SseItem[] = [];

/**
 * Text of server-sent events in any pieces → events. Events of one `data:` line and a blank line are read directly; all
 * else goes line by line through `eventsource-parser`, after lines that only look like server-sent events were put right:
 * a data line (or several) that completes a JSON value is an event, with or without a blank line after it (Q17); bare JSON
 * and `[DONE]` get their `data:` (Q25); a line without a field name inside an open JSON value belongs to it (Q13).
 */
export class SseReader {
  /** An event was longer than the maximum; nothing is read after it. */
  hasOverflowed = false;
  readonly #maxEventLength: number;
  readonly #onRepair: ((repair: SseRepair) => void) | undefined;
  readonly #isPlainText: boolean;
  /** Made for the first line that needs it. */
  #parser: EventSourceParser | null = null;
  #items: SseItem[] = [];
  /** Pieces of the line that is not complete yet, joined once at its end: `+=` would be quadratic. */
  #held: string[] = [];
  #heldLength = 0;
  /** The last piece ended in \r: a \n that comes first in the next one belongs to it. */
  #endedInCarriageReturn = false;
  /** The parser is between events, so that a plain event needs no parser. */
  #isIdle = true;
  /** Follows the JSON of the event that is open; null: no line was looked into since the last event. */
  #json: JsonValueScanner | null = null;
  /** Data lines of the event that is open. */
  #openLines = 0;
  /** The last event ended with its JSON; a blank line should follow. */
  #lacksBlankLine = false;

  constructor({ maxEventLength, onRepair, isPlainText = false }: SseReaderOptions) {
    this.#maxEventLength = maxEventLength;
    this.#onRepair = onRepair;
    this.#isPlainText = isPlainText;
  }

  /** The items that this piece completes. */
  push(piece: string): readonly SseItem[] {
    const text = this.#withLineFeeds(piece);
    const end = text.lastIndexOf('\n') + 1;
    if (end > 0) this.#readLines(this.#takeHeld() + text.slice(0, end));
    if (end < text.length) this.#hold(text.slice(end));
    return this.#takeItems();
  }

  /** The text ended: the last line and event count though nothing closed them. */
  end(): readonly SseItem[] {
    this.#readLines(`${this.#takeHeld()}\n\n`);
    return this.#takeItems();
  }

  #takeItems(): readonly SseItem[] {
    const items = this.#items;
    if (items.length === 0) return NO_ITEMS;
    this.#items = [];
    return items;
  }

  /** CRLF and CR → LF, also when a CRLF is split between two pieces. */
  #withLineFeeds(piece: string): string {
    let text = piece;
    if (this.#endedInCarriageReturn && text !== '') {
      if (text.charCodeAt(0) === LF) text = text.slice(1);
      this.#endedInCarriageReturn = false;
    }
    if (!text.includes('\r')) return text;
    this.#endedInCarriageReturn = text.endsWith('\r');
    return text.replace(/\r\n?/g, '\n');
  }

  /** Whole lines, each with its end. */
  #readLines(lines: string): void {
    if (this.hasOverflowed || (this.#isIdle && this.#readPlain(lines))) return;
    // Line by line, so that the effect of a line is known before the next one is parsed, in any pieces.
    let at = 0;
    while (at < lines.length) {
      const end = lines.indexOf('\n', at);
      this.#feed(this.#isPlainText ? lines.slice(at, end + 1) : this.#repair(lines.slice(at, end)));
      at = end + 1;
    }
  }

  /** Reads `data: …⏎⏎` again and again, which is nearly all that streams consist of; the parser costs ten times as much. */
  #readPlain(lines: string): boolean {
    const before = this.#items.length;
    let at = 0;
    while (at < lines.length) {
      const end = lines.indexOf('\n', at);
      if (!lines.startsWith('data:', at) || lines.charCodeAt(end + 1) !== LF) {
        this.#items.length = before;
        return false;
      }
      const start = lines.charCodeAt(at + 5) === SPACE ? at + 6 : at + 5;
      this.#add(lines.slice(start, end), undefined);
      at = end + 2;
    }
    this.#lacksBlankLine = false;
    return true;
  }

  #add(data: string, name: string | undefined): void {
    // An event that came in one piece was never held, but the limit must not depend on the pieces.
    if (data.length > this.#maxEventLength) this.#overflow();
    else if (!this.hasOverflowed) this.#items.push({ kind: 'event', data, name });
  }

  #addStray(line: string): void {
    this.#items.push({ kind: 'stray', text: `${line}\n` });
  }

  /** After an overflow the parser would throw. */
  #feed(text: string): void {
    if (text === '' || this.hasOverflowed) return;
    this.#isIdle = text === '\n' || text.endsWith('\n\n');
    this.#parser ??= createParser({
      maxBufferSize: this.#maxEventLength,
      onEvent: (event) => this.#add(event.data, event.event),
      onError: (error) => {
        if (error.type === 'max-buffer-size-exceeded') this.#overflow();
        else if (error.type === 'unknown-field' && error.line) this.#addStray(error.line);
      },
    });
    this.#parser.feed(text);
  }

  /** One line without its end → text for the parser, with the ends that belong there; '' drops the line. */
  #repair(line: string): string {
    if (line === '') {
      this.#lacksBlankLine = false;
      this.#closeEvent();
      return '\n';
    }
    if (this.#lacksBlankLine) {
      this.#lacksBlankLine = false;
      this.#onRepair?.('sse_missing_blank_line');
    }
    if (line.startsWith('data:')) return this.#repairData(line, line.charCodeAt(5) === SPACE ? 6 : 5);
    if (FIELD.test(line)) return `${line}\n`;
    if (FIELD_IN_CAPITALS.test(line)) {
      this.#onRepair?.('sse_field_name_case');
      const end = line.indexOf(':');
      return this.#repair(line.slice(0, end).toLowerCase() + line.slice(end));
    }
    const trimmed = line.trim();
    if (trimmed.startsWith('data:')) return this.#repairData(trimmed, 5);
    if (this.#json?.isInside === true || beginsJsonValue(trimmed.charCodeAt(0))) {
      this.#onRepair?.('sse_missing_data_field');
      return this.#repairData(`data: ${trimmed}`, 6);
    }
    if (trimmed !== '') this.#addStray(line);
    return '';
  }

  #repairData(line: string, valueStart: number): string {
    const isFirst = this.#openLines === 0;
    this.#openLines++;
    if (!this.#completesValue(line, valueStart, isFirst)) return `${line}\n`;
    this.#closeEvent();
    this.#lacksBlankLine = true;
    return `${line}\n\n`;
  }

  /** Whether this line ends exactly where a JSON value ends; several values on one line count as one event here. */
  #completesValue(line: string, valueStart: number, isFirst: boolean): boolean {
    let at = skipBlanks(line, valueStart);
    this.#json ??= new JsonValueScanner();
    if (!this.#json.isInside && !(isFirst && beginsJsonValue(line.charCodeAt(at)))) return false;
    while (at < line.length) {
      const end = this.#json.scan(line, at);
      if (end === -1) return false;
      at = skipBlanks(line, end);
      if (at < line.length && !beginsJsonValue(line.charCodeAt(at))) return false;
    }
    return !this.#json.isInside;
  }

  #closeEvent(): void {
    if (this.#json?.isInside === true) this.#json = null;
    this.#openLines = 0;
  }

  #hold(text: string): void {
    this.#held.push(text);
    this.#heldLength += text.length;
    if (this.#heldLength > this.#maxEventLength + FIELD_NAME_LENGTH) this.#overflow();
    else if (!this.#isPlainText && this.#holdsDoneMark()) this.#readLines(`${this.#takeHeld()}\n\n`);
  }

  /** Some servers send the end marker without a line end and hold the connection open (Q26). */
  #holdsDoneMark(): boolean {
    if (this.#heldLength < DONE_LINE_LENGTH - 1 || this.#heldLength > DONE_LINE_LENGTH) return false;
    return this.#openLines === 0 && /^data: ?\[DONE\]$/.test(this.#held.join(''));
  }

  #takeHeld(): string {
    if (this.#held.length === 0) return '';
    const held = this.#held.join('');
    this.#held = [];
    this.#heldLength = 0;
    return held;
  }

  #overflow(): void {
    this.hasOverflowed = true;
    this.#held = [];
    this.#heldLength = 0;
  }
}

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (text.charCodeAt(at) === SPACE || text.charCodeAt(at) === 0x09) at++;
  return at;
}
