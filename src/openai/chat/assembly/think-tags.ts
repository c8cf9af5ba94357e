/** How much text is held, in UTF-16 units, while it may turn out to be reasoning whose opening tag is missing. */
export const THINK_HOLD_CHARS = 65_536;

const OPEN = '<think>';
const CLOSE = '</think>';
/** An opening tag counts after this much white space at most. */
const MAX_LEAD = 64;

interface ThinkTexts {
  readonly reasoning: string;
  readonly content: string;
}

const NOTHING: ThinkTexts = { reasoning: '', content: '' };

/**
 * Splits the text of one choice into reasoning and content. Only a text that begins with `<think>`, or that has a
 * `</think>` without an opening one (R1 templates put that into the prompt), has reasoning; every other mention of a
 * tag is text.
 */
export class ThinkTags {
  /** `undecided`: held until a tag is seen. `thinking`: until `</think>`. `answering`: to the end. */
  #state: 'undecided' | 'thinking' | 'answering' = 'undecided';
  /** undecided: all text, joined once when it is decided; joining it for every delta would be quadratic. */
  #pieces: string[] = [];
  #length = 0;
  /** The end of the text that was looked at, so that a tag is found that comes in pieces. */
  #tail = '';

  /** From now on every text is content. */
  get isAnswering(): boolean {
    return this.#state === 'answering';
  }

  /** The upstream has its own field for reasoning, so tags mean nothing: returns what was held as content. */
  disregard(): ThinkTexts {
    return this.#state === 'undecided' ? this.#settle('', this.#joined()) : NOTHING;
  }

  push(text: string): ThinkTexts {
    if (this.#state === 'answering') return { reasoning: '', content: text };
    if (this.#state === 'thinking') return this.#think(text);
    this.#pieces.push(text);
    this.#length += text.length;
    return this.#decide(text);
  }

  end(): ThinkTexts {
    if (this.#state === 'thinking') return { reasoning: this.#tail, content: '' };
    return { reasoning: '', content: this.#pieces.join('') };
  }

  #decide(added: string): ThinkTexts {
    if (this.#length - added.length <= MAX_LEAD) {
      const lead = this.#joined();
      const start = lead.search(/\S/);
      if (start !== -1 && lead.startsWith(OPEN, start)) {
        this.#state = 'thinking';
        this.#pieces = [];
        this.#tail = '';
        return this.#think(lead.slice(start + OPEN.length));
      }
    }
    const looked = this.#tail + added;
    this.#tail = looked.slice(1 - CLOSE.length);
    if (looked.includes(CLOSE)) return this.#answerFrom(this.#joined());
    return this.#length > THINK_HOLD_CHARS ? this.#settle('', this.#joined()) : NOTHING;
  }

  /** The text has a `</think>`, which ends reasoning unless an opening one is before it. */
  #answerFrom(text: string): ThinkTexts {
    const close = text.indexOf(CLOSE);
    const before = text.slice(0, close);
    return before.includes(OPEN)
      ? this.#settle('', text)
      : this.#settle(before, text.slice(close + CLOSE.length));
  }

  #joined(): string {
    const text = this.#pieces.join('');
    this.#pieces = [text];
    return text;
  }

  #think(added: string): ThinkTexts {
    const text = this.#tail + added;
    const close = text.indexOf(CLOSE);
    if (close !== -1) return this.#settle(text.slice(0, close), text.slice(close + CLOSE.length));
    const written = text.length - lengthOfTagStart(text);
    this.#tail = text.slice(written);
    return { reasoning: text.slice(0, written), content: '' };
  }

  #settle(reasoning: string, content: string): ThinkTexts {
    this.#state = 'answering';
    this.#pieces = [];
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
