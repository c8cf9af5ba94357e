import type { ErrorFormat } from '../../endpoints.ts';
import { isJsonObject, type JsonObject, parseJson } from '../../lib/json/json-object.ts';
import { beginsJsonValue, JsonValueScanner } from '../../lib/json/json-scanner.ts';
import { SseReader } from '../../lib/sse/sse-reader.ts';
import { findEventError, type VendorError } from '../errors/vendor-error.ts';
import { readUsage, type Usage } from '../usage/usage.ts';

/** A longer event is passed on in pieces; the longest known ones hold one image in base64. */
const MAX_EVENT_BYTES = 16 * 1024 * 1024;
/** Of a usage object with all its details. UTF-16 units. */
const MAX_USAGE_LENGTH = 8 * 1024;
/** So much of what follows the last typed event is searched for an error. */
const MAX_TAIL_BYTES = 64 * 1024;
/** The events of an API whose last event has a type. */
interface TypedEvents {
  /** Stands in every piece with such an event. */
  readonly marks: readonly string[];
  readonly type: RegExp;
  /** Types that cannot be the last. */
  readonly unfinished: RegExp;
}

const RESPONSES: TypedEvents = {
  marks: ['"response.'],
  type: /"type"\s*:\s*"(response\.[\w.]+)"/g,
  unfinished: /^response\.(?:created|queued|in_progress|\w+\..+)$/,
};
const MESSAGES: TypedEvents = {
  marks: ['"message_', '"content_block_', '"error"'],
  type: /"type"\s*:\s*"((?:message|content_block)_\w+|error)"/g,
  unfinished: /^(?:message_start|message_delta|content_block_\w+)$/,
};
const NOTHING = Buffer.alloc(0);

/**
 * Passes an event stream through whole events only: a client never has half an event, to which an appended error would
 * be added. Bytes are not changed and events are not delayed. A data line that is a whole JSON value ends an event, since
 * some servers omit the blank line and some clients parse by line; comments are keep-alives and are passed at once.
 */
export class SseEventBuffer {
  /** Whole lines of the event whose end is still to come. */
  #lines: Buffer[] = [];
  /** What there is of the line behind them, joined once at its end. */
  #line: Buffer[] = [];
  #heldBytes = 0;
  /** What `#lines` have of the event; `data`: only a blank line can end it. */
  #open: 'nothing' | 'fields' | 'data' = 'nothing';
  #isSplit = false;
  /** The bytes passed on so far end with a blank line. */
  #isClosed = true;
  #usage: Usage | null = null;
  #isComplete = false;
  #isEnded = false;
  #response: JsonObject | null = null;
  /** The last piece with a typed event, and the events without one behind it. */
  #lastEvents: Buffer = NOTHING;
  readonly #typed: TypedEvents;

  constructor(format: ErrorFormat) {
    this.#typed = format === 'anthropic' ? MESSAGES : RESPONSES;
  }

