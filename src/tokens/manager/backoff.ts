const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5_000;
/** When nobody waits for the result, or when asking more often could lock the account. */
const SLOW_PAUSE_MS = 30_000;
const SLOW_AFTER_MS = 5 * 60_000;
const LONGEST_RETRY_AFTER_MS = 60_000;

export interface FailureFacts {
  /** Failures in a row, at least 1. */
  readonly failures: number;
  /** Uniform in [0, 1), drawn once per failure, so that the pause can be computed again when the facts change. */
  readonly draw: number;
  /** True: the issuer refuses our credentials. */
  readonly isMisconfigured: boolean;
  readonly hasWaiters: boolean;
  /** True: no request for a while. */
  readonly isIdle: boolean;
  readonly failingForMs: number;
  readonly retryAfterMs: number | null;
  /** What the token in use has left; null when there is none. */
  readonly remainingMs: number | null;
  /** The life of the last token; null before the first. */
  readonly lifeMs: number | null;
}

/**
 * The pause after a failed attempt: 0.5 s doubling, between half and all of it at random. The issuer's
 * `Retry-After` makes it longer, up to a minute, but never past half of what the token in use has left.
 */
export function pauseAfterFailureMs(facts: FailureFacts): number {
  const pauseMs = facts.isMisconfigured
    ? SLOW_PAUSE_MS
    : Math.min(longestPauseMs(facts), FIRST_PAUSE_MS * 2 ** Math.min(facts.failures - 1, 20)) *
      (0.5 + 0.5 * facts.draw);
  const { retryAfterMs, remainingMs } = facts;
  if (retryAfterMs === null || !(retryAfterMs > 0)) return pauseMs;
  const mostMs = remainingMs !== null && remainingMs > 0 ? remainingMs / 2 : LONGEST_RETRY_AFTER_MS;
  return Math.max(pauseMs, Math.min(retryAfterMs, LONGEST_RETRY_AFTER_MS, mostMs));
}

function longestPauseMs(facts: FailureFacts): number {
  if (!facts.hasWaiters && (facts.isIdle || facts.failingForMs > SLOW_AFTER_MS)) return SLOW_PAUSE_MS;
  // 5 s is nearly the whole life of a 6-second token: there the pauses stay within a sixth of it.
  return Math.min(LONGEST_PAUSE_MS, Math.max(1_000, (facts.lifeMs ?? Number.POSITIVE_INFINITY) / 6));
}
