import { Agent, type Dispatcher, Pool, ProxyAgent, request } from 'undici';
import type { Clock } from '../../lib/clock.ts';
import { errorCodeOf } from '../../lib/errors/ferry-error.ts';
import { fixedProxy, type ProxySetting, proxyFor } from '../../lib/net/proxy.ts';
import { readTls, type TlsOptions, type TlsSettings } from '../../lib/net/tls.ts';
import { type TransportFailure, transportFailure } from '../../lib/net/transport-failure.ts';
import { TokenSourceError } from '../sources/token-source.ts';
import { BodyTooLarge, MAX_BODY_BYTES, readBody } from './issuer-body.ts';

/** One request to an issuer, complete. */
export interface IssuerRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

/** An issuer's response of any status, with its whole body. */
export interface IssuerResponse {
  readonly status: number;
  /** Lower-case names; several `set-cookie` stay several. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  readonly sentWallMs: number;
  readonly receivedWallMs: number;
  /** The issuer's own time by its `Date` header: whole seconds, cut off. */
  readonly serverDateWallMs?: number;
}

/** The wall clock to compare absolute times with: the issuer's own if its response states it. */
export function issuerNowMs(response: IssuerResponse): number {
  return response.serverDateWallMs ?? response.receivedWallMs;
}

/** A header's value, the first of several. */
export function headerOf(response: IssuerResponse, name: string): string | undefined {
  return first(response.headers[name.toLowerCase()]);
}

function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

/** How an issuer is reached: settings that `oauth2` and `http` sources share. */
export interface ConnectionSettings {
  readonly tls?: TlsSettings;
  readonly proxy?: ProxySetting;
}

interface IssuerClientOptions {
  /** The source's name and the setting with the URL, which begin every message: `corp: token_url: …`. */
  readonly source: string;
  readonly field: string;
  readonly connection: ConnectionSettings;
  /** What relative paths in `tls` are relative to. */
  readonly baseDir: string | undefined;
}

interface CallContext {
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/** Sends one request; rejects when there is no whole response. */
export type SendToIssuer = (issuerRequest: IssuerRequest) => Promise<IssuerResponse>;

/**
 * The HTTP of token sources: one call, one response. Redirects are responses and not followed: a login page is no place
 * for a secret. A connection that is reset before the response is replaced at once, one time, since pooled sockets go
 * stale between renewals.
 */
export class IssuerClient {
  /** The certificates in use; they belong to the source's key, so that a renewed certificate makes another source. */
  readonly tls: TlsOptions;
  readonly #options: IssuerClientOptions;
  #dispatcher: Dispatcher;

  /** Throws `TokenSourceError`: foreign errors are replaced, as they quote proxy URLs with their passwords. */
  constructor(options: IssuerClientOptions) {
    this.#options = options;
    const { source, connection, baseDir } = options;
    const invalid = (what: string) => new TokenSourceError(`${source}: ${what}`, { severity: 'credentials' });
    try {
      this.tls = readTls(connection.tls, baseDir);
    } catch (error) {
      throw invalid(`tls: cannot read a file (${errorCodeOf(error) ?? 'unknown error'})`);
    }
    try {
      this.#dispatcher = makeDispatcher(this.tls, connection.proxy);
    } catch {
      throw invalid('proxy: must be a URL such as http://proxy:3128, or "environment"');
    }
  }

  /**
   * `exchange` builds a request and sends it. It is called again for the retry: signatures, assertions and nonces must
   * not be sent twice. Rejects with a transient `TokenSourceError` when there is no whole response.
   */
  async call(
    exchange: (send: SendToIssuer) => Promise<IssuerResponse>,
    context: CallContext,
  ): Promise<IssuerResponse> {
    const send: SendToIssuer = (issuerRequest) => this.#send(issuerRequest, context);
    try {
      return await exchange(send);
    } catch (error) {
      const isRetried =
        error instanceof SendError && this.#failureOf(error).stage === 'reset' && !context.signal.aborted;
      if (!isRetried) throw this.#describe(error, context.signal);
    }
    this.#reconnect();
    try {
      return await exchange(send);
    } catch (error) {
      throw this.#describe(error, context.signal);
    }
  }

  async close(): Promise<void> {
    await this.#dispatcher.destroy();
  }

