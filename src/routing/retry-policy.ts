import type { FerryError } from '../lib/errors/ferry-error.ts';

/** What follows a failed attempt. */
export type NextStep =
  | 'same_upstream_after_backoff'
  | 'same_upstream_without_parameter'
  | 'next_candidate'
  | 'give_up';

/** All that the decision depends on. */
export interface Situation {
  readonly error: FerryError;
  /** Candidates that were not tried yet. */
  readonly candidatesLeft: number;
  /** True: there never was another candidate. */
  readonly isOnlyCandidate: boolean;
  /** Tries of this upstream so far, this one included. */
  readonly tries: number;
  /** `retry.same_upstream`. */
  readonly sameUpstreamRetries: number;
  /** `retry.backoff`. */
  readonly backoffMs: number;
  /** A parameter that the upstream refused and that may be dropped was found, and was not dropped before. */
  readonly canDropParameter: boolean;
  /** What is left of the time for all attempts; `Infinity`: no limit. */
  readonly leftMs: number;
  /** The request's body was a stream and is gone. */
  readonly isReplayable: boolean;
}

/** The table of docs/failover.md as a pure function. The renewal of tokens happens inside an attempt. */
export function nextStep(situation: Situation): NextStep {
  const { error } = situation;
  if (situation.leftMs <= 0 || !situation.isReplayable) return 'give_up';
  const { again, nextCandidate } = error.row;
  if (again === 'without_refused_parameter' && situation.canDropParameter)
    return 'same_upstream_without_parameter';
  if (nextCandidate && situation.candidatesLeft > 0) return 'next_candidate';
  if (
    again === 'if_only_candidate' &&
    situation.isOnlyCandidate &&
    situation.tries <= situation.sameUpstreamRetries &&
    backoffAfter(situation.tries, situation.backoffMs) < situation.leftMs
  ) {
    return 'same_upstream_after_backoff';
  }
  return 'give_up';
}

/** The pause before the only upstream is asked again after `tries` tries; doubles, in milliseconds. */
export function backoffAfter(tries: number, firstMs: number): number {
  return firstMs * 2 ** (tries - 1);
}

/** Which of several failures the client is told: the one that it can do most about. */
export function worthiest(errors: readonly FerryError[]): FerryError | undefined {
  let best: FerryError | undefined;
  for (const error of errors) {
    if (best === undefined || worth(error) >= worth(best)) best = withShortestRetry(best, error);
    else best = withShortestRetry(error, best);
  }
  return best;
}

/** Of two rate limits the shorter wait is the one worth telling. */
function withShortestRetry(other: FerryError | undefined, chosen: FerryError): FerryError {
  if (other === undefined || other.kind !== chosen.kind || chosen.kind !== 'rate_limited') return chosen;
  const isOtherShorter =
    (other.retryAfterMs ?? Number.POSITIVE_INFINITY) < (chosen.retryAfterMs ?? Number.POSITIVE_INFINITY);
  return isOtherShorter ? other : chosen;
}

/** A client's own mistake wins over 429, over the last transport failure, over a missing model or path, over auth. */
function worth(error: FerryError): number {
  switch (error.kind) {
    case 'rate_limited':
      return 5;
    case 'quota_exhausted':
    case 'queue_full':
      return 4;
    case 'model_not_found':
    case 'path_not_found':
      return 2;
    case 'auth_rejected':
    case 'forbidden':
      return 1;
    case 'upstream_misconfigured':
      return 0;
    default:
      return error.row.nextCandidate ? 3 : 6;
  }
}
