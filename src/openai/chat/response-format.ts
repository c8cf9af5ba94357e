import type { ChatReplyOptions, ChatStreamOptions } from './assembly/response-options.ts';
import type { ChatReply } from './chat-response.ts';
import type { AnswerStream } from './response-stream.ts';

/** How the answer of a chat upstream is told: as the chat that it is, or as what another API makes of it. */
export interface AnswerForm {
  /** Where the upstream is asked, behind our `/v1`; undefined: where the client asked. */
  readonly path: string | undefined;
  openStream(options: ChatStreamOptions): AnswerStream;
  /** Throws FerryError for what is no answer. */
  readWhole(body: Buffer, options: ChatReplyOptions): ChatReply;
}
