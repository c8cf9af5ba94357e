import { endpointOf } from '../endpoints.ts';
import type { Clock } from '../lib/clock.ts';
import { FerryError } from '../lib/errors/ferry-error.ts';
import type { AttemptRecord } from '../lib/request-record.ts';
import type { AttemptTrace, TracedAttempt, TracedUsage } from '../lib/request-trace.ts';
import { inSeconds } from '../lib/text/format.ts';
import type { ParsedRequest } from '../openai/request/parsed-request.ts';
import { AttemptTimer } from '../upstream/attempt-timer.ts';
import type { UpstreamResponse } from '../upstream/response.ts';
import type { RoutedRequest } from './routed-request.ts';
import type { PacedRequest } from './upstream-state/pacer.ts';
import { LIMIT_KEYS, type RoutedUpstream } from './upstream-state/routed-upstream.ts';

/** What one attempt may take, decided by the fail-over. */
interface AttemptBounds {
  /** True: when this attempt fails nothing is left to try. */
  readonly isLast: boolean;
  /** Monotonic time at which all attempts together must have brought content; `Infinity`: no deadline. */
  readonly deadlineMonoMs: number;
  /** How long the request has waited without success for tokens of other candidates: `max_wait` is for all together. */
  readonly tokenWaitedMs: number;
  /** How long the request waited for a slot or its turn before this attempt. */
  readonly queuedMs: number;
  /** Changes (`learned-change.ts`) for this request alone; absent: none. */
  readonly changes?: readonly string[];
}

const NOTHING_LEARNED: readonly string[] = [];

/** A response whose body rejected the token, and its error. */
interface TokenRejection {
  readonly response: UpstreamResponse;
  readonly error: FerryError;
}

/**
 * One try at one candidate: its signal, its running time limit and, exactly once, its end. The route calls `commit` at
 * the first content or after the whole checked body, and `finish` when nothing more will come.
 */
export class Attempt {
  readonly upstream: RoutedUpstream;
  readonly request: RoutedRequest;
  /** The upstream's own name of the model. */
  readonly model: string;
  readonly isLast: boolean;
  readonly deadlineMonoMs: number;
  readonly tokenWaitedMs: number;
  readonly timer: AttemptTimer;
  /** Null: the request is not traced. */
  readonly trace: AttemptTrace | null;
  /** Aborted when the client disconnects or a limit passes, with the FerryError to report as its reason. */
  readonly signal: AbortSignal;
  /** The path of the upstream request: that of the client, unless it is sent as a chat. */
  path: string;
  /** The latest response, of any status. */
  response: UpstreamResponse | null = null;
  /** Set when the next call is a replay with a renewed token. */
  rejection: TokenRejection | null = null;
  /** The request as it was parsed; null for one that is passed through. */
  sent: ParsedRequest | null = null;
  /** Under which name the upstream's refusals are remembered: the model, on paths of other APIs with the path. */
  learnedKey: string;
  /** Changes for this request alone. */
  readonly ownChanges: readonly string[];
  /** What the upstream's refusals had taught when the request was adapted for this attempt. */
  /** What its response needed before the client could read it; null: nothing. */
  repairs: string[] | null = null;
  waitedForTokenMs = 0;
  /** How long a new connection took to open; 0: one was open. */
  connectMs = 0;
  learnedDrops: readonly string[];
  /** What of a passed-through request was left out, for the header of its response. */
  dropped: readonly string[] = NOTHING_LEARNED;
  /** Whether the upstream was sent a stream request. */
  isStreamSent = false;
  readonly #clock: Clock;
  readonly #controller = new AbortController();
  readonly #startedMonoMs: number;
  readonly #queuedMs: number;
  /** When the headers of the latest response came, from its begin; null: none came. */
  #headersMs: number | null = null;
  /** True until the attempt has succeeded: the circuit of a cooling upstream is probed with it. */
  #isProbe: boolean;
  /** The upstream that the log named before this attempt, and its model. */
  readonly #calledBefore: string | null;
  readonly #modelBefore: string | null;
  #callsInFlight = 1;
  #isTokenRenewed = false;
  /** The response after which a replay was tried already. */
  #rejectedResponse: UpstreamResponse | null = null;
  #isCommitted = false;
  #isFinished = false;

