import type { AnswerStream } from './answer-stream.ts';
import type { ChatReply } from './chat-reply.ts';
import type { ChatReplyOptions, ChatStreamOptions } from './reply-options.ts';

/** How the answer of a chat upstream is told: as the chat that it is, or as what another API makes of it. */
export interface AnswerForm {
  /** Where the upstream is asked, behind our `/v1`; undefined: where the client asked. */
  readonly path: string | undefined;
  openStream(options: ChatStreamOptions): AnswerStream;
  /** Throws FerryError for what is no answer. */
  readWhole(body: Buffer, options: ChatReplyOptions): ChatReply;
}
