/**
 * Where the parts of a JSON text stand, so that some can be changed and the rest stays byte for byte.
 *
 * All functions take text that JSON.parse has accepted; on other text they end, with spans of no meaning.
 */

/** Where one member of an object stands in the text; ends are exclusive, the key's span includes its quotes. */
export interface Member {
  readonly key: string;
  readonly keyStart: number;
  readonly keyEnd: number;
  readonly valueStart: number;
  readonly valueEnd: number;
}

/** Where one element of an array stands in the text; the end is exclusive. */
export interface Element {
  readonly start: number;
  readonly end: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

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
    if (text[at] !== ',') break;
    at = skipSpace(text, at + 1);
  }
  return members;
}

/** The elements of the array that begins at or after `start`, in their order. */
export function readElements(text: string, start = 0): Element[] {
  const elements: Element[] = [];
  let at = skipSpace(text, text.indexOf('[', start) + 1);
  while (at < text.length && text[at] !== ']') {
    const end = endOfValue(text, at);
    elements.push({ start: at, end });
    at = skipSpace(text, end);
    if (text[at] !== ',') break;
    at = skipSpace(text, at + 1);
  }
  return elements;
}

function keyOf(text: string, start: number, end: number): string {
  const inner = text.slice(start + 1, end - 1);
  return inner.includes('\\') ? String(JSON.parse(text.slice(start, end))) : inner;
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

function endOfValue(text: string, start: number): number {
  const first = text[start];
  if (first === '"') return endOfString(text, start);
  if (first === '{' || first === '[') return endOfNested(text, start);
  return nextMatch(/[,\]}\s]/g, text, start);
}

/** Counts brackets instead of recursing: depth costs no stack. */
function endOfNested(text: string, start: number): number {
  const structural = /["[\]{}]/g;
  let depth = 0;
  let at = start;
  for (;;) {
    at = nextMatch(structural, text, at);
    if (at >= text.length) return text.length;
    const found = text[at];
    if (found === '"') {
      at = endOfString(text, at);
      continue;
    }
    depth += found === '{' || found === '[' ? 1 : -1;
    at++;
    if (depth === 0) return at;
  }
}

/**
 * The index of the next match of a global pattern of one character, the text's length when there is none. `test`
 * and not `exec`: no match object is made for each of possibly millions of numbers.
 */
export function nextMatch(pattern: RegExp, text: string, from: number): number {
  pattern.lastIndex = from;
  return pattern.test(text) ? pattern.lastIndex - 1 : text.length;
}