  /** The caller has acquired a slot of the upstream's limiter; `finish` releases it. */
  constructor(request: RoutedRequest, upstream: RoutedUpstream, bounds: AttemptBounds, clock: Clock) {
    this.request = request;
    this.path = request.path;
    this.upstream = upstream;
    this.model = upstream.upstreamModel(request.model);
    this.learnedKey = this.model;
    this.ownChanges = bounds.changes ?? NOTHING_LEARNED;
    this.learnedDrops = this.ownChanges;
    this.isLast = bounds.isLast;
    this.deadlineMonoMs = bounds.deadlineMonoMs;
    this.tokenWaitedMs = bounds.tokenWaitedMs;
    this.#queuedMs = bounds.queuedMs;
    this.#clock = clock;
    this.#startedMonoMs = clock.monoMs();
    this.signal = this.#controller.signal;
    this.timer = new AttemptTimer((error) => this.#controller.abort(error));
    this.#isProbe = !upstream.circuit.isFaultless && upstream.circuit.begin();
    const { pacers } = upstream;
    if (pacers !== null) {
      pacers.startsMonoMs[pacers.starts++ % pacers.startsMonoMs.length] = this.#startedMonoMs;
      pacers.inFlight += 1;
    }
    const { log } = request;
    this.#calledBefore = log.upstream;
    this.#modelBefore = log.upstreamModel;
    log.count += 1;
    log.upstream = upstream.name;
    log.upstreamModel = this.model;
    this.trace = request.trace ? request.trace.beginAttempt(this.#traced()) : null;
    request.signal.addEventListener('abort', this.#onRequestAborted);
    if (request.signal.aborted) this.#onRequestAborted();
  }

  readonly #onRequestAborted = (): void => {
    this.#controller.abort(this.request.signal.reason);
  };

  #traced(): TracedAttempt {
    const { upstream, model, path } = this;
    const endpoint = upstream.client.endpoint.href;
    return { upstream: upstream.name, endpoint, model, path, startedMonoMs: this.#startedMonoMs };
  }

  get elapsedMs(): number {
    return this.#clock.monoMs() - this.#startedMonoMs;
  }

  get isCommitted(): boolean {
    return this.#isCommitted;
  }

  /** `limitMs` (0 = none), but never past the deadline of all attempts; 0 = none. */
  within(limitMs: number): number {
    if (this.deadlineMonoMs === Number.POSITIVE_INFINITY) return limitMs;
    const leftMs = Math.max(1, this.deadlineMonoMs - this.#clock.monoMs());
    return limitMs === 0 ? leftMs : Math.min(limitMs, leftMs);
  }

  /** What is left for the wait for a token; `Infinity`: no deadline. */
  get tokenWaitMs(): number {
    return Math.max(0, this.deadlineMonoMs - this.#clock.monoMs());
  }

  /** A limit of its own for one of several calls that run at once; the caller clears it. */
  newTimer(): AttemptTimer {
    return new AttemptTimer((error) => this.#controller.abort(error));
  }

  /** The headers of a stream are here: its first content has to follow in time. The last candidate gets `timeout` for it. */
  limitFirstContent(): void {
    const { name, limits } = this.upstream;
    const limit = this.isLast || limits.firstContentTimeoutMs === 0 ? 'timeoutMs' : 'firstContentTimeoutMs';
    const limitMs = this.within(limits[limit]);
    const key = limitMs === limits[limit] ? LIMIT_KEYS[limit] : 'deadline';
    const noContent = (): FerryError =>
      new FerryError('timeout', {
        message: `Upstream "${name}" began a stream but sent no content within ${inSeconds(limitMs)} (${key}).`,
      });
    this.timer.start(limitMs, noContent);
  }

  /**
   * From here on silence of `idle_timeout` ends the attempt. While unread bytes are buffered the silence is the reader's:
   * nothing arrives because nothing is requested.
   */
  limitIdleTime(body: { readonly isBacklogged: boolean }, maxMs = Number.POSITIVE_INFINITY): void {
    const { name, limits } = this.upstream;
    const limitMs = limits.idleTimeoutMs > 0 ? Math.min(limits.idleTimeoutMs, maxMs) : maxMs;
    this.timer.clear();
    if (!Number.isFinite(limitMs)) return;
    const key = limitMs === limits.idleTimeoutMs ? ` (${LIMIT_KEYS.idleTimeoutMs})` : '';
    const silent = (): FerryError | null => {
      if (body.isBacklogged) return null;
      return new FerryError('timeout', {
        message: `Upstream "${name}" sent nothing for ${inSeconds(limitMs)} in the middle of its response${key}.`,
      });
    };
    this.timer.start(limitMs, silent, 'on_bytes');
  }

  /** Notes a response, of any status, for the record and for what follows a failure. */
  received(response: UpstreamResponse): void {
    this.response = response;
    this.#headersMs = this.elapsedMs;
    this.#isTokenRenewed ||= response.isReplayed;
    const { pacers } = this.upstream;
    if (pacers?.isActive === true) pacers.responded(this.model, this.#startedMonoMs, response);
  }

  /**
   * Whether the call is to be replayed within this attempt, since the body of a 2xx response rejected the token. The
   * client decides whether another token is to be had; when none is, the replay throws `error` again.
   */
  canReplay(error: FerryError): boolean {
    const { response } = this;
    if (error.kind !== 'auth_rejected' || response?.ok !== true || this.#isCommitted) return false;
    // Found in the headers: the client has replayed it, or knows why not.
    if (response.isTokenRejected) return false;
    if (response === this.#rejectedResponse) return false;
    this.#rejectedResponse = response;
    this.rejection = { response, error };
    return true;
  }

  /**
   * The upstream delivered: it is healthy, and no other candidate can take over. `checked`: the response whose body was
   * read and found good, so that its token is proven and its limits can be passed on.
   */
  commit(checked: UpstreamResponse | null): void {
    const { circuit, pauses, client } = this.upstream;
    this.#isCommitted = true;
    this.#isProbe = false;
    if (!circuit.isFaultless) circuit.succeed();
    if (!pauses.isEmpty) pauses.clear(this.model);
    if (checked === null) return;
    client.reportAccepted(checked);
    this.request.log.headersForClient = checked.headers.forClient();
  }

  /**
   * Takes the turn of one more call of this attempt where the upstream's rate is limited; the first call has that of the
   * attempt. False: it would come too late.
   */
  async takeTurn(paced: PacedRequest): Promise<boolean> {
    const { pacers } = this.upstream;
    if (pacers === null) return true;
    const pacer = pacers.isActive ? pacers.find(this.model) : null;
    if (pacer?.isOpen === true) pacer.take();
    else if (pacer !== null) {
      const beganMonoMs = this.#clock.monoMs();
      const outcome = await pacer.wait(paced, Math.min(pacers.maxWaitMs, this.tokenWaitMs));
      this.request.trace?.queueWaited({
        upstream: this.upstream.name,
        reason: 'rate',
        beganMonoMs,
        waitedMs: this.#clock.monoMs() - beganMonoMs,
        isServed: outcome === 'turn',
      });
      if (outcome !== 'turn') return false;
    }
    pacers.sent(this.#clock.monoMs());
    pacers.inFlight += 1;
    this.#callsInFlight += 1;
    return true;
  }

  /** One of several calls of this attempt has its response. */
  callEnded(): void {
    const { pacers } = this.upstream;
    if (pacers === null) return;
    pacers.inFlight -= 1;
    this.#callsInFlight -= 1;
    if (pacers.isActive) pacers.ended();
  }

  /** True: one of several calls, sent at `sentMonoMs`, was refused for the upstream's rate, and should take another turn. */
  isTurnRefused(error: unknown, sentMonoMs: number): boolean {
    if (!(error instanceof FerryError) || error.kind !== 'rate_limited' || !this.isLast) return false;
    return this.upstream.pacers?.refused(this.model, sentMonoMs, error) === true;
  }

  /** For `isTurnRefused`. */
  nowMonoMs(): number {
    return this.#clock.monoMs();
  }

  /** What the response cost, for a limit of tokens (`pace.tpm`). */
  spent(usage: TracedUsage | null): void {
    if (this.trace !== null) this.trace.usage = usage;
    const { pacers } = this.upstream;
    if (usage !== null && pacers?.isActive === true) pacers.find(this.model)?.spent(usage.totalTokens);
  }

  /** Ends the attempt. `error` is null for a complete response. Only the first call counts. */
  finish(error: FerryError | null): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.timer.clear();
    this.request.signal.removeEventListener('abort', this.#onRequestAborted);
    if (error !== null) {
      this.#blame(error);
      if (error.kind === 'auth_rejected' && this.#isCommitted && this.response !== null)
        this.upstream.client.reportRejected(this.response);
      // Aborts the rest of it.
      this.#controller.abort(error);
      this.response?.body.destroy(error);
    }
    const entry: { -readonly [Member in keyof AttemptRecord]: AttemptRecord[Member] } = {
      upstream: this.upstream.name,
      outcome: error === null ? 'ok' : this.#outcome(error),
      status: this.response?.status ?? null,
      elapsedMs: this.elapsedMs,
      tokenRenewed: this.#isTokenRenewed,
      startMs: this.#startedMonoMs - this.request.startedMonoMs,
    };
    if (this.#headersMs !== null) entry.headersMs = this.#headersMs;
    if (this.#queuedMs > 0) entry.queueMs = this.#queuedMs;
    if (this.waitedForTokenMs > 0) entry.tokenWaitMs = this.waitedForTokenMs;
    if (this.connectMs > 0) entry.connectMs = this.connectMs;
    if (this.repairs !== null) entry.repairs = this.repairs;
    if (error !== null) entry.detail = error.detail ?? error.message;
    const { log } = this.request;
    log.attempts.push(entry);
    if (this.trace !== null)
      this.trace.finish({ record: entry, path: this.path, isCommitted: this.#isCommitted });
    log.upstreamMs += entry.elapsedMs;
    if (error !== null && this.response === null && isBeforeSending(error)) this.#uncount();
    const { limiter, pacers } = this.upstream;
    if (pacers !== null) {
      pacers.inFlight -= this.#callsInFlight;
      if (pacers.isActive) pacers.ended();
    }
    limiter.release();
  }

  /** Nothing was sent. The record names this upstream all the same if none was called. */
  #uncount(): void {
    const { log } = this.request;
    log.count -= 1;
    if (log.count === 0) return;
    log.upstream = this.#calledBefore;
    log.upstreamModel = this.#modelBefore;
  }

  #outcome(error: FerryError): AttemptRecord['outcome'] {
    return this.#isCommitted && error.kind !== 'client_gone' ? 'stream_broken' : error.kind;
  }

  #blame(error: FerryError): void {
    const { circuit, pauses, pacers } = this.upstream;
    if (error.kind !== 'client_gone' && error.row.nextCandidate) {
      this.upstream.lastError = {
        atMs: this.#clock.wallMs(),
        kind: error.kind,
        status: this.response?.status ?? null,
        message: error.detail ?? error.message,
      };
    }
    const isPaced =
      error.kind === 'rate_limited' && pacers?.refused(this.model, this.#startedMonoMs, error) === true;
    if (!isPaced && (error.kind === 'rate_limited' || error.kind === 'quota_exhausted')) {
      pauses.pause(this.model, error.kind, error.retryAfterMs ?? DEFAULT_RATE_PAUSE_MS, error.message);
    }
    if (error.kind === 'model_not_found')
      pauses.pause(this.model, 'model_not_found', MISSING_MODEL_PAUSE_MS, error.message);
    // A missing optional endpoint does not count against an upstream's health.
    const isOptionalPath = error.kind === 'path_not_found' && !endpointOf(this.path).isExpected;
    circuit.fail(isOptionalPath ? 'no' : error.row.countsAgainst, this.#isProbe);
  }
}

/** Failures before a request is sent: no token was obtained, or it could not be placed. A rejected token has a status. */
function isBeforeSending({ kind, upstreamStatus }: FerryError): boolean {
  return (kind === 'token_unavailable' && upstreamStatus === undefined) || kind === 'upstream_misconfigured';
}

/** For a 429 without `retry-after`: short, since the next one may have it. */
const DEFAULT_RATE_PAUSE_MS = 1_000;
/** A model that an upstream does not have is seldom there a moment later. */
const MISSING_MODEL_PAUSE_MS = 60_000;
