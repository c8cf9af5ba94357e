/** How much text is held, in UTF-16 units, while it may turn out to be reasoning whose opening tag is missing. */
export const THINK_HOLD_CHARS = 65_536;

const OPEN = '<think>';
const CLOSE = '</think>';

export interface ThinkTexts {
  readonly reasoning: string;
  readonly content: string;
}

/**
 * Splits the text of one answer into reasoning and content. Only an answer that begins with `<think>`, or that has a
 * `</think>` without an opening one (R1 templates put that into the prompt), has reasoning; every other mention of a
 * tag is text.
 */
export class ThinkTags {
  /** `undecided`: held until a tag is seen. `thinking`: until `</think>`. `answering`: to the end. */
  #state: 'undecided' | 'thinking' | 'answering' = 'undecided';
  /** undecided: all text. thinking: an end that may be the beginning of `</think>`. */
  #held = '';
  /** Where the search for `</think>` in the held text goes on: searching from 0 each time would be quadratic. */
  #searchedTo = 0;

  push(text: string): ThinkTexts {
    if (this.#state === 'answering') return { reasoning: '', content: text };
    this.#held += text;
    return this.#state === 'undecided' ? this.#decide() : this.#think();
  }

  end(): ThinkTexts {
    const rest = this.#held;
    this.#held = '';
    return this.#state === 'thinking' ? { reasoning: rest, content: '' } : { reasoning: '', content: rest };
  }

  #decide(): ThinkTexts {
    const start = this.#held.search(/\S/);
    if (start !== -1 && this.#held.startsWith(OPEN, start)) {
      this.#state = 'thinking';
      this.#held = this.#held.slice(start + OPEN.length);
      return this.#think();
    }
    const close = this.#held.indexOf(CLOSE, this.#searchedTo);
    this.#searchedTo = Math.max(0, this.#held.length - CLOSE.length);
    if (close === -1) {
      return this.#held.length > THINK_HOLD_CHARS
        ? this.#answer('', this.#held)
        : { reasoning: '', content: '' };
    }
    const before = this.#held.slice(0, close);
    if (before.includes(OPEN)) return this.#answer('', this.#held);
    return this.#answer(before, this.#held.slice(close + CLOSE.length));
  }

  #think(): ThinkTexts {
    const close = this.#held.indexOf(CLOSE);
    if (close !== -1) {
      return this.#answer(this.#held.slice(0, close), this.#held.slice(close + CLOSE.length));
    }
    const kept = lengthOfTagStart(this.#held);
    const reasoning = this.#held.slice(0, this.#held.length - kept);
    this.#held = this.#held.slice(reasoning.length);
    return { reasoning, content: '' };
  }

  #answer(reasoning: string, content: string): ThinkTexts {
    this.#state = 'answering';
    this.#held = '';
    return { reasoning, content };
  }
}

/** How many characters at the end of `text` may be the beginning of `</think>`. */
function lengthOfTagStart(text: string): number {
  for (let length = Math.min(CLOSE.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(CLOSE.slice(0, length))) return length;
  }
  return 0;
}
