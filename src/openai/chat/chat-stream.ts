import { errorEvent, type FerryError } from '../../lib/errors/ferry-error.ts';
import { type Usage, usageToWire } from '../usage/usage.ts';
import { ResponseIdentity } from './assembly/response-identity.ts';
import type { ResponseStream } from './response-format.ts';
import { type ChatStreamOptions, choiceCountOf } from './response-format.ts';
import { ResponseStages } from './response-stages.ts';
import { CanonicalRelay } from './writing/canonical-relay.ts';
import { ChatChunkWriter } from './writing/chat-chunk-writer.ts';
import { FrameBuffer } from './writing/frame-buffer.ts';
import { TextChunkWriter } from './writing/text-chunk-writer.ts';

/** Any upstream bytes → the canonical stream. Pure: no sockets, no timers. */
export class ChatStream implements ResponseStream {
  readonly #includeUsage: boolean;
  readonly #frames = new FrameBuffer();
  readonly #writer: ChatChunkWriter | TextChunkWriter;
  readonly #stages: ResponseStages;

  constructor(options: ChatStreamOptions) {
    const { endpoint, legacyFunctions: usesLegacyFunctions, includeUsage } = options;
    const frames = this.#frames;
    const identity = new ResponseIdentity(options);
    this.#includeUsage = includeUsage;
    this.#writer =
      endpoint === 'chat'
        ? new ChatChunkWriter(frames, identity, usesLegacyFunctions)
        : new TextChunkWriter(frames, identity);
    this.#stages = new ResponseStages(options, {
      sink: this.#writer,
      identity,
      estimate: includeUsage ? 'exactly' : (options.estimateUsage ?? 'no'),
      choiceCount: choiceCountOf(options),
      maxEventLength: options.maxEventBytes,
      relayOf: (assembler, meter) =>
        new CanonicalRelay({ endpoint, usesLegacyFunctions, frames, identity, assembler, meter }),
      onComplete: () => this.#complete(),
    });
  }

  /** Canonical SSE text that is complete so far, '' if none. Never throws for what an upstream sends. */
  push(bytes: Uint8Array): string {
    this.#stages.reader.push(bytes);
    return this.#frames.take();
  }

  /** The upstream's body ended cleanly. Completes (finish, usage, [DONE]) or sets `failure`. */
  end(): string {
    this.#stages.reader.end();
    return this.#frames.take();
  }

  broken(error: FerryError): string {
    return errorEvent(error);
  }

  /** Non-empty text, reasoning, refusal or a tool call came from the upstream. */
  get hasContent(): boolean {
    return this.#stages.assembler.hasContent;
  }

  /** `[DONE]` was emitted: stop reading, destroy the upstream's body. */
  get isFinished(): boolean {
    return this.#stages.reader.isComplete;
  }

  /** All choices have their finish reason: when the upstream is cut or silent from here on, call `end()`. */
  get canEnd(): boolean {
    return this.#stages.reader.canEnd;
  }

  /** Set at most once. Text emitted before it is still returned by that call. */
  get failure(): FerryError | null {
    return this.#stages.reader.failure;
  }

  get usage(): Usage | null {
    return this.#stages.meter.usage;
  }

  /** The usage of a stream that ends before its time (cut off, client gone): as reported, else estimated when wanted. */
  settleUsage(): Usage | null {
    return this.#stages.settleUsage();
  }

  get isUsageEstimated(): boolean {
    return this.#stages.meter.isEstimated;
  }

  get upstreamModel(): string | null {
    return this.#stages.identity.upstreamModel;
  }

  /** Finish chunks, the usage chunk if asked for, `[DONE]`. */
  #complete(): void {
    const { assembler, meter } = this.#stages;
    assembler.close((frame) => this.#frames.frame(frame));
    meter.close();
    const { usage, frame } = meter;
    if (this.#includeUsage && usage !== null) {
      if (frame !== null) this.#frames.frame(frame);
      else this.#writer.usage(usageToWire(usage));
    }
    this.#frames.frame('[DONE]');
  }
}
