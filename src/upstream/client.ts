import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { FerryError } from '../lib/errors/ferry-error.ts';
import type { AttemptTrace } from '../lib/request-trace.ts';
import type { Secret } from '../lib/secret.ts';
import { cleanMessage } from '../lib/text/sanitize.ts';
import type { Lease, OutgoingRequest } from '../tokens/manager/lease.ts';
import type { TokenManager } from '../tokens/manager/token-manager.ts';
import { TokenUnavailable } from '../tokens/manager/token-unavailable.ts';
import { PlacementError } from '../tokens/placement/placement.ts';
import {
  hasBodyRules,
  hasHeaderRules,
  isTokenRejection,
  type RejectionRules,
} from '../tokens/placement/rejection.ts';
import { AttemptTimer } from './attempt-timer.ts';
import { type HeaderSettings, RequestHeaders } from './headers.ts';
import { type UpstreamResponse, UpstreamStatusError } from './response.ts';
import type { RequestSigner } from './signing/request-signer.ts';
import { RequestSigning } from './signing/request-signing.ts';
import { type ConnectionSettings, Connections } from './transport/connections.ts';
import { Exchange, type ExchangeControl, isStreamed } from './transport/exchange.ts';
import { type PathSettings, UpstreamPaths } from './url.ts';

/** Where an upstream's credentials come from. */
export type UpstreamCredentials =
  | { readonly kind: 'none' }
  /** A static key, sent as `Authorization: <scheme> <key>`. */
  | { readonly kind: 'key'; readonly key: Secret; readonly scheme: 'Bearer' | 'Token' }
  /** `sk: asis`: the client's own `Authorization` header. */
  | { readonly kind: 'as_is' }
  | TokenCredentials;

interface TokenCredentials {
  readonly kind: 'token';
  readonly manager: TokenManager;
  readonly reject: RejectionRules;
  /** The longest that a request waits for this token. */
  readonly maxWaitMs: number;
}

/** One attempt, as routing asks for it. */
export interface UpstreamCall extends ExchangeControl {
  readonly method: string;
  /** What follows our `/v1`, with a leading slash, and the client's query without `?`. */
  readonly path: string;
  readonly query: string;
  /** The upstream's own name of the model, for path templates. */
  readonly model: string;
  readonly clientHeaders: IncomingHttpHeaders;
  /** A stream can be sent once only: no replay, no second try on a stale socket. */
  readonly body: Buffer | Readable | null;
  /** The length of a stream; null and absent: unknown, so it is sent in chunks. */
  readonly streamBytes?: number | null;
  readonly isJson: boolean;
  /** How long a token may be waited for. */
  readonly tokenWaitMs: number;
  /** What of the upstream's own longest wait the request has used up elsewhere. */
  readonly tokenWaitedMs: number;
  /** How long this call has waited for tokens; written by the client only. */
  waitedForTokenMs: number;
  /** Null and absent: the request is not traced. */
  readonly trace?: AttemptTrace | null;
}

/** A request of our own, such as those of `tokenferry check`. */
interface ProbeRequest {
  readonly method: 'GET' | 'POST';
  /** What follows our `/v1`, with a leading slash. */
  readonly path: string;
  /** The upstream's own name of the model, for path templates. */
  readonly model: string;
  readonly body: object | null;
}

export interface UpstreamClientSettings {
  /** The upstream's configured name. */
  readonly name: string;
  readonly paths: PathSettings;
  readonly headers: HeaderSettings;
  readonly credentials: UpstreamCredentials;
  readonly connection: ConnectionSettings;
  /** Signs each request; null: none is signed. */
  readonly signer?: RequestSigner | null;
}

/**
 * One upstream: headers and paths that are prepared once, the client's own bytes, the token in its place, undici's
 * `dispatch`. Not by the `openai` SDK: the methods that its `request` puts on each promise carry 10 KB of a chat through
 * V8's young collections, a third of the CPU of the whole request (openai 7.57, Node 24; docs/performance.md).
 */
export class UpstreamClient {
  readonly name: string;
  readonly endpoint: URL;
  readonly credentials: UpstreamCredentials;
  /** True: `reject` has rules for bodies, so these have to be looked at before anything of them is forwarded. */
  readonly hasBodyMatchers: boolean;
  readonly #hasHeaderMatchers: boolean;
  readonly #signing: RequestSigning | null;
  readonly #connections: Connections;
  readonly #paths: UpstreamPaths;
  readonly #headers: RequestHeaders;

