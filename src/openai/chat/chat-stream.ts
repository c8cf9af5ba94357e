import { FerryError } from '../../lib/errors/ferry-error.ts';
import { isJsonObject, parseJson } from '../../lib/json/json-object.ts';
import type { ResponseFacts } from '../../lib/request-trace.ts';
import type { SseItem } from '../../lib/sse/sse-reader.ts';
import { excerptOf } from '../../lib/text/sanitize.ts';
import { type ErrorContext, invalidBodyError } from '../errors/upstream-error.ts';
import type { Usage } from '../usage/usage.ts';
import { UsageMeter } from '../usage/usage-meter.ts';
import { announcesEnd, isEndMarker } from '../vendors/end-markers.ts';
import type { OnRepair, Repair } from '../vendors/repairs.ts';
import {
  brokenOff,
  cutOff,
  invalidResponse,
  newCallId,
  ResponseAssembler,
} from './assembly/response-assembler.ts';
import { ResponseIdentity } from './assembly/response-identity.ts';
import type { StreamWriter } from './assembly/response-sink.ts';
import { BodyEvents } from './framing/body-events.ts';
import { parsePayload } from './framing/event-payload.ts';
import type { ChatStreamOptions, ResponseStream } from './response-format.ts';
import { type ChunkFacts, hasUnreadText } from './shapes/chunk-facts.ts';
import { isListOfChunks, parseEvent } from './shapes/event-parser.ts';
import { withExactArguments } from './shapes/tool-fragments.ts';
import { CanonicalRelay } from './writing/canonical-relay.ts';
import { ChunkWriter, TextChunkWriter } from './writing/chunk-writer.ts';

/** What takes the place of a writer of chat chunks. */
interface OtherWriter {
  readonly identity: ResponseIdentity;
  readonly writer: StreamWriter;
  /** A whole response was requested, so that one JSON body is expected. */
  readonly isWhole?: boolean;
}

/** An HTML page this long is reported without waiting for its end. In UTF-16 units. */
const ENOUGH_HTML = 1000;
/** A body with this many invalid events is rejected: a failed parse costs 20 µs. */
const MAX_INVALID_EVENTS = 1000;
/** So much of an event that cannot be used is kept for the error. */
const EXCERPT_LENGTH = 1000;
/** So much of a body without events is kept for the error. */
const STRAY_LENGTH = 2000;
/** Longer than the sizes and boundaries between events when a body is encoded twice. */
const WORD = /\p{L}{4}/u;

/**
 * Any upstream bytes → the canonical stream. Pure: no sockets, no timers; never throws for what an upstream sends.
 *
 * The way of a piece: bytes → events (`framing/body-events`) → JSON values (`framing/event-payload`) → a canonical chunk is
 * sent as its own text (`writing/canonical-relay`); of all others: its contents (`shapes/event-parser`) → texts and
 * calls, choice by choice (`assembly/response-assembler`) → canonical chunks (`writing/chunk-writer`).
 */
export class ChatStream implements ResponseStream {
  isFinished = false;
  failure: FerryError | null = null;
  readonly #options: ChatStreamOptions;
  readonly #isWhole: boolean;
  readonly #context: ErrorContext;
  readonly #identity: ResponseIdentity;
  readonly #writer: StreamWriter;
  readonly #body: BodyEvents;
  readonly #meter: UsageMeter;
  readonly #assembler: ResponseAssembler;
  /** The writer of our own chunks, which can send the upstream's as well; null: another writer is used. */
  readonly #chunks: ChunkWriter | null;
  /** Sends what is canonical already as it came; null: everything is assembled. */
  readonly #relay: CanonicalRelay | null = null;
  /** What was reported so far: each repair once. */
  #repairs: Set<Repair> | null = null;
  /** The first event that could not be used, for the error when nothing else comes. */
  #unusable = '';
  /** The start of what was no event: an HTML page, lines of plain text. */
  #stray = '';
  /** The last event was an end marker that only this upstream has. */
  #isEndAnnounced = false;
  /** The last event when it could not be used and has words: a response without a finish that ends so was broken off. */
  #lastWords = '';
  /** JSON values so far; one alone may be a whole response. */
  #valueCount = 0;
  /** The first event with text in an unknown form; of interest when the response turns out to have no other. */
  #unread = '';
  /** The body ended, so that an event that is not complete now was cut. */
  #isEnding = false;
  #wasCut = false;
  #invalidCount = 0;

