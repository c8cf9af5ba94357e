import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { LoopbackServer } from './loopback-server.ts';

/** A real HTTP proxy on 127.0.0.1 that tunnels (CONNECT) and forwards, to this machine whatever name it is asked for. */
export class ConnectProxy extends LoopbackServer {
  /** `CONNECT host:port` or `GET http://...`, refused ones included, oldest first. */
  readonly seen: string[] = [];
  /** Tunnels that are open now. */
  tunnels = 0;
  readonly #credentials: string | null;

  private constructor(credentials: string | null) {
    super(createServer());
    this.#credentials = credentials;
    this.server.on('request', (request, response) => {
      if (!this.#isAllowed(request)) return void response.writeHead(407).end();
      const forward = httpRequest(request.url ?? '', {
        method: request.method ?? 'GET',
        headers: request.headers,
      });
      forward.on('response', (answer) =>
        answer.pipe(response.writeHead(answer.statusCode ?? 502, answer.headers)),
      );
      forward.on('error', () => response.destroy());
      request.pipe(forward);
    });
    this.server.on('connect', (request, socket: Socket) => this.#tunnel(request, socket));
  }

  /** `credentials`: `user:password` that it wants; null: it is open. */
  static start(credentials: string | null = null): Promise<ConnectProxy> {
    return new ConnectProxy(credentials).listening();
  }

  /** Without credentials. */
  override get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** With `user:password` in it, percent-encoded as a URL needs. */
  urlWith(user: string, password: string): string {
    return this.url.replace('//', `//${encodeURIComponent(user)}:${encodeURIComponent(password)}@`);
  }

  #isAllowed(request: IncomingMessage): boolean {
    this.seen.push(`${request.method} ${request.url}`);
    if (this.#credentials === null) return true;
    const expected = `Basic ${Buffer.from(this.#credentials).toString('base64')}`;
    return request.headers['proxy-authorization'] === expected;
  }

  #tunnel(request: IncomingMessage, socket: Socket): void {
    if (!this.#isAllowed(request))
      return void socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
    const target = connect(Number(request.url?.split(':').at(-1)), '127.0.0.1', () => {
      this.tunnels += 1;
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      target.pipe(socket).pipe(target);
    });
    target.once('close', () => {
      this.tunnels -= 1;
    });
    for (const end of [socket, target]) end.on('error', () => end.destroy());
    socket.once('close', () => target.destroy());
  }
}
