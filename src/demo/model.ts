import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { answerText, lastQuestion, wordsOf } from './answer-text.ts';
import type { DemoIssuer, LiveToken } from './issuer.ts';
import { listenOnLoopback, readText, sendJson } from './loopback-server.ts';
import { wordVector } from './word-vector.ts';

export const CHAT_MODELS = ['demo-chat', 'demo-chat-fast'] as const;
export const EMBEDDING_MODEL = 'demo-embed';

/** Length of an embedding when the request does not ask for another. */
const DIMENSION = 256;
const LARGEST_DIMENSION = 4096;

/** The pace of a real model, so that a stream looks like one. Milliseconds. */
const PACE: Readonly<Record<string, { readonly firstMs: number; readonly wordMs: number }>> = {
  'demo-chat': { firstMs: 250, wordMs: 45 },
  'demo-chat-fast': { firstMs: 40, wordMs: 8 },
};

interface DemoModelOptions {
  readonly issuer: DemoIssuer;
  /** How long a token of the issuer lives; only told in the answers. */
  readonly tokenLifetimeMs: number;
}

interface CallBody {
  readonly model?: unknown;
  readonly stream?: unknown;
  readonly stream_options?: { readonly include_usage?: unknown };
  readonly messages?: unknown;
  readonly prompt?: unknown;
  readonly input?: unknown;
  readonly dimensions?: unknown;
  readonly max_tokens?: unknown;
  readonly max_completion_tokens?: unknown;
}

/** What the model says in the end: its words, cut where the request's limit of tokens is, a word being a token. */
interface Speech {
  readonly words: readonly string[];
  readonly finish: 'stop' | 'length';
}

/** A stand-in for a company's model endpoint: it answers only requests with a token that lives at the issuer. */
export class DemoModel {
  /** Ends in `/v1`. */
  readonly endpoint: string;
  readonly close: () => Promise<void>;

  private constructor(origin: string, close: () => Promise<void>) {
    this.endpoint = `${origin}/v1`;
    this.close = close;
  }

