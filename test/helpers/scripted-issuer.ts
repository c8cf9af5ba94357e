import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import { buffer } from 'node:stream/consumers';
import type { TLSSocket } from 'node:tls';
import { LoopbackServer } from './loopback-server.ts';

/** What one call is answered with. Every field is optional; `{}` is the well-behaved OAuth2 answer. */
export interface ScriptedAnswer {
  /** Milliseconds from the whole request to the first byte of the answer. */
  readonly delayMs?: number;
  /** 200 by default. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  /** Instead of the token: text as it is, anything else as JSON. A function gets the freshly issued token. */
  readonly body?: unknown | ((token: IssuedToken, call: IssuerCall) => unknown);
  /** The request is read and never answered. */
  readonly hang?: boolean;
  /** The connection is reset: before the answer, or after the headers and half of the body. */
  readonly reset?: 'before' | 'within';
  /** The body is sent in pieces of so many bytes, one every `everyMs`. */
  readonly drip?: { readonly bytes: number; readonly everyMs: number };
  /** The token of the previous call once more, its expiry counting down, as Feishu or IMDS do. */
  readonly sameToken?: boolean;
  /** Issuing this token kills all earlier ones, as WeChat does. */
  readonly exclusive?: boolean;
  /** The life of the token in milliseconds; 300,000 by default. */
  readonly lifetimeMs?: number;
  /** How far the issuer's own clock (its `Date` header, its absolute times) is ahead; may be negative. */
  readonly clockOffsetMs?: number;
  /** The token dies so many milliseconds after it was issued, whatever its expiry says. */
  readonly revokeAfterMs?: number;
}

/** One token that was handed out. */
export interface IssuedToken {
  readonly value: string;
  /** 1 for the first token of this issuer. */
  readonly serial: number;
  readonly lifetimeMs: number;
  /** Milliseconds left now: less than `lifetimeMs` when the token is handed out again. */
  readonly remainingMs: number;
  /** On the issuer's own clock, `clockOffsetMs` included. */
  readonly expiresAtWallMs: number;
}

/** One request as it arrived. */
export interface IssuerCall {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  /** `body` read as a form; empty for other content types. */
  readonly form: URLSearchParams;
  /** Serial of the connection, to see whether a socket was used again. */
  readonly connection: number;
  /** The subject of the client's certificate, with mutual TLS only. */
  readonly clientCertificate: string | undefined;
}

export interface ScriptedIssuerOptions extends ScriptedAnswer {
  /** Serves HTTPS: certificate and key in PEM; `ca`, `requestCert` and the rest of Node's options as they are. */
  readonly tls?: ServerOptions;
  /** The issuer's clock before `clockOffsetMs`; hand in a virtual one to let tokens end without waiting. */
  readonly nowMs?: () => number;
  /** How a token's value is made from its serial number. */
  readonly makeToken?: (serial: number, issuer: ScriptedIssuer) => string;
}

interface LiveToken {
  readonly diesAtMs: number;
}

/**
 * A real HTTP(S) issuer on 127.0.0.1 whose every answer can be scripted.
 *
 * ```ts
 * const issuer = await ScriptedIssuer.start({ lifetimeMs: 300_000 });
 * issuer.script({ status: 503 }, { hang: true });    // the next two calls; after them the defaults again
 * issuer.defaults({ exclusive: true });              // what every unscripted call does from now on
 * issuer.tokenUrl; issuer.callCount; issuer.maxConcurrent; issuer.isLive(token); issuer.revoke(token);
 * await issuer.close();
 * ```
 * Without a script it is an OAuth2 token endpoint on every path: `{ access_token, token_type, expires_in }`.
 * Options of an answer are looked up in the script first, then in the defaults.
 */
export class ScriptedIssuer extends LoopbackServer {
  /** Every request so far, oldest first. */
  readonly calls: IssuerCall[] = [];
  /** Requests that are being answered right now, hanging ones included. */
  concurrent = 0;
  maxConcurrent = 0;
  /** Called for each request when it was read whole. */
  onCall: (() => void) | null = null;
  readonly #options: ScriptedIssuerOptions;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #live = new Map<string, LiveToken>();
  #script: ScriptedAnswer[] = [];
  #defaults: ScriptedAnswer;
  #serial = 0;
  #last: { value: string; lifetimeMs: number; issuedAtMs: number } | undefined;

