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
  /** Attempts at this upstream so far, the failed one included. */
  readonly tries: number;
  /** `retry.same_upstream`. */
  readonly sameUpstreamRetries: number;
  /** `retry.backoff`. */
  readonly backoffMs: number;
  /** The upstream refused a parameter that may be dropped and was not dropped in this attempt. */
  readonly canDropParameter: boolean;
  /** What is left of the deadline of all attempts; `Infinity`: no deadline. */
  readonly leftMs: number;
  /** False: the request's body was a stream and is spent, or the upstream may have acted on it. */
  readonly isReplayable: boolean;
}

/** The fault table of docs/failover.md as a pure function of its columns. Tokens are renewed within an attempt. */
export function nextStep(situation: Situation): NextStep {
  const { error } = situation;
  if (situation.leftMs <= 0 || !situation.isReplayable) return 'give_up';
  const { again, nextCandidate } = error.row;
  if (again === 'without_refused_parameter' && situation.canDropParameter)
    return 'same_upstream_without_parameter';
  if (nextCandidate && situation.candidatesLeft > 0) return 'next_candidate';
  const isRetried =
    again === 'if_only_candidate' &&
    situation.isOnlyCandidate &&
    situation.tries <= situation.sameUpstreamRetries &&
    backoffAfter(situation.tries, situation.backoffMs) < situation.leftMs;
  return isRetried ? 'same_upstream_after_backoff' : 'give_up';
}

/** The pause before the only upstream is retried after `tries` attempts; doubles, in milliseconds. */
export function backoffAfter(tries: number, firstMs: number): number {
  return firstMs * 2 ** (tries - 1);
}

/**
 * Which of several failures the client gets: the one with the highest severity, of equal ones the last, and of two rate
 * limits the one with the shorter wait.
 */
export function mostActionable(errors: readonly FerryError[]): FerryError | undefined {
  let best: FerryError | undefined;
  for (const error of errors) {
    if (best === undefined) best = error;
    else if (error.row.severity >= best.row.severity) best = withShorterWait(error, best);
    else best = withShorterWait(best, error);
  }
  return best;
}

function withShorterWait(chosen: FerryError, other: FerryError): FerryError {
  if (chosen.kind !== 'rate_limited' || other.kind !== 'rate_limited') return chosen;
  const never = Number.POSITIVE_INFINITY;
  return (other.retryAfterMs ?? never) < (chosen.retryAfterMs ?? never) ? other : chosen;
}
