/**
 * Edits of a JSON object's text that leave everything else byte for byte: 12345678901234567890 and 1.0 do not
 * survive JSON.parse and JSON.stringify, and clients are promised that they do (product.md promise 5).
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

/** The array with each element's text put through `edit`, and all between them as it was. */
export function editElements(array: string, edit: (element: string, position: number) => string): string {
  const parts: string[] = [];
  let copiedTo = 0;
  for (const [position, { start, end }] of readElements(array).entries()) {
    parts.push(array.slice(copiedTo, start), edit(array.slice(start, end), position));
    copiedTo = end;
  }
  parts.push(array.slice(copiedTo));
  return parts.join('');
}

/** A set of edits to the members of one object, applied in one pass by `toString`. */
export class MemberEdits {
  readonly #text: string;
  readonly #members: readonly Member[];
  readonly #removed = new Set<Member>();
  readonly #replaced = new Map<Member, string>();
  readonly #renamed = new Map<Member, string>();
  readonly #inserted: string[] = [];

  constructor(text: string) {
    this.#text = text;
    this.#members = readMembers(text);
  }

  /** False: `toString` gives the text as it was. */
  get hasChanges(): boolean {
    return (
      this.#removed.size > 0 || this.#replaced.size > 0 || this.#renamed.size > 0 || this.#inserted.length > 0
    );
  }

  /** The text of the member's value as it stands (the last one, as JSON.parse takes it), without pending edits. */
  valueOf(key: string): string | undefined {
    const member = this.#members.findLast((candidate) => candidate.key === key);
    return member === undefined ? undefined : this.#text.slice(member.valueStart, member.valueEnd);
  }

  /** Puts JSON text in place of the value of each member of that name. */
  replace(key: string, json: string): void {
    for (const member of this.#named(key)) this.#replaced.set(member, json);
  }

  remove(key: string): void {
    for (const member of this.#named(key)) this.#removed.add(member);
  }

  rename(key: string, newKey: string): void {
    for (const member of this.#named(key)) this.#renamed.set(member, newKey);
  }

  /** Adds a member behind the others. */
  insert(key: string, json: string): void {
    this.#inserted.push(`${JSON.stringify(key)}:${json}`);
  }

  /** Replaces the value, or adds the member when there is none. */
  set(key: string, json: string): void {
    if (this.#named(key).length > 0) this.replace(key, json);
    else this.insert(key, json);
  }

  #named(key: string): Member[] {
    return this.#members.filter((member) => member.key === key);
  }

  toString(): string {
    if (!this.hasChanges) return this.#text;
    const parts: string[] = [];
    let copiedTo = 0;
    for (const splice of this.#splices()) {
      parts.push(this.#text.slice(copiedTo, splice.from), splice.put);
      copiedTo = splice.to;
    }
    parts.push(this.#text.slice(copiedTo));
    return parts.join('');
  }

  /** All edits as splices from left to right; the last one ends the object: trailing removals and insertions. */
  #splices(): Splice[] {
    const splices: Splice[] = [];
    const lastKept = this.#members.findLastIndex((member) => !this.#removed.has(member));
    for (let position = 0; position <= lastKept; position++) {
      const member = this.#members[position] as Member;
      if (this.#removed.has(member)) {
        // It takes the comma behind it along, which is there because a kept member follows.
        const next = this.#members[position + 1] as Member;
        splices.push({ from: member.keyStart, to: next.keyStart, put: '' });
        continue;
      }
      const { keyStart, keyEnd, valueStart, valueEnd } = member;
      const newKey = this.#renamed.get(member);
      if (newKey !== undefined) splices.push({ from: keyStart, to: keyEnd, put: JSON.stringify(newKey) });
      const json = this.#replaced.get(member);
      if (json !== undefined) splices.push({ from: valueStart, to: valueEnd, put: json });
    }
    const afterBrace = this.#text.indexOf('{') + 1;
    const from = this.#members[lastKept]?.valueEnd ?? this.#members[0]?.keyStart ?? afterBrace;
    const to = this.#members.at(-1)?.valueEnd ?? afterBrace;
    const comma = lastKept >= 0 && this.#inserted.length > 0 ? ',' : '';
    splices.push({ from, to, put: comma + this.#inserted.join(',') });
    return splices;
  }
}

interface Splice {
  readonly from: number;
  readonly to: number;
  readonly put: string;
}
