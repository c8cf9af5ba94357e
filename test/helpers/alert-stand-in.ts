import {
  createServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { createServer as createTcpServer, type Server } from 'node:net';
import { LoopbackServer } from './loopback-server.ts';

export interface ReceivedAlert {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

type Respond = (received: ReceivedAlert, response: ServerResponse) => void;

/** A service that receives alerts by HTTP: keeps each request and responds as told, `ok` unless told otherwise. */
export class AlertStandIn extends LoopbackServer<HttpServer> {
  readonly received: ReceivedAlert[] = [];
  /** Never calling `end` is a service that hangs. */
  respond: Respond;

  constructor(respond: Respond = (_received, response) => void response.end('ok')) {
    super(createServer());
    this.respond = respond;
    this.server.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => void chunks.push(chunk));
      request.on('end', () => {
        const { method = '', url = '', headers } = request;
        const received = { method, path: url, headers, body: Buffer.concat(chunks).toString() };
        this.received.push(received);
        this.respond(received, response);
      });
    });
  }

  static start(respond?: Respond): Promise<AlertStandIn> {
    return new AlertStandIn(respond).listening();
  }

  /** With this path. */
  at(path: string): string {
    return `http://127.0.0.1:${this.port}${path}`;
  }

  /** The bodies as JSON. */
  get bodies(): Record<string, unknown>[] {
    return this.received.map(({ body }) => JSON.parse(body) as Record<string, unknown>);
  }
}

/** An SMTP server (RFC 5321) without TLS that accepts every message of the right user. */
export class MailStandIn extends LoopbackServer<Server> {
  /** The commands of all sessions, without the data. */
  readonly commands: string[] = [];
  readonly messages: string[] = [];
  /** The reply to RCPT. */
  recipientReply = '250 2.1.5 OK';

  constructor() {
    super(createTcpServer());
    this.server.on('connection', (socket) => {
      let buffered = '';
      let isData = false;
      socket.setEncoding('utf8');
      socket.write('220 mail.corp.example ESMTP\r\n');
      socket.on('data', (text: string) => {
        buffered += text;
        for (;;) {
          const end = buffered.indexOf(isData ? '\r\n.\r\n' : '\r\n');
          if (end === -1) return;
          const line = buffered.slice(0, end);
          buffered = buffered.slice(end + (isData ? 5 : 2));
          if (isData) {
            this.messages.push(line);
            isData = false;
            socket.write('250 2.0.0 OK queued as 4711\r\n');
            continue;
          }
          this.commands.push(line);
          isData = /^DATA/i.test(line);
          socket.write(`${this.#reply(line)}\r\n`);
        }
      });
    });
  }

  #reply(line: string): string {
    if (/^EHLO/i.test(line)) return '250-mail.corp.example\r\n250 AUTH PLAIN';
    if (/^AUTH/i.test(line)) return '235 2.7.0 Authentication successful';
    if (/^RCPT/i.test(line)) return this.recipientReply;
    if (/^DATA/i.test(line)) return '354 End data with <CR><LF>.<CR><LF>';
    return /^QUIT/i.test(line) ? '221 bye' : '250 2.1.0 OK';
  }
}
