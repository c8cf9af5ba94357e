import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { wordVector } from '../../src/demo/model.ts';
import { type Answer, chunksOf, type Json, usageChunk, wholeOf } from '../clients/answers.ts';
import { sse, type Vector } from '../clients/vector.ts';
import { STREAM_VECTORS } from '../clients/vectors.ts';
import { LoopbackServer } from '../helpers/loopback-server.ts';

/** Forms of a stream that fit any answer, of the compatibility matrix; each response has the next one. */
const FORMS = [
  'no-space',
  'crlf',
  'byte-order-mark',
  'wrapped-comments',
  'event-ping',
  'no-done',
  'one-byte-segments',
  'azure-first',
  'role-in-each',
  'calls-no-index',
  'calls-repeated',
  'calls-finish-stop',
  'usage-not-given',
  'finish-end-turn',
] as const;

interface OddChatModelOptions {
  /** Whether this bearer token is good now; a refusal is a 401. */
  readonly isLive: (token: string) => boolean;
  /** What the model says to a request. */
  readonly answer: (body: Json) => Answer;
  /** Before its first word, so that tokens end between the turns of a conversation. */
  readonly delayMs: number;
}

/** What an odd model was asked, and in which form it answered. */
interface Turn {
  readonly body: Json;
  readonly token: string;
  readonly form: string;
}

/** Of each vector; the texts of one call, as at Alibaba's Bailian. */
const DIMENSION = 64;
const MAX_TEXTS = 10;

/** An upstream that chats, in another odd form each time, as gateways of companies do, and embeds ten texts a call. */
export class OddChatModel extends LoopbackServer {
  readonly turns: Turn[] = [];
  /** Texts of each call for embeddings, with its token. */
  readonly embedded: { readonly texts: readonly string[]; readonly token: string }[] = [];
  /** Paths that it does not have and that it was asked for. */
  readonly unknownPaths: string[] = [];
  /** Requests whose token had ended. */
  refused = 0;
  readonly #options: OddChatModelOptions;
  readonly #vectors: readonly Vector[];

  private constructor(options: OddChatModelOptions) {
    super(createServer());
    this.#options = options;
    this.#vectors = FORMS.flatMap((name) => STREAM_VECTORS.find((vector) => vector.name === name) ?? []);
    this.server.on('request', (request, response) => void this.#serve(request, response));
  }

  static start(options: OddChatModelOptions): Promise<OddChatModel> {
    return new OddChatModel(options).listening();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const text = (await buffer(request)).toString('utf8');
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    if (!this.#options.isLive(token)) {
      this.refused += 1;
      sendJson(response, { detail: 'token has ended' }, 401);
      return;
    }
    if (request.url === '/v1/embeddings') {
      await this.#embed(JSON.parse(text) as Json, token, response);
      return;
    }
    if (request.url !== '/v1/chat/completions') {
      this.unknownPaths.push(`${request.method} ${request.url}`);
      sendJson(response, { detail: 'Not Found' }, 404);
      return;
    }
    const body = JSON.parse(text) as Json;
    const refusal = refusalOf(body);
    if (refusal !== null) {
      sendJson(response, { error: { message: refusal, type: 'invalid_request_error' } }, 400);
      return;
    }
    const vector = this.#vectors[this.turns.length % this.#vectors.length] as Vector;
    this.turns.push({ body, token, form: vector.name });
    await sleep(this.#options.delayMs);
    await send(vector, this.#options.answer(body), body, response);
  }

  /** Takes texts only, ten at most, and neither base64 nor dimensions. */
  async #embed({ input, model, ...rest }: Json, token: string, response: ServerResponse): Promise<void> {
    const texts = [input].flat() as unknown[];
    const unknown = Object.keys(rest).find((name) => name !== 'encoding_format' && name !== 'user');
    const refusal =
      unknown !== undefined
        ? `Unknown parameter: '${unknown}'.`
        : texts.length > MAX_TEXTS
          ? `batch size is invalid, it should not be larger than ${MAX_TEXTS}.: input.contents`
          : texts.some((text) => typeof text !== 'string')
            ? 'input must be a text or a list of texts'
            : rest.encoding_format === 'base64'
              ? "encoding_format 'base64' is not supported"
              : null;
    if (refusal !== null) {
      sendJson(response, { error: { message: refusal, type: 'invalid_request_error' } }, 400);
      return;
    }
    this.embedded.push({ texts: texts as string[], token });
    await sleep(this.#options.delayMs);
    const data = (texts as string[]).map((text, index) => ({
      embedding: wordVector(text, DIMENSION),
      index,
    }));
    sendJson(response, { data: data.reverse(), model, usage: { total_tokens: 7 } });
  }
}

/** What strict chat servers do not take. */
function refusalOf(body: Json): string | null {
  if ('reasoning_effort' in body) return 'Unrecognized request argument supplied: reasoning_effort';
  const messages = body.messages as Json[];
  for (const [position, { role, content }] of messages.entries()) {
    const isText = typeof content === 'string' || (content === null && role === 'assistant');
    if (!isText && !Array.isArray(content)) return `messages[${position}].content must be a string or a list`;
    if (role === 'system' && position > 0) return 'System message must be at the beginning.';
  }
  return null;
}

function sendJson(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

async function send(vector: Vector, answer: Answer, body: Json, response: ServerResponse): Promise<void> {
  if (body.stream !== true) {
    sendJson(response, wholeOf(answer));
    return;
  }
  const ask = { stream: true, includeUsage: true };
  const canonical = [...chunksOf(answer), usageChunk()];
  const chunks = vector.chunks?.(canonical, ask) ?? canonical;
  const text = (vector.text ?? sse)(chunks, ask, wholeOf(answer));
  const bytes = Buffer.from(vector.bytes?.(text) ?? text);
  response.writeHead(200, { 'content-type': vector.contentType ?? 'text/event-stream', ...vector.headers });
  const size = Math.max(vector.segment ?? bytes.length, 1);
  for (let start = 0; start < bytes.length; start += size) {
    response.write(bytes.subarray(start, start + size));
    if (size < bytes.length) await new Promise<void>((next) => setImmediate(next));
  }
  response.end();
}
