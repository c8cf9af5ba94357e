import { beginsJsonValue, JsonValueScanner } from '../../../lib/json/json-scanner.ts';

const FIELD = /^(?:data|event|id|retry)(?::|$)|^:/;

/** Field names are lower case; some servers take them for headers. */
const FIELD_IN_CAPITALS = /^(?:data|event|id|retry):/i;

/**
 * Turns lines that only look like server-sent events into such that a parser understands: a data line (or several)
 * that completes a JSON value is an event, with or without a blank line after it; bare JSON and `[DONE]` get their
 * `data:`; a line without field name inside an open JSON value belongs to it.
 */
export class SseLineRepair {
  readonly #onJunk: (line: string) => void;
  /** Follows the JSON of the event that is open. */
  #scanner = new JsonValueScanner();
  /** Data lines of the event that is open. */
  #openLines = 0;

  constructor(onJunk: (line: string) => void) {
    this.#onJunk = onJunk;
  }

  get isBetweenEvents(): boolean {
    return this.#openLines === 0;
  }

  /** Whether `lines` is `data: …⏎⏎` again and again, which needs no repair. Must be cheap: it runs for every frame. */
  isPlain(lines: string): boolean {
    if (this.#openLines > 0) return false;
    let at = 0;
    while (at < lines.length) {
      if (lines.charCodeAt(at) !== 0x64) return false;
      const end = lines.indexOf('\n', at);
      if (lines.charCodeAt(end + 1) !== 0x0a) return false;
      at = end + 2;
    }
    return true;
  }

  /** One line without its end → text for the parser, with the ends that belong there; '' drops the line. */
  repairLine(line: string): string {
    if (line === '') {
      this.#closeEvent();
      return '\n';
    }
    if (line.startsWith('data:')) return this.#repairData(line, line.charCodeAt(5) === 0x20 ? 6 : 5);
    if (FIELD.test(line)) return `${line}\n`;
    if (FIELD_IN_CAPITALS.test(line)) return this.repairLine(withLowerCaseField(line));
    const trimmed = line.trim();
    if (trimmed.startsWith('data:')) return this.#repairData(trimmed, 5);
    if (this.#scanner.isInside || beginsJsonValue(trimmed.charCodeAt(0))) {
      return this.#repairData(`data: ${trimmed}`, 6);
    }
    if (trimmed !== '') this.#onJunk(line);
    return '';
  }

  #repairData(line: string, valueStart: number): string {
    const isFirst = this.#openLines === 0;
    this.#openLines++;
    if (!this.#completesValue(line, valueStart, isFirst)) return `${line}\n`;
    this.#closeEvent();
    return `${line}\n\n`;
  }

  /** Whether this line ends exactly where a JSON value ends; several values on one line count as one event here. */
  #completesValue(line: string, valueStart: number, isFirst: boolean): boolean {
    let at = skipSpace(line, valueStart);
    if (!this.#scanner.isInside && !(isFirst && beginsJsonValue(line.charCodeAt(at)))) return false;
    while (at < line.length) {
      const end = this.#scanner.scan(line, at);
      if (end === -1) return false;
      at = skipSpace(line, end);
      if (at < line.length && !beginsJsonValue(line.charCodeAt(at))) return false;
    }
    return !this.#scanner.isInside;
  }

  #closeEvent(): void {
    if (this.#scanner.isInside) this.#scanner = new JsonValueScanner();
    this.#openLines = 0;
  }
}

function withLowerCaseField(line: string): string {
  const end = line.indexOf(':');
  return line.slice(0, end).toLowerCase() + line.slice(end);
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (text.charCodeAt(at) === 0x20 || text.charCodeAt(at) === 0x09) at++;
  return at;
}
