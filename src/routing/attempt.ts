import { endpointOf } from '../endpoints.ts';
import type { Clock } from '../lib/clock.ts';
import { FerryError } from '../lib/errors/ferry-error.ts';
import type { AttemptRecord } from '../lib/request-record.ts';
import { inSeconds } from '../lib/text/format.ts';
import { AttemptTimer } from '../upstream/attempt-timer.ts';
import type { RoutedRequest } from './routed-request.ts';
import type { RoutedUpstream } from './upstream-state/routed-upstream.ts';

/** What one attempt may take, decided by the fail-over loop. */
export interface AttemptBounds {
  /** True: when this attempt fails nothing is left to try. */
  readonly isLast: boolean;
  /** Monotonic time at which all attempts together must have brought content. */
  readonly deadlineMonoMs: number;
  readonly tokenWaitMs: number;
  /** How long the request has waited for tokens of other candidates in vain: `max_wait` is for all together. */
  readonly tokenWaitedMs: number;
}

/**
 * One try at one candidate: its signal, its running time limit and, exactly once, its end. Whoever serves from it
 * calls `commit` at the first content or the whole checked body, and `finish` when nothing more will come.
 */
export class Attempt {
  readonly upstream: RoutedUpstream;
  readonly request: RoutedRequest;
  /** The upstream's own name of the model. */
  readonly model: string;
  readonly bounds: AttemptBounds;
  readonly timer: AttemptTimer;
  readonly #clock: Clock;
  readonly #controller = new AbortController();
  readonly #startedMonoMs: number;
  /** The upstream's status once it answered. */
  status: number | null = null;
  isTokenRenewed = false;
  /** Our path of what the upstream is asked: the client's own, unless its request is asked as a chat. */
  path: string;
  /** What the upstream's refusals had taught when the request was adapted for this attempt. */
  learnedDrops: readonly string[] = [];
  /** True until the attempt has shown its worth: it is the one that a cooling upstream is probed with. */
  #isProbe: boolean;
  #isCommitted = false;
  #isEnded = false;

  /** Whoever makes one has taken a place of the upstream; `finish` gives it back. */
  constructor(request: RoutedRequest, upstream: RoutedUpstream, bounds: AttemptBounds, clock: Clock) {
    this.request = request;
    this.path = request.path;
    this.upstream = upstream;
    this.model = upstream.upstreamModel(request.model);
    this.bounds = bounds;
    this.#clock = clock;
    this.#startedMonoMs = clock.monoMs();
    this.timer = new AttemptTimer((error) => this.#controller.abort(error));
    request.log.begin(upstream.name, this.model);
    this.#isProbe = upstream.circuit.begin();
    request.signal.addEventListener('abort', this.#onRequestAborted);
    if (request.signal.aborted) this.#onRequestAborted();
  }

  readonly #onRequestAborted = (): void => {
    this.#controller.abort(this.request.signal.reason);
  };

  /** Aborted when the client leaves or a limit passes, with the FerryError to report as its reason. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get elapsedMs(): number {
    return this.#clock.monoMs() - this.#startedMonoMs;
  }

  get isCommitted(): boolean {
    return this.#isCommitted;
  }

  /** `limitMs` (0 = none), but never past the deadline of all attempts; 0 = none. */
  within(limitMs: number): number {
    const leftMs = Math.max(1, this.bounds.deadlineMonoMs - this.#clock.monoMs());
    if (!Number.isFinite(leftMs)) return limitMs;
    return limitMs === 0 ? leftMs : Math.min(limitMs, leftMs);
  }

  /** A limit of its own for one of several calls that run at once; whoever starts it clears it. */
  newTimer(): AttemptTimer {
    return new AttemptTimer((error) => this.#controller.abort(error));
  }

  /** The reply has begun; from here on its first content has to come in time. The last candidate gets `timeout` for it. */
  limitFirstContent(): void {
    const { name, limits } = this.upstream;
    const limitMs = this.within(
      this.bounds.isLast ? limits.timeoutMs : limits.firstContentTimeoutMs || limits.timeoutMs,
    );
    const noContent = (): FerryError =>
      new FerryError('timeout', {
        message: `Upstream "${name}" began a stream but sent no content within ${inSeconds(limitMs)}.`,
      });
    this.timer.start(limitMs, noContent);
  }

  /**
   * From here on silence of `idle_timeout` ends the attempt. Silence while the reader is behind is the reader's: then
   * nothing comes because nothing is asked for.
   */
  limitIdleTime(body: { readonly isBacklogged: boolean }, mostMs = Number.POSITIVE_INFINITY): void {
    const { name, limits } = this.upstream;
    const limitMs = limits.idleTimeoutMs > 0 ? Math.min(limits.idleTimeoutMs, mostMs) : mostMs;
    this.timer.clear();
    if (!Number.isFinite(limitMs)) return;
    const goneSilent = (): FerryError | null => {
      if (body.isBacklogged) return null;
      return new FerryError('timeout', {
        message: `Upstream "${name}" went silent in the middle of its answer for ${inSeconds(limitMs)}.`,
      });
    };
    this.timer.start(limitMs, goneSilent, 'on_bytes');
  }

  /** The upstream delivered: it is healthy, and from here on no other one can take over. */
  commit(): void {
    this.#isCommitted = true;
    this.#isProbe = false;
    this.upstream.circuit.succeed();
    this.upstream.pauses.clear(this.model);
  }

  /** Ends the attempt. `error` is null for a complete answer. Only the first call counts. */
  finish(error: FerryError | null): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.timer.clear();
    this.request.signal.removeEventListener('abort', this.#onRequestAborted);
    if (error !== null) {
      this.#blame(error);
      // Whatever of it still runs, runs for nobody.
      this.#controller.abort(error);
    }
    const detail = error === null ? undefined : (error.detail ?? error.message);
    const entry: AttemptRecord = {
      upstream: this.upstream.name,
      outcome: this.#outcome(error),
      status: this.status,
      elapsedMs: this.elapsedMs,
      tokenRenewed: this.isTokenRenewed,
      ...(detail === undefined ? {} : { detail }),
    };
    this.request.log.end(entry);
    this.upstream.limiter.release();
  }

  #outcome(error: FerryError | null): AttemptRecord['outcome'] {
    if (error === null) return 'ok';
    return this.#isCommitted && error.kind !== 'client_gone' ? 'stream_broken' : error.kind;
  }

  #blame(error: FerryError): void {
    const { circuit, pauses } = this.upstream;
    if (error.kind === 'rate_limited' || error.kind === 'quota_exhausted') {
      pauses.pause(this.model, error.kind, error.retryAfterMs ?? DEFAULT_RATE_PAUSE_MS);
    }
    if (error.kind === 'model_not_found') pauses.pause(this.model, 'model_not_found', MISSING_MODEL_PAUSE_MS);
    const isForeignPath = error.kind === 'path_not_found' && !endpointOf(this.path).isExpected;
    circuit.fail(isForeignPath ? 'no' : error.row.countsAgainst, this.#isProbe);
  }
}

/** A 429 that does not say how long: short, since the next one may say more. */
const DEFAULT_RATE_PAUSE_MS = 1_000;
/** A model that an upstream does not have is seldom there a moment later. */
const MISSING_MODEL_PAUSE_MS = 60_000;
