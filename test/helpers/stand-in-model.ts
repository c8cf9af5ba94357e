import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { wordVector } from '../../src/demo/model.ts';
import { sendJson } from './json-answer.ts';
import { LoopbackServer } from './loopback-server.ts';

/** Habits of real servers that differ from OpenAI's own. */
export interface Quirks {
  /** Lines of the event stream end in CRLF. */
  readonly crlf?: boolean;
  /** The stream ends without `data: [DONE]`. */
  readonly noDone?: boolean;
  /** Growing usage in every chunk, asked for or not. */
  readonly usageInEachChunk?: boolean;
  /** `role: assistant` in every delta. */
  readonly roleInEachDelta?: boolean;
}

/** The second personality of the test suites: all habits at once. */
export const ODD_QUIRKS: Quirks = { crlf: true, noDone: true, usageInEachChunk: true, roleInEachDelta: true };

export interface StandInOptions {
  /** Whether this bearer token is good now; without it every request is. A refusal is a 401. */
  readonly isLive?: (token: string) => boolean;
  readonly models?: readonly string[];
  /** What the model says, or how it makes that of the request's body. */
  readonly reply?: string | ((body: RequestBody) => string);
  /** Before the first word, and between words. Milliseconds. */
  readonly firstDelayMs?: number;
  readonly wordDelayMs?: number;
  /** How the stream's bytes reach the wire: an event a write, all at once, or so many bytes a write. */
  readonly writes?: 'event' | 'whole' | number;
  /** Length of an embedding when the request does not say `dimensions`. */
  readonly dimension?: number;
  readonly quirks?: Quirks;
  /** Answers in place of the model when it returns true; for one-off faults that still speak HTTP. */
  readonly intercept?: (request: ReceivedRequest, response: ServerResponse) => boolean;
}

export interface RequestBody {
  readonly model?: string;
  readonly stream?: boolean;
  readonly stream_options?: { readonly include_usage?: boolean };
  readonly messages?: readonly { readonly role: string; readonly content: unknown }[];
  readonly prompt?: unknown;
  readonly input?: unknown;
  readonly dimensions?: number;
  readonly encoding_format?: 'float' | 'base64';
  readonly [key: string]: unknown;
}

export interface ReceivedRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** As received, byte for byte, as text. */
  readonly text: string;
  /** The text parsed; empty when it is not JSON. */
  readonly body: RequestBody;
  /** The bearer token; empty when there is none. */
  readonly token: string;
}

const DEFAULT_REPLY = 'The ferry crosses the river every five minutes.';

/** A real HTTP server on 127.0.0.1 that speaks OpenAI's API well enough for every client and tells what it saw. */
export class StandInModel extends LoopbackServer {
  #options: StandInOptions;

  /** Every request that was read whole, refused ones included, oldest first. */
  readonly received: ReceivedRequest[] = [];
  /** Requests answered 401 because their token is not live. */
  refused = 0;
  /** Requests being answered right now. */
  open = 0;
  /** Requests whose client left before the answer was complete. */
  aborted = 0;

