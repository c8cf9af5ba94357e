import { FerryError } from '../lib/errors/ferry-error.ts';
import { inSeconds } from '../lib/text/format.ts';
import { cleanMessage } from '../lib/text/sanitize.ts';
import type { Lease } from '../tokens/manager/lease.ts';
import { TokenUnavailable } from '../tokens/manager/token-unavailable.ts';
import { isTokenRejection } from '../tokens/placement/rejection.ts';
import { AttemptTimer } from './attempt-timer.ts';
import { type UpstreamResponse, UpstreamStatusError } from './response.ts';
import { SdkClient } from './sdk-client.ts';
import { type ConnectionSettings, Connections } from './transport/connections.ts';
import { exchange, StaleSocketError } from './transport/exchange.ts';
import type { UpstreamCall } from './upstream-call.ts';
import type { TokenCredentials, UpstreamCredentials } from './upstream-credentials.ts';
import { WireRequests, type WireSettings } from './wire-requests.ts';

export type { UpstreamCall } from './upstream-call.ts';
export type { UpstreamCredentials } from './upstream-credentials.ts';

interface UpstreamClientSettings extends WireSettings {
  readonly connection: ConnectionSettings;
}

/** Talks to one upstream: prepared headers and paths, a pool of connections, the token and its one replay. */
export class UpstreamClient {
  readonly name: string;
  readonly credentials: UpstreamCredentials;
  readonly #connections: Connections;
  readonly #requests: WireRequests;
  readonly #sdk: SdkClient;

  constructor(settings: UpstreamClientSettings) {
    this.name = settings.name;
    this.credentials = settings.credentials;
    this.#connections = new Connections(settings.connection);
    this.#requests = new WireRequests(settings);
    this.#sdk = new SdkClient(settings.paths.endpoint.href);
  }

  /** False: a request would have to wait for the issuer. Asking starts a renewal that is due. */
  hasToken(): boolean {
    return this.credentials.kind !== 'token' || this.credentials.manager.isReady();
  }

  /**
   * One JSON or SSE call. Resolves at the headers of a 2xx reply. Rejects with `UpstreamStatusError` for any other
   * status and with `FerryError` for everything else.
   */
  call(call: UpstreamCall): Promise<UpstreamResponse> {
    const method = call.method === 'GET' ? 'get' : 'post';
    return this.#sdk.call({ method, send: () => this.send(call) });
  }