  static async start(options: DemoModelOptions): Promise<DemoModel> {
    const server = await listenOnLoopback((request, response) => {
      answer(request, response, options).catch(() => response.destroy());
    });
    return new DemoModel(server.origin, () => server.close());
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: DemoModelOptions,
): Promise<void> {
  const text = await readText(request);
  const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
  const token = options.issuer.find(bearer);
  if (token === null) return sendFailure(response, 401, 'invalid_token', 'the access token has ended');
  if (request.method === 'GET' && request.url === '/v1/models') return sendJson(response, 200, modelList());
  const body = parseObject(text);
  if (request.method !== 'POST' || body === null) {
    return sendFailure(response, 400, 'invalid_request', 'a JSON object is needed');
  }
  if (request.url === '/v1/embeddings') return embed(body, response);
  const kind = request.url === '/v1/chat/completions' ? 'chat' : 'text';
  if (kind === 'text' && request.url !== '/v1/completions') {
    return sendFailure(
      response,
      404,
      'unknown_path',
      'the demo serves chat, completions, embeddings and models',
    );
  }
  return complete(kind, body, token, response, options);
}

function modelList(): object {
  const ids = [...CHAT_MODELS, EMBEDDING_MODEL];
  return {
    object: 'list',
    data: ids.map((id) => ({ id, object: 'model', created: 1_763_683_200, owned_by: 'demo' })),
  };
}

async function complete(
  kind: 'chat' | 'text',
  body: CallBody,
  token: LiveToken,
  response: ServerResponse,
  options: DemoModelOptions,
): Promise<void> {
  const model = String(body.model);
  const pace = PACE[model];
  if (pace === undefined) {
    return sendFailure(response, 404, 'model_not_found', `the model \`${model}\` does not exist`);
  }
  const question = kind === 'chat' ? lastQuestion(body.messages) : String(body.prompt ?? '');
  const speech = limited(wordsOf(answerText(question, token, options.tokenLifetimeMs)), body);
  const { words } = speech;
  const promptTokens = wordsOf(question).length;
  const usage = {
    prompt_tokens: promptTokens,
    completion_tokens: words.length,
    total_tokens: promptTokens + words.length,
  };
  const head = { id: `demo-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model };
  const leaving = new AbortController();
  response.once('close', () => leaving.abort());
  await sleep(pace.firstMs, undefined, { signal: leaving.signal });
  if (body.stream !== true) {
    await sleep(pace.wordMs * words.length, undefined, { signal: leaving.signal });
    return sendJson(response, 200, wholeAnswer(kind, head, speech, usage));
  }
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
  });
  const wantsUsage = body.stream_options?.include_usage === true;
  for (const event of streamEvents(kind, head, speech, wantsUsage ? usage : null)) {
    response.write(`data: ${JSON.stringify(event)}\n\n`);
    await sleep(pace.wordMs, undefined, { signal: leaving.signal });
  }
  response.end('data: [DONE]\n\n');
  return undefined;
}

function limited(words: readonly string[], body: CallBody): Speech {
  const limit = Number(body.max_completion_tokens ?? body.max_tokens ?? Number.POSITIVE_INFINITY);
  return words.length > limit
    ? { words: words.slice(0, limit), finish: 'length' }
    : { words, finish: 'stop' };
}

function wholeAnswer(kind: 'chat' | 'text', head: object, { words, finish }: Speech, usage: object): object {
  const text = words.join('');
  const choice =
    kind === 'chat'
      ? { index: 0, message: { role: 'assistant', content: text }, finish_reason: finish }
      : { index: 0, text, finish_reason: finish, logprobs: null };
  return {
    ...head,
    object: kind === 'chat' ? 'chat.completion' : 'text_completion',
    choices: [choice],
    usage,
  };
}

function streamEvents(
  kind: 'chat' | 'text',
  head: object,
  { words, finish }: Speech,
  usage: object | null,
): object[] {
  const frame = { ...head, object: kind === 'chat' ? 'chat.completion.chunk' : 'text_completion' };
  const chunk = (delta: { role?: string; content?: string }, reason: string | null): object => ({
    ...frame,
    choices: [
      kind === 'chat'
        ? { index: 0, delta, finish_reason: reason }
        : { index: 0, text: delta.content ?? '', finish_reason: reason, logprobs: null },
    ],
  });
  return [
    ...(kind === 'chat' ? [chunk({ role: 'assistant', content: '' }, null)] : []),
    ...words.map((word) => chunk({ content: word }, null)),
    chunk({}, finish),
    ...(usage === null ? [] : [{ ...frame, choices: [], usage }]),
  ];
}

function embed(body: CallBody, response: ServerResponse): void {
  const dimension = body.dimensions === undefined ? DIMENSION : Number(body.dimensions);
  if (body.model !== EMBEDDING_MODEL) {
    sendFailure(response, 404, 'model_not_found', `the model \`${String(body.model)}\` makes no embeddings`);
  } else if (!Number.isInteger(dimension) || dimension < 1 || dimension > LARGEST_DIMENSION) {
    sendFailure(response, 400, 'invalid_request', `dimensions must be 1 to ${LARGEST_DIMENSION}`);
  } else {
    sendJson(response, 200, embeddingList(body.input, dimension));
  }
}

function embeddingList(input: unknown, dimension: number): object {
  const inputs: unknown[] = Array.isArray(input) ? input : [input];
  const texts = inputs.map((one) => (typeof one === 'string' ? one : JSON.stringify(one)));
  const tokens = texts.reduce((sum, text) => sum + wordsOf(text).length, 0);
  return {
    object: 'list',
    data: texts.map((text, index) => ({
      object: 'embedding',
      index,
      embedding: wordVector(text, dimension),
    })),
    model: EMBEDDING_MODEL,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}

function parseObject(text: string): CallBody | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : null;
  } catch {
    return null;
  }
}

function sendFailure(response: ServerResponse, status: number, code: string, message: string): void {
  sendJson(response, status, { error: { message, type: 'invalid_request_error', param: null, code } });
}
