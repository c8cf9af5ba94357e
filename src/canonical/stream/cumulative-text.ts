/**
 * For upstreams whose every delta repeats all text so far: gives only what is new. Text that does not continue what
 * came before is new as a whole.
 */
export class CumulativeText {
  #soFar = '';

  advance(text: string): string {
    if (text.startsWith(this.#soFar)) {
      const added = text.slice(this.#soFar.length);
      this.#soFar = text;
      return added;
    }
    // An empty or shorter repetition (the last chunk often has one) adds nothing.
    if (this.#soFar.startsWith(text)) return '';
    this.#soFar += text;
    return text;
  }
}
