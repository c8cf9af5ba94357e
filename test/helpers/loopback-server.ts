import { once } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import type { AddressInfo, Server, Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';

/** A server on 127.0.0.1 that counts its connections and ends with them. What it answers, whoever makes it says. */
export class LoopbackServer<Kind extends Server = HttpServer> {
  protected readonly server: Kind;
  /** Connections that are open now, each with its number: 1 for the first. Under TLS only those that are through. */
  protected readonly sockets = new Map<Socket, number>();
  /** Connections accepted so far. */
  connections = 0;
  #port = 0;

  constructor(server: Kind) {
    this.server = server;
    server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', (socket: Socket) => {
      this.connections += 1;
      this.sockets.set(socket, this.connections);
      socket.once('close', () => this.sockets.delete(socket));
    });
  }

  /** Itself, once it listens; on a free port when none is named. */
  async listening(port = 0): Promise<this> {
    this.server.listen(port, '127.0.0.1');
    await once(this.server, 'listening');
    this.#port = (this.server.address() as AddressInfo).port;
    return this;
  }

  get port(): number {
    return this.#port;
  }

  /** As a configuration names it: ends in `/v1`. */
  get url(): string {
    return `http://127.0.0.1:${this.port}/v1`;
  }

  /** Closes every open connection, as a load balancer or a restarted proxy does. */
  dropConnections(): void {
    for (const socket of this.sockets.keys()) socket.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async close(): Promise<void> {
    this.dropConnections();
    if (!this.server.listening) return;
    this.server.close();
    await once(this.server, 'close');
  }
}
