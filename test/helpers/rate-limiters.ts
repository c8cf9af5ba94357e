/** The limiters that upstreams have, as pure functions of time, and the headers with which they state a limit. */

/** What a limiter decided of one call. */
export interface LimiterDecision {
  readonly isAccepted: boolean;
  /** Until a refused call would be accepted, and until the whole limit is free again after an accepted one. */
  readonly resetMs: number;
  readonly remaining: number;
  readonly limit: number;
  /** The length of the limit's window. */
  readonly windowMs: number;
}

/** What limiters other than those of calls count. */
export interface LimitedCall {
  /** Accepted calls that have no response yet, without this one. */
  readonly inFlight: number;
  /** What the call costs. */
  readonly tokens: number;
}

/** Takes the time of a call in milliseconds, which never goes back. */
export type RateLimiter = (nowMs: number, call?: LimitedCall) => LimiterDecision;

/** `calls` in each window of the clock. */
export function fixedWindow(calls: number, windowMs: number, startMs = 0): RateLimiter {
  let current = Number.NEGATIVE_INFINITY;
  let taken = 0;
  return (nowMs) => {
    const index = Math.floor((nowMs - startMs) / windowMs);
    if (index !== current) taken = 0;
    current = index;
    const isAccepted = taken < calls;
    if (isAccepted) taken += 1;
    const resetMs = (index + 1) * windowMs + startMs - nowMs;
    return { isAccepted, resetMs, remaining: calls - taken, limit: calls, windowMs };
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
    return { isAccepted, resetMs, remaining: calls - taken.length, limit: calls, windowMs };
  };
}

/** `calls` in any span of `windowMs`, estimated from the counts of two fixed windows (Cloudflare, Kong, Upstash). */
export function slidingCounter(calls: number, windowMs: number): RateLimiter {
  let current = Number.NEGATIVE_INFINITY;
  let [before, taken] = [0, 0];
  return (nowMs) => {
    const index = Math.floor(nowMs / windowMs);
    if (index !== current) [before, taken] = [index === current + 1 ? taken : 0, 0];
    current = index;
    const weight = 1 - (nowMs / windowMs - index);
    const counted = before * weight + taken;
    const isAccepted = counted + 1 <= calls;
    if (isAccepted) taken += 1;
    const resetMs = isAccepted ? windowMs : before > 0 ? windowMs / before : (index + 1) * windowMs - nowMs;
    return { isAccepted, resetMs, remaining: Math.floor(calls - counted), limit: calls, windowMs };
  };
}

/** A bucket of `size` calls that is filled with `perSecond` a second; of one call: each `1 / perSecond` after the last (GCRA). */
export function tokenBucket(perSecond: number, size: number): RateLimiter {
  return bucketOf(perSecond, size, () => 1);
}

/** A bucket of a minute's tokens, filled all the time. */
export function tokensPerMinute(tokens: number): RateLimiter {
  return bucketOf(tokens / 60, tokens, (call) => call?.tokens ?? 1);
}

function bucketOf(perSecond: number, size: number, costOf: (call?: LimitedCall) => number): RateLimiter {
  const perMs = perSecond / 1_000;
  let level = size;
  let atMs = 0;
  return (nowMs, call) => {
    level = Math.min(size, level + (nowMs - atMs) * perMs);
    atMs = nowMs;
    const cost = costOf(call);
    const isAccepted = level >= cost;
    if (isAccepted) level -= cost;
    const resetMs = (isAccepted ? size - level : cost - level) / perMs;
    return { isAccepted, resetMs, remaining: Math.floor(level), limit: size, windowMs: size / perMs };
  };
}

/** `calls` at once. */
export function concurrency(calls: number): RateLimiter {
  return (_nowMs, call) => {
    const inFlight = call?.inFlight ?? 0;
    const isAccepted = inFlight < calls;
    const remaining = Math.max(0, calls - inFlight - (isAccepted ? 1 : 0));
    return { isAccepted, resetMs: 1_000, remaining, limit: calls, windowMs: 1_000 };
  };
}

/** How an upstream states its limit; all but the first in the headers of a 429, those from `x-ratelimit` on in those of each response. */
export const LIMIT_HINTS = [
  'nothing',
  'retry-after',
  'decimal',
  'retry-after-ms',
  'http-date',
  'always 0',
  'always 3600',
  'too small',
  'x-ratelimit',
  'x-ratelimit in words',
  'x-ratelimit epoch',
  'anthropic',
  'ietf',
] as const;
export type LimitHint = (typeof LIMIT_HINTS)[number];

/** The headers of the response to a call; `nowWallMs` is for points in time. */
export function limitHeaders(
  hint: LimitHint,
  decision: LimiterDecision,
  nowWallMs = Date.now(),
): Record<string, string> {
  const { isAccepted, resetMs, remaining, limit, windowMs } = decision;
  const seconds = Math.max(1, Math.ceil(resetMs / 1_000));
  switch (hint) {
    case 'x-ratelimit':
      return openaiHeaders(limit, remaining, `${Math.ceil(resetMs)}ms`);
    case 'x-ratelimit in words':
      return openaiHeaders(
        limit,
        remaining,
        `${Math.floor(seconds / 60)}m${seconds % 60}s`.replace(/^0m/, ''),
      );
    case 'x-ratelimit epoch':
      return {
        'x-ratelimit-limit': String(limit),
        'x-ratelimit-remaining': String(remaining),
        'x-ratelimit-reset': String(Math.ceil((nowWallMs + resetMs) / 1_000)),
      };
    case 'anthropic':
      return {
        'anthropic-ratelimit-requests-limit': String(limit),
        'anthropic-ratelimit-requests-remaining': String(remaining),
        'anthropic-ratelimit-requests-reset': `${new Date(Math.ceil((nowWallMs + resetMs) / 1_000) * 1_000).toISOString().slice(0, 19)}Z`,
        ...(!isAccepted && { 'retry-after': String(seconds) }),
      };
    case 'ietf':
      return {
        'ratelimit-policy': `"default";q=${limit};w=${Math.ceil(windowMs / 1_000)}`,
        ratelimit: `"default";r=${remaining};t=${seconds}`,
      };
    default:
      return isAccepted ? {} : retryAfterHeader(hint, resetMs, nowWallMs);
  }
}

function openaiHeaders(limit: number, remaining: number, reset: string): Record<string, string> {
  return {
    'x-ratelimit-limit-requests': String(limit),
    'x-ratelimit-remaining-requests': String(remaining),
    'x-ratelimit-reset-requests': reset,
  };
}

function retryAfterHeader(hint: LimitHint, resetMs: number, nowWallMs: number): Record<string, string> {
  switch (hint) {
    case 'retry-after':
      return { 'retry-after': String(Math.max(1, Math.ceil(resetMs / 1_000))) };
    case 'decimal':
      return { 'retry-after': (resetMs / 1_000).toFixed(3) };
    case 'retry-after-ms':
      return { 'retry-after-ms': String(Math.ceil(resetMs)) };
    case 'http-date':
      return { 'retry-after': new Date(Math.ceil((nowWallMs + resetMs) / 1_000) * 1_000).toUTCString() };
    case 'always 0':
      return { 'retry-after': '0' };
    case 'always 3600':
      return { 'retry-after': '3600' };
    case 'too small':
      return { 'retry-after': '0.01' };
    default:
      return {};
  }
}
