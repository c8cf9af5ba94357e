import { JsonFraming } from './json-framing.ts';
import { SseFraming } from './sse-framing.ts';
import { createTextDecoding, type TextDecoding } from './text-decoding.ts';

/** What a body turned out to be, judged by its first character and never by its content-type. */
type BodyForm = 'empty' | 'sse' | 'json' | 'html';

interface EventFramingOptions {
  readonly contentType: string | null;
  readonly maxEventLength: number;
  readonly onEvent: (data: string, name: string | undefined) => void;
  readonly onOverflow: () => void;
  /** A line between events that is none. */
  readonly onJunk: (line: string) => void;
}

/** How much of a body that is no answer is kept for the error's excerpt. */
const EXCERPT_LENGTH = 2000;

/** Bytes of an upstream's body → the texts of its events, whatever the framing. */
export class EventFraming {
  readonly #decoding: TextDecoding;
  readonly #sse: SseFraming;
  readonly #json: JsonFraming;
  #form: BodyForm = 'empty';
  /** The start of what was no event: an HTML page, lines of plain text. */
  #junk = '';

  constructor(options: EventFramingOptions) {
    this.#decoding = createTextDecoding(options.contentType);
    const { onEvent, onOverflow, onJunk, maxEventLength } = options;
    this.#sse = new SseFraming({
      onEvent,
      onOverflow,
      maxEventLength,
      onJunk: (line) => {
        this.#keepJunk(`${line}\n`);
        onJunk(line);
      },
    });
    this.#json = new JsonFraming({
      onValue: (text) => onEvent(text, undefined),
      onOverflow,
      maxValueLength: maxEventLength,
    });
  }

  get form(): BodyForm {
    return this.#form;
  }

  /** The start of the text that could not be used. */
  get junk(): string {
    return this.#junk;
  }

  push(bytes: Uint8Array): void {
    this.#pushText(this.#decoding.push(bytes));
  }

  /** The body ended. Returns the text of a JSON value that was cut, '' when there is none. */
  end(): string {
    this.#pushText(this.#decoding.end());
    if (this.#form === 'sse') this.#sse.end();
    return this.#form === 'json' ? this.#json.rest : '';
  }

  #pushText(text: string): void {
    if (this.#form === 'empty') this.#sniff(text);
    else if (this.#form === 'sse') this.#sse.push(text);
    else if (this.#form === 'json') this.#json.push(text);
    else this.#keepJunk(text);
  }

  #sniff(text: string): void {
    const start = text.search(/\S/);
    if (start === -1) return;
    this.#form = formOf(text.charAt(start));
    this.#pushText(text.slice(start));
  }

  #keepJunk(text: string): void {
    if (this.#junk.length < EXCERPT_LENGTH) this.#junk += text.slice(0, EXCERPT_LENGTH);
  }
}

function formOf(first: string): BodyForm {
  if (first === '<') return 'html';
  return first === '{' || first === '[' || first === '"' ? 'json' : 'sse';
}
