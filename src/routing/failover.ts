import type { Clock } from '../lib/clock.ts';
import { asFerryError, type FerryError } from '../lib/errors/ferry-error.ts';
import { Attempt, type AttemptBounds } from './attempt.ts';
import { allPaused, isTakeable, takeNext } from './candidates.ts';
import { backoffAfter, mostActionable, type NextStep, nextStep } from './retry-policy.ts';
import type { RoutedRequest } from './routed-request.ts';
import type { RoutedUpstream } from './upstream-state/routed-upstream.ts';
import { queueFor } from './upstream-state/upstream-queue.ts';

export interface FailOverSettings {
  /** All attempts, token waits and queueing of one request together; 0 = no limit. */
  readonly deadlineMs: number;
  /** `retry.same_upstream` and `retry.backoff`. */
  readonly sameUpstreamRetries: number;
  readonly backoffMs: number;
  readonly clock: Clock;
}

/** How one endpoint is served from one attempt. */
export interface Service<Served> {
  /**
   * Resolves when the attempt is a success: its whole body was checked, or its first content is here. Calls
   * `attempt.commit` itself, and `attempt.finish` when it is over (a stream does that later).
   */
  serve(attempt: Attempt): Promise<Served>;
  /** What the upstream refused, this attempt still said and a second try may leave out; null when there is none. */
  refusedParameter?(error: FerryError, attempt: Attempt): string | null;
  /** False: the body is a stream and can be sent only once. */
  isReplayable?(): boolean;
}

/** One request on its way through its candidates. */
interface Run {
  readonly request: RoutedRequest;
  readonly settings: FailOverSettings;
  /** `Infinity`: no limit. */
  readonly deadlineMonoMs: number;
  readonly isOnlyCandidate: boolean;
  /** Candidates that were not tried yet. */
  readonly left: RoutedUpstream[];
  /** What went wrong so far, oldest first. */
  readonly errors: FerryError[];
  /** What all attempts together waited for tokens. */
  tokenWaitedMs: number;
}

/**
 * Tries the candidates one after the other until one serves: one turn of the loop is one attempt. Throws the failure
 * that says most to the client when none does. Nothing was sent to the client while this runs.
 */
export async function failOver<Served>(
  request: RoutedRequest,
  candidates: readonly RoutedUpstream[],
  service: Service<Served>,
  settings: FailOverSettings,
): Promise<Served> {
  const run = beginRun(request, candidates, settings);
  let upstream = takeNext(run.left, request);
  for (let tries = 1; upstream !== null; tries++) {
    if (!upstream.limiter.tryAcquire() && !(await hasQueued(upstream, run))) {
      if (isPastDeadline(run)) break;
      upstream = takeNext(run.left, request);
      tries = 0;
      continue;
    }
    const attempt = new Attempt(request, upstream, boundsOf(run), settings.clock);
    try {
      return await service.serve(attempt);
    } catch (thrown) {
      const error = asFerryError(thrown);
      attempt.finish(error);
      if (error.kind === 'token_unavailable') run.tokenWaitedMs += attempt.elapsedMs;
      if (attempt.isCommitted || request.signal.aborted) throw error;
      const step = stepAfter(error, attempt, tries, run, service);
      if (step !== 'same_upstream_without_parameter') run.errors.push(error);
      if (step === 'give_up') break;
      if (step === 'same_upstream_after_backoff')
        await sleep(backoffAfter(tries, settings.backoffMs), request.signal);
      if (step === 'next_candidate') {
        upstream = takeNext(run.left, request);
        tries = 0;
      }
    }
  }
  throw conclusion(run);
}

function beginRun(
  request: RoutedRequest,
  candidates: readonly RoutedUpstream[],
  settings: FailOverSettings,
): Run {
  const { deadlineMs } = settings;
  return {
    request,
    settings,
    deadlineMonoMs: deadlineMs > 0 ? request.startedMonoMs + deadlineMs : Number.POSITIVE_INFINITY,
    isOnlyCandidate: candidates.length === 1,
    left: [...candidates],
    errors: [],
    tokenWaitedMs: 0,
  };
}

/** Waits for a place at a candidate whose places are all taken. False: another one is to be looked at. */
async function hasQueued(upstream: RoutedUpstream, run: Run): Promise<boolean> {
  const { request, left, errors, deadlineMonoMs, settings } = run;
  const queued = await queueFor(upstream, request, left, { deadlineMonoMs, clock: settings.clock });
  if (queued.outcome === 'reconsider') left.push(upstream);
  if (queued.outcome === 'refused') errors.push(queued.error);
  return queued.outcome === 'admitted';
}

function boundsOf({ request, left, deadlineMonoMs, tokenWaitedMs, settings }: Run): AttemptBounds {
  return {
    isLast: !left.some((other) => isTakeable(other, request)),
    deadlineMonoMs,
    tokenWaitMs: Math.max(0, deadlineMonoMs - settings.clock.monoMs()),
    tokenWaitedMs,
  };
}

function isPastDeadline({ deadlineMonoMs, settings }: Run): boolean {
  return settings.clock.monoMs() >= deadlineMonoMs;
}

/** What follows the failure of `attempt`; a parameter that the upstream refused is remembered. */
function stepAfter<Served>(
  error: FerryError,
  attempt: Attempt,
  tries: number,
  run: Run,
  service: Service<Served>,
): NextStep {
  const refused = service.refusedParameter?.(error, attempt) ?? null;
  if (refused !== null) attempt.upstream.learnedDrops.add(attempt.model, refused);
  return nextStep({
    error,
    candidatesLeft: run.left.length,
    isOnlyCandidate: run.isOnlyCandidate,
    tries,
    sameUpstreamRetries: run.settings.sameUpstreamRetries,
    canDropParameter: refused !== null,
    backoffMs: run.settings.backoffMs,
    leftMs: run.deadlineMonoMs - run.settings.clock.monoMs(),
    isReplayable: service.isReplayable?.() ?? true,
  });
}

function conclusion({ errors, left, request }: Run): FerryError {
  const error = mostActionable(errors);
  if (error === undefined) return allPaused(left, request);
  // Others are only pausing: waiting for them is worth more to the client than the failure of one. Candidates can
  // also be left because the time is over or the body is spent; that is no reason to speak of a rate limit.
  const isPausing =
    left.length > 0 && error.row.nextCandidate && !left.some((other) => isTakeable(other, request));
  if (isPausing) return mostActionable([error, allPaused(left, request)]) ?? error;
  return error;
}

/** Rejects with the signal's reason: an attempt that nobody waits for is not begun. */
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
