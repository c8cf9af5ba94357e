/**
 * Ends a text before the first stop sequence, as not every model on Replicate does. Text that may be the beginning of one is
 * held until more is known.
 */
export class StopSequences {
  /** A stop sequence was found; nothing is passed on after it. */
  isFound = false;
  readonly #stops: readonly string[];
  #held = '';

  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** What of the text so far can be passed on now. */
  push(text: string): string {
    if (this.#stops.length === 0) return text;
    if (this.isFound) return '';
    const all = this.#held + text;
    const found = this.#stops.map((stop) => all.indexOf(stop)).filter((at) => at !== -1);
    if (found.length > 0) {
      this.isFound = true;
      this.#held = '';
      return all.slice(0, Math.min(...found));
    }
    const heldLength = Math.max(...this.#stops.map((stop) => overlap(all, stop)));
    this.#held = all.slice(all.length - heldLength);
    return all.slice(0, all.length - heldLength);
  }

  /** The rest, when no more text comes. */
  end(): string {
    const rest = this.#held;
    this.#held = '';
    return rest;
  }
}

/** The length of the longest end of `text` that begins `stop`. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--)
    if (stop.startsWith(text.slice(text.length - length))) return length;
  return 0;
}
