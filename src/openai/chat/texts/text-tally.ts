/** About how many tokens a text has. */
export type TokenEstimate = (text: string) => number;

/** So much of the text is kept to be counted; the rest is taken to be like it. In UTF-16 units. */
const SAMPLE_LENGTH = 8 * 1024;
/** Pieces are joined when there are so many, because each costs more memory than its text. */
const MAX_PIECES = 64;

/**
 * About how many tokens a text has that comes in pieces. Memory and time are bounded: a stream's text is counted only
 * when the upstream turns out to give no usage, and by then it must not have been kept.
 */
export class TextTally {
  #pieces: string[] = [];
  #sampleLength = 0;
  #length = 0;
  readonly #estimate: TokenEstimate;

  constructor(estimate: TokenEstimate) {
    this.#estimate = estimate;
  }

  add(text: string): void {
    this.#length += text.length;
    if (this.#sampleLength >= SAMPLE_LENGTH) return;
    const kept = text.slice(0, SAMPLE_LENGTH - this.#sampleLength);
    this.#sampleLength += kept.length;
    this.#pieces.push(kept);
    if (this.#pieces.length > MAX_PIECES) this.#pieces = [this.#pieces.join('')];
  }

  get tokens(): number {
    if (this.#length === 0) return 0;
    const tokens = this.#estimate(this.#pieces.join(''));
    return Math.round((tokens / this.#sampleLength) * this.#length);
  }
}
