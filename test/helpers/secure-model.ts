import { createServer, type Server, type ServerOptions } from 'node:https';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { LoopbackServer } from './loopback-server.ts';

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
export class SecureModel extends LoopbackServer<Server> {
  readonly received: SecureRequest[] = [];
  /** Between the words of a stream, in milliseconds. */
  wordDelayMs = 0;

  private constructor(tls: ServerOptions) {
    super(createServer({ ...tls, keepAliveTimeout: 60_000 }));
    this.server.on('request', async (request, response) => {
      const socket = request.socket as TLSSocket;
      const name = socket.getPeerCertificate()?.subject?.CN;
      this.received.push({
        token: (request.headers.authorization ?? '').replace('Bearer ', ''),
        certificate: typeof name === 'string' ? name : null,
        connection: this.sockets.get(socket) ?? 0,
        servername: typeof socket.servername === 'string' ? socket.servername : null,
      });
      const isStream = (JSON.parse((await text(request)) || '{}') as { stream?: boolean }).stream === true;
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

  static start(tls: ServerOptions): Promise<SecureModel> {
    return new SecureModel(tls).listening();
  }

  /** Connections that are open now. */
  get open(): Iterable<Socket> {
    return this.sockets.keys();
  }

  /** For `localhost`, as the server's certificate says. */
  override get url(): string {
    return `https://localhost:${this.port}/v1`;
  }
}
