import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.ts';
import { LoopbackServer } from './loopback-server.ts';

/** What happens on one connection. Throwing is harmless: it means that the other side left. */
export type RawScript = (connection: RawConnection) => Promise<void> | void;

/** One accepted connection, below HTTP. */
export class RawConnection {
  readonly socket: Socket;
  readonly #waiting: (() => void)[] = [];
  #received = Buffer.alloc(0);
  #isEnded = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes) => {
      this.#received = Buffer.concat([this.#received, bytes]);
      this.#wake();
    });
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.#isEnded = true;
      this.#wake();
    });
  }

  #wake(): void {
    for (const resume of this.#waiting.splice(0)) resume();
  }

  /** The next whole HTTP request (by its content-length), as text. Rejects when the client leaves first. */
  async request(): Promise<string> {
    for (;;) {
      const text = this.#received.toString('latin1');
      const headEnd = text.indexOf('\r\n\r\n') + 4;
      if (headEnd > 3) {
        const length = Number(/^content-length:\s*(\d+)/im.exec(text.slice(0, headEnd))?.[1] ?? 0);
        if (text.length >= headEnd + length) {
          this.#received = this.#received.subarray(headEnd + length);
          return text.slice(0, headEnd + length);
        }
      }
      if (this.#isEnded) throw new Error('the client left');
      await new Promise<void>((resume) => this.#waiting.push(resume));
    }
  }

  /** Resolves when the bytes are with the kernel. */
  async write(bytes: string | Uint8Array): Promise<void> {
    if (this.#isEnded) throw new Error('the client left');
    await new Promise<void>((done, fail) =>
      this.socket.write(bytes, (error) => (error ? fail(error) : done())),
    );
  }

  /** Ends in order: FIN after everything written. */
  end(): void {
    this.socket.end();
  }

  /** Ends like a crash: RST. */
  reset(): void {
    this.socket.resetAndDestroy();
  }
}

/**
 * An upstream that speaks exactly the bytes of its script, right or wrong. Connection n runs the n-th script, every
 * later one the last.
 */
export class RawUpstream extends LoopbackServer<Server> {
  readonly #scripts: readonly RawScript[];

  private constructor(scripts: readonly RawScript[]) {
    super(createServer());
    this.#scripts = scripts;
    this.server.on('connection', (socket) => void this.#accept(socket));
  }

  static start(...scripts: RawScript[]): Promise<RawUpstream> {
    return new RawUpstream(scripts).listening();
  }

  /** The same listener spoken to with TLS: what it answers is not a handshake. */
  get tlsUrl(): string {
    return `https://127.0.0.1:${this.port}/v1`;
  }

  /** Connections that are open now. */
  get open(): number {
    return this.sockets.size;
  }

  async #accept(socket: Socket): Promise<void> {
    const script = this.#scripts[Math.min(this.connections, this.#scripts.length) - 1];
    try {
      await script?.(new RawConnection(socket));
    } catch {
      socket.destroy();
    }
  }
}

/** An endpoint that refuses connections. */
export async function refusingUrl(): Promise<string> {
  return `http://127.0.0.1:${await freePort()}/v1`;
}

/** A whole HTTP/1.1 answer with its content-length. */
export function httpAnswer(
  body: string,
  { status = 200, headers = {} }: { status?: number; headers?: Readonly<Record<string, string>> } = {},
): string {
  const fields = {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    ...headers,
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} Scripted\r\n${lines.join('')}\r\n${body}`;
}

/** The head of a chunked answer, to be followed by `httpChunk`s. */
export function chunkedHead(contentType = 'text/event-stream'): string {
  return `HTTP/1.1 200 OK\r\ncontent-type: ${contentType}\r\ntransfer-encoding: chunked\r\n\r\n`;
}

/** One chunk of a chunked answer; the empty text is the last one. */
export function httpChunk(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
}

/** Accepts, reads, says nothing. */
export const silent: RawScript = async (connection) => {
  await connection.request();
};

/** Resets the connection once the request was read. */
export const resetAfterRequest: RawScript = async (connection) => {
  await connection.request();
  connection.reset();
};

/** Resets the connection as soon as it is there. */
export const resetAtOnce: RawScript = (connection) => connection.reset();

/** Speaks something that is neither TLS nor HTTP. */
export const nonsense: RawScript = async (connection) => {
  await connection.write('220 mail.example ESMTP ready\r\n');
};

/** Answers every request of the connection with these bytes and keeps it open. */
export function answering(bytes: string | Uint8Array): RawScript {
  return async (connection) => {
    for (;;) {
      await connection.request();
      await connection.write(bytes);
    }
  };
}

/** Answers the first request, promises keep-alive, and resets the connection when the next request comes on it. */
export function staleAfter(bytes: string): RawScript {
  return async (connection) => {
    await connection.request();
    await connection.write(bytes);
    await connection.request();
    connection.reset();
  };
}

/** Sends only the first `count` bytes, then ends with FIN, or with RST when `isReset`. */
export function cutAfter(bytes: string | Uint8Array, count: number, isReset = false): RawScript {
  return async (connection) => {
    await connection.request();
    await connection.write(Buffer.from(bytes).subarray(0, count));
    // An RST at once would overtake bytes that the other side has not read yet.
    if (isReset) await sleep(20);
    if (isReset) connection.reset();
    else connection.end();
  };
}

/** Sends `size` bytes every `everyMs`, then ends. */
export function dripping(bytes: string | Uint8Array, everyMs: number, size = 1): RawScript {
  return async (connection) => {
    await connection.request();
    const all = Buffer.from(bytes);
    for (let start = 0; start < all.length; start += size) {
      await connection.write(all.subarray(start, start + size));
      await sleep(everyMs);
    }
    connection.end();
  };
}

/** Redirects every request to `location`. */
export function redirecting(location: string, status = 302): RawScript {
  return answering(httpAnswer('', { status, headers: { location } }));
}

/** A good answer whose header fields take `size` bytes. */
export function giantHeaders(size: number): RawScript {
  return answering(httpAnswer('{}', { headers: { 'x-filler': 'x'.repeat(size) } }));
}
