import type { Profile } from '../../request/profile.ts';

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
