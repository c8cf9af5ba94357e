/** The limiters that upstreams have, as pure functions of time, and the headers with which they state a limit. */

/** What a limiter decided of one call. */
export interface LimiterDecision {
  readonly isAccepted: boolean;
  /** Until a refused call would be accepted, and until the whole limit is free again after an accepted one. */
  readonly resetMs: number;
  readonly remaining: number;
  readonly limit: number;
}

/** Takes the time of a call in milliseconds, which never goes back. */
export type RateLimiter = (nowMs: number) => LimiterDecision;

/** `calls` in each window of the clock. */
export function fixedWindow(calls: number, windowMs: number): RateLimiter {
  let current = -1;
  let taken = 0;
  return (nowMs) => {
    const index = Math.floor(nowMs / windowMs);
    if (index !== current) taken = 0;
    current = index;
    const isAccepted = taken < calls;
    if (isAccepted) taken += 1;
    return { isAccepted, resetMs: (index + 1) * windowMs - nowMs, remaining: calls - taken, limit: calls };
  };
}

/** `calls` in any span of `windowMs`. */
export function slidingWindow(calls: number, windowMs: number): RateLimiter {
  let taken: number[] = [];
  return (nowMs) => {
    taken = taken.filter((atMs) => atMs > nowMs - windowMs);
    const isAccepted = taken.length < calls;
    if (isAccepted) taken.push(nowMs);
    const resetMs = (taken[0] ?? nowMs) + windowMs - nowMs;
    return { isAccepted, resetMs, remaining: calls - taken.length, limit: calls };
  };
}

/** A bucket of `size` calls that is filled with `perSecond` a second. */
export function tokenBucket(perSecond: number, size: number): RateLimiter {
  const perMs = perSecond / 1_000;
  let level = size;
  let atMs = 0;
  return (nowMs) => {
    level = Math.min(size, level + (nowMs - atMs) * perMs);
    atMs = nowMs;
    const isAccepted = level >= 1;
    if (isAccepted) level -= 1;
    const resetMs = (isAccepted ? size - level : 1 - level) / perMs;
    return { isAccepted, resetMs, remaining: Math.floor(level), limit: size };
  };
}

/** How an upstream tells its limit. */
export type LimitHint = 'nothing' | 'retry-after' | 'retry-after-ms' | 'x-ratelimit';

export const LIMIT_HINTS: readonly LimitHint[] = ['nothing', 'retry-after', 'retry-after-ms', 'x-ratelimit'];

/** The headers of the response to a call. */
export function limitHeaders(hint: LimitHint, decision: LimiterDecision): Record<string, string> {
  const { isAccepted, resetMs, remaining, limit } = decision;
  if (hint === 'x-ratelimit') {
    return {
      'x-ratelimit-limit-requests': String(limit),
      'x-ratelimit-remaining-requests': String(remaining),
      'x-ratelimit-reset-requests': `${Math.ceil(resetMs)}ms`,
    };
  }
  if (isAccepted || hint === 'nothing') return {};
  if (hint === 'retry-after-ms') return { 'retry-after-ms': String(Math.ceil(resetMs)) };
  return { 'retry-after': String(Math.max(1, Math.ceil(resetMs / 1_000))) };
}