  /**
   * `GET /models` for ourselves rather than for a client: resolves at the headers of a 2xx reply, rejects as `call`
   * does and when nothing came within `patienceMs`. Costs the upstream no tokens, so it also tells whether it is there.
   */
  async fetchModels(patienceMs: number): Promise<UpstreamResponse> {
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
  async send(call: UpstreamCall): Promise<UpstreamResponse> {
    const { credentials } = this;
    if (credentials.kind !== 'token') return this.#sendOn(call, null);
    const lease = credentials.manager.peek() ?? (await this.#waitForToken(credentials, call));
    const reply = await this.#sendOn(call, lease);
    if (!this.#refusesToken(reply, null) && (reply.ok || !(await this.#refusesTokenInError(reply)))) {
      if (!this.hasBodyMatchers) this.#accepted(reply);
      return reply;
    }
    reply.isTokenRejected = true;
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
  async replay(call: UpstreamCall, rejected: UpstreamResponse): Promise<UpstreamResponse | null> {
    if (rejected.lease === null) return null;
    if (rejected.isReplayed) {
      if (this.credentials.kind === 'token') this.credentials.manager.reportRejected(rejected.lease);
      return null;
    }
    const reply = await this.#replay(call, rejected.lease, rejected.status, () =>
      rejected.body.destroy(new Error('token renewed')),
    );
    if (reply !== null && !reply.ok) throw new UpstreamStatusError(reply, await reply.text());
    return reply;
  }

  /** With `reject.body` only the body tells whether a token was good; whoever has read it says so. */
  reportAccepted(reply: UpstreamResponse): void {
    if (this.hasBodyMatchers) this.#accepted(reply);
  }

  /** Whether the beginning of a 2xx reply's body says that the token is no longer good (`reject.body`). */
  rejectsTokenIn(reply: UpstreamResponse, bodyText: string): boolean {
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
  ): Promise<UpstreamResponse | null> {
    const { credentials } = this;
    if (credentials.kind !== 'token' || (call.body !== null && !Buffer.isBuffer(call.body))) return null;
    call.timer.clear();
    const renewed = await credentials.manager
      .renewAfter(lease, { signal: call.signal, maxWaitMs: call.tokenWaitMs, status })
      .catch((error: unknown) => {
        if (error instanceof TokenUnavailable) return null;
        throw error;
      });
    if (renewed === null) return null;
    discard();
    const reply = await this.#sendOn(call, renewed);
    reply.isReplayed = true;
    if (this.#refusesToken(reply, null) || (!reply.ok && (await this.#refusesTokenInError(reply)))) {
      reply.isTokenRejected = true;
      credentials.manager.reportRejected(renewed);
    } else if (!this.hasBodyMatchers || !reply.ok) this.#accepted(reply);
    return reply;
  }

  /** `reject.body` holds for every status, so the text of an error is read before it is anybody's answer. */
  async #refusesTokenInError(reply: UpstreamResponse): Promise<boolean> {
    return this.hasBodyMatchers && this.#refusesToken(reply, await reply.text());
  }

  #refusesToken(reply: UpstreamResponse, bodyText: string | null): boolean {
    const { credentials } = this;
    if (credentials.kind !== 'token') return false;
    return isTokenRejection(
      reply.status,
      (name) => reply.headers.get(name) ?? undefined,
      bodyText,
      credentials.reject,
    );
  }

  /**
   * A success proves a token. So does any other response to a replay, which was a rejection with the token before, unless
   * it may come from a proxy or a limiter that never looked at the token.
   */
  #accepted(reply: UpstreamResponse): void {
    const { credentials } = this;
    if (credentials.kind !== 'token' || reply.lease === null) return;
    if (reply.ok || (reply.isReplayed && isClientError(reply.status)))
      credentials.manager.reportAccepted(reply.lease);
  }

  async #waitForToken({ manager, maxWaitMs }: TokenCredentials, call: UpstreamCall): Promise<Lease> {
    const leftMs = Math.max(0, maxWaitMs - call.tokenWaitedMs);
    try {
      return await manager.get({ signal: call.signal, maxWaitMs: Math.min(call.tokenWaitMs, leftMs) });
    } catch (error) {
      if (!(error instanceof TokenUnavailable)) throw error;
      throw new FerryError('token_unavailable', {
        message: `Upstream "${this.name}" cannot be used now: ${cleanMessage(error.message, (text) => text)}. GET /readyz says more.`,
        retryAfterMs: error.retryAfterMs,
        ...(error.detail === null ? {} : { detail: error.detail }),
        cause: error,
      });
    }
  }

  async #sendOn(call: UpstreamCall, lease: Lease | null): Promise<UpstreamResponse> {
    const request = this.#requests.make(call, lease);
    const control = { upstream: this.name, signal: call.signal, timer: call.timer };
    call.timer.start(call.headersTimeoutMs, () => this.#noHeaders(call));
    for (let isRetry = false; ; isRetry = true) {
      try {
        const way = isRetry ? { ...control, isAlone: true } : control;
        const reply = await exchange(this.#connections, request, way);
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

  #noHeaders(call: UpstreamCall): FerryError {
    return new FerryError('timeout', {
      message: `Upstream "${this.name}" did not answer within ${inSeconds(call.headersTimeoutMs)}.`,
    });
  }
}

/** Statuses of proxies and limiters that answer before the token is checked, and those of a check that failed. */
const BEFORE_THE_TOKEN: ReadonlySet<number> = new Set([401, 407, 408, 425, 429]);

/** The request was understood and is at fault itself: whoever says so has accepted its token. */
function isClientError(status: number): boolean {
  return status >= 400 && status < 500 && !BEFORE_THE_TOKEN.has(status);
}
