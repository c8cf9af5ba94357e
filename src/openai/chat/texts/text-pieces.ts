/**
 * The longest text in one delta, in UTF-16 units. JSON writes at most 6 bytes for each (`\u0000`), so that with 64 KiB
 * for the rest of the chunk a line stays under 1 MiB, the longest that some clients read.
 */
export const MAX_DELTA_LENGTH = 160 * 1024;

/** Cuts text that is too long for one line; a surrogate pair is never cut. */
export function piecesOf(text: string): readonly string[] {
  if (text.length <= MAX_DELTA_LENGTH) return [text];
  const pieces: string[] = [];
  let at = 0;
  while (at < text.length) {
    let end = Math.min(at + MAX_DELTA_LENGTH, text.length);
    if (end < text.length && isHighSurrogate(text.charCodeAt(end - 1))) end--;
    pieces.push(text.slice(at, end));
    at = end;
  }
  return pieces;
}

/** Keeps back half a character at the end of a delta until its other half comes. */
export class WholeCharacters {
  #half = '';

  /** Whether `push` would return this text as it is. */
  isWhole(text: string): boolean {
    return this.#half === '' && !isHighSurrogate(text.charCodeAt(text.length - 1));
  }

  push(text: string): string {
    if (this.isWhole(text)) return text;
    const joined = this.#half + text;
    this.#half = isHighSurrogate(joined.charCodeAt(joined.length - 1)) ? joined.slice(-1) : '';
    return this.#half === '' ? joined : joined.slice(0, -1);
  }

  end(): string {
    const rest = this.#half;
    this.#half = '';
    return rest;
  }
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}
