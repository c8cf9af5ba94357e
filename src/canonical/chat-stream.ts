import type { FerryError } from '../errors.ts';
import type { Profile } from './profile.ts';
import type { Usage } from './usage.ts';

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
  /** How many choices were asked for (`n`). Default 1. */
  readonly choiceCount?: number;
  /** The prompt's text, asked for only when usage must be estimated. */
  readonly promptForEstimate?: () => string;
  /** Replaces living secrets in text that came from outside. */
  readonly scrub: (text: string) => string;
  newId(): string;
  nowSeconds(): number;
  /** What was odd about the reply, for the log; without content. */
  readonly onNote?: (note: string) => void;
}

export interface ChatStreamOptions extends ChatReplyOptions {
  /** The client asked for a usage chunk. */
  readonly includeUsage: boolean;
  /** Usage is estimated when the upstream gives none, though the client asked for none (limits, record). */
  readonly estimateUsage?: boolean;
  /** The longest event, in UTF-16 units, that is buffered before the reply counts as invalid. */
  readonly maxEventBytes: number;
}

/** Any upstream bytes → the canonical stream of clients.md section 2.3. Pure: no sockets, no timers. */
export class ChatStream {
  readonly #options: ChatStreamOptions;

  constructor(options: ChatStreamOptions) {
    this.#options = options;
  }

  /** Canonical SSE text that is complete so far, '' if none. Never throws for what an upstream sends. */
  push(_bytes: Uint8Array): string {
    void this.#options;
    return '';
  }

  /** The upstream's body ended cleanly. Completes (finish, usage, [DONE]) or sets `failure`. */
  end(): string {
    return '';
  }

  /** Non-empty text, reasoning, refusal or a tool call was received. */
  get hasContent(): boolean {
    return false;
  }

  /** `[DONE]` was emitted: stop reading, destroy the upstream's body. */
  get isFinished(): boolean {
    return false;
  }

  /** All choices have their finish reason: when the upstream is cut or silent from here on, call `end()`. */
  get canEnd(): boolean {
    return false;
  }

  get failure(): FerryError | null {
    return null;
  }

  get usage(): Usage | null {
    return null;
  }

  get isUsageEstimated(): boolean {
    return false;
  }

  get upstreamModel(): string | null {
    return null;
  }
}
