import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { FerryError } from '../errors.ts';
import type { Secret } from '../secret.ts';
import type { Lease, OutgoingRequest } from '../tokens/lease.ts';
import { PlacementError } from '../tokens/placement.ts';
import { isTokenRejection, type RejectionRules } from '../tokens/rejection.ts';
import type { TokenHolder } from '../tokens/token-holder.ts';
import { TokenUnavailable } from '../tokens/token-unavailable.ts';
import { AttemptTimer } from './attempt-timer.ts';
import { type ConnectionSettings, Connections } from './connections.ts';
import { exchange, StaleSocketError, type WireRequest } from './exchange.ts';
import { type HeaderSettings, RequestHeaders } from './request-headers.ts';
import { type PathSettings, UpstreamPaths } from './request-path.ts';
import { SdkClient, UpstreamStatusError } from './sdk-client.ts';
import type { UpstreamReply } from './upstream-reply.ts';

/** Where an upstream's credentials come from. */
export type UpstreamCredentials =
  | { readonly kind: 'none' }
  /** A static key, sent as `Authorization: <scheme> <key>`. */
  | { readonly kind: 'key'; readonly key: Secret; readonly scheme: 'Bearer' | 'Token' }
  /** `sk: asis`: the client's own `Authorization` header. */
  | { readonly kind: 'as_is' }
  | {
      readonly kind: 'token';
      readonly holder: TokenHolder;
      readonly reject: RejectionRules;
      /** The longest that a request waits for this token. */
      readonly maxWaitMs: number;
    };

type TokenCredentials = Extract<UpstreamCredentials, { readonly kind: 'token' }>;

export interface UpstreamClientSettings {
  readonly name: string;
  readonly connection: ConnectionSettings;
  readonly paths: PathSettings;
  readonly headers: HeaderSettings;
  readonly credentials: UpstreamCredentials;
}

/** One attempt, as routing asks for it. */
export interface UpstreamCall {
  readonly method: string;
  /** What follows our `/v1`, with a leading slash, and the client's query without `?`. */
  readonly path: string;
  readonly query: string;
  /** The upstream's own name of the model, for path templates. */
  readonly model: string;
  readonly clientHeaders: IncomingHttpHeaders;
  /** A stream can be sent once only: no replay, no second try on a stale socket. */
  readonly body: Buffer | Readable | null;
  /** The length of a stream; null and absent: unknown, so it goes out in chunks. */
  readonly streamBytes?: number | null;
  readonly isJson: boolean;
  readonly signal: AbortSignal;
  readonly timer: AttemptTimer;
  /** From sending to the response's headers; 0 = no limit. Does not include the wait for a token. */
  readonly headersTimeoutMs: number;
  /** How long a token may be waited for. */
  readonly tokenWaitMs: number;
  /** What of the upstream's own longest wait the request has used up elsewhere. */
  readonly tokenWaitedMs: number;
}

/** Talks to one upstream: prepared headers and paths, a pool of connections, the token and its one replay. */
export class UpstreamClient {
  readonly name: string;
  readonly credentials: UpstreamCredentials;
  readonly #connections: Connections;
  readonly #paths: UpstreamPaths;
  readonly #headers: RequestHeaders;
  readonly #sdk: SdkClient;

  constructor(settings: UpstreamClientSettings) {
    this.name = settings.name;
    this.credentials = settings.credentials;
    this.#connections = new Connections(settings.connection);
    this.#paths = new UpstreamPaths(settings.paths);
    this.#headers = new RequestHeaders(settings.headers);
    this.#sdk = new SdkClient(settings.paths.endpoint.href);
  }

  /** False: a request would have to wait for the issuer. Asking starts a renewal that is due. */
  hasToken(): boolean {
    return this.credentials.kind !== 'token' || this.credentials.holder.isReady();
  }

  /**
   * One JSON or SSE call. Resolves at the headers of a 2xx reply. Rejects with `UpstreamStatusError` for any other
   * status and with `FerryError` for everything else.
   */
  call(call: UpstreamCall): Promise<UpstreamReply> {
    const method = call.method === 'GET' ? 'get' : 'post';
    return this.#sdk.call({ method, send: () => this.send(call) });
  }