  constructor(settings: UpstreamClientSettings) {
    const connections = new Connections(settings.connection);
    this.name = settings.name;
    const { credentials } = settings;
    this.credentials = credentials;
    this.#signing = settings.signer ? new RequestSigning(settings.name, settings.signer) : null;
    this.hasBodyMatchers =
      (credentials.kind === 'token' && hasBodyRules(credentials.reject)) ||
      this.#signing?.readsBodies === true;
    this.#hasHeaderMatchers = credentials.kind === 'token' && hasHeaderRules(credentials.reject);
    this.endpoint = settings.paths.endpoint;
    this.#connections = connections;
    this.#paths = new UpstreamPaths(settings.paths);
    this.#headers = new RequestHeaders(settings.headers);
  }

  /** False: a request would have to wait for the issuer. Asking starts a renewal that is due. */
  hasToken(): boolean {
    return this.credentials.kind !== 'token' || this.credentials.manager.isReady();
  }

  /**
   * One call: token → request → rejected? → renewed once → replayed. Resolves at the headers of a 2xx response. Rejects
   * with `UpstreamStatusError` for any other status and for one that `reject` finds in its headers, and with `FerryError` for everything else.
   */
  async call(call: UpstreamCall): Promise<UpstreamResponse> {
    const { credentials } = this;
    if (credentials.kind !== 'token') {
      const answered = await this.#request(call, null);
      return onlyOk(this.#signing === null ? answered : await this.#signAgain(this.#signing, call, answered));
    }
    const lease = credentials.manager.peek() ?? (await this.#waitForToken(credentials, call));
    let response = await this.#request(call, lease);
    if (this.#signing !== null) response = await this.#signAgain(this.#signing, call, response);
    if (this.#rejectsToken(response, response.errorText)) {
      response.isTokenRejected = true;
      return onlyOk((await this.#replay(call, response)) ?? response);
    }
    if (!this.hasBodyMatchers) this.reportAccepted(response);
    return onlyOk(response);
  }

  /**
   * For a rejection that was found in the body of a 2xx response: renews the token and sends the call once more. Null
   * when it must not be replayed (it was already, or no other token is to be had). Nothing of `rejected` may have
   * been forwarded.
   */
  async replay(call: UpstreamCall, rejected: UpstreamResponse): Promise<UpstreamResponse | null> {
    const { credentials } = this;
    this.#signing?.refused(rejected);
    if (this.#signing !== null && !rejected.isReplayed) {
      const response = await this.#resign(this.#signing, call, rejected, null);
      if (response !== null) {
        response.isReplayed = true;
        return onlyOk(response);
      }
    }
    if (credentials.kind !== 'token' || rejected.lease === null) return null;
    if (rejected.isReplayed) {
      credentials.manager.reportRejected(rejected.lease);
      return null;
    }
    const response = await this.#replay(call, rejected);
    return response === null ? null : onlyOk(response);
  }

  /** The response, or that to a second signature where the first was refused for its time. */
  async #signAgain(
    signing: RequestSigning,
    call: UpstreamCall,
    response: UpstreamResponse,
  ): Promise<UpstreamResponse> {
    if (response.ok) return response;
    const second = await this.#resign(signing, call, response, response.errorText ?? '');
    if (second === null) return response;
    if (second.status === 401 || second.status === 403) signing.refused(second);
    return second;
  }

  /** Null: another signature would not differ, or the body cannot be sent again. `text`: as for `learnClock`. */
  async #resign(
    signing: RequestSigning,
    call: UpstreamCall,
    refused: UpstreamResponse,
    text: string | null,
  ): Promise<UpstreamResponse | null> {
    if (isStreamed(call.body)) return null;
    const offsetBefore = signing.learnClock(refused, text);
    if (offsetBefore === null) return null;
    call.timer.clear();
    refused.body.destroy(new Error('signed again'));
    const response = await this.#request(call, refused.lease);
    signing.triedAgain(response, offsetBefore);
    return response;
  }

  /** Null: no other token is to be had, so that the rejection is the result. */
  async #replay(call: UpstreamCall, rejected: UpstreamResponse): Promise<UpstreamResponse | null> {
    const { credentials } = this;
    if (credentials.kind !== 'token' || rejected.lease === null) return null;
    if (isStreamed(call.body)) {
      if (await this.#startRenewal(credentials, rejected)) throw this.#cannotReplay(rejected);
      return null;
    }
    call.timer.clear();
    const beganMonoMs = performance.now();
    const renewed = await credentials.manager
      .renewAfter(rejected.lease, {
        signal: call.signal,
        maxWaitMs: call.tokenWaitMs,
        status: rejected.status,
      })
      .catch((error: unknown) => {
        if (error instanceof TokenUnavailable) return null;
        throw error;
      });
    noteTokenWait(call, beganMonoMs);
    if (renewed === null) return null;
    rejected.body.destroy(new Error('token renewed'));
    const response = await this.#request(call, renewed);
    response.isReplayed = true;
    response.isTokenRejected = this.#rejectsToken(response, response.errorText);
    if (response.isTokenRejected) credentials.manager.reportRejected(renewed);
    else if (!this.hasBodyMatchers || !response.ok) this.reportAccepted(response);
    return response;
  }

  /**
   * Reports a rejection that no replay can follow, such as one in the middle of a stream: the token is renewed for the
   * next request.
   */
  reportRejected(response: UpstreamResponse): void {
    const { credentials } = this;
    if (credentials.kind === 'token') void this.#startRenewal(credentials, response);
  }

  /** Reports a rejection without waiting for the renewal. False: a renewal would not help or is not permitted now. */
  async #startRenewal({ manager }: TokenCredentials, { lease, status }: UpstreamResponse): Promise<boolean> {
    if (lease === null) return false;
    const renewal = manager.renewAfter(lease, { status }).catch(() => undefined);
    // A denial is there at once.
    return (await Promise.race([renewal, nextTurn(undefined)])) !== null;
  }

  #cannotReplay({ status }: UpstreamResponse): FerryError {
    return new FerryError('token_unavailable', {
      message: `Upstream "${this.name}" rejected its token, which is being renewed; the request body is too large to be sent again (limits.replay). Retry in a second.`,
      upstreamStatus: status,
      retryAfterMs: 1_000,
    });
  }

  /** Whether the beginning of a 2xx response's body rejects the token (`reject`). */
  rejectsTokenIn(response: UpstreamResponse, bodyText: string): boolean {
    if (!this.hasBodyMatchers) return false;
    return this.#signing?.isRefusedIn(bodyText) === true || this.#rejectsToken(response, bodyText);
  }

  #rejectsToken(response: UpstreamResponse, bodyText: string | null): boolean {
    const { status, headers } = response;
    const { credentials } = this;
    if (credentials.kind !== 'token') return false;
    const { reject } = credentials;
    const challenge = headers.get('www-authenticate');
    // Most responses give none of these signs.
    const signing = this.#signing;
    if (signing !== null && status >= 400 && signing.rejectsCredentials(response, bodyText ?? ''))
      return true;
    const isUnsuspected = challenge === null && bodyText === null && !this.#hasHeaderMatchers;
    if (isUnsuspected && !reject.statuses.includes(status)) return false;
    return isTokenRejection({ status, header: (name) => headers.get(name), bodyText }, reject);
  }

