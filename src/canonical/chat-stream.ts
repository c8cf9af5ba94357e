import type { FerryError } from '../errors.ts';
import type { AnswerStream } from './answer-stream.ts';
import { errorEvent } from './error-event.ts';
import type { Profile } from './profile.ts';
import { CanonicalRelay } from './stream/canonical-relay.ts';
import { ChatChunkWriter } from './stream/chat-chunk-writer.ts';
import { distinctNotes } from './stream/distinct-notes.ts';
import { FrameBuffer } from './stream/frame-buffer.ts';
import { newCallId, ReplyAssembler } from './stream/reply-assembler.ts';
import { ReplyIdentity } from './stream/reply-identity.ts';
import { ReplyReader } from './stream/reply-reader.ts';
import { TextChunkWriter } from './stream/text-chunk-writer.ts';
import { UsageMeter } from './stream/usage-meter.ts';
import { type Usage, usageToWire } from './usage.ts';

/** What a reply is read with; the same for streams and whole bodies. */
export interface ChatReplyOptions {
  readonly endpoint: 'chat' | 'completions';
  /** The model as the client named it. */
  readonly requestedModel: string;
  readonly replyModel: 'upstream' | 'requested';
  readonly profile: Profile;
  /** The request used `functions`, so calls are answered as `function_call`. */
  readonly legacyFunctions: boolean;
  /** The upstream's content-type; only its charset is believed. */
  readonly contentType: string | null;
  /** How many choices were asked for (`n`); 1 makes every index of a chat 0. Absent: not known. */
  readonly choiceCount?: number | undefined;
  /** The prompt's text, asked for only when usage must be estimated. */
  readonly promptForEstimate?: (() => string) | undefined;
  /** Replaces living secrets in text that came from outside. */
  readonly scrub: (text: string) => string;
  newId(): string;
  nowSeconds(): number;
  /** What was odd about the reply, for the log; without content. */
  readonly onNote?: ((note: string) => void) | undefined;
}

export interface ChatStreamOptions extends ChatReplyOptions {
  /** The client asked for a usage chunk. */
  readonly includeUsage: boolean;
  /**
   * Whether usage that the upstream does not give is estimated though the client asked for none: for limits `exactly`
   * (a tokenizer's count, 1.6 µs a token), for the record `roughly` (by length). Default: no.
   */
  readonly estimateUsage?: 'exactly' | 'roughly' | 'no' | undefined;
  /** The longest event, in UTF-16 units, that is buffered before the reply counts as invalid. */
  readonly maxEventBytes: number;
}

/** In completions every prompt of a list has `n` choices, so that `n` alone says nothing. */
export function choiceCountOf(options: ChatReplyOptions): number | undefined {
  return options.endpoint === 'chat' ? options.choiceCount : undefined;
}

/** Any upstream bytes → the canonical stream. Pure: no sockets, no timers. */
export class ChatStream implements AnswerStream {
  readonly #includeUsage: boolean;
  readonly #frames = new FrameBuffer();
  readonly #identity: ReplyIdentity;
  readonly #meter: UsageMeter;
  readonly #writer: ChatChunkWriter | TextChunkWriter;
  readonly #assembler: ReplyAssembler;
  readonly #reader: ReplyReader;

  constructor(options: ChatStreamOptions) {
    const { endpoint, legacyFunctions: usesLegacyFunctions, profile, includeUsage } = options;
    const frames = this.#frames;
    const identity = new ReplyIdentity(options);
    const estimate = includeUsage ? 'exactly' : (options.estimateUsage ?? 'no');
    const meter = new UsageMeter(estimate, options.promptForEstimate);
    const onNote = distinctNotes(options.onNote);
    this.#includeUsage = includeUsage;
    this.#identity = identity;
    this.#meter = meter;
    this.#writer =
      endpoint === 'chat'
        ? new ChatChunkWriter(frames, identity, usesLegacyFunctions)
        : new TextChunkWriter(frames, identity);
    const assembler = new ReplyAssembler({
      sink: this.#writer,
      identity,
      splitsThinkTags: profile.thinkTags === 'split',
      isCumulative: profile.cumulative === 'always',
      choiceCount: choiceCountOf(options),
      newCallId,
      onNote,
      onText: (text) => meter.note(text),
      scrub: options.scrub,
    });
    this.#assembler = assembler;
    const relay = new CanonicalRelay({ endpoint, usesLegacyFunctions, frames, identity, assembler, meter });
    this.#reader = new ReplyReader({
      ...options,
      maxEventLength: options.maxEventBytes,
      onNote,
      assembler,
      meter,
      relay,
      onComplete: () => this.#complete(),
    });
  }

  /** Canonical SSE text that is complete so far, '' if none. Never throws for what an upstream sends. */
  push(bytes: Uint8Array): string {
    this.#reader.push(bytes);
    return this.#frames.take();
  }

  /** The upstream's body ended cleanly. Completes (finish, usage, [DONE]) or sets `failure`. */
  end(): string {
    this.#reader.end();
    return this.#frames.take();
  }

  broken(error: FerryError): string {
    return errorEvent(error);
  }

  /** Non-empty text, reasoning, refusal or a tool call came from the upstream. */
  get hasContent(): boolean {
    return this.#assembler.hasContent;
  }

  /** `[DONE]` was emitted: stop reading, destroy the upstream's body. */
  get isFinished(): boolean {
    return this.#reader.isComplete;
  }

  /** All choices have their finish reason: when the upstream is cut or silent from here on, call `end()`. */
  get canEnd(): boolean {
    return this.#reader.canEnd;
  }

  /** Set at most once. Text emitted before it is still returned by that call. */
  get failure(): FerryError | null {
    return this.#reader.failure;
  }

  get usage(): Usage | null {
    return this.#meter.usage;
  }

  /** The usage of a stream that ends before its time (cut off, client gone): as reported, else estimated when wanted. */
  settleUsage(): Usage | null {
    this.#meter.close();
    return this.#meter.usage;
  }

  get isUsageEstimated(): boolean {
    return this.#meter.isEstimated;
  }

  get upstreamModel(): string | null {
    return this.#identity.upstreamModel;
  }

  /** Finish chunks, the usage chunk if asked for, `[DONE]`. */
  #complete(): void {
    this.#assembler.close((frame) => this.#frames.frame(frame));
    this.#meter.close();
    const { usage, frame } = this.#meter;
    if (this.#includeUsage && usage !== null) {
      if (frame !== null) this.#frames.frame(frame);
      else this.#writer.usage(usageToWire(usage));
    }
    this.#frames.frame('[DONE]');
  }
}
