import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text as readText } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { sendJson } from './json-answer.ts';
import { LoopbackServer } from './loopback-server.ts';

export interface ReplicateOptions {
  /** What the model puts out, piece by piece. */
  readonly output?: readonly string[];
  /** False: the model has no event stream. */
  readonly streams?: boolean;
  /** Where the prediction says that its stream is; default: this server. */
  readonly streamUrl?: string;
  /** How many times `GET /predictions/ID` says that it is processing. */
  readonly polls?: number;
  /** How it ends. */
  readonly end?: 'succeeded' | 'failed' | 'canceled' | 'never';
  readonly error?: string;
  /** A fault of the event stream: cut after the first piece, an error event, not there. */
  readonly streamFault?: 'cut' | 'error' | 'missing' | 'canceled';
  readonly token?: string;
  readonly createDelayMs?: number;
  /** Answers in its place when it returns true. */
  readonly intercept?: (request: ReplicateRequest, response: ServerResponse) => boolean;
}

export interface ReplicateRequest {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly accept: string | undefined;
  readonly body: {
    readonly version?: string;
    readonly stream?: boolean;
    readonly input?: Readonly<Record<string, unknown>>;
  };
}

interface Stored {
  readonly id: string;
  readonly model: string;
  polls: number;
  isCanceled: boolean;
}

const METRICS = { input_token_count: 11, output_token_count: 7, predict_time: 0.1 };

/** Replicate's API on 127.0.0.1, as its documentation describes it (HTTP API and streaming, 2025). */
export class StandInReplicate extends LoopbackServer {
  readonly received: ReplicateRequest[] = [];
  readonly predictions = new Map<string, Stored>();
  #options: ReplicateOptions;

  private constructor(options: ReplicateOptions) {
    super(createServer());
    this.#options = options;
    this.server.on('request', (request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
  }

  static start(options: ReplicateOptions = {}): Promise<StandInReplicate> {
    return new StandInReplicate(options).listening();
  }

  set(options: ReplicateOptions): void {
    this.#options = { ...this.#options, ...options };
  }

  get canceled(): number {
    return [...this.predictions.values()].filter(({ isCanceled }) => isCanceled).length;
  }

  /** The `input` of the prediction that was created last. */
  get lastInput(): Readonly<Record<string, unknown>> {
    return this.received.findLast(({ path }) => path.endsWith('/predictions'))?.body.input ?? {};
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readText(request);
    const { method = '', url = '', headers } = request;
    const received: ReplicateRequest = {
      method,
      path: url,
      authorization: headers.authorization,
      accept: headers.accept,
      body: body === '' ? {} : (JSON.parse(body) as ReplicateRequest['body']),
    };
    this.received.push(received);
    const { token, intercept } = this.#options;
    if (intercept?.(received, response)) return;
    if (token !== undefined && headers.authorization?.split(' ').at(-1) !== token) {
      const detail = 'You did not pass a valid authentication token';
      sendJson(response, { title: 'Unauthenticated', detail, status: 401 }, 401);
      return;
    }
    if (method === 'GET' && url === '/v1/account') sendJson(response, { type: 'user', username: 'u' });
    else if (method === 'POST' && url.endsWith('/predictions')) await this.#create(received, response);
    else await this.#continue(received, response);
  }

  async #create({ path, body }: ReplicateRequest, response: ServerResponse): Promise<void> {
    const model = /^\/v1\/(?:models|deployments)\/(.+)\/predictions$/.exec(path)?.[1] ?? body.version ?? '';
    const stored: Stored = {
      id: `p${this.predictions.size + 1}`,
      model,
      polls: 0,
      isCanceled: false,
    };
    this.predictions.set(stored.id, stored);
    const { createDelayMs = 0 } = this.#options;
    if (createDelayMs > 0) await sleep(createDelayMs);
    sendJson(response, this.#prediction(stored, 'starting', body.stream === true), 201);
  }

  async #continue({ method, path }: ReplicateRequest, response: ServerResponse): Promise<void> {
    const [, id = '', action] = /^\/v1\/(?:predictions|streams)\/(\w+)(\/cancel)?$/.exec(path) ?? [];
    const stored = this.predictions.get(id);
    if (stored === undefined) {
      sendJson(response, { detail: 'The requested resource could not be found.', status: 404 }, 404);
    } else if (method === 'POST' && action !== undefined) {
      stored.isCanceled = true;
      sendJson(response, this.#prediction(stored, 'canceled', false));
    } else if (path.startsWith('/v1/streams/')) await this.#stream(response);
    else {
      const { polls = 0, end = 'succeeded' } = this.#options;
      const isRunning = stored.polls < polls || end === 'never';
      stored.polls += 1;
      sendJson(response, this.#prediction(stored, isRunning ? 'processing' : end, false));
    }
  }

  #prediction({ id, model, polls }: Stored, status: string, isStream: boolean): object {
    const { output = ['The ', 'ferry ', 'crosses.'], error, streams = true, streamUrl } = this.#options;
    const isOver = status === 'succeeded';
    const base = `${this.url}/predictions/${id}`;
    const stream = streamUrl ?? `${this.url}/streams/${id}`;
    return {
      id,
      model,
      version: 'hidden',
      input: {},
      status,
      output: isOver ? output : status === 'processing' ? output.slice(0, polls) : null,
      error: status === 'failed' ? (error ?? 'CUDA out of memory') : null,
      metrics: isOver ? METRICS : {},
      urls: { get: base, cancel: `${base}/cancel`, ...(isStream && streams ? { stream } : {}) },
    };
  }

  async #stream(response: ServerResponse): Promise<void> {
    const { output = ['The ', 'ferry ', 'crosses.'], streamFault, end, error } = this.#options;
    if (streamFault === 'missing') {
      sendJson(response, { detail: 'no stream' }, 404);
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(': hi\n\n');
    for (const [index, piece] of output.entries()) {
      const data = piece
        .split('\n')
        .map((line) => `data: ${line}\n`)
        .join('');
      response.write(`event: output\nid: ${index}:0\n${data}\n`);
      await sleep(1);
      if (streamFault === 'cut') {
        response.destroy();
        return;
      }
    }
    if (end === 'never') return;
    if (streamFault === 'error')
      response.write(
        `event: error\nid: 8:0\ndata: ${JSON.stringify({ detail: error ?? 'CUDA out of memory' })}\n\n`,
      );
    const reason = streamFault === 'error' ? '{"reason": "error"}' : '{}';
    response.end(
      `event: done\nid: 9:0\ndata: ${streamFault === 'canceled' ? '{"reason": "canceled"}' : reason}\n\n`,
    );
  }
}
