import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { loadTokenText } from '../../src/openai/embeddings/token-ids.ts';
import { LoopbackServer } from '../helpers/loopback-server.ts';
import { ANSWERS, chunksOf, type Json, USAGE, usageChunk, wholeOf } from './answers.ts';
import { type Ask, type FaultVector, sse, type Vector } from './vector.ts';
import { CHOICES_VECTORS } from './vectors/choices.ts';
import { EMBEDDINGS_VECTORS, embeddingsReply } from './vectors/embeddings.ts';
import { RERANK_VECTORS, rank } from './vectors/rerank.ts';
import { FAULT_VECTORS, STREAM_VECTORS, WHOLE_VECTORS } from './vectors.ts';

const byName = <T extends { readonly name: string }>(list: readonly T[]) =>
  new Map(list.map((one) => [one.name, one]));

const STREAMS = byName([...STREAM_VECTORS, ...CHOICES_VECTORS]);
const WHOLES = byName([...WHOLE_VECTORS, ...CHOICES_VECTORS]);
const FAULTS = byName(FAULT_VECTORS);
const EMBEDDINGS = byName(EMBEDDINGS_VECTORS);
const RERANKS = byName(RERANK_VECTORS);

/** Every model of the upstream: the names of all vectors. */
const MODELS = [...new Set([STREAMS, WHOLES, FAULTS, EMBEDDINGS, RERANKS].flatMap((map) => [...map.keys()]))];

export interface SeenRequest {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Json;
}

/** An upstream whose `model` decides how it answers: each name is that of a vector. */
export class QuirkUpstream extends LoopbackServer {
  readonly #isLive: (token: string) => boolean;
  /** Everything it was asked, oldest first. */
  readonly seen: SeenRequest[] = [];

  private constructor(isLive: (token: string) => boolean) {
    super(createServer());
    this.#isLive = isLive;
    this.server.on('request', (request, response) => void this.#serve(request, response));
  }

  /** Without `isLive` every token is good. */
  static start(isLive: (token: string) => boolean = () => true): Promise<QuirkUpstream> {
    return new QuirkUpstream(isLive).listening();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = readBody((await buffer(request)).toString('utf8'));
    const path = (request.url ?? '').replace(/^\/v1/, '').split('?', 1)[0] ?? '';
    this.seen.push({ path, headers: request.headers, body });
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    if (!this.#isLive(token)) {
      sendJson(response, { detail: 'token has ended' }, 401);
      return;
    }
    await this.#answer(path, body, response);
  }

  async #answer(path: string, body: Json, response: ServerResponse): Promise<void> {
    if (path === '/models') {
      sendJson(response, modelList());
      return;
    }
    if (path === '/embeddings') {
      await embed(body, response);
      return;
    }
    if (path === '/rerank') {
      rerank(body, response);
      return;
    }
    const fault = FAULTS.get(String(body.model));
    if (fault !== undefined) {
      await fail(fault, askOf(body), response);
      return;
    }
    await answer(body, path === '/completions', response);
  }
}

function readBody(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return {};
  }
}

function askOf(body: Json): Ask {
  const options = body.stream_options as Json | undefined;
  return { stream: body.stream === true, includeUsage: options?.include_usage === true };
}

function modelList(): Json {
  const data = MODELS.map((id) => ({ id, object: 'model', created: 1_763_000_000, owned_by: 'up' }));
  return { object: 'list', data };
}

