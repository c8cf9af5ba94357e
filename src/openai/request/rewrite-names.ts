/**
 * Ways of saying something that a request may have and an upstream may not understand, where it can be said in another
 * way. They are learned like refused parameters, under these names; no parameter's name has a colon.
 */
export const FORM = {
  /** `stream: false`, to an upstream that only streams: it is asked for a stream, which is put together here. */
  notStreaming: 'stream:false',
  /** `stream: true`, to an upstream that does not stream: the stream is made of its whole reply. */
  streaming: 'stream:true',
  /** Content as a list of text parts: sent as one text. */
  parts: 'messages:parts',
  /** Content that is null or absent: sent as "". */
  nullContent: 'messages:null',
  /** Content "" of any role but the user's: sent as null beside tool calls, else as a full stop. */
  emptyContent: 'messages:empty',
  /** The role `developer`: sent as `system`. */
  developer: 'messages:developer',
  /** Embeddings of blank texts: a full stop is sent. */
  blankInputs: 'input:blank',
  /** Embeddings of token ids: the text that they stand for is sent. */
  tokenIds: 'input:token_ids',
} as const;

export type RequestForm = (typeof FORM)[keyof typeof FORM];
