import type { Clock } from '../lib/clock.ts';
import { asFerryError, FerryError } from '../lib/errors/ferry-error.ts';
import { shorten } from '../lib/text/sanitize.ts';
import { isPageError } from '../openai/errors/upstream-error.ts';
import { Attempt } from './attempt.ts';
import { type RefusableRequest, RefusalLessons } from './refusal-lesson.ts';
import { backoffAfter, mostActionable, nextStep } from './retry-policy.ts';
import type { RoutedRequest } from './routed-request.ts';
import type { PacedRequest, Pacer } from './upstream-state/pacer.ts';
import type { RoutedUpstream } from './upstream-state/routed-upstream.ts';

export interface FailoverSettings {
  /** All attempts, token waits and queueing of one request together; 0 = no limit. */
  readonly deadlineMs: number;
  /** `retry.same_upstream` and `retry.backoff`. */
  readonly sameUpstreamRetries: number;
  readonly backoffMs: number;
  readonly clock: Clock;
  /** Takes each wait for a slot or for a turn at the rate of an upstream. */
  readonly onQueueWait?: (upstream: string, waitedMs: number) => void;
}

/** What became of a candidate without a free slot. */
type Queued = 'acquired' | 'other_candidate' | 'refused';

/**
 * One request's way through its candidates. The route alternates `next` and `failed` until an attempt succeeds; one of
 * the two throws the error for the client when nothing is left to try.
 */
export class Failover {
  readonly #request: RoutedRequest;
  readonly #settings: FailoverSettings;
  readonly #deadlineMonoMs: number;
  readonly #isOnlyCandidate: boolean;
  /** Candidates that were not tried yet. */
  readonly #left: RoutedUpstream[];
  /** What failed so far, oldest first. */
  readonly #errors: FerryError[] = [];
  /** Set when the next attempt is one more at the same upstream, or the same attempt once more with a renewed token. */
  #again: RoutedUpstream | Attempt | null = null;
  /** Attempts at the current upstream. */
  #tries = 0;
  /** What all attempts together waited for tokens. */
  #tokenWaitedMs = 0;
  /** What it has waited for a slot or its turn since the last attempt began. */
  #queuedMs = 0;
  /** What the request has waited for turns: `pace.max_wait` is for all together. */
  #paceWaitedMs = 0;
  /** What the refusals of the current upstream have taught; null: it has refused nothing. */
  #lessons: RefusalLessons | null = null;
  /** Its place at the upstream where it waited for a turn last. */
  #paced: { readonly pacer: Pacer; readonly request: PacedRequest } | null = null;

  constructor(request: RoutedRequest, candidates: readonly RoutedUpstream[], settings: FailoverSettings) {
    const { deadlineMs } = settings;
    this.#request = request;
    this.#settings = settings;
    this.#deadlineMonoMs = deadlineMs > 0 ? request.startedMonoMs + deadlineMs : Number.POSITIVE_INFINITY;
    this.#isOnlyCandidate = candidates.length === 1;
    this.#left = [...candidates];
  }

