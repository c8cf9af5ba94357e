import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

type Json = Readonly<Record<string, unknown>>;

/** A request that arrived whole. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  /** Exactly the bytes that came. */
  readonly body: Buffer;
}

const CREATED = 1_700_000_000;
const USAGE = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 };
/** A request that asks for more choices gets so many. */
const MOST_CHOICES = 4;
const LONGEST_VECTOR = 64;

/**
 * A model that takes everything and always answers in OpenAI's own form, so that whatever goes wrong behind the
 * gateway is the gateway's. It only has to know how many answers are waited for.
 */
export class AgreeableUpstream {
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  /** Everything that arrived, oldest first; whoever reads it empties it. */
  seen: SeenRequest[] = [];
  /** Whether requests are kept in `seen`. */
  isKeeping = false;
  /** Requests being answered now. */
  open = 0;
  /** Bodies that were not JSON, which a gateway never sends to a JSON endpoint. */
  unreadable = 0;

  static async start(): Promise<AgreeableUpstream> {
    const upstream = new AgreeableUpstream();
    upstream.#server.keepAliveTimeout = 60_000;
    upstream.#server.listen(0, '127.0.0.1');
    await once(upstream.#server, 'listening');
    return upstream;
  }

  /** Ends in `/v1`. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.open += 1;
    response.once('close', () => {
      this.open -= 1;
    });
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const body = Buffer.concat(chunks);
      const path = (request.url ?? '').split('?', 1)[0] ?? '';
      if (this.isKeeping) this.seen.push({ method: request.method ?? '', path, body });
      this.#answer(path, body, response);
    } catch {
      response.destroy(); // the gateway left in the middle of its request
    }
  }

  #answer(path: string, body: Buffer, response: ServerResponse): void {
    const kind = /\/(chat\/completions|completions|embeddings|rerank|models)$/.exec(path)?.[1];
    if (kind === 'models') sendJson(response, modelList());
    else if (kind === undefined) sendJson(response, { echoed: body.length });
    else this.#generate(kind, this.#read(body), response);
  }

  #generate(kind: string, json: Json, response: ServerResponse): void {
    const isChat = kind === 'chat/completions';
    if (kind === 'embeddings') sendJson(response, embeddings(json));
    else if (kind === 'rerank') sendJson(response, ranking(json));
    else if (json.stream === true) sendEvents(response, events(isChat, json));
    else sendJson(response, completion(isChat, json));
  }

  #read(body: Buffer): Json {
    try {
      return JSON.parse(body.toString('utf8')) as Json;
    } catch {
      this.unreadable += 1;
      return {};
    }
  }
}

function modelList(): object {
  const names = ['any', 'org/any:latest'];
  return {
    object: 'list',
    data: names.map((id) => ({ id, object: 'model', created: CREATED, owned_by: 'fuzz' })),
  };
}

const headOf = (json: Json): object => ({ id: 'reply-1', created: CREATED, model: json.model });

function choicesOf(json: Json): number[] {
  const { n } = json;
  const count = typeof n === 'number' && Number.isInteger(n) && n >= 1 ? Math.min(n, MOST_CHOICES) : 1;
  return Array.from({ length: count }, (_, index) => index);
}

function completion(isChat: boolean, json: Json): object {
  const end = { logprobs: null, finish_reason: 'stop' };
  const choices = choicesOf(json).map((index) =>
    isChat
      ? { index, message: { role: 'assistant', content: 'At noon.', refusal: null }, ...end }
      : { index, text: 'At noon.', ...end },
  );
  return { ...headOf(json), object: isChat ? 'chat.completion' : 'text_completion', choices, usage: USAGE };
}

function events(isChat: boolean, json: Json): object[] {
  const head = { ...headOf(json), object: isChat ? 'chat.completion.chunk' : 'text_completion' };
  const chunk = (index: number, delta: object, text: string, finish: string | null): object => ({
    ...head,
    choices: [{ index, ...(isChat ? { delta } : { text }), logprobs: null, finish_reason: finish }],
  });
  const said = choicesOf(json).flatMap((index) => [
    ...(isChat ? [chunk(index, { role: 'assistant', content: '' }, '', null)] : []),
    chunk(index, { content: 'At ' }, 'At ', null),
    chunk(index, { content: 'noon.' }, 'noon.', null),
    chunk(index, {}, '', 'stop'),
  ]);
  const options = json.stream_options as { include_usage?: unknown } | null | undefined;
  const wantsUsage = typeof options === 'object' && options?.include_usage === true;
  return wantsUsage ? [...said, { ...head, choices: [], usage: USAGE }] : said;
}

function embeddings(json: Json): object {
  const { input } = json;
  // A list is a list of inputs, unless it is the token ids of one.
  const count = Array.isArray(input) && typeof input[0] !== 'number' ? input.length : 1;
  const data = Array.from({ length: count }, (_, index) => ({
    object: 'embedding',
    index,
    embedding: Array.from({ length: lengthOf(json) }, (_none, place) => (index - place) / 8),
  }));
  return { object: 'list', data, model: json.model, usage: { prompt_tokens: count, total_tokens: count } };
}

/** As long as asked: the gateway compares. */
function lengthOf({ dimensions }: Json): number {
  const isLength = Number.isSafeInteger(dimensions) && (dimensions as number) > 0;
  return isLength ? Math.min(dimensions as number, LONGEST_VECTOR) : 3;
}

function ranking(json: Json): object {
  const documents = Array.isArray(json.documents) ? json.documents : [];
  const results = documents.map((_, index) => ({ index, relevance_score: 1 / (index + 1) }));
  return { id: 'rank-1', model: json.model, results, usage: { prompt_tokens: 3, total_tokens: 3 } };
}

function sendJson(response: ServerResponse, body: object): void {
  const text = JSON.stringify(body);
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

function sendEvents(response: ServerResponse, chunks: readonly object[]): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.end(`${chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join('')}data: [DONE]\n\n`);
}
