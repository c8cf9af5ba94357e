import { type Dispatcher, request } from 'undici';
import type { Clock } from '../../lib/clock.ts';
import { TokenSourceError } from '../sources/token-source.ts';
import { BodyTooLong, LONGEST_BODY_BYTES, readBody } from './issuer-body.ts';
import { makeDispatcher, type ProxySetting } from './issuer-dispatcher.ts';
import { describeFailure, isReset } from './issuer-failure.ts';
import type { TlsMaterial } from './issuer-tls.ts';

/** One request to an issuer, complete. */
export interface IssuerRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

/** An issuer's answer of whatever status, body read. */
export interface IssuerReply {
  readonly status: number;
  /** Lower-case names; several `set-cookie` stay several. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  readonly sentWallMs: number;
  readonly receivedWallMs: number;
  /** The issuer's own time by its `Date` header: whole seconds, cut off. */
  readonly serverDateWallMs?: number;
}

/** The wall clock to read absolute times against: the issuer's own if it told it. */
export function issuerNowMs(reply: IssuerReply): number {
  return reply.serverDateWallMs ?? reply.receivedWallMs;
}

/** A header's value, the first of several. */
export function headerOf(reply: IssuerReply, name: string): string | undefined {
  return first(reply.headers[name.toLowerCase()]);
}

function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

interface IssuerClientOptions {
  /** Begins every message: `corp: token_url`. */
  readonly label: string;
  readonly tls: TlsMaterial;
  readonly proxy?: ProxySetting | undefined;
}

/**
 * The HTTP of token sources: one call, one answer. Redirects are answers, not followed: a login page is no place
 * for a secret. A connection that is reset before the answer is replaced at once, one time: pooled sockets go
 * stale between renewals.
 */
export class IssuerClient {
  readonly #options: IssuerClientOptions;
  #dispatcher: Dispatcher;

  constructor(options: IssuerClientOptions) {
    this.#options = options;
    this.#dispatcher = makeDispatcher(options.tls, options.proxy);
  }

  /**
   * `make` builds the request and is asked again for the retry: signatures, assertions and nonces must not be
   * sent twice. Rejects with a transient `TokenSourceError` when there is no whole answer.
   */
  async call(
    make: () => IssuerRequest | Promise<IssuerRequest>,
    context: { readonly signal: AbortSignal; readonly clock: Clock },
  ): Promise<IssuerReply> {
    const first = await make();
    try {
      return await this.#send(first, context);
    } catch (error) {
      const isWorthAnother = error instanceof NoAnswer && isReset(error.cause) && !context.signal.aborted;
      if (!isWorthAnother) throw this.#describe(error, first.url, context.signal);
    }
    this.#reconnect();
    const second = await make();
    try {
      return await this.#send(second, context);
    } catch (error) {
      throw this.#describe(error, second.url, context.signal);
    }
  }

  async close(): Promise<void> {
    await this.#dispatcher.destroy();
  }

  async #send(
    issuerRequest: IssuerRequest,
    context: { readonly signal: AbortSignal; readonly clock: Clock },
  ): Promise<IssuerReply> {
    const { method, url, headers, body } = issuerRequest;
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
      throw new NoAnswer(cause);
    });
    const text = await readBody(response.body, {
      contentEncoding: first(response.headers['content-encoding']),
      contentType: first(response.headers['content-type']),
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
    this.#dispatcher = makeDispatcher(this.#options.tls, this.#options.proxy);
    stale.close().catch(() => {});
  }

  #describe(error: unknown, url: string, signal: AbortSignal): TokenSourceError {
    const { label, tls, proxy } = this.#options;
    if (signal.aborted) {
      return new TokenSourceError(`${label} gave no whole answer before the attempt was given up`);
    }
    if (error instanceof BodyTooLong) {
      return new TokenSourceError(`${label} answered with more than ${LONGEST_BODY_BYTES / 1024} KiB`);
    }
    if (error instanceof NoAnswer) {
      const how = describeFailure(error.cause, {
        isTls: /^https:/i.test(url),
        hasClientCertificate: tls.cert !== undefined,
        isProxied: proxy !== undefined && proxy !== '' && proxy !== 'environment',
      });
      return new TokenSourceError(`${label} ${how}`);
    }
    return new TokenSourceError(`${label} broke off in the middle of its answer`);
  }
}

/** The request failed before any status came back; `cause` says how. */
class NoAnswer extends Error {
  constructor(cause: unknown) {
    super('no answer', { cause });
    this.name = 'NoAnswer';
  }
}