  /** The bytes up to the end of the last whole event; null: none yet. */
  take(bytes: Buffer): Buffer | null {
    if (this.#isSplit) return bytes;
    const whole = endsWithBlankLine(bytes) ? this.#release(bytes) : this.#sift(bytes);
    return whole === null ? null : this.#upToEnd(whole);
  }

  /** The stream ended normally: the unfinished rest, passed on as it is; null: none. */
  end(): Buffer | null {
    if (this.#heldBytes === 0) return null;
    return this.#upToEnd(this.#release(NOTHING));
  }

  /** False: a part of an event was passed on because it was too long to buffer. */
  get canAppendError(): boolean {
    return !this.#isSplit;
  }

  /** What must precede an appended event so that it is separate. */
  get separator(): string {
    return this.#isClosed ? '' : '\n\n';
  }

  /** True: the last event is none that can be the last. */
  get isUnfinished(): boolean {
    const { type, unfinished } = this.#typed;
    return !this.#isSplit && unfinished.test(this.#lastMatch(type) ?? '');
  }

  /** True: a `[DONE]` came before the last event and was not passed on, since clients read nothing behind it. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** The error that the upstream sent behind the last typed event; null: none. */
  get upstreamError(): VendorError | null {
    const reader = new SseReader({ maxEventLength: MAX_EVENT_BYTES });
    let found: VendorError | null = null;
    for (const item of [...reader.push(this.#lastEvents.toString('utf8')), ...reader.end()]) {
      const json = item.kind === 'event' ? parseJson(item.data) : undefined;
      const isTyped = isJsonObject(json) && /^response\./.test(String(json.type));
      if (item.kind === 'event' && !isTyped) found = findEventError(json, item.name) ?? found;
    }
    return found;
  }

  /** The sequence number of an event appended to a Responses stream. */
  get nextSequenceNumber(): number {
    const last = this.#lastMatch(/"sequence_number"\s*:\s*(\d{1,15})\b/g);
    return last === undefined ? 0 : Number(last) + 1;
  }

  /** The Response of the first event of a Responses stream; null: there is none. */
  get response(): JsonObject | null {
    return this.#response;
  }

  /** True: the last event of the stream has come, whether or not its upstream ends the body. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** The last usage of the stream. */
  get usage(): Usage | null {
    return this.#usage;
  }

  /** All that is held, and `bytes` behind it. */
  #release(bytes: Buffer): Buffer {
    const all = this.#heldBytes === 0 ? bytes : Buffer.concat([...this.#lines, ...this.#line, bytes]);
    this.#lines = [];
    this.#line = [];
    this.#heldBytes = 0;
    this.#open = 'nothing';
    return all;
  }

  /** Bytes that end inside of an event: gives out what ends before, and holds the rest. */
  #sift(bytes: Buffer): Buffer | null {
    const end = lineEndIn(bytes);
    const whole = end === 0 ? null : this.#takeLines(bytes.subarray(0, end));
    this.#line.push(bytes.subarray(end));
    this.#heldBytes += bytes.length - (whole?.length ?? 0);
    if (whole !== null || this.#heldBytes <= MAX_EVENT_BYTES) return whole;
    this.#isSplit = true;
    return this.#release(NOTHING);
  }

  #takeLines(bytes: Buffer): Buffer | null {
    const lines = Buffer.concat([...this.#line, bytes]);
    this.#line = [];
    const end = this.#endOfEvents(lines.toString('latin1'));
    if (end === 0) {
      this.#lines.push(lines);
      return null;
    }
    const whole = Buffer.concat([...this.#lines, lines.subarray(0, end)]);
    this.#lines = [lines.subarray(end)];
    return whole;
  }

  /** Where the last event in whole lines ends, 0 when none does; follows what is open behind it. */
  #endOfEvents(text: string): number {
    let end = behindBlankLine(text);
    if (end > 0) this.#open = 'nothing';
    const lines = /([^\r\n]*)(?:\r\n|\n|\r)/g;
    lines.lastIndex = end;
    for (let match = lines.exec(text); match !== null; match = lines.exec(text)) {
      this.#open = openAfter(match[1] ?? '', this.#open);
      if (this.#open === 'nothing') end = lines.lastIndex;
    }
    return end;
  }

  /** Whole events, without a `[DONE]` that completes nothing. */
  #upToEnd(whole: Buffer): Buffer | null {
    if (this.#isEnded) return null;
    const mark = this.#isComplete ? -1 : doneMarkIn(whole);
    const before = mark === -1 ? whole : whole.subarray(0, mark);
    if (before.length > 0) this.#look(before);
    if (mark === -1) return whole;
    this.#isEnded = this.isUnfinished;
    if (this.#isEnded) return before.length === 0 ? null : before;
    this.#isComplete = true;
    this.#look(whole.subarray(mark));
    return whole;
  }

  #look(whole: Buffer): void {
    this.#isClosed = endsWithBlankLine(whole);
    if (whole.includes('"usage"')) this.#usage = usageIn(whole, this.#usage);
    if (this.#typed.marks.some((mark) => whole.includes(mark))) {
      this.#lastEvents = whole;
      if (this.#typed === RESPONSES) this.#response ??= responseIn(whole);
    } else if (this.#lastEvents.length > 0 && whole.includes('data:') && whole.length <= MAX_TAIL_BYTES) {
      this.#lastEvents = Buffer.concat([this.#lastEvents, whole]);
    }
    this.#isComplete ||= hasLastType(whole);
  }

  #lastMatch(pattern: RegExp): string | undefined {
    return [...this.#lastEvents.toString('latin1').matchAll(pattern)].at(-1)?.[1];
  }
}

/** The last events of the Responses API and of Anthropic's Messages API; all other streams end with `[DONE]`. */
const LAST_TYPES = ['response.completed', 'response.incomplete', 'response.failed', 'message_stop'].map(
  (type) => `"${type}"`,
);

/** Where the event `[DONE]` begins, with the fields before its data; -1: there is none. */
function doneMarkIn(events: Buffer): number {
  if (!events.includes('[DONE]')) return -1;
  return events.toString('latin1').search(/^(?:(?:event|id|retry):[^\r\n]*(?:\r\n|\n|\r))*data: ?\[DONE\]/m);
}

function hasLastType(events: Buffer): boolean {
  return LAST_TYPES.some(
    (type) => events.includes(type) && new RegExp(`"type"\\s*:\\s*${type}`).test(events.toString('latin1')),
  );
}

/** What is open of an event behind one more line. */
function openAfter(line: string, open: 'nothing' | 'fields' | 'data'): 'nothing' | 'fields' | 'data' {
  if (line === '') return 'nothing';
  if (line.startsWith(':')) return open;
  if (!line.startsWith('data:')) return open === 'data' ? 'data' : 'fields';
  return open !== 'data' && isWholeJson(line) ? 'nothing' : 'data';
}

function isWholeJson(dataLine: string): boolean {
  const start = dataLine.startsWith('data: ') ? 6 : 5;
  if (!beginsJsonValue(dataLine.charCodeAt(start))) return false;
  return new JsonValueScanner().scan(dataLine, start) === dataLine.trimEnd().length;
}

const LF = 0x0a;
const CR = 0x0d;

function endsWithBlankLine(bytes: Buffer): boolean {
  const [last, before, third] = [bytes.at(-1), bytes.at(-2), bytes.at(-3)];
  if (last === LF) return before === LF || (before === CR && third === LF);
  return last === CR && before === CR;
}

/** Behind the last line end. A \r that comes last may be the half of one. */
function lineEndIn(bytes: Buffer): number {
  const end = bytes.lastIndexOf(LF) + 1;
  return end > 0 || bytes.length < 2 ? end : bytes.lastIndexOf(CR, bytes.length - 2) + 1;
}

/** 0: there is none. */
function behindBlankLine(text: string): number {
  const ends = ['\n\n', '\n\r\n'].map((end) => {
    const at = text.lastIndexOf(end);
    return at === -1 ? 0 : at + end.length;
  });
  return Math.max(...ends);
}

/** The first member `response` that is an object with an id, up to so many UTF-16 units: it repeats the request. */
const MAX_RESPONSE_LENGTH = 256 * 1024;

function responseIn(events: Buffer): JsonObject | null {
  const name = '"response"';
  const at = events.indexOf(name);
  if (at === -1) return null;
  const text = events.toString('utf8', at + name.length, at + name.length + MAX_RESPONSE_LENGTH);
  const start = /^\s*:\s*(?=\{)/.exec(text)?.[0].length ?? 0;
  const end = start === 0 ? -1 : new JsonValueScanner().scan(text, start);
  const response = end === -1 ? null : parseJson(text.slice(start, end));
  return isJsonObject(response) && typeof response.id === 'string' ? response : null;
}

/** The last usage object with counts, found by its name: the events around it may be long and are not parsed. */
function usageIn(events: Buffer, before: Usage | null): Usage | null {
  let usage = before;
  const name = '"usage"';
  for (let at = events.indexOf(name); at !== -1; at = events.indexOf(name, at + name.length)) {
    const text = events.toString('utf8', at + name.length, at + name.length + MAX_USAGE_LENGTH);
    const start = /^\s*:\s*(?=\{)/.exec(text)?.[0].length ?? 0;
    const end = start === 0 ? -1 : new JsonValueScanner().scan(text, start);
    if (end !== -1) usage = readUsage(parseJson(text.slice(start, end)), usage) ?? usage;
  }
  return usage;
}