  /**
   * Reports that the token was accepted, if the response proves it: a success does, and so does any other response to a
   * replay, which was a rejection with the token before, unless it may come from a proxy or a limiter that never looked at
   * the token. With rules for bodies only the body proves it, so the reader of the body calls this.
   */
  reportAccepted(response: UpstreamResponse): void {
    const { credentials } = this;
    if (credentials.kind !== 'token' || response.lease === null) return;
    if (response.ok || (response.isReplayed && isClientError(response.status)))
      credentials.manager.reportAccepted(response.lease);
  }

  async #waitForToken({ manager, maxWaitMs }: TokenCredentials, call: UpstreamCall): Promise<Lease> {
    const leftMs = Math.max(0, maxWaitMs - call.tokenWaitedMs);
    const beganMonoMs = performance.now();
    try {
      return await manager.get({ signal: call.signal, maxWaitMs: Math.min(call.tokenWaitMs, leftMs) });
    } catch (error) {
      if (!(error instanceof TokenUnavailable)) throw error;
      throw new FerryError('token_unavailable', {
        message: `Upstream "${this.name}" cannot be used now: ${cleanMessage(error.message, (text) => text)}. See GET /readyz.`,
        retryAfterMs: error.retryAfterMs,
        ...(error.detail === null ? {} : { detail: error.detail }),
        cause: error,
      });
    } finally {
      noteTokenWait(call, beganMonoMs);
    }
  }

  /** One request. Resolves with any status; the text of one that is not 2xx has been read. */
  async #request(call: UpstreamCall, lease: Lease | null): Promise<UpstreamResponse> {
    const exchange = new Exchange(this.name, this.#connections, call);
    const request = this.#build(call, lease);
    const isStream = isStreamed(call.body);
    const signing = this.#signing;
    if (signing !== null) {
      if (isStream) signing.checkStreamed();
      await this.#sign(signing, call, request, lease);
    }
    const response = await exchange.send(request.path, {
      method: call.method,
      headers: request.headers,
      body: isStream ? call.body : request.body,
    });
    response.lease = lease;
    if (!response.ok) await response.text();
    return response;
  }

  #build(call: UpstreamCall, lease: Lease | null): OutgoingRequest {
    const headers = this.#headers.build(call.clientHeaders);
    if (call.trace) this.#headers.replace(headers, TRACE_CONTEXT, call.trace.headers);
    if (typeof call.streamBytes === 'number') headers.push('content-length', String(call.streamBytes));
    const { credentials } = this;
    if (credentials.kind === 'key')
      headers.push('authorization', `${credentials.scheme} ${credentials.key.reveal()}`);
    else if (credentials.kind === 'as_is') headers.push(...ownCredentials(call));
    const isStream = isStreamed(call.body);
    const request: OutgoingRequest = {
      path: this.#paths.build(call.path, call.query, call.model),
      headers,
      body: isStream ? null : (call.body as Buffer | null),
      isJson: call.isJson && !isStream,
    };
    if (lease !== null && this.#signing?.signer.usesTokenAsCredential !== true) this.#place(lease, request);
    return request;
  }

  async #sign(
    signing: RequestSigning,
    { method }: UpstreamCall,
    request: OutgoingRequest,
    lease: Lease | null,
  ): Promise<void> {
    const { path, headers, body, isJson } = request;
    const signable = { path, headers, body, isJson, method, host: this.endpoint.host };
    await signing.sign(signable, lease);
    request.path = signable.path;
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

  /**
   * `GET /models` for ourselves rather than for a client. Costs the upstream no tokens, so it also shows whether it is
   * there.
   */
  fetchModels(timeoutMs: number, signal?: AbortSignal): Promise<UpstreamResponse> {
    return this.probe({ method: 'GET', path: '/models', model: '', body: null }, timeoutMs, signal);
  }

  /**
   * A small request of our own: resolves at the headers of a 2xx response, rejects as `call` does and when nothing came
   * within `timeoutMs`, which runs on over the body.
   */
  async probe(request: ProbeRequest, timeoutMs: number, signal?: AbortSignal): Promise<UpstreamResponse> {
    const controller = new AbortController();
    const timer = new AttemptTimer((error) => controller.abort(error));
    const { method, path, model, body } = request;
    const response = await this.call({
      method,
      path,
      query: '',
      model,
      clientHeaders: {
        accept: 'application/json',
        ...(body === null ? {} : { 'content-type': 'application/json' }),
      },
      body: body === null ? null : Buffer.from(JSON.stringify(body)),
      isJson: body !== null,
      signal: signal === undefined ? controller.signal : AbortSignal.any([controller.signal, signal]),
      timer,
      headersTimeoutMs: timeoutMs,
      headersTimeoutKey: null,
      tokenWaitMs: timeoutMs,
      tokenWaitedMs: 0,
      waitedForTokenMs: 0,
      connectMs: 0,
    }).catch((error: unknown) => {
      timer.clear();
      throw error;
    });
    if (response.body.isSettled) timer.clear();
    else response.body.onSettled = () => timer.clear();
    return response;
  }

  async close(): Promise<void> {
    await this.#connections.close();
  }
}