  /**
   * `GET /models` for ourselves rather than for a client: resolves at the headers of a 2xx reply, rejects as `call`
   * does and when nothing came within `patienceMs`. Costs the upstream no tokens, so it also tells whether it is there.
   */
  async askModels(patienceMs: number): Promise<UpstreamReply> {
    const controller = new AbortController();
    const timer = new AttemptTimer((error) => controller.abort(error));
    const reply = await this.call({
      method: 'GET',
      path: '/models',
      query: '',
      model: '',
      clientHeaders: { accept: 'application/json' },
      body: null,
      isJson: false,
      signal: controller.signal,
      timer,
      headersTimeoutMs: patienceMs,
      tokenWaitMs: patienceMs,
      tokenWaitedMs: 0,
    }).catch((error: unknown) => {
      timer.clear();
      throw error;
    });
    // The limit runs on over the body; it ends with the body or ends it.
    if (reply.body.isSettled) timer.clear();
    else reply.body.onSettled = () => timer.clear();
    return reply;
  }

  /** Any request at all, with any status as its answer: pass-through. Rejects with `FerryError`. */
  async send(call: UpstreamCall): Promise<UpstreamReply> {
    const { credentials } = this;
    if (credentials.kind !== 'token') return this.#sendOn(call, null);
    const lease = credentials.holder.peek() ?? (await this.#waitForToken(credentials, call));
    const reply = await this.#sendOn(call, lease);
    if (!this.#refusesToken(reply, null)) {
      if (!this.hasBodyMatchers) this.#accepted(reply);
      return reply;
    }
    return (
      (await this.#replay(call, lease, reply.status, () => reply.body.destroy(new Error('token renewed')))) ??
      reply
    );
  }

  /**
   * For a rejection that was found in the body of a 2xx reply: renews the token and sends the call once more. Null
   * when it must not be replayed (it was already, or no other token is to be had). Nothing of `rejected` may have
   * been forwarded.
   */
  async replay(call: UpstreamCall, rejected: UpstreamReply): Promise<UpstreamReply | null> {
    if (rejected.lease === null) return null;
    if (rejected.isReplayed) {
      if (this.credentials.kind === 'token') this.credentials.holder.reportRejected(rejected.lease);
      return null;
    }
    const reply = await this.#replay(call, rejected.lease, rejected.status, () =>
      rejected.body.destroy(new Error('token renewed')),
    );
    if (reply !== null && !reply.ok) throw new UpstreamStatusError(reply, await reply.text());
    return reply;
  }

  /** With `reject.body` only the body tells whether a token was good; whoever has read it says so. */
  acceptedAfterReading(reply: UpstreamReply): void {
    if (this.hasBodyMatchers) this.#accepted(reply);
  }

  /** Whether the beginning of a 2xx reply's body says that the token is no longer good (`reject.body`). */
  refusesTokenIn(reply: UpstreamReply, bodyText: string): boolean {
    const { credentials } = this;
    return (
      credentials.kind === 'token' &&
      credentials.reject.body.length > 0 &&
      this.#refusesToken(reply, bodyText)
    );
  }

  /** True: `reject.body` is configured, so bodies have to be looked at before anything of them is forwarded. */
  get hasBodyMatchers(): boolean {
    return this.credentials.kind === 'token' && this.credentials.reject.body.length > 0;
  }

  async close(): Promise<void> {
    await this.#connections.close();
  }

  async #replay(
    call: UpstreamCall,
    lease: Lease,
    status: number,
    discard: () => void,
  ): Promise<UpstreamReply | null> {
    const { credentials } = this;
    if (credentials.kind !== 'token' || (call.body !== null && !Buffer.isBuffer(call.body))) return null;
    call.timer.clear();
    const renewed = await credentials.holder
      .renewAfter(lease, { signal: call.signal, maxWaitMs: call.tokenWaitMs, status })
      .catch((error: unknown) => {
        if (error instanceof TokenUnavailable) return null;
        throw error;
      });
    if (renewed === null) return null;
    discard();
    const reply = await this.#sendOn(call, renewed);
    reply.isReplayed = true;
    if (this.#refusesToken(reply, null)) credentials.holder.reportRejected(renewed);
    else if (!this.hasBodyMatchers) this.#accepted(reply);
    return reply;
  }

  #refusesToken(reply: UpstreamReply, bodyText: string | null): boolean {
    const { credentials } = this;
    if (credentials.kind !== 'token') return false;
    return isTokenRejection(
      reply.status,
      (name) => reply.headers.get(name) ?? undefined,
      bodyText,
      credentials.reject,
    );
  }