  private constructor(options: ScriptedIssuerOptions) {
    super(options.tls === undefined ? createServer() : createTlsServer(options.tls));
    this.#options = options;
    this.#defaults = options;
    this.server.on('request', (request, response) => void this.#serve(request, response));
  }

  static start(options: ScriptedIssuerOptions = {}): Promise<ScriptedIssuer> {
    return new ScriptedIssuer(options).listening();
  }

  /** Scheme, host and port; `localhost` under TLS, so that a certificate for it fits. */
  get origin(): string {
    return this.#options.tls === undefined
      ? `http://127.0.0.1:${this.port}`
      : `https://localhost:${this.port}`;
  }

  get tokenUrl(): string {
    return `${this.origin}/oauth2/token`;
  }

  /** What a configuration says of a token from here. */
  get source() {
    return {
      type: 'oauth2',
      token_url: this.tokenUrl,
      client_id: 'app',
      client_secret: 'secret-of-the-app',
    };
  }

  get callCount(): number {
    return this.calls.length;
  }

  /** Tokens handed out so far, repeated ones counted once. */
  get issuedCount(): number {
    return this.#serial;
  }

  get lastCall(): IssuerCall {
    const call = this.calls.at(-1);
    if (call === undefined) throw new Error('the issuer was not called');
    return call;
  }

  /** Answers for the next calls, in order, behind those already scripted. */
  script(...answers: ScriptedAnswer[]): void {
    this.#script.push(...answers);
  }

  /** What every unscripted call does from now on, over what `start` was given. */
  defaults(answer: ScriptedAnswer): void {
    this.#defaults = { ...this.#options, ...answer };
  }

  /** Whether an upstream would accept this token now: issued, not revoked, not ended. */
  isLive(token: string): boolean {
    const entry = this.#live.get(token);
    return entry !== undefined && this.#nowMs() < entry.diesAtMs;
  }

  /** All tokens that are alive now. */
  get liveTokens(): string[] {
    return [...this.#live.keys()].filter((token) => this.isLive(token));
  }

  revoke(token: string): void {
    this.#live.delete(token);
  }

  revokeAll(): void {
    this.#live.clear();
  }

  override async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    await super.close();
  }

  #nowMs(): number {
    return this.#options.nowMs?.() ?? Date.now();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.concurrent++;
    this.maxConcurrent = Math.max(this.maxConcurrent, this.concurrent);
    response.on('close', () => void this.concurrent--);
    const body = await buffer(request).catch(() => null);
    if (body === null) return; // the caller left while it was still sending
    const call = this.#record(request, body.toString('utf8'));
    const answer: ScriptedAnswer = { ...this.#defaults, ...this.#script.shift() };
    if (answer.delayMs !== undefined) await this.#wait(answer.delayMs);
    if (answer.hang === true || response.destroyed) return;
    if (answer.reset === 'before') {
      request.socket.resetAndDestroy();
      return;
    }
    await this.#answer(answer, call, response);
  }

  #record(request: IncomingMessage, body: string): IssuerCall {
    const url = new URL(request.url ?? '/', 'http://issuer');
    const isForm = request.headers['content-type']?.startsWith('application/x-www-form-urlencoded') === true;
    const subject = (request.socket as Partial<TLSSocket>).getPeerCertificate?.()?.subject;
    const name = subject?.CN;
    const call: IssuerCall = {
      method: request.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body,
      form: new URLSearchParams(isForm ? body : ''),
      connection: this.sockets.get(request.socket) ?? 0,
      clientCertificate: Array.isArray(name) ? name[0] : name,
    };
    this.calls.push(call);
    this.onCall?.();
    return call;
  }

  async #answer(answer: ScriptedAnswer, call: IssuerCall, response: ServerResponse): Promise<void> {
    const { text, isJson } = this.#bodyOf(answer, call);
    response.statusCode = answer.status ?? 200;
    response.setHeader('content-type', isJson ? 'application/json' : 'text/plain');
    response.setHeader('date', new Date(this.#nowMs() + (answer.clockOffsetMs ?? 0)).toUTCString());
    for (const [name, value] of Object.entries(answer.headers ?? {})) response.setHeader(name, value);
    const bytes = Buffer.from(text);
    if (answer.reset === 'within') {
      response.setHeader('content-length', bytes.length);
      response.write(bytes.subarray(0, Math.ceil(bytes.length / 2)), () =>
        response.socket?.resetAndDestroy(),
      );
      return;
    }
    if (answer.drip === undefined) {
      response.end(bytes);
      return;
    }
    for (let at = 0; at < bytes.length && !response.destroyed; at += answer.drip.bytes) {
      response.write(bytes.subarray(at, at + answer.drip.bytes));
      await this.#wait(answer.drip.everyMs);
    }
    response.end();
  }

  #bodyOf(answer: ScriptedAnswer, call: IssuerCall): { text: string; isJson: boolean } {
    const isRefusal = answer.status !== undefined && answer.status >= 400;
    let body: unknown = answer.body;
    if (body === undefined && isRefusal) body = { error: 'scripted_refusal' };
    if (typeof body === 'function') body = body(this.#issue(answer), call) as unknown;
    if (body === undefined) {
      const token = this.#issue(answer);
      body = {
        access_token: token.value,
        token_type: 'Bearer',
        expires_in: Math.round(token.remainingMs / 1000),
      };
    }
    return typeof body === 'string'
      ? { text: body, isJson: false }
      : { text: JSON.stringify(body), isJson: true };
  }

  #issue(answer: ScriptedAnswer): IssuedToken {
    const nowMs = this.#nowMs();
    if (answer.exclusive === true && answer.sameToken !== true) this.#live.clear();
    if (answer.sameToken !== true || this.#last === undefined) {
      const serial = ++this.#serial;
      const value = this.#options.makeToken?.(serial, this) ?? `token-${serial}-of-${this.port}`;
      const lifetimeMs = answer.lifetimeMs ?? 300_000;
      this.#last = { value, lifetimeMs, issuedAtMs: nowMs };
      this.#live.set(value, { diesAtMs: nowMs + Math.min(lifetimeMs, answer.revokeAfterMs ?? Infinity) });
    }
    const { value, lifetimeMs, issuedAtMs } = this.#last;
    const remainingMs = issuedAtMs + lifetimeMs - nowMs;
    const expiresAtWallMs = issuedAtMs + lifetimeMs + (answer.clockOffsetMs ?? 0);
    return { value, serial: this.#serial, lifetimeMs, remainingMs, expiresAtWallMs };
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        resolve();
      }, ms);
      this.#timers.add(timer);
    });
  }
}
