/**
 * The one scanner of JSON text: the places of values, members and elements, so that some can be changed and the rest stays
 * byte for byte; where a value in pieces ends; what a text costs to parse; and where it stops being JSON.
 *
 * It counts quotes and brackets and jumps between them with native searches. Text that JSON.parse would reject gets
 * spans of no meaning, but every function ends, in linear time and without recursion; `findJsonFault` alone checks.
 */

/** The place of one member of an object in the text; ends are exclusive, the key's span includes its quotes. */
export interface Member {
  readonly key: string;
  readonly keyStart: number;
  readonly keyEnd: number;
  readonly valueStart: number;
  readonly valueEnd: number;
}

/** The place of one element of an array in the text; the end is exclusive. */
export interface Element {
  readonly start: number;
  readonly end: number;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** The members of the object that begins at or after `start`, in their order, duplicates included. */
export function readMembers(text: string, start = 0): Member[] {
  const members: Member[] = [];
  let at = skipSpace(text, text.indexOf('{', start) + 1);
  while (text.charCodeAt(at) === QUOTE) {
    const keyStart = at;
    const keyEnd = endOfString(text, at);
    const valueStart = skipSpace(text, text.indexOf(':', keyEnd) + 1);
    const valueEnd = endOfValue(text, valueStart);
    members.push({ key: keyOf(text, keyStart, keyEnd), keyStart, keyEnd, valueStart, valueEnd });
    at = skipSpace(text, valueEnd);
    if (text.charCodeAt(at) !== COMMA) break;
    at = skipSpace(text, at + 1);
  }
  return members;
}

/** The elements of the array that begins at or after `start`, in their order. */
export function readElements(text: string, start = 0): Element[] {
  const elements: Element[] = [];
  let at = skipSpace(text, text.indexOf('[', start) + 1);
  while (at < text.length && text.charCodeAt(at) !== CLOSE_BRACKET) {
    const end = endOfValue(text, at);
    elements.push({ start: at, end });
    at = skipSpace(text, end);
    if (text.charCodeAt(at) !== COMMA) break;
    at = skipSpace(text, at + 1);
  }
  return elements;
}

/** The key that a quoted text means; its own characters when it is no JSON string. */
function keyOf(text: string, start: number, end: number): string {
  const inner = text.slice(start + 1, end - 1);
  if (!inner.includes('\\')) return inner;
  try {
    return String(JSON.parse(text.slice(start, end)));
  } catch {
    return inner;
  }
}

/** The index of the next character that is no JSON white space. */
export function skipSpace(text: string, from: number): number {
  let at = from;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return at;
    at++;
  }
}

/**
 * The index after the string whose opening quote is at `start`. Jumps from quote to quote with the native
 * search, so that a data URI of megabytes costs one call; each run of backslashes is looked at once.
 */
export function endOfString(text: string, start: number): number {
  let at = text.indexOf('"', start + 1);
  while (at !== -1) {
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === BACKSLASH) slashes++;
    if (slashes % 2 === 0) return at + 1;
    at = text.indexOf('"', at + 1);
  }
  return text.length;
}

/** The index after the value whose first character is at `start`. */
export function endOfValue(text: string, start: number): number {
  const first = text.charCodeAt(start);
  if (first === QUOTE) return endOfString(text, start);
  if (first !== OPEN_BRACE && first !== OPEN_BRACKET) return nextMatch(END_OF_SCALAR, text, start);
  const end = new JsonValueScanner().scan(text, start);
  return end === -1 ? text.length : end;
}

