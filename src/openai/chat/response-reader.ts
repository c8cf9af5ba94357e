import { FerryError } from '../../lib/errors/ferry-error.ts';
import { isJsonObject, type JsonObject, parseJson } from '../../lib/json/json-object.ts';
import { excerptOf } from '../../lib/text/sanitize.ts';
import { type ErrorContext, invalidBodyError } from '../errors/upstream-error.ts';
import type { UsageMeter } from '../usage/usage-meter.ts';
import type { ResponseAssembler } from './assembly/response-assembler.ts';
import { brokenOff, cutOff, faultOfWhole, noAnswer, tooLong } from './assembly/response-faults.ts';
import { withExactArguments } from './calls/exact-arguments.ts';
import { EventFraming } from './framing/event-framing.ts';
import { readPayload } from './framing/event-payload.ts';
import type { ChunkFacts } from './shapes/chunk-facts.ts';
import { isEndMark, saysEnd } from './shapes/end-words.ts';
import { readEvent } from './shapes/event-reader.ts';
import { isListOfChunks, withListedChoices } from './shapes/listed-choices.ts';
import { withOwnNames } from './shapes/member-names.ts';
import { hasUnreadWords } from './shapes/unread-words.ts';

interface ResponseReaderOptions {
  readonly endpoint: 'chat' | 'completions';
  readonly requestedModel: string;
  readonly contentType: string | null;
  /** In UTF-16 units. */
  readonly maxEventLength: number;
  readonly scrub: (text: string) => string;
  readonly onNote: (note: string) => void;
  readonly assembler: ResponseAssembler;
  readonly meter: UsageMeter;
  /** Sends what is canonical already as its own text; null: everything is read and assembled. */
  readonly relay: FrameRelay | null;
  /** The reply is whole; called once, and nothing is read after it. */
  readonly onComplete: () => void;
}

/** Both are false when they took nothing. */
export interface FrameRelay {
  relay(chunk: JsonObject, text: string): boolean;
  relayAgain(frame: string): boolean;
}

/** An HTML page this long is reported without waiting for its end. In UTF-16 units. */
const ENOUGH_HTML = 1000;
/** A reply with so many events that are no JSON is given up: a failed parse costs 20 µs. */
const MAX_INVALID_EVENTS = 1000;
/** So much of an event that cannot be used is kept for the error. */
const EXCERPT_LENGTH = 1000;
/** Longer than the sizes and boundaries that stand between events when a body is encoded twice. */
const WORD = /\p{L}{4}/u;

/**
 * The way of an upstream's bytes: framing → payload → relayed as its own text, or read leniently and assembled. Knows
 * when a reply is whole, and what kind of failure it is when it is not. Never throws for what an upstream sends.
 */
export class ResponseReader {
  readonly #options: ResponseReaderOptions;
  readonly #framing: EventFraming;
  readonly #context: ErrorContext;
  /** The first event that could not be used, for the error when nothing else comes. */
  #unusable = '';
  /** The last event was an end marker that only this upstream has. */
  #hasSaidEnd = false;
  /** The last event when it could not be used and has words: a reply without a finish that ends so was broken off. */
  #lastWords = '';
  /** JSON values so far; one alone may be a whole reply. */
  #valueCount = 0;
  /** The first event with words that nobody could read; of interest when the reply turns out to have no others. */
  #unread = '';
  /** The body ended, so that an event that is not complete now was cut. */
  #isEnding = false;
  #wasCut = false;
  #invalidCount = 0;
  #isComplete = false;
  #failure: FerryError | null = null;

