import type { FerryError } from '../../lib/errors/ferry-error.ts';
import type { ResponseFacts } from '../../lib/request-trace.ts';
import type { Profile } from '../request/profile.ts';
import type { Usage } from '../usage/usage.ts';
import type { OnRepair } from '../vendors/repairs.ts';

/** What a response is parsed with; the same for streams and whole bodies. */
export interface ChatResponseOptions {
  readonly endpoint: 'chat' | 'completions';
  /** The model as the client named it. */
  readonly requestedModel: string;
  readonly replyModel: 'upstream' | 'requested';
  readonly profile: Profile;
  /** The request used `functions`, so calls are written as `function_call`. */
  readonly legacyFunctions: boolean;
  /** The upstream's content-type; only its charset is used. */
  readonly contentType: string | null;
  /**
   * The number of requested choices (`n`); 1 makes every index of a chat 0. Absent: unknown. Not used for completions, in
   * which every prompt of a list has `n` choices.
   */
  readonly choiceCount?: number | undefined;
  /** The prompt's text, called only when usage must be estimated. */
  readonly promptForEstimate?: (() => string) | undefined;
  /** Replaces living secrets in text that came from outside. */
  readonly scrub: (text: string) => string;
  newId(): string;
  nowSeconds(): number;
  /** Takes each repair that the response needed, once. */
  readonly onRepair?: OnRepair | undefined;
  /** Called when a message of the upstream has a `refusal`, null as well. */
  readonly onRefusalMember?: (() => void) | undefined;
}

export interface ChatStreamOptions extends ChatResponseOptions {
  /** The client requested a usage chunk. */
  readonly includeUsage: boolean;
  /**
   * Whether missing usage is estimated although the client requested none: for limits `exactly`
   * (a tokenizer's count, 1.6 µs a token), for the record `roughly` (by length). Default: no.
   */
  readonly estimateUsage?: 'exactly' | 'roughly' | 'no' | undefined;
  /** The longest event, in UTF-16 units, that is buffered before the response counts as invalid. */
  readonly maxEventBytes: number;
}

/** Converts an upstream's bytes to the events that the client requested. Pure: no sockets, no timers. */
export interface ResponseStream {
  /** Events that are complete so far, '' if none. Never throws for what an upstream sends. */
  push(bytes: Uint8Array): string;
  /** The upstream's body ended cleanly. Completes the events or sets `failure`. */
  end(): string;
  /** The last event for a client whose stream broke. */
  broken(error: FerryError): string;
  /** The usage of a stream that ends before its time. */
  settleUsage(): Usage | null;
  /** Non-empty text, reasoning, refusal or a tool call came from the upstream. */
  readonly hasContent: boolean;
  /** The last event was emitted: nothing more is read. */
  readonly isFinished: boolean;
  /** When the upstream is cut or silent from here on, `end()` completes the events. */
  readonly canEnd: boolean;
  readonly failure: FerryError | null;
  readonly usage: Usage | null;
  readonly isUsageEstimated: boolean;
  /** What it says of itself so far. */
  facts(): ResponseFacts;
}

/** A whole response as its client gets it. */
export interface ChatResponse {
  readonly body: Buffer | string;
  readonly usage: Usage | null;
  readonly isUsageEstimated: boolean;
  readonly upstreamModel: string | null;
  /** True: `body` is the upstream's own bytes. */
  readonly isRelayed: boolean;
  /** What it says of itself. */
  readonly facts: () => ResponseFacts;
}

/** The form in which the response of a chat upstream is written: as a chat, or as what another API makes of it. */
export interface ResponseFormat {
  /** The path at the upstream, behind our `/v1`; undefined: that of the client. */
  readonly path: string | undefined;
  openStream(options: ChatStreamOptions): ResponseStream;
  /** Throws FerryError for what is no response. */
  readWhole(body: Buffer, options: ChatResponseOptions): ChatResponse;
}
