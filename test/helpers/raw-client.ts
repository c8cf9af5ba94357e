import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { HANG_MS } from './until.ts';

/** One answer of a server, below any client library. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Everything that came, as it came. */
  readonly text: string;
}

/** A client that sends exactly the bytes it is told to. */
export class RawClient {
  readonly socket: Socket;
  #received = '';
  #isClosed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes) => {
      this.#received += bytes.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.#isClosed = true;
    });
  }

  /** `allowHalfOpen`: goes on sending although the other side has ended. */
  static async connect(port: number, { allowHalfOpen = false } = {}): Promise<RawClient> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen });
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  get received(): string {
    return this.#received;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  send(bytes: string | Uint8Array): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  /** The next whole answer of this connection. */
  async answer(): Promise<RawAnswer> {
    const deadlineMs = performance.now() + HANG_MS;
    for (;;) {
      const answer = parse(this.#received, this.#isClosed);
      if (answer !== null) {
        this.#received = this.#received.slice(answer.text.length);
        return answer;
      }
      assert.ok(!this.#isClosed, `closed after ${JSON.stringify(this.#received)}`);
      assert.ok(performance.now() < deadlineMs, `no answer, only ${JSON.stringify(this.#received)}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Leaves like a crash. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  close(): void {
    this.socket.destroy();
  }
}

/** Sends `bytes` on a connection of its own and gives the first answer. */
export async function exchangeRaw(port: number, bytes: string | Uint8Array): Promise<RawAnswer> {
  const client = await RawClient.connect(port);
  try {
    client.send(bytes);
    return await client.answer();
  } finally {
    client.close();
  }
}

/** A POST with a JSON body as bytes; `fields` are whole header lines. */
export function rawPost(target: string, body: string, fields: readonly string[] = []): string {
  const lines = [
    `POST ${target} HTTP/1.1`,
    ...(fields.some((line) => /^host:/i.test(line)) ? [] : ['Host: 127.0.0.1']),
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body, 'latin1')}`,
    ...fields,
  ];
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

function parse(text: string, isClosed: boolean): RawAnswer | null {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd === -1) return null;
  const [first = '', ...lines] = text.slice(0, headEnd).split('\r\n');
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  const status = Number(first.split(' ')[1]);
  const rest = text.slice(headEnd + 4);
  const end = status < 200 ? 0 : bodyEnd(rest, headers, isClosed);
  if (end === null) return null;
  return { status, headers, body: rest.slice(0, end), text: text.slice(0, headEnd + 4 + end) };
}

function bodyEnd(rest: string, headers: Readonly<Record<string, string>>, isClosed: boolean): number | null {
  if (headers['transfer-encoding'] === 'chunked') {
    const end = rest.indexOf('0\r\n\r\n');
    return end === -1 ? null : end + 5;
  }
  const length = headers['content-length'];
  if (length === undefined) return isClosed ? rest.length : null;
  return rest.length >= Number(length) ? Number(length) : null;
}
