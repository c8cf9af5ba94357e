import type { Clock } from '../clock.ts';
import { asFerryError, type FerryError } from '../errors.ts';
import { Attempt } from './attempt.ts';
import { allPaused, isTakeable, takeNext } from './candidates.ts';
import { nextStep, worthiest } from './next-step.ts';
import type { RoutedRequest } from './routed-request.ts';
import type { RoutedUpstream } from './routed-upstream.ts';
import { queueFor } from './upstream-queue.ts';

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
  const { clock } = settings;
  const deadlineMonoMs =
    settings.deadlineMs > 0 ? request.startedMonoMs + settings.deadlineMs : Number.POSITIVE_INFINITY;
  const left = [...candidates];
  const errors: FerryError[] = [];
  let tokenWaitedMs = 0;
  let upstream = takeNext(left, request);
  for (let tries = 1; upstream !== null; tries++) {
    if (!upstream.places.tryTake()) {
      const queued = await queueFor(upstream, request, left, { deadlineMonoMs, clock });
      if (queued.outcome === 'reconsider') left.push(upstream);
      if (queued.outcome === 'refused') errors.push(queued.error);
      if (queued.outcome !== 'admitted') {
        if (clock.monoMs() >= deadlineMonoMs) break;
        upstream = takeNext(left, request);
        tries = 0;
        continue;
      }
    }
    const isLast = !left.some((other) => isTakeable(other, request));
    const tokenWaitMs = Math.max(0, deadlineMonoMs - clock.monoMs());
    const bounds = { isLast, deadlineMonoMs, tokenWaitMs, tokenWaitedMs };
    const attempt = new Attempt(request, upstream, bounds, clock);
    try {
      return await service.serve(attempt);
    } catch (thrown) {
      const error = asFerryError(thrown);
      attempt.finish(error);
      if (error.kind === 'token_unavailable') tokenWaitedMs += attempt.elapsedMs;
      if (attempt.isCommitted || request.signal.aborted) throw error;
      const refused = service.refusedParameter?.(error, attempt) ?? null;
      if (refused !== null) upstream.learnedDrops.add(attempt.model, refused);
      const step = nextStep({
        error,
        candidatesLeft: left.length,
        isOnlyCandidate: candidates.length === 1,
        tries,
        sameUpstreamRetries: settings.sameUpstreamRetries,
        canDropParameter: refused !== null,
        isPastDeadline: clock.monoMs() >= deadlineMonoMs,
        isReplayable: service.isReplayable?.() ?? true,
      });
      if (step !== 'same_upstream_without_parameter') errors.push(error);
      if (step === 'give_up') break;
      if (step === 'same_upstream_after_backoff') await sleep(settings.backoffMs, request.signal);
      if (step === 'next_candidate') {
        upstream = takeNext(left, request);
        tries = 0;
      }
    }
  }
  throw conclusion(errors, left, request);
}

function conclusion(
  errors: readonly FerryError[],
  left: readonly RoutedUpstream[],
  request: RoutedRequest,
): FerryError {
  const error = worthiest(errors);
  if (error === undefined) return allPaused(left, request);
  // Others are only pausing: waiting for them is worth more to the client than the failure of one. Candidates can
  // also be left because the time is over or the body is spent; that is no reason to speak of a rate limit.
  const isPausing =
    left.length > 0 && error.row.nextCandidate && !left.some((other) => isTakeable(other, request));
  if (isPausing) return worthiest([error, allPaused(left, request)]) ?? error;
  return error;
}

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
}
