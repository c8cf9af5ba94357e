import { once } from 'node:events';
import { createServer, type Server, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';

/** One request that a `SecureModel` has answered. */
export interface SecureRequest {
  readonly token: string;
  /** The common name of the client's certificate; null: it showed none. */
  readonly certificate: string | null;
  /** 1 for the first connection. */
  readonly connection: number;
  readonly servername: string | null;
}

/** A model behind real TLS on 127.0.0.1 that says `hello` and tells how it was reached. */
export class SecureModel {
  readonly received: SecureRequest[] = [];
  /** Connections that are open now. */
  readonly open = new Set<TLSSocket>();
  /** Between the words of a stream, in milliseconds. */
  wordDelayMs = 0;
  readonly #server: Server;
  readonly #numbers = new WeakMap<TLSSocket, number>();
  #connections = 0;

  private constructor(tls: ServerOptions) {
    this.#server = createServer(tls);
    this.#server.keepAliveTimeout = 60_000;
    this.#server.on('secureConnection', (socket: TLSSocket) => {
      this.#numbers.set(socket, ++this.#connections);
      this.open.add(socket);
      socket.once('close', () => this.open.delete(socket));
      socket.on('error', () => socket.destroy());
    });
    this.#server.on('request', async (request, response) => {
      const socket = request.socket as TLSSocket;
      const name = socket.getPeerCertificate()?.subject?.CN;
      this.received.push({
        token: (request.headers.authorization ?? '').replace('Bearer ', ''),
        certificate: typeof name === 'string' ? name : null,
        connection: this.#numbers.get(socket) ?? 0,
        servername: typeof socket.servername === 'string' ? socket.servername : null,
      });
      let text = '';
      for await (const chunk of request) text += chunk;
      const isStream = (JSON.parse(text || '{}') as { stream?: boolean }).stream === true;
      const chunk = (choice: object): object => ({
        id: 'c-1',
        object: isStream ? 'chat.completion.chunk' : 'chat.completion',
        created: 1,
        model: 'm',
        choices: [{ index: 0, finish_reason: null, logprobs: null, ...choice }],
      });
      if (!isStream) {
        const message = { role: 'assistant', content: 'hello', refusal: null };
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify(chunk({ message, finish_reason: 'stop' })));
        return;
      }
      response.setHeader('content-type', 'text/event-stream');
      for (const content of ['one ', 'two ', 'three ', 'four']) {
        response.write(`data: ${JSON.stringify(chunk({ delta: { role: 'assistant', content } }))}\n\n`);
        await sleep(this.wordDelayMs);
      }
      response.write(`data: ${JSON.stringify(chunk({ delta: {}, finish_reason: 'stop' }))}\n\n`);
      response.end('data: [DONE]\n\n');
    });
  }

  static async start(tls: ServerOptions): Promise<SecureModel> {
    const model = new SecureModel(tls);
    model.#server.listen(0, '127.0.0.1');
    await once(model.#server, 'listening');
    return model;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** For `localhost`, as the server's certificate says. */
  get url(): string {
    return `https://localhost:${this.port}/v1`;
  }

  /** Closes every connection that is open, as a load balancer does with idle ones. */
  dropConnections(): void {
    for (const socket of this.open) socket.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async close(): Promise<void> {
    this.dropConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