function sendJson(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

function unknownModel(body: Json, response: ServerResponse): void {
  const error = { message: `The model ${body.model} does not exist`, type: 'invalid_request_error' };
  sendJson(response, { error: { ...error, param: 'model', code: 'model_not_found' } }, 404);
}

async function answer(body: Json, isCompletion: boolean, response: ServerResponse): Promise<void> {
  const ask = askOf(body);
  const [first, other] = ask.stream ? [STREAMS, WHOLES] : [WHOLES, STREAMS];
  const vector = first.get(String(body.model)) ?? other.get(String(body.model));
  if (vector === undefined) {
    unknownModel(body, response);
    return;
  }
  const onlyStreams = vector.only === 'streams' || vector.profile?.always_stream === true;
  if (vector.only === 'wholes' && ask.stream) {
    sendJson(response, { error: { message: 'Streaming is not supported by this model.' } }, 400);
    return;
  }
  if (onlyStreams && !ask.stream) {
    sendJson(response, { detail: 'Stream must be set to true' }, 400);
    return;
  }
  const text = isCompletion
    ? completionText(vector, ask)
    : ask.stream
      ? streamText(vector, ask)
      : wholeText(vector, ask);
  await send(vector, ask, vector.bytes?.(text) ?? Buffer.from(text), response);
}

function streamText(vector: Vector, ask: Ask): string {
  const canonical = chunksOf(ANSWERS[vector.answer]);
  if (ask.includeUsage) canonical.push(usageChunk());
  const chunks = vector.chunks?.(canonical, ask) ?? canonical;
  return (vector.text ?? sse)(chunks, ask, wholeOf(ANSWERS[vector.answer]));
}

function wholeText(vector: Vector, ask: Ask): string {
  const reply = wholeOf(ANSWERS[vector.answer]);
  return vector.whole?.(reply, ask) ?? JSON.stringify(reply);
}

const HEAD_OF_COMPLETION = {
  id: 'cmpl-up',
  object: 'text_completion',
  created: 1_763_000_000,
  model: 'up-model',
};

/** The same answer in the form of `/completions`, as OpenAI would send it. */
function completionText(vector: Vector, ask: Ask): string {
  const { text, finish } = ANSWERS[vector.answer];
  const of = (piece: string, reason: string | null): Json => ({
    ...HEAD_OF_COMPLETION,
    choices: [{ index: 0, text: piece, logprobs: null, finish_reason: reason }],
  });
  if (!ask.stream) return JSON.stringify({ ...of(text.join(''), finish), usage: USAGE });
  const chunks = [...text.map((piece) => of(piece, null)), of('', finish)];
  const usage = { ...HEAD_OF_COMPLETION, choices: [], usage: USAGE };
  return sse(ask.includeUsage ? [...chunks, usage] : chunks);
}

async function send(vector: Vector, ask: Ask, bytes: Uint8Array, response: ServerResponse): Promise<void> {
  const type = vector.contentType === undefined ? typeOf(ask) : vector.contentType;
  const head: Record<string, string | number> = { ...vector.headers };
  if (type !== null) head['content-type'] = type;
  if (vector.ending === 'length') head['content-length'] = bytes.length;
  if (vector.ending === 'close') {
    response.useChunkedEncodingByDefault = false;
    head.connection = 'close';
  }
  response.writeHead(200, head);
  response.flushHeaders();
  const size = vector.segment ?? bytes.length;
  for (let start = 0; start < bytes.length; start += size) {
    response.write(bytes.subarray(start, start + size));
    // One turn of the loop a write, or the kernel would join them into one segment.
    if (size < bytes.length) await new Promise<void>((next) => setImmediate(next));
  }
  if (vector.staysOpen !== true) response.end();
}

function typeOf({ stream }: Ask): string {
  return stream ? 'text/event-stream' : 'application/json';
}

async function fail(fault: FaultVector, ask: Ask, response: ServerResponse): Promise<void> {
  const text = fault.body(ask);
  const type = text.startsWith('<')
    ? 'text/html'
    : text.startsWith('data:')
      ? 'text/event-stream'
      : 'application/json';
  response.writeHead(fault.status, { 'content-type': type, ...fault.headers });
  if (fault.isReset !== true) return void response.end(text);
  response.write(text);
  // A reset at once would overtake bytes that the other side has not read yet.
  await new Promise((done) => setTimeout(done, 30));
  response.socket?.resetAndDestroy();
}

async function embed(body: Json, response: ServerResponse): Promise<void> {
  const vector = EMBEDDINGS.get(String(body.model));
  if (vector === undefined) {
    unknownModel(body, response);
    return;
  }
  const inputs = Array.isArray(body.input) && typeof body.input[0] !== 'number' ? body.input : [body.input];
  // As OpenAI's own models do: token ids mean the text that they stand for.
  const textOf = await loadTokenText('cl100k_base');
  const texts = inputs.map((input) => (Array.isArray(input) ? textOf(input as number[]) : input));
  const { status, body: reply } = vector.answer(embeddingsReply(texts), {
    inputs,
    format: body.encoding_format,
  });
  sendJson(response, reply, status);
}

function rerank(body: Json, response: ServerResponse): void {
  const vector = RERANKS.get(String(body.model));
  if (vector === undefined) {
    unknownModel(body, response);
    return;
  }
  sendJson(response, vector.body(rank(body.documents as unknown[])));
}