const END_OF_SCALAR = /[,\]}\s]/g;
const STRUCTURAL = /["[\]{}]/g;
const STRUCTURAL_OR_COMMA = /["[\]{},]/g;

/** In chats the next bracket or quote is near, and looking at so many characters costs less than to call a search. */
const NEAR = 16;

/**
 * The index of the next quote or bracket, the text's length when there is none. The native search takes 0.1 ms for a
 * megabyte of numbers, a loop over its characters 6 ms.
 */
function nextStructural(text: string, from: number): number {
  const near = Math.min(text.length, from + NEAR);
  for (let at = from; at < near; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE || code === OPEN_BRACE || code === CLOSE_BRACE) return at;
    if (code === OPEN_BRACKET || code === CLOSE_BRACKET) return at;
  }
  return near === text.length ? near : nextMatch(STRUCTURAL, text, near);
}

/**
 * The index of the next match of a global pattern of one character, the text's length when there is none. `test`
 * and not `exec`: no match object is made for each of possibly millions of numbers.
 */
export function nextMatch(pattern: RegExp, text: string, from: number): number {
  pattern.lastIndex = from;
  return pattern.test(text) ? pattern.lastIndex - 1 : text.length;
}

/**
 * Finds where a JSON object, array or string ends in text that arrives in pieces. Counts brackets and quotes only, so
 * it also finds the end of what JSON.parse would reject (NaN, trailing commas). Each character is scanned once.
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
   * Scans on from `from`, which must be the first character of a value unless `isInside`. Returns the index after the
   * value's last character, or -1 when the value continues in the next piece.
   */
  scan(text: string, from: number): number {
    let at = from;
    if (this.#isInString) {
      at = this.#scanString(text, at);
      if (at === -1 || this.#depth === 0) return at;
    }
    while (at < text.length) {
      at = nextStructural(text, at);
      if (at === text.length) return -1;
      const code = text.charCodeAt(at++);
      if (code === QUOTE) {
        at = this.#scanString(text, at);
        if (at === -1 || this.#depth === 0) return at;
      } else if ((code & 0x04) === 0) {
        // `]` and `}` have the bit set that `[` and `{` have clear.
        this.#depth++;
      } else if (--this.#depth <= 0) {
        this.#depth = 0;
        return at;
      }
    }
    return -1;
  }

  /** Scans the rest of a string; returns the index after its closing quote, -1 when it continues in the next piece. */
  #scanString(text: string, from: number): number {
    const start = this.#isEscaped ? from + 1 : from;
    for (let quote = text.indexOf('"', start); ; quote = text.indexOf('"', quote + 1)) {
      const end = quote === -1 ? text.length : quote;
      let slashes = 0;
      while (end - slashes > start && text.charCodeAt(end - 1 - slashes) === BACKSLASH) slashes++;
      if (quote !== -1 && slashes % 2 === 1) continue;
      this.#isInString = quote === -1;
      // An empty piece, or one of the escaped character alone, leaves the state as that makes it.
      this.#isEscaped = quote === -1 && (slashes % 2 === 1 || start > text.length);
      return quote === -1 ? -1 : quote + 1;
    }
  }
}

/** Whether a JSON object, array or string can begin with this character. */
export function beginsJsonValue(code: number): boolean {
  return code === OPEN_BRACE || code === OPEN_BRACKET || code === QUOTE;
}

/** The texts of the JSON values in `text`, one after the other; anything between them is dropped. */
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

/** Limits on what a text may cost to parse, beyond its length. */
export interface JsonLimits {
  readonly levels: number;
  /** Arrays and objects. */
  readonly containers: number;
  /** Texts and keys. */
  readonly strings: number;
  /** Keys of the outermost object. */
  readonly members: number;
  /** Elements and members of all containers together. */
  readonly values: number;
}

export interface JsonSurvey {
  /** The limit that the text exceeds; null: none. */
  readonly exceeded: keyof JsonLimits | null;
  /** The members of the outermost object; those before the excess when there is one. */
  readonly members: readonly Member[];
}

/**
 * One pass over the text before JSON.parse, which would make objects of 30 million brackets and keep the last of
 * two members without a word: what the text exceeds, and the members of its outermost object.
 */
export function surveyJson(text: string, limits: JsonLimits): JsonSurvey {
  // A value and its comma are two characters, so that shorter texts need no look at each of their numbers.
  const countsCommas = text.length > 2 * limits.values;
  const members: Member[] = [];
  let depth = 0;
  let containers = 0;
  let strings = 0;
  let commas = 0;
  // The member whose value is still open; -1: none.
  let keyStart = -1;
  let keyEnd = 0;
  let valueStart = 0;
  for (let at = 0; ; ) {
    at = countsCommas ? nextMatch(STRUCTURAL_OR_COMMA, text, at) : nextStructural(text, at);
    if (at >= text.length) return { exceeded: null, members };
    const found = text.charCodeAt(at);
    let valueEnd = -1;
    let newKeyStart = -1;
    if (found === QUOTE) {
      if (++strings > limits.strings) return { exceeded: 'strings', members };
      const start = at;
      at = endOfString(text, at);
      if (depth !== 1) continue;
      if (text.charCodeAt(skipSpace(text, at)) === COLON) newKeyStart = start;
      else valueEnd = at;
    } else if (found === COMMA) {
      at++;
      if (++commas > limits.values) return { exceeded: 'values', members };
      continue;
    } else if ((found & 0x04) === 0) {
      // `]` and `}` have the bit set that `[` and `{` have clear.
      at++;
      if (++depth > limits.levels) return { exceeded: 'levels', members };
      if (++containers > limits.containers) return { exceeded: 'containers', members };
      continue;
    } else {
      at++;
      if (--depth > 1) continue;
      if (depth === 1) valueEnd = at;
    }
    if (keyStart !== -1) {
      // Nothing marks the end of a number or a word but what follows it.
      if (valueEnd === -1) valueEnd = endBefore(text, newKeyStart === -1 ? at - 1 : newKeyStart);
      members.push({ key: keyOf(text, keyStart, keyEnd), keyStart, keyEnd, valueStart, valueEnd });
      keyStart = -1;
    }
    if (newKeyStart === -1) continue;
    if (members.length === limits.members) return { exceeded: 'members', members };
    keyStart = newKeyStart;
    keyEnd = at;
    valueStart = skipSpace(text, text.indexOf(':', at) + 1);
  }
}

/** Where the value ends that a comma or nothing separates from `mark`; looks back, because ahead there may be no end. */
function endBefore(text: string, mark: number): number {
  let end = mark;
  while (end > 0 && isSpaceOrComma(text.charCodeAt(end - 1))) end--;
  return end;
}

function isSpaceOrComma(code: number): boolean {
  return code === COMMA || code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

/** Where a text stops being JSON, and in which way. */
export interface JsonFault {
  /** Index of the first invalid character; the text's length when it only ends too early. */
  readonly position: number;
  readonly line: number;
  readonly column: number;
  readonly isCutOff: boolean;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them in strings, and that is what is looked for.
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const SCALAR = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)/y;

/**
 * The place at which JSON.parse rejected the text. V8 names it in some of its messages only, and then quotes the
 * text itself, which does not belong into an error. Runs on the error path alone.
 */
export function findJsonFault(text: string): JsonFault {
  const position = faultPosition(text);
  const before = text.slice(0, position);
  const line = before.split('\n').length;
  return { position, line, column: position - before.lastIndexOf('\n'), isCutOff: position >= text.length };
}

type Expect = 'value' | 'value_or_end' | 'key' | 'key_or_end' | 'colon' | 'comma_or_end' | 'nothing';

/** A state machine over tokens with the open brackets on a stack of its own: depth costs no call stack. */
function faultPosition(text: string): number {
  const open: string[] = [];
  let expect: Expect = 'value';
  let at = 0;
  for (;;) {
    while (at < text.length && ' \n\r\t'.includes(text[at] as string)) at++;
    if (at >= text.length || expect === 'nothing') return at;
    const char = text[at] as string;
    if (expect === 'colon') {
      if (char !== ':') return at;
      expect = 'value';
      at++;
    } else if (expect === 'comma_or_end' && char === ',') {
      expect = open.at(-1) === '{' ? 'key' : 'value';
      at++;
    } else if (expect.endsWith('end') && char === (open.at(-1) === '{' ? '}' : ']')) {
      open.pop();
      expect = open.length === 0 ? 'nothing' : 'comma_or_end';
      at++;
    } else if (expect === 'comma_or_end') {
      return at;
    } else if (char === '"') {
      const end = strictEndOfString(text, at);
      if (end.isBroken) return end.position;
      at = end.position;
      if (expect.startsWith('key')) expect = 'colon';
      else expect = open.length === 0 ? 'nothing' : 'comma_or_end';
    } else if (expect.startsWith('key')) {
      return at;
    } else if (char === '{' || char === '[') {
      open.push(char);
      expect = char === '{' ? 'key_or_end' : 'value_or_end';
      at++;
    } else {
      SCALAR.lastIndex = at;
      if (!SCALAR.test(text)) return at;
      at = SCALAR.lastIndex;
      expect = open.length === 0 ? 'nothing' : 'comma_or_end';
    }
  }
}

function strictEndOfString(text: string, start: number): { position: number; isBroken: boolean } {
  let at = start + 1;
  for (;;) {
    PLAIN.lastIndex = at;
    PLAIN.test(text);
    at = PLAIN.lastIndex;
    if (text[at] === '"') return { position: at + 1, isBroken: false };
    ESCAPE.lastIndex = at;
    if (!ESCAPE.test(text)) return { position: at, isBroken: true };
    at = ESCAPE.lastIndex;
  }
}

/** A JSON text without its long values. */
interface CutValues {
  /** The text, bytes as characters, with `[k]` in place of the k-th array, or `"k"` in place of the k-th string. */
  readonly rest: string;
  /** The JSON text of each value, in order, as views on the body. */
  readonly values: readonly Buffer[];
}

/**
 * Cuts arrays of numbers out of the bytes of a JSON text: 300 KB of vectors in microseconds, since the numbers are
 * stepped over with the native search and nothing is decoded. Null: there are not just `count` of them, or one holds
 * other things than numbers. The rest may be invalid JSON; JSON.parse of the rest decides.
 */
export function cutNumberArrays(body: Buffer, count: number): CutValues | null {
  const values: Buffer[] = [];
  const isClean = letterCheck(body);
  let rest = '';
  let copiedTo = 0;
  let open = body.indexOf(OPEN_BRACKET);
  while (open !== -1) {
    let searchFrom = open + 1;
    if (beginsNumber(body, searchFrom)) {
      // With a nested array the rest has an extra bracket and is invalid JSON.
      const close = body.indexOf(CLOSE_BRACKET, open);
      const quote = body.indexOf(QUOTE, open);
      if (close === -1 || (quote !== -1 && quote < close)) return null;
      if (!isClean(open, close) || values.length === count) return null;
      rest += `${body.toString('latin1', copiedTo, open)}[${values.length}]`;
      values.push(body.subarray(open, close + 1));
      copiedTo = close + 1;
      searchFrom = copiedTo;
    }
    open = body.indexOf(OPEN_BRACKET, searchFrom);
  }
  return values.length === count ? { rest: rest + body.toString('latin1', copiedTo), values } : null;
}

/** Names of members and other short texts are not cut. */
const MIN_CUT_BYTES = 64;

/**
 * Cuts strings of 64 bytes or more out of the bytes of a JSON text, without decoding them. Null: there are not just
 * `count` of them, or a string of the text has an escape.
 */
export function cutLongStrings(body: Buffer, count: number): CutValues | null {
  if (body.includes(BACKSLASH)) return null;
  const values: Buffer[] = [];
  let rest = '';
  let copiedTo = 0;
  let open = body.indexOf(QUOTE);
  while (open !== -1) {
    const close = body.indexOf(QUOTE, open + 1);
    if (close === -1) return null;
    if (close - open > MIN_CUT_BYTES) {
      if (values.length === count) return null;
      rest += `${body.toString('latin1', copiedTo, open)}"${values.length}"`;
      values.push(body.subarray(open, close + 1));
      copiedTo = close + 1;
    }
    open = body.indexOf(QUOTE, close + 1);
  }
  return values.length === count ? { rest: rest + body.toString('latin1', copiedTo), values } : null;
}

/** NaN, Infinity, null and nan all hold an n or N. Each letter is searched once over the body, not once an array. */
function letterCheck(body: Buffer): (from: number, to: number) => boolean {
  const nextOf = { lower: -2, upper: -2 };
  return (from, to) => {
    if (nextOf.lower !== -1 && nextOf.lower < from) nextOf.lower = body.indexOf(0x6e, from);
    if (nextOf.upper !== -1 && nextOf.upper < from) nextOf.upper = body.indexOf(0x4e, from);
    return (nextOf.lower === -1 || nextOf.lower > to) && (nextOf.upper === -1 || nextOf.upper > to);
  };
}

function beginsNumber(body: Buffer, from: number): boolean {
  let at = from;
  while (body[at] === 0x20 || body[at] === 0x0a || body[at] === 0x0d || body[at] === 0x09) at++;
  const byte = body[at] ?? 0;
  return byte === 0x2d || (byte >= 0x30 && byte <= 0x39);
}
