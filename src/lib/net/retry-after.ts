/** Maximum pause that is used and passed on; openai-node ignores anything longer (S86, Q143). */
const MAX_WAIT_MS = 60_000;

/** Numbers from here on are points in time, not waits: seconds since 1970, and the same in milliseconds. */
const EPOCH_SECONDS_FROM = 1e9;
const EPOCH_MS_FROM = 1e12;

interface RetryHints {
  /** Header by lower-case name. */
  readonly headers: (name: string) => string | undefined;
  /** The error's text, in which some upstreams hide the wait ("try again in 20s"). */
  readonly text: string;
  /** Wall clock in milliseconds, for dates. */
  readonly nowWallMs: number;
  /** False: only `retry-after` counts; reset headers on a 500 do not mean a time to wait. */
  readonly isRateLimit: boolean;
}

/** The time to wait that the upstream states, in ms within (0, 60000]; undefined when there is no valid one. */
export function retryAfterMs(hints: RetryHints): number | undefined {
  const { headers, nowWallMs } = hints;
  const stated =
    usable(parseMs(headers('retry-after-ms'))) ?? usable(parseRetryAfter(headers('retry-after'), nowWallMs));
  if (stated !== undefined || !hints.isRateLimit) return stated;
  return usable(resetWait(hints)) ?? usable(waitInText(hints.text));
}

function usable(ms: number | undefined): number | undefined {
  if (ms === undefined || !Number.isFinite(ms) || ms <= 0) return undefined;
  return Math.min(Math.ceil(ms), MAX_WAIT_MS);
}

function parseMs(value: string | undefined): number | undefined {
  return value === undefined || value.trim() === '' ? undefined : Number(value);
}

/**
 * A `Retry-After` in milliseconds from `nowWallMs`: seconds or a date (RFC 9110), and what else is sent in its place and
 * in reset headers: `1.5`, `6m0s`, `350ms`, a point in time as a number. Undefined when it is absent, past, negative or
 * nonsense. How much of it is honoured is for the caller to decide.
 */
export function parseRetryAfter(value: string | undefined, nowWallMs: number): number | undefined {
  const text = value?.trim();
  if (!text) return undefined;
  const number = Number(text);
  const ms = Number.isNaN(number)
    ? (parseSpan(text) ?? Date.parse(text) - nowWallMs)
    : number >= EPOCH_MS_FROM
      ? number - nowWallMs
      : number >= EPOCH_SECONDS_FROM
        ? number * 1000 - nowWallMs
        : number * 1000;
  return Number.isFinite(ms) && ms >= 0 ? ms : undefined;
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Go-style durations (`1h2m3.5s`), as OpenAI's `x-ratelimit-reset-*` have them. */
function parseSpan(text: string): number | undefined {
  if (text.length > 40 || !/^(?:\d+(?:\.\d+)?(?:ms|[smhd]))+$/.test(text)) return undefined;
  let total = 0;
  for (const part of text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g)) {
    total += Number(part[1]) * (UNIT_MS[part[2] ?? ''] ?? 0);
  }
  return total;
}

/** The longest of the exhausted windows; when none is, the shortest: a retry that is too early costs one 429. */
function resetWait({ headers, nowWallMs }: RetryHints): number | undefined {
  const exhausted: number[] = [];
  const others: number[] = [];
  for (const window of ['-requests', '-tokens', '']) {
    for (const prefix of ['x-ratelimit', 'ratelimit']) {
      const wait = usable(parseRetryAfter(headers(`${prefix}-reset${window}`), nowWallMs));
      if (wait === undefined) continue;
      const remaining = headers(`${prefix}-remaining${window}`)?.trim();
      (remaining === '0' ? exhausted : others).push(wait);
    }
  }
  if (exhausted.length > 0) return Math.max(...exhausted);
  return others.length > 0 ? Math.min(...others) : undefined;
}

/** "Please try again in 1m20s", "retry after 30 seconds", `"retryDelay": "34s"`, "请在 20 秒后重试". */
const WAIT_IN_TEXT =
  /(?:(?:again|retry|wait|reset\w*)\s+(?:in|after|for)(?:\s+about)?|retryDelay"?\s*:|retry[_-]after"?\s*[:=]|请在|请等待)\s*"?(\d{1,9}(?:\.\d{1,6})?)\s*(milliseconds?|ms|seconds?|secs?|minutes?|mins?|hours?|[smh]|毫秒|秒|分钟)?(?:\s?(\d{1,4}(?:\.\d{1,6})?)\s*(?:seconds?|s\b))?/i;

function waitInText(text: string): number | undefined {
  const match = WAIT_IN_TEXT.exec(text.slice(0, 4096));
  if (!match) return undefined;
  const first = Number(match[1]) * unitMs(match[2]);
  return match[3] === undefined ? first : first + Number(match[3]) * 1000;
}

/** Without a unit the number is in seconds, as in the header. */
function unitMs(unit: string | undefined): number {
  const name = (unit ?? 's').toLowerCase();
  if (name === 'ms' || name.startsWith('milli') || name === '毫秒') return 1;
  if (name.startsWith('m') || name === '分钟') return 60_000;
  if (name.startsWith('h')) return 3_600_000;
  return 1000;
}
