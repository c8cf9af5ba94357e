import { randomBytes } from 'node:crypto';
import type { JsonObject } from '../../lib/json/json-object.ts';
import { ResponseIdentity } from '../chat/assembly/response-identity.ts';
import { ChatStream } from '../chat/chat-stream.ts';
import type {
  ChatResponse,
  ChatResponseOptions,
  ChatStreamOptions,
  ResponseFormat,
} from '../chat/response-format.ts';
import { estimateTokensRoughly } from '../usage/token-count.ts';
import { MessageWriter } from './messages-events.ts';
import type { MessageExpectations } from './messages-request.ts';

interface MessagesOptions extends MessageExpectations {
  /** Of what is kept of the response, in UTF-16 units. */
  readonly maxLength: number;
  readonly requestId: string;
}

/** Responses of chat upstreams in the format of Anthropic's Messages API. */
export function messagesForm(own: MessagesOptions): ResponseFormat {
  return {
    path: '/chat/completions',
    openStream: (options) => new MessagesStream(options, own),
    readWhole: (body, options) => readMessagesBody(body, options, own),
  };
}

/** Any upstream bytes of a chat → the events of the Messages API, or only the message at their end. */
class MessagesStream extends ChatStream {
  readonly #writer: MessageWriter;

  constructor(options: ChatStreamOptions, own: MessagesOptions, wants: 'events' | 'message' = 'events') {
    const identity = new ResponseIdentity(options);
    const writer = new MessageWriter({
      ...own,
      head: () => ({ id: `msg_${randomBytes(16).toString('hex')}`, model: identity.fixed.model }),
      // A chat states its usage at its end, as a rule.
      promptTokens: () =>
        this.usage?.promptTokens ?? estimateTokensRoughly(options.promptForEstimate?.() ?? ''),
      wantsEvents: wants === 'events',
    });
    // A message always has its usage.
    super({ ...options, includeUsage: true, choiceCount: 1 }, { identity, writer });
    this.#writer = writer;
  }

  /** The message at its end; null before, and for a stream of events. */
  get message(): JsonObject | null {
    return this.#writer.message;
  }
}

/** The whole body of a chat upstream → one message. Throws FerryError when it is no completion. */
function readMessagesBody(body: Buffer, options: ChatResponseOptions, own: MessagesOptions): ChatResponse {
  const limits = { includeUsage: true, maxEventBytes: Number.POSITIVE_INFINITY };
  const stream = new MessagesStream({ ...options, ...limits }, own, 'message');
  stream.push(body);
  stream.end();
  if (stream.failure !== null) throw stream.failure;
  return {
    body: JSON.stringify(stream.message),
    usage: stream.usage,
    isUsageEstimated: stream.isUsageEstimated,
    upstreamModel: stream.upstreamModel,
    isRelayed: false,
    facts: () => stream.facts(),
  };
}
