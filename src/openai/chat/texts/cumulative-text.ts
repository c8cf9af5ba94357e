/**
 * For upstreams whose every delta repeats all text so far: gives only what is new. Text that does not continue what
 * came before is new as a whole, and may be repeated by itself from then on.
 */
export class CumulativeText {
  #soFar = '';
  /** The same since the upstream last began anew. */
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