  /** Only a success proves a token: proxies answer 502 without having looked at it. */
  #accepted(reply: UpstreamReply): void {
    const { credentials } = this;
    if (credentials.kind === 'token' && reply.ok && reply.lease !== null)
      credentials.holder.reportAccepted(reply.lease);
  }

  async #waitForToken({ holder, maxWaitMs }: TokenCredentials, call: UpstreamCall): Promise<Lease> {
    const leftMs = Math.max(0, maxWaitMs - call.tokenWaitedMs);
    try {
      return await holder.get({ signal: call.signal, maxWaitMs: Math.min(call.tokenWaitMs, leftMs) });
    } catch (error) {
      if (!(error instanceof TokenUnavailable)) throw error;
      throw new FerryError('token_unavailable', {
        message: `Upstream "${this.name}" cannot be used now: ${error.message}. GET /readyz says more.`,
        retryAfterMs: error.retryAfterMs,
        ...(error.detail === null ? {} : { detail: error.detail }),
        cause: error,
      });
    }
  }

  async #sendOn(call: UpstreamCall, lease: Lease | null): Promise<UpstreamReply> {
    const request = this.#prepare(call, lease);
    const control = { upstream: this.name, signal: call.signal, timer: call.timer };
    call.timer.start(call.headersTimeoutMs, () => this.#noHeaders(call));
    for (let isRetry = false; ; isRetry = true) {
      try {
        const reply = await exchange(this.#connections, request, control);
        reply.lease = lease;
        return reply;
      } catch (error) {
        if (!(error instanceof StaleSocketError)) throw error;
        const isReplayable = call.body === null || Buffer.isBuffer(call.body);
        if (isReplayable && !isRetry) continue;
        throw new FerryError('unreachable', {
          message: `Upstream "${this.name}" closed the connection before it answered. Check that it is running.`,
          cause: error.cause,
        });
      }
    }
  }

  #prepare(call: UpstreamCall, lease: Lease | null): WireRequest {
    const headers = this.#headers.build(call.clientHeaders);
    if (typeof call.streamBytes === 'number') headers.push('content-length', String(call.streamBytes));
    const { credentials } = this;
    if (credentials.kind === 'key')
      headers.push('authorization', `${credentials.scheme} ${credentials.key.reveal()}`);
    else if (credentials.kind === 'as_is' && call.clientHeaders.authorization !== undefined) {
      headers.push('authorization', call.clientHeaders.authorization);
    }
    const path = this.#paths.build(call.path, call.query, call.model);
    if (lease === null) return { method: call.method, path, headers, body: call.body };
    const isBuffered = call.body === null || Buffer.isBuffer(call.body);
    const outgoing: OutgoingRequest = {
      path,
      headers,
      body: isBuffered ? (call.body as Buffer | null) : null,
      isJson: call.isJson && isBuffered,
    };
    this.#place(lease, outgoing);
    return {
      method: call.method,
      path: outgoing.path,
      headers: outgoing.headers,
      body: isBuffered ? outgoing.body : call.body,
    };
  }

  #place(lease: Lease, request: OutgoingRequest): void {
    try {
      lease.apply(request);
    } catch (error) {
      if (!(error instanceof PlacementError)) throw error;
      throw new FerryError('upstream_misconfigured', {
        message: `The token for upstream "${this.name}" cannot be placed into this request: ${error.message}`,
        cause: error,
      });
    }
  }

  #noHeaders(call: UpstreamCall): FerryError {
    return new FerryError('timeout', {
      message: `Upstream "${this.name}" did not answer within ${call.headersTimeoutMs / 1000} s.`,
    });
  }
}