  private constructor(options: StandInOptions) {
    super(createServer({ keepAliveTimeout: 60_000 }));
    this.#options = options;
    this.server.on('request', (request, response) => void this.#serve(request, response));
  }

  static start(options: StandInOptions = {}, port = 0): Promise<StandInModel> {
    return new StandInModel(options).listening(port);
  }

  /** TCP connections that are open now. */
  get openConnections(): number {
    return this.sockets.size;
  }

  /** Changes its behaviour from the next request on. */
  set(options: StandInOptions): void {
    this.#options = { ...this.#options, ...options };
  }

  /** Like a crash: every connection is reset, nothing listens any more. `StandInModel.start(…, port)` revives it. */
  async kill(): Promise<void> {
    for (const socket of this.sockets.keys()) socket.resetAndDestroy();
    await this.close();
  }

  /** As a server does after its keep-alive timeout. */
  closeIdleConnections(): void {
    this.server.closeIdleConnections();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const leaving = new AbortController();
    this.open += 1;
    response.once('close', () => {
      this.open -= 1;
      if (!response.writableFinished) this.aborted += 1;
      leaving.abort();
    });
    try {
      const received = await readRequest(request);
      this.received.push(received);
      await this.#answer(received, response, leaving.signal);
    } catch {
      response.destroy(); // the client left, or a word was still to come when it did
    }
  }

  async #answer(request: ReceivedRequest, response: ServerResponse, signal: AbortSignal): Promise<void> {
    const { isLive, intercept } = this.#options;
    if (isLive !== undefined && !isLive(request.token)) {
      this.refused += 1;
      return sendError(response, 401, 'invalid_token', 'the access token is unknown or has ended');
    }
    if (intercept?.(request, response)) return undefined;
    const path = request.path.split('?', 1)[0] ?? '';
    if (request.method === 'GET' && path.endsWith('/models')) return sendJson(response, this.#modelList());
    if (path.endsWith('/chat/completions')) return this.#complete('chat', request.body, response, signal);
    if (path.endsWith('/completions')) return this.#complete('text', request.body, response, signal);
    if (path.endsWith('/embeddings')) return this.#embed(request.body, response);
    return sendError(response, 404, 'unknown_path', `no such path: ${path}`);
  }

  #modelList(): object {
    const models = this.#options.models ?? ['stand-in', 'stand-in-embed'];
    return {
      object: 'list',
      data: models.map((id) => ({ id, object: 'model', created: 1_700_000_000, owned_by: 'stand-in' })),
    };
  }

  async #complete(
    kind: 'chat' | 'text',
    body: RequestBody,
    response: ServerResponse,
    signal: AbortSignal,
  ): Promise<void> {
    const { reply = DEFAULT_REPLY, firstDelayMs = 0, wordDelayMs = 0, quirks = {} } = this.#options;
    const words = wordsOf(typeof reply === 'function' ? reply(body) : reply);
    const completion = new Completion(kind, body, quirks);
    if (firstDelayMs > 0) await sleep(firstDelayMs, undefined, { signal });
    if (body.stream !== true) {
      if (wordDelayMs > 0) await sleep(wordDelayMs * words.length, undefined, { signal });
      return sendJson(response, completion.whole(words));
    }
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    response.flushHeaders();
    const events = completion.events(words);
    if (this.#options.writes === 'whole') return void response.end(events.join(''));
    for (const [position, event] of events.entries()) {
      if (position > 0 && wordDelayMs > 0) await sleep(wordDelayMs, undefined, { signal });
      await this.#write(response, event);
    }
    response.end();
    return undefined;
  }

  async #write(response: ServerResponse, event: string): Promise<void> {
    const bytes = Buffer.from(event);
    const size = typeof this.#options.writes === 'number' ? this.#options.writes : bytes.length;
    for (let start = 0; start < bytes.length; start += size) {
      response.write(bytes.subarray(start, start + size));
      // One turn of the loop a write, or the kernel would join them into one segment.
      if (size < bytes.length) await sleep(0);
    }
  }

  #embed(body: RequestBody, response: ServerResponse): void {
    const inputs =
      typeof body.input === 'string' ? [body.input] : Array.isArray(body.input) ? body.input : [];
    const dimension = body.dimensions ?? this.#options.dimension ?? 8;
    const data = inputs.map((input: unknown, index) => {
      const vector = wordVector(typeof input === 'string' ? input : JSON.stringify(input), dimension);
      const embedding =
        body.encoding_format === 'base64'
          ? Buffer.from(new Float32Array(vector).buffer).toString('base64')
          : vector;
      return { object: 'embedding', index, embedding };
    });
    const tokens = inputs.length * 4;
    sendJson(response, {
      object: 'list',
      data,
      model: body.model,
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    });
  }
}