  constructor(options: ResponseReaderOptions) {
    this.#options = options;
    const { endpoint, requestedModel, scrub, contentType, maxEventLength } = options;
    const path = endpoint === 'chat' ? '/v1/chat/completions' : '/v1/completions';
    this.#context = { model: requestedModel, path, scrub };
    this.#framing = new EventFraming({
      contentType,
      maxEventLength,
      onEvent: (data, name) => this.#acceptEvent(data, name),
      onJunk: (line) => this.#acceptJunk(line),
      onOverflow: () => this.#fail(tooLong(maxEventLength)),
    });
  }

  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** All was said: when nothing more comes, `end` completes the reply. */
  get canEnd(): boolean {
    const { assembler } = this.#options;
    return assembler.isComplete || (this.#hasSaidEnd && assembler.hasContent);
  }

  get failure(): FerryError | null {
    return this.#failure;
  }

  push(bytes: Uint8Array): void {
    if (this.#isOver) return;
    this.#guard(() => this.#framing.push(bytes));
    if (this.#framing.form === 'html' && this.#framing.junk.length > ENOUGH_HTML) this.#failAsInvalid();
  }

  /** The body ended cleanly: `isComplete` or `failure` is set afterwards. */
  end(): void {
    if (this.#isOver) return;
    this.#guard(() => {
      this.#isEnding = true;
      if (this.#framing.end() !== '') this.#wasCut = true;
      if (!this.#isOver) this.#acceptEnd();
    });
  }

  get #isOver(): boolean {
    return this.#isComplete || this.#failure !== null;
  }

  #acceptEvent(data: string, name: string | undefined): void {
    if (this.#isOver) return;
    // The way of nearly every event; the payload's other forms are looked for only when this is no JSON.
    if (name !== 'error' && data.startsWith('{') && data.endsWith('}')) {
      if (this.#options.relay?.relayAgain(data) === true) {
        this.#valueCount++;
        this.#goOn();
        return;
      }
      const value = parseJson(data);
      if (value !== undefined) {
        this.#acceptValue(value, data, name);
        return;
      }
    }
    const payload = readPayload(data);
    if (name === 'error' && payload.values.length === 0) {
      this.#acceptValue({ message: data }, null, name);
      return;
    }
    for (const { value, text } of payload.values) {
      for (const item of isListOfChunks(value) ? value : [value]) {
        if (!this.#isOver) this.#acceptValue(item, item === value ? text : null, name);
      }
    }
    if (payload.values.length === 0 && (isEndMark(data) || saysEnd(null, name))) this.#hasSaidEnd = true;
    else if (payload.isInvalid) this.#acceptInvalid(data);
    if (payload.isDone && !this.#isOver) this.#acceptDone();
  }

  /** A line that is no event: often the words of an error, at times an end marker. */
  #acceptJunk(line: string): void {
    if (isEndMark(line)) this.#hasSaidEnd = true;
    else if (WORD.test(line)) this.#lastWords = line.slice(0, EXCERPT_LENGTH);
  }

  #acceptInvalid(data: string): void {
    if (this.#isEnding && data.startsWith('{')) this.#wasCut = true;
    this.#lastWords = data.slice(0, EXCERPT_LENGTH);
    this.#skip(data, 'an event that is no JSON was skipped');
    this.#invalidCount++;
    if (this.#invalidCount >= MAX_INVALID_EVENTS) this.#failAsInvalid();
  }

  /** `text`: the value's own JSON; null when it was part of something else. */
  #acceptValue(value: unknown, text: string | null, name: string | undefined): void {
    this.#valueCount++;
    const { relay } = this.#options;
    if (relay !== null && text !== null && name !== 'error' && isJsonObject(value)) {
      if (relay.relay(value, text)) {
        this.#goOn();
        return;
      }
    }
    const exact = text === null ? value : withExactArguments(value, text);
    const event = readEvent(withListedChoices(withOwnNames(exact, text)), name, this.#context);
    if (event.kind === 'error') this.#fail(event.error);
    else if (event.kind === 'chunk') this.#acceptChunk(event.chunk, text ?? '');
    else this.#acceptOther(exact, text ?? JSON.stringify(exact) ?? '', name);
  }

  /** An event that is neither an answer nor an error. */
  #acceptOther(value: unknown, text: string, name: string | undefined): void {
    if (saysEnd(value, name)) this.#hasSaidEnd = true;
    else if (isJsonObject(value) && hasUnreadWords(value)) this.#lastWords = text;
    this.#skip(text, 'an event without meaning was skipped');
  }

  /** Part of an answer came: what was before it was not the end. */
  #goOn(): void {
    this.#lastWords = '';
    this.#hasSaidEnd = false;
  }

  #acceptChunk(chunk: ChunkFacts, text: string): void {
    if (chunk.choices.length > 0) this.#goOn();
    else this.#keepUnusable(text);
    if (chunk.errorBeside !== null) this.#lastWords = JSON.stringify(chunk.errorBeside);
    if (chunk.hasUnreadWords && this.#unread === '') this.#unread = text.slice(0, EXCERPT_LENGTH) || '{…}';
    this.#options.meter.report(chunk.usage, null);
    this.#options.meter.reportBeside(chunk.usageBeside);
    const failure = this.#options.assembler.accept(chunk);
    if (failure !== null) this.#fail(failure);
  }

  /** The upstream says that this is all. Without any reason and any content that is no answer. */
  #acceptDone(): void {
    const { assembler } = this.#options;
    if (assembler.hasContent || assembler.isComplete) this.#complete();
    else if (this.#unusable !== '' && !assembler.hasChoices) this.#failAsInvalid();
    else this.#fail(noAnswer('The upstream ended its answer without any content.'));
  }

  /** The body ended without the end marker. */
  #acceptEnd(): void {
    const { assembler, scrub } = this.#options;
    const isWholeReply = this.#framing.form === 'json' && this.#valueCount === 1 && assembler.lastWasWhole;
    const saidNothing = this.#framing.form === 'sse' && this.#framing.junk === '' && this.#unusable === '';
    const words = this.#wasCut || !assembler.hasChoices ? '' : excerptOf(this.#lastWords, scrub);
    if (this.canEnd || (isWholeReply && !this.#wasCut)) this.#complete();
    else if (words !== '') this.#fail(brokenOff(words));
    else if (assembler.hasChoices || this.#wasCut || saidNothing) this.#fail(cutOff(assembler.hasContent));
    else this.#failAsInvalid();
  }

  #complete(): void {
    const { assembler, scrub } = this.#options;
    const lastWords = excerptOf(this.#lastWords, scrub);
    const fault = faultOfWhole({ assembler, lastWords, unread: excerptOf(this.#unread, scrub) });
    if (fault !== null) {
      this.#fail(fault);
      return;
    }
    this.#isComplete = true;
    this.#options.onComplete();
  }

  #failAsInvalid(): void {
    const body = this.#framing.junk || this.#unusable;
    if (this.#valueCount === 0) {
      this.#fail(invalidBodyError(body, this.#context));
      return;
    }
    const excerpt = excerptOf(body, this.#options.scrub);
    const told = excerpt === '' ? '.' : `: ${excerpt}`;
    this.#fail(noAnswer(`The upstream answered with JSON that is no completion${told}`));
  }

  #fail(error: FerryError): void {
    if (!this.#isOver) this.#failure = error;
  }

  #skip(data: string, note: string): void {
    this.#keepUnusable(data);
    this.#options.onNote(note);
  }

  #keepUnusable(data: string): void {
    if (this.#unusable === '') this.#unusable = data.slice(0, EXCERPT_LENGTH);
  }

  /** What an upstream sends (thousands of nested arrays) may make a built-in throw; that is its fault, no crash. */
  #guard(act: () => void): void {
    try {
      act();
    } catch (cause) {
      this.#isComplete = false;
      this.#fail(
        new FerryError('invalid_response', {
          message: 'The upstream sent a reply that cannot be read.',
          cause,
        }),
      );
    }
  }
}