  constructor(options: ChatStreamOptions, other: OtherWriter | null = null) {
    const { endpoint, requestedModel, scrub, contentType, profile, legacyFunctions, includeUsage } = options;
    const onRepair = this.#onRepair;
    const path = endpoint === 'chat' ? '/v1/chat/completions' : '/v1/completions';
    this.#options = options;
    this.#isWhole = other?.isWhole === true;
    this.#context = { model: requestedModel, path, scrub };
    this.#body = new BodyEvents({ contentType, maxEventLength: options.maxEventBytes, onRepair });
    this.#meter = new UsageMeter({
      estimate: includeUsage ? 'exactly' : (options.estimateUsage ?? 'no'),
      prompt: options.promptForEstimate,
      onRepair,
    });
    const identity = other?.identity ?? new ResponseIdentity(options);
    const Writer = endpoint === 'chat' ? ChunkWriter : TextChunkWriter;
    const chunks = other === null ? new Writer({ identity, includeUsage, legacyFunctions }) : null;
    this.#identity = identity;
    this.#chunks = chunks;
    this.#writer = chunks ?? (other as OtherWriter).writer;
    this.#assembler = new ResponseAssembler({
      sink: this.#writer,
      identity,
      meter: this.#meter,
      splitsThinkTags: profile.thinkTags === 'split',
      isCumulative: profile.cumulative === 'always',
      choiceCount: endpoint === 'chat' ? options.choiceCount : undefined,
      onRepair,
      scrub,
      newCallId,
    });
    if (chunks !== null) {
      this.#relay = new CanonicalRelay({
        endpoint,
        legacyFunctions,
        identity,
        writer: chunks,
        assembler: this.#assembler,
        meter: this.#meter,
        onRefusalMember: options.onRefusalMember,
      });
    }
  }

  /** Canonical SSE text that is complete so far, '' if none. */
  push(bytes: Uint8Array): string {
    if (this.#isOver) return '';
    try {
      this.#acceptItems(this.#body.push(bytes));
      if (this.#body.form === 'html' && this.#stray.length > ENOUGH_HTML) this.#failAsInvalid();
    } catch (cause) {
      this.#failUnparsable(cause);
    }
    return this.#writer.take();
  }

  /** The upstream's body ended cleanly. Completes (finish, usage, [DONE]) or sets `failure`. */
  end(): string {
    if (this.#isOver) return '';
    try {
      this.#isEnding = true;
      this.#acceptItems(this.#body.end());
      if (this.#body.wasCut) this.#wasCut = true;
      if (!this.#isOver) this.#acceptEnd();
    } catch (cause) {
      this.#failUnparsable(cause);
    }
    return this.#writer.take();
  }

  /** The last event of a stream that broke. */
  broken(error: FerryError): string {
    return this.#writer.broken(error);
  }

  /** Non-empty text, reasoning, refusal or a tool call came from the upstream. */
  get hasContent(): boolean {
    return this.#assembler.hasContent;
  }

  /** All choices have their finish reason: when the upstream is cut or silent from here on, call `end()`. */
  get canEnd(): boolean {
    const { isComplete, hasContent } = this.#assembler;
    return isComplete || (this.#isEndAnnounced && hasContent);
  }

  get usage(): Usage | null {
    return this.#meter.usage;
  }

  get isUsageEstimated(): boolean {
    return this.#meter.isEstimated;
  }

  /** The model as the upstream named it. */
  get upstreamModel(): string | null {
    return this.#identity.upstreamModel;
  }

  facts(): ResponseFacts {
    const { upstreamId: id, upstreamModel: model } = this.#identity;
    // A response without a finish reason is sent with `stop`.
    const finishReasons = this.#assembler.finishReasons(this.isFinished ? 'stop' : 'error');
    return { id, model, finishReasons };
  }

  /** The usage of a stream that ends before its time (cut off, client gone): as reported, else estimated when wanted. */
  settleUsage(): Usage | null {
    this.#meter.close();
    return this.#meter.usage;
  }

  get #isOver(): boolean {
    return this.isFinished || this.failure !== null;
  }

  #acceptItems(items: readonly SseItem[]): void {
    for (const item of items) {
      if (this.#isOver) return;
      if (item.kind === 'event') this.#acceptEvent(item.data, item.name);
      else this.#acceptStray(item.text);
    }
    if (this.#body.hasOverflowed) this.#fail(tooLong(this.#options.maxEventBytes));
    if (this.#writer.failure !== null) this.#fail(this.#writer.failure);
  }

  #acceptEvent(data: string, name: string | undefined): void {
    if (name !== 'error') {
      // The way of nearly every event; the payload's other forms are looked for only when this is no JSON.
      if (data.startsWith('{') && data.endsWith('}')) {
        if (this.#relay?.relayAgain(data) === true) {
          this.#valueCount++;
          this.#lastWords = '';
          this.#isEndAnnounced = false;
          return;
        }
        const value = parseJson(data);
        if (value !== undefined) {
          this.#acceptValue(value, data, name);
          return;
        }
      } else if (data === '[DONE]') {
        this.#acceptDone();
        return;
      }
    }
    this.#acceptPayload(data, name);
  }

  #acceptPayload(data: string, name: string | undefined): void {
    const payload = parsePayload(data, this.#onRepair);
    if (name === 'error' && payload.values.length === 0) {
      this.#acceptValue({ message: data }, null, name);
      return;
    }
    for (const { value, text } of payload.values) {
      for (const item of isListOfChunks(value) ? value : [value]) {
        if (!this.#isOver) this.#acceptValue(item, item === value ? text : null, name);
      }
    }
    if (payload.values.length === 0 && (isEndMarker(data) || announcesEnd(null, name))) {
      this.#isEndAnnounced = true;
    } else if (payload.isInvalid && !this.#isOver) {
      this.#acceptInvalid(data);
    }
    if (payload.isDone && !this.#isOver) this.#acceptDone();
  }

  /** Text that is no event: often the words of an error, at times an end marker. */
  #acceptStray(text: string): void {
    if (this.#stray.length < STRAY_LENGTH) this.#stray += text.slice(0, STRAY_LENGTH);
    if (isEndMarker(text)) this.#isEndAnnounced = true;
    else if (WORD.test(text)) this.#lastWords = text.slice(0, EXCERPT_LENGTH);
    this.#onRepair('stray_text');
  }

  #acceptInvalid(data: string): void {
    if (this.#isEnding && data.startsWith('{')) this.#wasCut = true;
    this.#lastWords = data.slice(0, EXCERPT_LENGTH);
    this.#keepUnusable(data);
    this.#onRepair('invalid_event_skipped');
    this.#invalidCount++;
    if (this.#invalidCount >= MAX_INVALID_EVENTS) this.#failAsInvalid();
  }

  /** `text`: the value's own JSON; null when it was part of something else. */
  #acceptValue(value: unknown, text: string | null, name: string | undefined): void {
    this.#valueCount++;
    if (this.#relay !== null && text !== null && name !== 'error' && isJsonObject(value)) {
      if (this.#relay.relay(value, text)) {
        // What was before it was not the end.
        this.#lastWords = '';
        this.#isEndAnnounced = false;
        return;
      }
    }
    const exact = text === null ? value : withExactArguments(value, text);
    const event = parseEvent({ value: exact, text, eventName: name }, this.#context, this.#onRepair);
    if (event.kind === 'error') this.#fail(event.error);
    else if (event.kind === 'chunk') this.#acceptChunk(event.chunk, text ?? '');
    else this.#acceptOther(exact, text ?? JSON.stringify(exact) ?? '', name);
  }

  /** An event that is neither a chunk nor an error. */
  #acceptOther(value: unknown, text: string, name: string | undefined): void {
    if (announcesEnd(value, name)) this.#isEndAnnounced = true;
    else if (isJsonObject(value) && hasUnreadText(value)) this.#lastWords = text;
    this.#keepUnusable(text);
    this.#onRepair('unknown_event_skipped');
  }

  #acceptChunk(chunk: ChunkFacts, text: string): void {
    if (chunk.choices.length > 0) {
      this.#lastWords = '';
      this.#isEndAnnounced = false;
    } else {
      this.#keepUnusable(text);
    }
    if (chunk.hasRefusal) this.#options.onRefusalMember?.();
    if (chunk.errorBeside !== null) this.#lastWords = JSON.stringify(chunk.errorBeside);
    if (chunk.hasUnreadText && this.#unread === '') this.#unread = text.slice(0, EXCERPT_LENGTH) || '{…}';
    const isChunk = this.#body.form === 'sse' && !this.#isWhole && this.#options.endpoint === 'chat';
    if (isChunk && chunk.choices.some((choice) => choice.isWhole)) this.#onRepair('misplaced_text');
    this.#meter.report(chunk.usage, null);
    this.#meter.reportBeside(chunk.usageBeside);
    const failure = this.#assembler.accept(chunk);
    if (failure !== null) this.#fail(failure);
  }

  /** The upstream's end marker. Without a finish reason and any content that is not a response. */
  #acceptDone(): void {
    const assembler = this.#assembler;
    if (assembler.hasContent || assembler.isComplete) this.#complete();
    else if (this.#unusable !== '' && !assembler.hasChoices) this.#failAsInvalid();
    else this.#fail(invalidResponse('The upstream ended its response without any content.'));
  }

  /** The body ended without the end marker. */
  #acceptEnd(): void {
    const { form } = this.#body;
    const { hasChoices, hasContent, lastWasWhole, isComplete } = this.#assembler;
    const isWholeResponse = form === 'json' && this.#valueCount === 1 && lastWasWhole;
    const isEmpty = form === 'sse' && this.#stray === '' && this.#unusable === '';
    const words = this.#wasCut || !hasChoices ? '' : this.#excerptOf(this.#lastWords);
    if (this.canEnd || (isWholeResponse && !this.#wasCut)) {
      if (form === 'sse') this.#onRepair('done_missing');
      if (!isComplete && !isWholeResponse) this.#onRepair('vendor_end_marker');
      this.#complete();
    } else if (words !== '') this.#fail(brokenOff(words));
    else if (hasChoices || this.#wasCut || isEmpty) this.#fail(cutOff(hasContent));
    else this.#failAsInvalid();
  }

  /** Writes the finish chunks, the usage chunk if requested, `[DONE]`. */
  #complete(): void {
    const fault = this.#assembler.faultAtEnd(this.#excerptOf(this.#lastWords), this.#excerptOf(this.#unread));
    if (fault !== null) {
      this.#fail(fault);
      return;
    }
    if (this.#body.form === 'json' || this.#isWhole) this.#noteForm();
    this.#assembler.close(this.#chunks);
    if (this.#writer.failure !== null) {
      this.#fail(this.#writer.failure);
      return;
    }
    if (this.#identity.isIncomplete) this.#onRepair('identity_missing');
    this.#meter.close();
    this.isFinished = true;
    this.#writer.complete(this.#meter);
  }

  /** Whether the body has the requested form. */
  #noteForm(): void {
    const { form } = this.#body;
    if (form === 'json' && !this.#isWhole) {
      this.#onRepair(this.#valueCount === 1 ? 'json_for_stream' : 'ndjson_for_stream');
    }
    if (form === 'sse' && this.#isWhole && !this.#options.profile.alwaysStream) {
      this.#onRepair('stream_for_json');
    }
  }

  #failAsInvalid(): void {
    const body = this.#stray || this.#unusable;
    if (this.#valueCount === 0) {
      this.#fail(invalidBodyError(body, this.#context));
      return;
    }
    const excerpt = this.#excerptOf(body);
    this.#fail(
      invalidResponse(
        `The upstream sent JSON that is not a completion${excerpt === '' ? '.' : `: ${excerpt}`}`,
      ),
    );
  }

  /** What an upstream sends (thousands of nested arrays) may make a built-in throw; that is its fault, no crash. */
  #failUnparsable(cause: unknown): void {
    this.isFinished = false;
    const message = 'The upstream sent a response that cannot be parsed.';
    this.#fail(new FerryError('invalid_response', { message, cause }));
  }

  #fail(error: FerryError): void {
    if (!this.#isOver) this.failure = error;
  }

  #keepUnusable(data: string): void {
    if (this.#unusable === '') this.#unusable = data.slice(0, EXCERPT_LENGTH);
  }

  #excerptOf(text: string): string {
    return text === '' ? '' : excerptOf(text, this.#options.scrub);
  }

  readonly #onRepair: OnRepair = (repair, member) => {
    const isAsked = this.#options.legacyFunctions && LEGACY_REPAIRS.has(repair);
    if (isAsked || this.#repairs?.has(repair)) return;
    this.#repairs ??= new Set();
    this.#repairs.add(repair);
    this.#options.onRepair?.(repair, member);
  };
}

/** No defects where the request used `functions`. */
const LEGACY_REPAIRS: ReadonlySet<Repair> = new Set<Repair>(['tool_call_legacy', 'tool_call_id_missing']);

/** `limit`: in UTF-16 units. */
function tooLong(limit: number): FerryError {
  return new FerryError('invalid_response', {
    message: `The upstream sent an event of more than ${limit} characters.`,
  });
}
