import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DemoIssuer, LiveToken } from './issuer.ts';
import { listenOnLoopback, readText, sendJson } from './loopback-server.ts';

export const CHAT_MODELS = ['demo-chat', 'demo-chat-fast'] as const;
export const EMBEDDING_MODEL = 'demo-embed';

/** Length of an embedding when the request does not ask for another. */
const DIMENSION = 256;
const MAX_DIMENSION = 4096;

/** Delays like those of a real model, in milliseconds. */
const PACE: Readonly<Record<string, { readonly firstMs: number; readonly wordMs: number }>> = {
  'demo-chat': { firstMs: 250, wordMs: 45 },
  'demo-chat-fast': { firstMs: 40, wordMs: 8 },
};

interface DemoModelOptions {
  readonly issuer: DemoIssuer;
  /** The life of a token of the issuer, for the text of responses. */
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

/** The words of a response, up to the request's limit of tokens; each word counts as a token. */
interface Completion {
  readonly words: readonly string[];
  readonly finish: 'stop' | 'length';
}

/** A company's model endpoint: it accepts only requests with a valid token of the issuer. */
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
      respond(request, response, options).catch(() => response.destroy());
    });
    return new DemoModel(server.origin, () => server.close());
  }
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  options: DemoModelOptions,
): Promise<void> {
  const text = await readText(request);
  const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
  const token = options.issuer.find(bearer);
  if (token === null) return sendFailure(response, 401, 'invalid_token', 'the access token expired');
  if (request.method === 'GET' && request.url === '/v1/models') return sendJson(response, 200, modelList());
  const body = parseObject(text);
  if (request.method !== 'POST' || body === null) {
    return sendFailure(response, 400, 'invalid_request', 'the body must be a JSON object');
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
  const completion = limited(wordsOf(responseText(question, token, options.tokenLifetimeMs)), body);
  const { words } = completion;
  const promptTokens = wordsOf(question).length;
  const usage = {
    prompt_tokens: promptTokens,
    completion_tokens: words.length,
    total_tokens: promptTokens + words.length,
  };
  const head = { id: `demo-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model };
  const closed = new AbortController();
  response.once('close', () => closed.abort());
  await sleep(pace.firstMs, undefined, { signal: closed.signal });
  if (body.stream !== true) {
    await sleep(pace.wordMs * words.length, undefined, { signal: closed.signal });
    return sendJson(response, 200, wholeResponse(kind, head, completion, usage));
  }
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
  });
  const wantsUsage = body.stream_options?.include_usage === true;
  for (const event of streamEvents(kind, head, completion, wantsUsage ? usage : null)) {
    response.write(`data: ${JSON.stringify(event)}\n\n`);
    await sleep(pace.wordMs, undefined, { signal: closed.signal });
  }
  response.end('data: [DONE]\n\n');
  return undefined;
}

function limited(words: readonly string[], body: CallBody): Completion {
  const limit = Number(body.max_completion_tokens ?? body.max_tokens ?? Number.POSITIVE_INFINITY);
  return words.length > limit
    ? { words: words.slice(0, limit), finish: 'length' }
    : { words, finish: 'stop' };
}

function wholeResponse(
  kind: 'chat' | 'text',
  head: object,
  { words, finish }: Completion,
  usage: object,
): object {
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
  { words, finish }: Completion,
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
  } else if (!Number.isInteger(dimension) || dimension < 1 || dimension > MAX_DIMENSION) {
    sendFailure(response, 400, 'invalid_request', `dimensions must be 1 to ${MAX_DIMENSION}`);
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

/** Characters of a question that are quoted. */
const MAX_QUOTE_CHARS = 200;

/** The text of a response: the question, and the token that it came with. */
function responseText(question: string, token: LiveToken, lifetimeMs: number): string {
  const quote = question.length > MAX_QUOTE_CHARS ? `${question.slice(0, MAX_QUOTE_CHARS)}…` : question;
  const ageSeconds = Math.round(token.ageMs / 1000);
  const lifeSeconds = Math.round(lifetimeMs / 1000);
  return [
    `You said: “${quote}”.`,
    'I am the demo model: I know nothing, and respond only to requests with a valid access token.',
    `Yours came with token number ${token.serial}, ${ageSeconds} s old, which expires ${lifeSeconds} s after it was issued.`,
    'tokenferry obtained it and will have the next one before it expires; your application never sees either.',
  ].join(' ');
}

interface Message {
  readonly role?: unknown;
  readonly content?: unknown;
}

/** The text of the last user message; parts of other kinds are left out. */
function lastQuestion(messages: unknown): string {
  if (!Array.isArray(messages)) return '';
  const last = (messages as Message[]).findLast((message) => message?.role === 'user');
  if (typeof last?.content === 'string') return last.content;
  if (!Array.isArray(last?.content)) return '';
  const parts = last.content as { readonly text?: unknown }[];
  return parts.map((part) => (typeof part?.text === 'string' ? part.text : '')).join('');
}

/** Words with the space before each, so that they join to the same text. */
function wordsOf(text: string): string[] {
  return text.match(/\s*\S+/g) ?? [];
}

/**
 * A vector of length 1 for a text: equal texts have equal vectors, and texts that share words are close to each other, so
 * that a retrieval application finds plausible passages with the demo.
 */
export function wordVector(text: string, dimension: number): number[] {
  const vector = new Array<number>(dimension).fill(0);
  for (const word of termsOf(text)) {
    const hash = fnv1a(word);
    const at = hash % dimension;
    // Half of the words count negative, so that long texts do not become similar.
    vector[at] = (vector[at] ?? 0) + (hash & 0x80000000 ? 1 : -1);
  }
  const length = Math.hypot(...vector);
  // Words may cancel each other out; the cosine with a zero vector would divide by zero.
  if (length === 0) vector[0] = 1;
  return length === 0 ? vector : vector.map((value) => value / length);
}

/** Words of letters and digits in lower case; Chinese, Japanese and Korean text character by character. */
function termsOf(text: string): string[] {
  return (
    text.toLowerCase().match(/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|[\p{L}\p{N}]+/gu) ?? []
  );
}

/** FNV-1a over UTF-16 code units, unsigned 32 bits. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}