  /** The next attempt, when its upstream has a free slot for it. Throws the most actionable error when none is left. */
  async next(): Promise<Attempt> {
    const again = this.#again;
    this.#again = null;
    if (again instanceof Attempt) return again;
    let upstream = again ?? this.#nextCandidate();
    while (upstream !== null) {
      const pacer = upstream.pacers?.isActive === true ? upstream.pacerOf(this.#request.model) : null;
      const isPaced = pacer !== null && !pacer.isOpen;
      if (!isPaced || (await this.#waitForTurn(upstream, pacer))) {
        const isFree = upstream.limiter.tryAcquire() || (await this.#waitForSlot(upstream)) === 'acquired';
        if (isFree && !isPaced) pacer?.take();
        if (isFree) return this.#begin(upstream);
      }
      if (this.#leftMs <= 0) break;
      upstream = this.#nextCandidate();
    }
    throw this.#conclusion();
  }

  /**
   * Ends a failed attempt and decides what `next` does: the same upstream once more (with a renewed token, after a pause,
   * without a refused parameter of `request`) or the next candidate. Throws when the client gets the error instead: it
   * has left, it has got content already, or nothing is left to try.
   */
  async failed(
    attempt: Attempt,
    thrown: unknown,
    request: RefusableRequest | null,
    isReplayable = true,
  ): Promise<void> {
    let error = describeFailure(asFerryError(thrown), attempt);
    if (attempt.canReplay(error)) {
      this.#again = attempt;
      return;
    }
    attempt.finish(error);
    if (error.kind === 'token_unavailable') this.#tokenWaitedMs += attempt.elapsedMs;
    if (attempt.isCommitted || this.#request.signal.aborted) throw error;
    const { sameUpstreamRetries, backoffMs } = this.#settings;
    const isLearned =
      request !== null && error.kind === 'client_fault' && this.#learn(error, attempt, request);
    if (!isLearned && this.#lessons !== null) error = this.#lessons.originalOf(error, attempt);
    // Its turn will come again.
    const pacer = error.kind === 'rate_limited' ? attempt.upstream.pacerOf(this.#request.model) : null;
    const step = nextStep({
      error,
      candidatesLeft: this.#left.length + (pacer === null ? 0 : 1),
      isOnlyCandidate: this.#isOnlyCandidate,
      tries: this.#tries,
      sameUpstreamRetries,
      backoffMs,
      canDropParameter: isLearned,
      leftMs: this.#leftMs,
      isReplayable,
    });
    if (pacer === null) {
      if (step !== 'same_upstream_without_parameter') this.#errors.push(error);
    } else if (step === 'give_up') this.#errors.push(this.#rateLimited(attempt.upstream.name, pacer));
    else this.#left.push(attempt.upstream);
    if (step === 'give_up') throw this.#conclusion();
    if (step === 'same_upstream_after_backoff')
      await sleep(backoffAfter(this.#tries, backoffMs), this.#request.signal);
    this.#again = step === 'next_candidate' ? null : attempt.upstream;
  }

  get #leftMs(): number {
    return this.#deadlineMonoMs - this.#settings.clock.monoMs();
  }

  #learn(error: FerryError, attempt: Attempt, request: RefusableRequest): boolean {
    this.#lessons ??= new RefusalLessons();
    return this.#lessons.learn(error, attempt, request);
  }

  #nextCandidate(): RoutedUpstream | null {
    this.#tries = 0;
    this.#lessons = null;
    return takeNext(this.#left, this.#request);
  }

  #begin(upstream: RoutedUpstream): Attempt {
    this.#tries += 1;
    const bounds = {
      isLast: !this.#isAnyTakeable(),
      deadlineMonoMs: this.#deadlineMonoMs,
      tokenWaitedMs: this.#tokenWaitedMs,
      queuedMs: this.#queuedMs,
      ...(this.#lessons !== null && { changes: this.#lessons.ownChanges }),
    };
    this.#queuedMs = 0;
    return new Attempt(this.#request, upstream, bounds, this.#settings.clock);
  }

  #isAnyTakeable(): boolean {
    for (const upstream of this.#left) if (isTakeable(upstream, this.#request)) return true;
    return false;
  }

  /**
   * Waits for a slot up to the deadline, before an attempt begins: no time limit of an attempt runs meanwhile. Rejects
   * with the signal's reason. A refusal is recorded like an attempt.
   */
  async #waitForSlot(upstream: RoutedUpstream): Promise<Queued> {
    const request = this.#request;
    const startedMonoMs = this.#settings.clock.monoMs();
    const outcome = await upstream.limiter.acquire({
      client: clientOf(request),
      signal: request.signal,
      waitMs: Math.max(0, this.#leftMs),
    });
    const waitedMs = this.#settings.clock.monoMs() - startedMonoMs;
    this.#queuedMs += waitedMs;
    this.#settings.onQueueWait?.(upstream.name, waitedMs);
    request.trace?.queueWaited({
      upstream: upstream.name,
      reason: 'slot',
      beganMonoMs: startedMonoMs,
      waitedMs,
      isServed: outcome === 'acquired',
    });
    if (outcome !== 'acquired') {
      const error = refusal(upstream.name, outcome);
      this.#errors.push(error);
      const { log } = request;
      // It was not called; the record of a request that none was called for names it.
      if (log.count === 0) {
        log.upstream = upstream.name;
        log.upstreamModel = upstream.upstreamModel(request.model);
      }
      log.attempts.push({
        upstream: upstream.name,
        outcome: error.kind,
        status: null,
        elapsedMs: this.#settings.clock.monoMs() - startedMonoMs,
        tokenRenewed: false,
        detail: error.message,
      });
      return 'refused';
    }
    if (upstream.circuit.isOpenForRequests() || !this.#isAnyTakeable()) return 'acquired';
    // It began to cool down meanwhile, and others are left.
    upstream.limiter.release();
    this.#left.push(upstream);
    return 'other_candidate';
  }

  /** Waits for the turn at the rate of the upstream, and takes it. False: it would come too late. */
  async #waitForTurn(upstream: RoutedUpstream, pacer: Pacer): Promise<boolean> {
    const { signal, headers, startedMonoMs } = this.#request;
    if (this.#paced?.pacer !== pacer) {
      this.#paced = { pacer, request: { client: clientOf(this.#request), signal, place: null } };
    }
    const { clock, onQueueWait } = this.#settings;
    const beganMonoMs = clock.monoMs();
    const patienceMs = startedMonoMs + clientPatienceMs(headers) - beganMonoMs;
    const maxWaitMs = (upstream.pacers?.maxWaitMs ?? 0) - this.#paceWaitedMs;
    const outcome = await pacer.wait(
      this.#paced.request,
      Math.min(this.#leftMs * USABLE_SHARE, maxWaitMs, patienceMs * USABLE_SHARE),
    );
    const waitedMs = clock.monoMs() - beganMonoMs;
    this.#paceWaitedMs += waitedMs;
    this.#queuedMs += waitedMs;
    onQueueWait?.(upstream.name, waitedMs);
    this.#request.trace?.queueWaited({
      upstream: upstream.name,
      reason: 'rate',
      beganMonoMs,
      waitedMs,
      isServed: outcome === 'turn',
    });
    if (outcome !== 'turn') this.#errors.push(this.#rateLimited(upstream.name, pacer));
    return outcome === 'turn';
  }

  /** The error for a client that cannot wait for its turn: the time to wait, and the upstream's message. */
  #rateLimited(name: string, pacer: Pacer): FerryError {
    const retryAfterMs = pacer.retryAfterMs(clientOf(this.#request));
    const { lastRefusal } = pacer;
    return new FerryError('rate_limited', {
      message: lastRefusal?.message ?? `The request rate of upstream "${name}" is reached (pace).`,
      retryAfterMs,
      upstreamStatus: lastRefusal?.upstreamStatus,
      detail: lastRefusal?.detail,
      cause: lastRefusal ?? undefined,
    });
  }

  #conclusion(): FerryError {
    const error = mostActionable(this.#errors);
    const left = this.#left.filter(({ isPaused }) => !isPaused);
    if (error === undefined && left.length === 0 && this.#left.length > 0)
      return upstreamsPaused(this.#request.model);
    if (error === undefined) return allPaused(left, this.#request);
    // When others only pause, their rate limit helps the client more than the failure of one. Candidates are also left
    // when the deadline has passed or the body is spent: then a rate limit is not the reason.
    const isPausing = left.length > 0 && error.row.nextCandidate && !this.#isAnyTakeable();
    if (!isPausing) return error;
    return mostActionable([error, allPaused(left, this.#request)]) ?? error;
  }
}

/**
 * Takes the best of `left` out of it: healthy with a token, and of those one with a free slot, then healthy, then
 * those at whose rate limit the request can wait, the shortest wait first, then cooling ones (tried only when nothing else
 * is left), then those whose queue is full. Null when all that are left pause for this model.
 */
export function takeNext(left: RoutedUpstream[], request: RoutedRequest): RoutedUpstream | null {
  let best = -1;
  let bestRank = Number.POSITIVE_INFINITY;
  for (let index = 0; index < left.length && bestRank > 0; index++) {
    const rank = rankOf(left[index] as RoutedUpstream, request);
    if (rank < bestRank) {
      bestRank = rank;
      best = index;
    }
  }
  if (best === -1) return null;
  return (best === left.length - 1 ? left.pop() : left.splice(best, 1)[0]) ?? null;
}

/** False: it is rate limited for this model now. */
export function isTakeable(upstream: RoutedUpstream, request: RoutedRequest): boolean {
  const rank = rankOf(upstream, request);
  return Number.isFinite(rank) && Math.floor(rank) !== PACED_RANK;
}

/** Of upstreams at which the request would have to wait for its turn; the fraction orders them by that wait. */
const PACED_RANK = 4;

/** Grows with the wait, below 1. */
function shareOf(waitMs: number): number {
  return waitMs / (waitMs + 60_000);
}

/** Whose queue a request waits in. */
function clientOf({ client }: RoutedRequest): string {
  return client.name ?? '';
}

function rankOf(upstream: RoutedUpstream, request: RoutedRequest): number {
  if (upstream.isPaused) return NEVER;
  const { pauses, circuit, limiter } = upstream;
  const pause = pauses.isEmpty ? null : pauses.get(upstream.upstreamModel(request.model));
  if (pause !== null) return pause.reason === 'model_not_found' ? 7 : Number.POSITIVE_INFINITY;
  const { hasFreeSlot } = limiter;
  if (!hasFreeSlot && limiter.isQueueFull) return 6;
  if (!circuit.isFaultless && !circuit.isOpenForRequests()) return 5;
  const pacer = upstream.pacers?.isActive === true ? upstream.pacerOf(request.model) : null;
  if (pacer !== null && !pacer.isOpen) return PACED_RANK + shareOf(pacer.waitMs(clientOf(request)));
  return (upstream.client.hasToken() ? 0 : 2) + (hasFreeSlot ? 0 : 1);
}

/** An administrator paused every upstream that would serve the request. */
export function upstreamsPaused(model: string): FerryError {
  return new FerryError('upstream_paused', {
    message: `Every upstream for model "${shorten(model)}" is paused by an administrator of the gateway. Resume one of them.`,
  });
}

const NEVER = Number.POSITIVE_INFINITY;

/** 429 when all that is left is rate limited, with the shortest remaining time; `quota_exhausted` when that is why for all. */
export function allPaused(left: readonly RoutedUpstream[], request: RoutedRequest): FerryError {
  const pauses = left
    .map((upstream) => upstream.pauses.get(upstream.upstreamModel(request.model)))
    .filter((pause) => pause !== null)
    .sort((left, right) => left.remainingMs - right.remainingMs);
  const [shortest] = pauses;
  const turns = left.map((upstream) => upstream.pacerOf(request.model)?.waitMs(clientOf(request)) ?? NEVER);
  const soonestMs = Math.min(shortest?.remainingMs ?? NEVER, ...turns);
  const retryAfterMs = soonestMs === NEVER ? 1_000 : soonestMs;
  const words = shortest?.message ? ` ${shortest.message}` : '';
  if (pauses.length > 0 && pauses.every(({ reason }) => reason === 'quota_exhausted')) {
    return new FerryError('quota_exhausted', {
      message: `The quota of every upstream for model "${shorten(request.model)}" is exhausted (429).${words}`,
      retryAfterMs,
    });
  }
  return new FerryError('rate_limited', {
    message: `Every upstream for model "${shorten(request.model)}" is rate limited (429).${words}`,
    retryAfterMs,
  });
}

function refusal(name: string, outcome: 'queue_full' | 'timed_out'): FerryError {
  const why =
    outcome === 'queue_full' ? 'its queue is full' : 'the deadline of the request passed in its queue';
  return new FerryError('queue_full', {
    message: `Upstream "${name}" is busy and ${why} (max_concurrency). Retry in a moment.`,
  });
}

/** Of the time that is left a request may wait so much for its turn: the rest is for the upstream. */
const USABLE_SHARE = 0.9;

/**
 * How long the client waits for a response from when it sent the request, in milliseconds; `Infinity`: unknown.
 * openai for Node sends `x-stainless-timeout` when a timeout is set for a call, openai for Python always sends
 * `x-stainless-read-timeout`, both in seconds.
 */
function clientPatienceMs(headers: RoutedRequest['headers']): number {
  const stated = headers['x-stainless-timeout'] ?? headers['x-stainless-read-timeout'];
  const seconds = Number(stated);
  return seconds > 0 ? seconds * 1_000 : Number.POSITIVE_INFINITY;
}

/** Rejects with the signal's reason when the request is aborted, also before the pause. */
async function sleep(delayMs: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', settle);
      resolve();
    };
    const timer = setTimeout(settle, delayMs);
    signal.addEventListener('abort', settle);
  });
  signal.throwIfAborted();
}

function describeFailure(error: FerryError, { upstream: { name, client } }: Attempt): FerryError {
  const { credentials } = client;
  const hint = credentials.kind === 'token' ? rejectHint(error, credentials.manager.name) : '';
  return namingUpstream(hint === '' ? error : error.withMessage(`${error.message}${hint}`), name);
}

/** How the upstream's response would count as a rejected token, where sessions are known to end like this; else ''. */
function rejectHint(error: FerryError, source: string): string {
  const rule = rejectRule(error);
  if (rule === null) return '';
  return ` If this means that the token has expired, set reject: { ${rule} } in tokens.${source}.`;
}

function rejectRule(error: FerryError): string | null {
  if (error.kind === 'redirect') return 'redirect: true';
  if (isPageError(error)) return 'html: true';
  const { kind, upstreamStatus = 200 } = error;
  if (kind !== 'forbidden') return null;
  return upstreamStatus === 200 ? "text: 'words of its message'" : `statuses: [401, ${upstreamStatus}]`;
}

/**
 * An error of the gateway's side (502 to 504) with the name of its upstream: with several upstreams it would be ambiguous
 * without.
 */
function namingUpstream(error: FerryError, name: string): FerryError {
  if (error.status < 502 || error.status > 504 || error.message.includes(`"${name}"`)) return error;
  const message = error.message.replace(/\bthe upstream\b|^Upstream\b(?!.*\bthe upstream\b)/i, (found) =>
    found.startsWith('t') ? `upstream "${name}"` : `Upstream "${name}"`,
  );
  return message === error.message ? error : error.withMessage(message);
}
