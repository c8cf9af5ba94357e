import type { TokenIdsPolicy } from '../embeddings/token-ids.ts';

/** The adaptations of one upstream (`upstreams[].profile`), as the request and response sides read them. */
export interface Profile {
  /**
   * `split`: text between `<think>` tags becomes `reasoning_content`, also when the template swallowed the opening
   * tag. To recognise that case, text is held until a tag, `THINK_HOLD_CHARS` characters or the end came.
   */
  readonly thinkTags: 'keep' | 'split';
  /** `always`: every delta repeats all text so far. Never guessed. */
  readonly cumulative: 'never' | 'always';
  /** Parameters that are never sent to this upstream. */
  readonly dropParams: readonly string[];
  readonly renameParams: Readonly<Record<string, string>>;
  /** Role that clients send → role that this upstream supports. */
  readonly roles: Readonly<Record<string, string>>;
  /** `text`: a message's content is sent as one text, never as a list of parts or as null. */
  readonly messageContent: 'keep' | 'text';
  /** `merge`: system messages are sent as one at the beginning. */
  readonly system: 'keep' | 'merge';
  /** Whether refused parameters are left out, and rewrites applied, for an hour. */
  readonly learn: boolean;
  /** The upstream is always sent stream requests; responses for `stream: false` are assembled here. */
  readonly alwaysStream: boolean;
  /** Largest number of inputs in one embeddings call; 0: no limit known. */
  readonly embeddingBatch: number;
  /** What becomes of embeddings inputs that are token ids. */
  readonly tokenIds: TokenIdsPolicy;
  /** `via_chat`: the upstream has no /completions, the prompt is wrapped into a chat. */
  readonly completions: 'native' | 'via_chat';
  /** `via_chat`: the upstream has no /responses, the request is sent as a chat and its response converted; `auto`: learned. */
  readonly responses: 'auto' | 'native' | 'via_chat';
  /** `via_chat`: the upstream has no /messages, the request is sent as a chat and its response converted; `auto`: learned. */
  readonly messages: 'auto' | 'native' | 'via_chat';
}
