import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { sendJson } from '../helpers/json-answer.ts';
import { LoopbackServer } from '../helpers/loopback-server.ts';

type Json = Readonly<Record<string, unknown>>;

/** A request that arrived whole. */
export interface SeenRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  /** Exactly the bytes that came. */
  readonly body: Buffer;
}

const CREATED = 1_700_000_000;
const USAGE = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 };
/** A request that asks for more choices gets so many. */
const MAX_CHOICES = 4;
const MAX_VECTOR = 64;

/**
 * A model that takes everything and always answers in OpenAI's own form, so that whatever goes wrong behind the
 * gateway is the gateway's. It only has to know how many answers are waited for.
 */
export class AgreeableUpstream extends LoopbackServer {
  /** Everything that arrived, oldest first; whoever reads it empties it. */
  seen: SeenRequest[] = [];
  /** Whether requests are kept in `seen`. */
  isKeeping = false;
  /** Requests being answered now. */
  open = 0;
  /** Bodies that were not JSON, which a gateway never sends to a JSON endpoint. */
  unreadable = 0;

  /** How the text of a stream's events is cut into writes; usually it is one. */
  readonly #writesOf: (text: string) => readonly Buffer[];

  private constructor(writesOf: (text: string) => readonly Buffer[]) {
    super(createServer({ keepAliveTimeout: 60_000 }));
    this.#writesOf = writesOf;
    this.server.on('request', (request, response) => void this.#serve(request, response));
  }

  static start(
    writesOf: (text: string) => readonly Buffer[] = (text) => [Buffer.from(text)],
  ): Promise<AgreeableUpstream> {
    return new AgreeableUpstream(writesOf).listening();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.open += 1;
    response.once('close', () => {
      this.open -= 1;
    });
    try {
      const body = await buffer(request);
      const [path = ''] = (request.url ?? '').split('?', 1);
      if (this.isKeeping) this.seen.push({ method: request.method ?? '', path: request.url ?? '', body });
      this.#answer(path, body, response);
    } catch {
      response.destroy(); // the gateway left in the middle of its request
    }
  }

  #answer(path: string, body: Buffer, response: ServerResponse): void {
    const kind = /\/(chat\/completions|completions|embeddings|rerank|models)$/.exec(path)?.[1];
    if (kind === 'models') sendJson(response, modelList());
    else if (kind === undefined) sendJson(response, { text: 'echo', echoed: body.length });
    else this.#generate(kind, this.#read(body), response);
  }

  #generate(kind: string, json: Json, response: ServerResponse): void {
    const isChat = kind === 'chat/completions';
    if (kind === 'embeddings') sendJson(response, embeddings(json));
    else if (kind === 'rerank') sendJson(response, ranking(json));
    else if (json.stream === true) this.#sendEvents(response, events(isChat, json));
    else sendJson(response, completion(isChat, json));
  }

  #sendEvents(response: ServerResponse, chunks: readonly object[]): void {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const events = chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`);
    for (const bytes of this.#writesOf(`${events.join('')}data: [DONE]\n\n`)) response.write(bytes);
    response.end();
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
  const count = typeof n === 'number' && Number.isInteger(n) && n >= 1 ? Math.min(n, MAX_CHOICES) : 1;
  return Array.from({ length: count }, (_, index) => index);
}

/** What a model says in reply: with tools it calls the first of them, else it thinks and speaks. */
function saidIn(json: Json): {
  readonly deltas: readonly object[];
  readonly message: object;
  readonly finish: string;
} {
  const call = { name: 'depart', arguments: '{"at":"noon"}' };
  if (Array.isArray(json.tools) && json.tools.length > 0) {
    const opened = { index: 0, id: 'call-1', type: 'function', function: { ...call, arguments: '' } };
    const rest = { index: 0, function: { arguments: call.arguments } };
    return {
      deltas: [{ tool_calls: [opened] }, { tool_calls: [rest] }],
      message: { content: null, tool_calls: [{ id: 'call-1', type: 'function', function: call }] },
      finish: 'tool_calls',
    };
  }
  if (Array.isArray(json.functions) && json.functions.length > 0) {
    const deltas = [
      { function_call: { ...call, arguments: '' } },
      { function_call: { arguments: call.arguments } },
    ];
    return { deltas, message: { content: null, function_call: call }, finish: 'function_call' };
  }
  const deltas = [{ reasoning_content: 'Hm. ' }, { content: 'At ' }, { content: 'noon ⛴.' }];
  return { deltas, message: { content: 'At noon ⛴.', reasoning_content: 'Hm. ' }, finish: 'stop' };
}

function completion(isChat: boolean, json: Json): object {
  const { message, finish } = saidIn(json);
  const choices = choicesOf(json).map((index) =>
    isChat
      ? {
          index,
          message: { role: 'assistant', refusal: null, ...message },
          logprobs: null,
          finish_reason: finish,
        }
      : { index, text: 'At noon.', logprobs: null, finish_reason: 'stop' },
  );
  return { ...headOf(json), object: isChat ? 'chat.completion' : 'text_completion', choices, usage: USAGE };
}

function events(isChat: boolean, json: Json): object[] {
  const head = { ...headOf(json), object: isChat ? 'chat.completion.chunk' : 'text_completion' };
  const { deltas, finish } = saidIn(json);
  const choice = (index: number, said: object, finished: string | null): object => ({
    ...head,
    choices: [{ index, ...said, logprobs: null, finish_reason: finished }],
  });
  const said = choicesOf(json).flatMap((index) =>
    isChat
      ? [
          choice(index, { delta: { role: 'assistant', content: '' } }, null),
          ...deltas.map((delta) => choice(index, { delta }, null)),
          choice(index, { delta: {} }, finish),
        ]
      : [
          choice(index, { text: 'At ' }, null),
          choice(index, { text: 'noon.' }, null),
          choice(index, { text: '' }, 'stop'),
        ],
  );
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
  return isLength ? Math.min(dimensions as number, MAX_VECTOR) : 3;
}

function ranking(json: Json): object {
  const documents = Array.isArray(json.documents) ? json.documents : [];
  const results = documents.map((_, index) => ({ index, relevance_score: 1 / (index + 1) }));
  return { id: 'rank-1', model: json.model, results, usage: { prompt_tokens: 3, total_tokens: 3 } };
}
