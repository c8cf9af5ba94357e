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
import { ResponseWriter } from './responses-events.ts';
import type { ResponsesTools } from './responses-tools.ts';

interface ResponsesOptions {
  /** The members of a Response that repeat the request. */
  readonly echo: JsonObject;
  /** The tools of the request, by which calls get the client's names back. */
  readonly tools: ResponsesTools;
  /** True: reasoning items get a mark by which they are recognised when the client sends them back. */
  readonly hasEncryptedReasoning: boolean;
  /** Called with every item of the output when all are complete. */
  readonly onItem?: ((item: JsonObject) => void) | undefined;
  /** Of the response's text, in UTF-16 units: the final Response repeats it, so it is kept. */
  readonly maxLength: number;
}

/** Responses of chat upstreams in the format of the Responses API. */
export function responsesForm(own: ResponsesOptions): ResponseFormat {
  return {
    path: '/chat/completions',
    openStream: (options) => new ResponsesStream(options, own),
    readWhole: (body, options) => readResponsesBody(body, options, own),
  };
}

/** Any upstream bytes of a chat → the events of the Responses API, or only the Response at their end. */
export class ResponsesStream extends ChatStream {
  readonly #writer: ResponseWriter;

  constructor(options: ChatStreamOptions, own: ResponsesOptions, wants: 'events' | 'response' = 'events') {
    const identity = new ResponseIdentity(options);
    const writer = new ResponseWriter({
      head: () => ({ ...identity.fixed, id: newResponsesId('resp'), echo: own.echo }),
      wantsEvents: wants === 'events',
      maxLength: own.maxLength,
      newId: newResponsesId,
      onItem: own.onItem,
      tools: own.tools,
      hasEncryptedReasoning: own.hasEncryptedReasoning,
    });
    // A Response always has its usage.
    super({ ...options, includeUsage: true, choiceCount: 1 }, { identity, writer });
    this.#writer = writer;
  }

  /** The Response at its end; null before. */
  get response(): JsonObject | null {
    return this.#writer.response;
  }
}

/** The whole body of a chat upstream → one Response object. Throws FerryError when it is no completion. */
function readResponsesBody(body: Buffer, options: ChatResponseOptions, own: ResponsesOptions): ChatResponse {
  const limits = { includeUsage: true, maxEventBytes: Number.POSITIVE_INFINITY };
  const stream = new ResponsesStream({ ...options, ...limits }, own, 'response');
  stream.push(body);
  stream.end();
  if (stream.failure !== null) throw stream.failure;
  return {
    body: JSON.stringify(stream.response),
    usage: stream.usage,
    isUsageEstimated: stream.isUsageEstimated,
    upstreamModel: stream.upstreamModel,
    isRelayed: false,
    facts: () => stream.facts(),
  };
}

/** `resp_`, `msg_`, `rs_` or `fc_` and 48 characters: long enough that ids of other clients' items cannot be guessed. */
function newResponsesId(prefix: string): string {
  return `${prefix}_${randomBytes(24).toString('hex')}`;
}
