/**
 * The longest text in one delta, in UTF-16 units. JSON writes at most 6 bytes for each (`\u0000`), so that with 64 KiB
 * for the rest of the chunk a line stays under 1 MiB, the longest that some clients read.
 */
export const MAX_DELTA_LENGTH = 160 * 1024;

/** The pieces of a text, each short enough for one line; a surrogate pair is never cut. */
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

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}

/**
 * For upstreams whose every delta repeats all text so far: gives only what is new. Text that does not continue what
 * came before is new as a whole, and may be repeated by itself from then on.
 */
export class CumulativeText {
  #soFar = '';
  /** The same since the upstream last restarted its text. */
  #sinceNew = '';

  advance(text: string): string {
    for (const known of [this.#soFar, this.#sinceNew]) {
      if (text.startsWith(known)) return this.#add(text, text.slice(known.length));
    }
    // An empty or shorter repetition (the last chunk often has one) adds nothing.
    if (this.#soFar.startsWith(text) || this.#sinceNew.startsWith(text)) return '';
    return this.#add(text, text);
  }

  #add(text: string, added: string): string {
    this.#soFar += added;
    this.#sinceNew = text;
    return added;
  }
}