/** One answer in OpenAI's form, whole or as the events of a stream. */
class Completion {
  readonly #kind: 'chat' | 'text';
  readonly #quirks: Quirks;
  readonly #head: { id: string; created: number; model: string | undefined };
  readonly #wantsUsage: boolean;
  readonly #promptTokens: number;

  constructor(kind: 'chat' | 'text', body: RequestBody, quirks: Quirks) {
    this.#kind = kind;
    this.#quirks = quirks;
    this.#head = { id: `${kind}cmpl-1`, created: 1_700_000_000, model: body.model };
    this.#wantsUsage = body.stream_options?.include_usage === true;
    this.#promptTokens = wordsOf(JSON.stringify(body.messages ?? body.prompt ?? '')).length;
  }

  whole(words: readonly string[]): object {
    const text = words.join('');
    const message = { role: 'assistant', content: text, refusal: null };
    const choice =
      this.#kind === 'chat'
        ? { index: 0, message, finish_reason: 'stop', logprobs: null }
        : { index: 0, text, finish_reason: 'stop', logprobs: null };
    const object = this.#kind === 'chat' ? 'chat.completion' : 'text_completion';
    return { ...this.#head, object, choices: [choice], usage: this.#usage(words.length) };
  }

  /** Complete events, blank line included: role, words, finish, usage when asked, `[DONE]`. */
  events(words: readonly string[]): string[] {
    const { noDone = false, usageInEachChunk = false } = this.#quirks;
    const events = this.#kind === 'chat' ? [this.#chunk({ role: 'assistant', content: '' }, null, 0)] : [];
    for (const [index, word] of words.entries()) events.push(this.#chunk({ content: word }, null, index + 1));
    events.push(this.#chunk({}, 'stop', words.length));
    if (this.#wantsUsage && !usageInEachChunk) {
      events.push(this.#event({ ...this.#frame(), choices: [], usage: this.#usage(words.length) }));
    }
    if (!noDone) events.push(this.#lines('data: [DONE]'));
    return events;
  }

  #chunk(delta: { role?: string; content?: string }, finish: string | null, words: number): string {
    const role = this.#quirks.roleInEachDelta ? { role: 'assistant' } : {};
    const said = this.#kind === 'chat' ? { delta: { ...role, ...delta } } : { text: delta.content ?? '' };
    const usage = this.#quirks.usageInEachChunk ? { usage: this.#usage(words) } : {};
    const choice = { index: 0, ...said, finish_reason: finish, logprobs: null };
    return this.#event({ ...this.#frame(), choices: [choice], ...usage });
  }

  #frame(): object {
    return { ...this.#head, object: this.#kind === 'chat' ? 'chat.completion.chunk' : 'text_completion' };
  }

  #usage(words: number): object {
    const prompt = this.#promptTokens;
    return { prompt_tokens: prompt, completion_tokens: words, total_tokens: prompt + words };
  }

  #event(data: object): string {
    return this.#lines(`data: ${JSON.stringify(data)}`);
  }

  #lines(line: string): string {
    return this.#quirks.crlf ? `${line}\r\n\r\n` : `${line}\n\n`;
  }
}

/** Words with the space before them, so that joining them gives the text again. */
function wordsOf(text: string): string[] {
  return text.match(/\s*\S+|\s+$/g) ?? [];
}

async function readRequest(request: IncomingMessage): Promise<ReceivedRequest> {
  const text = (await buffer(request)).toString('utf8');
  return {
    method: request.method ?? '',
    path: request.url ?? '',
    headers: request.headers,
    text,
    body: parsed(text),
    token: /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '',
  };
}

function parsed(text: string): RequestBody {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as RequestBody) : {};
  } catch {
    return {};
  }
}

function sendError(response: ServerResponse, status: number, code: string, message: string): void {
  sendJson(response, { error: { message, type: 'invalid_request_error', param: null, code } }, status);
}
