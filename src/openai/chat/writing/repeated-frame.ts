import { parseJson } from '../../../lib/json/json-object.ts';

/** Frames that differed from the one before in more than their text, in a row, until nothing is expected any more. */
const ENOUGH_MISSES = 16;

/** What ends a JSON string, may not be in one, or needs decoding. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids exactly these inside of strings.
const NOT_PLAIN = /["\\\u0000-\u001f]/;

/**
 * Recognises frames that say the same as the last relayed one but for their text, as nearly all of a stream do:
 * comparing them costs a tenth of parsing them. What is before and after the text was parsed once, so that a frame
 * with another JSON string in the same place is as canonical as that one was.
 */
export class RepeatedFrame {
  /** Of the last frame; '' when there is none that another could repeat. */
  #beforeText = '';
  #afterText = '';
  /** Notes since the last frame that was recognised; some upstreams put something random into each frame. */
  #misses = 0;

  /** Takes a frame that was relayed, with the member that says `said`. */
  note(frame: string, member: string, said: string): void {
    this.#beforeText = '';
    if (this.#misses >= ENOUGH_MISSES) return;
    this.#misses++;
    const start = startOfOnlyText(frame, member);
    if (start === -1) return;
    const source = JSON.stringify(said);
    // A text that JSON can write in several ways is found at its next occasion.
    if (!frame.startsWith(source, start)) return;
    this.#beforeText = frame.slice(0, start + 1);
    this.#afterText = frame.slice(start + source.length - 1);
  }

  /** The text of a frame that is like the last one but for its text; null: it must be parsed. */
  textIn(frame: string): string | null {
    const before = this.#beforeText;
    const after = this.#afterText;
    const end = frame.length - after.length;
    if (before === '' || end < before.length) return null;
    // Slices cost nothing and are compared a word at a time; startsWith goes by characters and costs as much as parsing.
    if (frame.slice(0, before.length) !== before || frame.slice(end) !== after) return null;
    const source = frame.slice(before.length, end);
    const text = NOT_PLAIN.test(source) ? parseJson(`"${source}"`) : source;
    if (typeof text !== 'string') return null;
    this.#misses = 0;
    return text;
  }
}

/** Where the value of the only member of this name begins that is a text: at its quote. -1: none, or more than one. */
function startOfOnlyText(frame: string, member: string): number {
  const name = `"${member}":`;
  const at = frame.indexOf(name);
  if (at === -1 || frame.indexOf(name, at + 1) !== -1) return -1;
  const start = at + name.length;
  return frame.charCodeAt(start) === 0x20 ? start + 1 : start;
}