/** The headers of W3C Trace Context. */
const TRACE_CONTEXT = ['traceparent', 'tracestate'] as const;

function noteTokenWait(call: UpstreamCall, beganMonoMs: number): void {
  const endedMonoMs = performance.now();
  call.waitedForTokenMs += endedMonoMs - beganMonoMs;
  call.trace?.tokenWaited(beganMonoMs, endedMonoMs);
}

function onlyOk(response: UpstreamResponse): UpstreamResponse {
  if (!response.ok || response.isTokenRejected)
    throw new UpstreamStatusError(response, response.errorText ?? '');
  return response;
}

/** Statuses of proxies and limiters that respond before the token is checked, and those of a check that failed. */
const BEFORE_THE_TOKEN: ReadonlySet<number> = new Set([401, 407, 408, 425, 429]);

/** The request was understood and is at fault itself, so its token was accepted. */
function isClientError(status: number): boolean {
  return status >= 400 && status < 500 && !BEFORE_THE_TOKEN.has(status);
}

/** The client's own header. Clients of Anthropic send `x-api-key`, which other APIs know as a bearer token. */
function ownCredentials({ clientHeaders, path }: UpstreamCall): readonly string[] {
  const { authorization, 'x-api-key': key } = clientHeaders;
  if (authorization !== undefined) return ['authorization', authorization];
  if (typeof key !== 'string') return [];
  return path.startsWith('/messages') ? ['x-api-key', key] : ['authorization', `Bearer ${key}`];
}