  async #send({ method, url, headers, body }: IssuerRequest, context: CallContext): Promise<IssuerResponse> {
    const sentWallMs = context.clock.wallMs();
    const response = await request(url, {
      dispatcher: this.#dispatcher,
      method: method as Dispatcher.HttpMethod,
      headers: {
        accept: 'application/json',
        'accept-encoding': 'identity',
        'user-agent': 'tokenferry',
        ...headers,
      },
      body,
      signal: context.signal,
    }).catch((cause: unknown) => {
      throw new SendError(url, cause);
    });
    const text = await readBody(response.body, {
      contentEncoding: first(response.headers['content-encoding']),
      contentType: first(response.headers['content-type']),
    }).catch((cause: unknown) => {
      throw cause instanceof BodyTooLarge ? cause : new BodyError(cause);
    });
    const date = Date.parse(String(response.headers.date));
    return {
      status: response.statusCode,
      headers: response.headers,
      body: text,
      sentWallMs,
      receivedWallMs: context.clock.wallMs(),
      ...(Number.isNaN(date) ? {} : { serverDateWallMs: date }),
    };
  }

  /** All pooled sockets may be as stale as the one that broke. */
  #reconnect(): void {
    const stale = this.#dispatcher;
    this.#dispatcher = makeDispatcher(this.tls, this.#options.connection.proxy);
    stale.close().catch(() => {});
  }

  /** Errors of the exchange itself (a chained source without a token, a template) pass through. */
  #describe(error: unknown, signal: AbortSignal): unknown {
    const isOwn = error instanceof SendError || error instanceof BodyError || error instanceof BodyTooLarge;
    if (!isOwn) return error;
    const target = error instanceof SendError ? { target: this.#targetOf(error) } : {};
    return new TokenSourceError(
      `${this.#options.source}: ${this.#options.field}: ${this.#words(error, signal)}`,
      target,
    );
  }

  /** What was called: a proxy that could not be reached stands before the issuer. */
  #targetOf(error: SendError): string {
    const isConnecting = this.#failureOf(error).stage === 'connect';
    const proxy = isConnecting ? proxyFor(error.url, this.#options.connection.proxy, process.env) : null;
    return hostAndPort(proxy ?? error.url);
  }

  #words(error: SendError | BodyError | BodyTooLarge, signal: AbortSignal): string {
    if (signal.aborted) return 'no complete response before the attempt was aborted';
    if (error instanceof BodyTooLarge) return `response body larger than ${MAX_BODY_BYTES / 1024} KiB`;
    if (error instanceof BodyError) return 'connection broken in the middle of the response';
    const { code, text } = this.#failureOf(error);
    return code === 'UND_ERR_SOCKET' ? `${text}${this.#closedHint(error.url)}` : text;
  }

  #failureOf({ cause }: SendError): TransportFailure {
    return transportFailure(cause, fixedProxy(this.#options.connection.proxy) !== null);
  }

  /** A server that closes without a response has often met something else than it expects. */
  #closedHint(url: string): string {
    if (!/^https:/i.test(url)) return ': is HTTPS served where http:// is configured?';
    return this.tls.cert === undefined
      ? ': is a client certificate required (tls.cert and tls.key)?'
      : ': is tls.cert accepted there?';
  }
}

/** With the port, which is what is often wrong. */
function hostAndPort(url: string): string {
  const { hostname, port, protocol } = new URL(url);
  return `${hostname}:${port === '' ? (protocol === 'https:' ? 443 : 80) : port}`;
}

/** The request failed before any status came back; `cause` is the failure. */
class SendError extends Error {
  readonly url: string;

  constructor(url: string, cause: unknown) {
    super('no response', { cause });
    this.name = 'SendError';
    this.url = url;
  }
}

/** The body could not be received or decompressed. */
class BodyError extends Error {
  constructor(cause: unknown) {
    super('incomplete body', { cause });
    this.name = 'BodyError';
  }
}

const CONNECT_TIMEOUT_MS = 3_000;
/** The caller's signal ends a call long before; this is for a caller without one. */
const RESPONSE_TIMEOUT_MS = 120_000;
/** One flight at a time is the rule; a few more for sources that share an issuer by accident. */
const MAX_CONNECTIONS = 4;

/** The connections of one issuer: its own certificates, its own proxy, shared with no other source. */
function makeDispatcher(tls: TlsOptions, proxy: ProxySetting | undefined): Dispatcher {
  const common = {
    connections: MAX_CONNECTIONS,
    headersTimeout: RESPONSE_TIMEOUT_MS,
    bodyTimeout: RESPONSE_TIMEOUT_MS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    connect: { ...tls, timeout: CONNECT_TIMEOUT_MS },
  };
  const through = (uri: string): Dispatcher => new ProxyAgent({ ...common, uri, requestTls: tls });
  const fixed = fixedProxy(proxy);
  if (fixed !== null) return through(fixed);
  // One source may call several origins, and NO_PROXY may exempt some.
  return new Agent({
    ...common,
    factory: (origin, options) => {
      const found = proxyFor(origin, proxy, process.env);
      return found === null ? new Pool(origin, options) : through(found);
    },
  });
}
