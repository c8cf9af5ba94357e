import { once } from 'node:events';
import {
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { Gateway } from '../helpers/gateway.ts';
import { LoopbackServer } from '../helpers/loopback-server.ts';

export interface TakenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Exactly what came. */
  readonly bytes: Buffer;
}

/** Answers a request that was taken whole. */
export type Answering = (request: TakenRequest, response: ServerResponse) => void | Promise<void>;

/** Takes over before the body is read; false: it is read and answered as usual. */
export type Early = (request: IncomingMessage, response: ServerResponse) => boolean;

/** An upstream that keeps each request's bytes as they came. */
export class ByteUpstream extends LoopbackServer {
  readonly taken: TakenRequest[] = [];
  /** Bytes of bodies so far, of those that are still coming as well. */
  receivedBytes = 0;
  /** Requests that ended before their body did. */
  broken = 0;

  private constructor(answer: Answering, early: Early | undefined) {
    super(createServer());
    this.server.on('request', async (request, response) => {
      if (early?.(request, response)) return;
      const pieces: Buffer[] = [];
      try {
        for await (const piece of request) {
          this.receivedBytes += (piece as Buffer).length;
          pieces.push(piece as Buffer);
        }
      } catch {
        this.broken += 1;
        return;
      }
      const { method = '', url = '', headers } = request;
      const taken = { method, path: url, headers, bytes: Buffer.concat(pieces) };
      this.taken.push(taken);
      await answer(taken, response);
    });
  }

  static start(answer: Answering = answerText('{"text":"ok"}'), early?: Early): Promise<ByteUpstream> {
    return new ByteUpstream(answer, early).listening();
  }
}

/** Every request gets these bytes; no type: no content-type header. */
export function answerText(
  body: string | Buffer,
  type: string | null = 'application/json',
  status = 200,
): Answering {
  return (_request, response) => {
    response.writeHead(status, type === null ? {} : { 'content-type': type });
    response.end(body);
  };
}

export function answerJson(value: unknown): Answering {
  return answerText(JSON.stringify(value));
}

export interface FormPart {
  readonly name: string;
  readonly value: string | Buffer;
  /** A file when there is one. */
  readonly filename?: string;
  readonly type?: string;
}

export const BOUNDARY = 'ferry-boundary-7MA4YWxk';
export const FORM_TYPE = `multipart/form-data; boundary=${BOUNDARY}`;

/** A multipart body as clients write it. */
export function formOf(parts: readonly FormPart[], boundary = BOUNDARY): Buffer {
  const written = parts.flatMap(({ name, value, filename, type }) => {
    const file = filename === undefined ? '' : `; filename="${filename}"`;
    const typeLine = type === undefined ? '' : `Content-Type: ${type}\r\n`;
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${file}\r\n${typeLine}\r\n`;
    return [Buffer.from(head), Buffer.from(value), Buffer.from('\r\n')];
  });
  return Buffer.concat([...written, Buffer.from(`--${boundary}--\r\n`)]);
}

export interface SentAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly text: string;
}

/** A request under way, whose body is sent as the test says. */
export interface Sending {
  readonly request: ReturnType<typeof httpRequest>;
  readonly answer: Promise<SentAnswer>;
}

/** Begins a POST; without `length` it goes out in chunks. */
export function begin(url: string, headers: Record<string, string>, length?: number): Sending {
  const framing = length === undefined ? {} : { 'content-length': String(length) };
  const request = httpRequest(url, { method: 'POST', headers: { ...headers, ...framing } });
  const answer = new Promise<SentAnswer>((resolve, reject) => {
    request.on('error', reject);
    request.on('response', (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('error', reject);
      response.on('end', () => {
        const bytes = Buffer.concat(pieces);
        const { statusCode: status = 0, headers: received } = response;
        resolve({ status, headers: received, bytes, text: bytes.toString('utf8') });
      });
    });
  });
  answer.catch(() => undefined);
  return { request, answer };
}

/** A whole POST, in pieces of `size` bytes. */
export async function sendForm(
  url: string,
  body: Buffer,
  { isChunked = false, size = 256 * 1024, type = FORM_TYPE } = {},
): Promise<SentAnswer> {
  const { request, answer } = begin(url, { 'content-type': type }, isChunked ? undefined : body.length);
  for (let start = 0; start < body.length; start += size) {
    if (!request.write(body.subarray(start, start + size)))
      await Promise.race([once(request, 'drain'), answer]);
  }
  request.end();
  return answer;
}

/** One gateway in front of one upstream that answers as it is told, for the requests of one test file. */
export class PassThroughScene {
  readonly gateway: Gateway;
  readonly upstream: ByteUpstream;
  #answer: Answering = answerText('{}');

  private constructor(gateway: Gateway, upstream: ByteUpstream) {
    this.gateway = gateway;
    this.upstream = upstream;
  }

  static async open(settings: object = {}): Promise<PassThroughScene> {
    const opened: PassThroughScene[] = [];
    const upstream = await ByteUpstream.start((request, response) =>
      opened.forEach((scene) => void scene.#answer(request, response)),
    );
    const only = { name: 'only', endpoint: upstream.url, sk: 'upstream-key-of-only', pace: 'off' };
    const defaults = {
      noauth: true,
      dbtype: 'none',
      retry: { same_upstream: 0 },
      cool_down: { failures: 1000 },
    };
    const gateway = await Gateway.start({ ...defaults, upstreams: [only], ...settings });
    const scene = new PassThroughScene(gateway, upstream);
    opened.push(scene);
    return scene;
  }

  /** What the upstream answers from now on. */
  answer(answering: Answering): void {
    this.#answer = answering;
  }

  /** Asks for JSON and takes the answer whole. */
  post(path: string, body: object): Promise<SentAnswer> {
    const text = Buffer.from(JSON.stringify(body));
    const { request, answer } = begin(
      `${this.gateway.url}${path}`,
      { 'content-type': 'application/json' },
      text.length,
    );
    request.end(text);
    return answer;
  }

  async close(): Promise<void> {
    await this.gateway.close();
    await this.upstream.close();
  }
}
