import { createParser, type EventSourceParser } from 'eventsource-parser';
import { SseLineRepair } from './sse-line-repair.ts';

interface SseFramingOptions {
  /** Longest event, in UTF-16 units. */
  readonly maxEventLength: number;
  readonly onEvent: (data: string, name: string | undefined) => void;
  /** A line that is no field, no comment and no JSON. */
  readonly onJunk: (line: string) => void;
  readonly onOverflow: () => void;
}

/** Room for `data: ` in a line whose value has the greatest length. */
const FIELD_NAME_LENGTH = 6;
const DONE_LINE_LENGTH = 'data: [DONE]'.length;

/**
 * Text of server-sent events → one call per event. The parser is fed whole lines only: it drops unknown lines when
 * they come in pieces, and lines are where the repair happens.
 */
export class SseFraming {
  readonly #options: SseFramingOptions;
  readonly #parser: EventSourceParser;
  readonly #repair: SseLineRepair;
  /** Pieces of the line that is not complete yet, joined once at its end. */
  #pieces: string[] = [];
  #piecesLength = 0;
  /** The last piece ended in \r: a \n that comes first in the next one belongs to it. */
  #endedInCarriageReturn = false;
  /** The parser is between events, so that one that came whole needs no parser. */
  #isIdle = false;
  #hasOverflowed = false;

  constructor(options: SseFramingOptions) {
    this.#options = options;
    this.#repair = new SseLineRepair(options.onJunk);
    this.#parser = createParser({
      maxBufferSize: options.maxEventLength,
      onEvent: (event) => {
        // An event that came in one piece was never buffered, but the limit must not depend on the pieces.
        if (event.data.length > options.maxEventLength) this.#overflow();
        else options.onEvent(event.data, event.event);
      },
      onError: (error) => {
        if (error.type === 'max-buffer-size-exceeded') this.#overflow();
        else if (error.type === 'unknown-field' && error.line) options.onJunk(error.line);
      },
    });
  }

  push(piece: string): void {
    if (this.#takeWhole(piece)) return;
    const text = this.#withLineFeeds(piece);
    const end = text.lastIndexOf('\n') + 1;
    if (end > 0) this.#feed(this.#takeHeld() + text.slice(0, end));
    this.#hold(text.slice(end));
    if (this.#holdsDoneMark()) this.end();
  }

  /** The text ended: the last line and event count though nothing closed them. */
  end(): void {
    this.#feed(`${this.#takeHeld()}\n\n`);
  }

  /** An event of one line that came whole and alone, as nearly all do. The parser would say the same, for ten times the cost. */
  #takeWhole(piece: string): boolean {
    const end = piece.length - 2;
    const isWhole =
      this.#isIdle &&
      this.#pieces.length === 0 &&
      !this.#endedInCarriageReturn &&
      end - FIELD_NAME_LENGTH <= this.#options.maxEventLength &&
      piece.startsWith('data: ') &&
      piece.indexOf('\n') === end &&
      piece.charCodeAt(end + 1) === 0x0a &&
      !piece.includes('\r');
    if (isWhole) this.#options.onEvent(piece.slice(FIELD_NAME_LENGTH, end), undefined);
    return isWhole;
  }

  #feed(lines: string): void {
    if (this.#repair.isPlain(lines)) {
      this.#feedParser(lines);
      return;
    }
    // Line by line, so that what a line causes is known before the next one is looked at, in whatever pieces they came.
    let at = 0;
    while (at < lines.length) {
      const end = lines.indexOf('\n', at);
      this.#feedParser(this.#repair.repairLine(lines.slice(at, end)));
      at = end + 1;
    }
  }

  /** After an overflow the parser would throw. */
  #feedParser(text: string): void {
    if (text === '' || this.#hasOverflowed) return;
    this.#isIdle = text.endsWith('\n\n');
    this.#parser.feed(text);
  }

  /** CRLF and CR → LF, also when a CRLF is split between two pieces. */
  #withLineFeeds(piece: string): string {
    let text = piece;
    if (this.#endedInCarriageReturn && text !== '') {
      if (text.charCodeAt(0) === 0x0a) text = text.slice(1);
      this.#endedInCarriageReturn = false;
    }
    if (!text.includes('\r')) return text;
    this.#endedInCarriageReturn = text.endsWith('\r');
    return text.replace(/\r\n?/g, '\n');
  }

  /** Some servers send the end marker without a line end and hold the connection open. */
  #holdsDoneMark(): boolean {
    if (this.#piecesLength < DONE_LINE_LENGTH - 1 || this.#piecesLength > DONE_LINE_LENGTH) return false;
    return this.#repair.isBetweenEvents && /^data: ?\[DONE\]$/.test(this.#pieces.join(''));
  }

  #hold(text: string): void {
    if (text === '') return;
    this.#pieces.push(text);
    this.#piecesLength += text.length;
    if (this.#piecesLength > this.#options.maxEventLength + FIELD_NAME_LENGTH) this.#overflow();
  }

  #takeHeld(): string {
    if (this.#pieces.length === 0) return '';
    const held = this.#pieces.join('');
    this.#pieces = [];
    this.#piecesLength = 0;
    return held;
  }

  #overflow(): void {
    if (this.#hasOverflowed) return;
    this.#hasOverflowed = true;
    this.#isIdle = false;
    this.#pieces = [];
    this.#options.onOverflow();
  }
}
