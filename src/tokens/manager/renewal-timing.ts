import type { Moment } from '../expiry/lifetime.ts';
import type { SourceErrorSeverity } from '../sources/token-source.ts';
import type { TokenManagerSettings } from './token-manager-settings.ts';

/** Early enough that an issuer may be unavailable for a third of the token's lifetime. */
const OVERLAP_RANGE: readonly [number, number] = [0.4, 0.5];
/** Each renewal revokes the token in use, so there should be few; a fifth of the lifetime is left for retries. */
const EXCLUSIVE_RANGE: readonly [number, number] = [0.75, 0.8];

type RenewalSettings = Pick<TokenManagerSettings, 'refreshAt' | 'rotation'>;

function renewalRange({ refreshAt, rotation }: RenewalSettings): readonly [number, number] {
  return refreshAt ?? (rotation === 'exclusive' ? EXCLUSIVE_RANGE : OVERLAP_RANGE);
}

/** The share of a lifetime after which any of our replicas may renew a token. */
export function earliestRenewalShare(settings: RenewalSettings): number {
  return renewalRange(settings)[0];
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/**
 * The age at which a token is renewed, in milliseconds. Uniform in the configured share of its lifetime, so that
 * replicas drift apart; long tokens are renewed 15 to 20 minutes (or 5 % of the lifetime, at most a day) before they
 * expire, as more would only cost quota. `refreshInMs`, the issuer's own hint, wins when it is earlier.
 */
export function renewalAgeMs(
  lifeMs: number,
  settings: RenewalSettings,
  refreshInMs: number | undefined,
  random: () => number,
): number {
  const [from, to] = renewalRange(settings);
  const byShare = lifeMs * (from + (to - from) * random());
  const earliestMs = Math.max((15 + 5 * random()) * MINUTE_MS, Math.min(0.05 * lifeMs, DAY_MS));
  const ageMs = Math.max(byShare, lifeMs - earliestMs);
  if (refreshInMs === undefined || !Number.isFinite(refreshInMs)) return ageMs;
  // A hint of 0 would mean one issuer call per response.
  return Math.min(ageMs, Math.max(refreshInMs, minPollMs(lifeMs)));
}

/**
 * How long to wait before an issuer that returned the token in use is called again: half of what is left, so that
 * polls get closer as the token nears its expiry, and the last one comes before it.
 */
export function sameTokenPollMs(lifeMs: number, remainingMs: number): number {
  return Math.min(Math.max(minPollMs(lifeMs), remainingMs / 2), 0.8 * remainingMs);
}

/** 5 s; less only for tokens so short that 5 s would be a good part of their lifetime. */
function minPollMs(lifeMs: number): number {
  return Math.min(5_000, 0.1 * lifeMs);
}

/** An issuer that hangs must not cost a short token its whole lifetime, nor a slow one be cut off before it responds. */
const MIN_TIMEOUT_MS = 1_000;
const ALLOWED_SLOWDOWN = 4;

/**
 * The time limit of an acquisition while a token is in use: half of its remaining lifetime, so that there is time for
 * another one, but four times what the issuer took last. Without a usable token: the whole `attemptTimeoutMs`.
 */
export function acquisitionTimeoutMs(
  attemptTimeoutMs: number,
  usableForMs: number | null,
  lastDurationMs: number,
): number {
  if (usableForMs === null) return attemptTimeoutMs;
  const limitMs = Math.max(usableForMs / 2, ALLOWED_SLOWDOWN * lastDurationMs, MIN_TIMEOUT_MS);
  return Math.min(attemptTimeoutMs, limitMs);
}

const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 5_000;
/** While no request needs the result, or when asking more often could lock the account. */
const SLOW_PAUSE_MS = 30_000;
const SLOW_AFTER_MS = 5 * 60_000;
const MAX_RETRY_AFTER_MS = 60_000;

/** What the pause after a failure depends on beside the failures themselves. */
export interface PauseContext {
  readonly hasWaiters: boolean;
  /** True: no request for a while. */
  readonly isIdle: boolean;
  /** The remaining lifetime of the token in use; null when there is none. */
  readonly remainingMs: number | null;
  /** The lifetime of the last token; null before the first. */
  readonly lifeMs: number | null;
}

/** All that the pause after a failure depends on. */
export interface PauseFacts extends PauseContext {
  /** Failures in a row, at least 1. */
  readonly failures: number;
  /** Uniform in [0, 1), drawn once per failure, so that the pause can be computed again when the facts change. */
  readonly draw: number;
  /** True: the issuer rejects our credentials. */
  readonly isMisconfigured: boolean;
  readonly failingForMs: number;
  readonly retryAfterMs: number | null;
}

/**
 * The pause after a failed acquisition: 0.5 s doubling, between half and all of it at random. The issuer's
 * `Retry-After` makes it longer, up to a minute, but never more than half of the remaining lifetime of the token in use.
 */
export function pauseAfterFailureMs(facts: PauseFacts): number {
  const pauseMs = facts.isMisconfigured
    ? SLOW_PAUSE_MS
    : Math.min(maxPauseMs(facts), FIRST_PAUSE_MS * 2 ** Math.min(facts.failures - 1, 20)) *
      (0.5 + 0.5 * facts.draw);
  const { retryAfterMs, remainingMs } = facts;
  if (retryAfterMs === null || !(retryAfterMs > 0)) return pauseMs;
  const maxMs = remainingMs !== null && remainingMs > 0 ? remainingMs / 2 : MAX_RETRY_AFTER_MS;
  return Math.max(pauseMs, Math.min(retryAfterMs, MAX_RETRY_AFTER_MS, maxMs));
}

function maxPauseMs(facts: PauseFacts): number {
  if (!facts.hasWaiters && (facts.isIdle || facts.failingForMs > SLOW_AFTER_MS)) return SLOW_PAUSE_MS;
  // 5 s is nearly the whole lifetime of a 6-second token: there the pauses stay within a sixth of it.
  return Math.min(MAX_PAUSE_MS, Math.max(1_000, (facts.lifeMs ?? Number.POSITIVE_INFINITY) / 6));
}

/** One failed acquisition. */
export interface AcquisitionFailure {
  readonly severity: SourceErrorSeverity;
  /** Value-free. */
  readonly message: string;
  readonly retryAfterMs: number | null;
  /** `host:port` of a server that could not be called. */
  readonly target?: string;
}

/** Restarting identity providers answer `invalid_client` while their store comes up: credentials that worked get this many tries. */
const CREDENTIALS_REJECTED_LIMIT = 3;

/** The acquisitions that failed since the last token. */
export class FailureStreak {
  #failures = 0;
  /** Rejections of our credentials in a row; any other failure resets it. */
  #credentialRejections = 0;
  #first: Moment | null = null;
  #last: Moment | null = null;
  #draw = 0;
  #retryAfterMs: number | null = null;
  #message: string | null = null;
  #target: string | null = null;
  #hasEverSucceeded = false;

  /** `draw`: uniform in [0, 1). */
  add(failure: AcquisitionFailure, at: Moment, draw: number): void {
    this.#failures += 1;
    this.#credentialRejections = failure.severity === 'credentials' ? this.#credentialRejections + 1 : 0;
    this.#first ??= at;
    this.#last = at;
    this.#draw = draw;
    this.#retryAfterMs = failure.retryAfterMs;
    this.#message = failure.message;
    this.#target = failure.target ?? null;
  }

  /** A token was acquired. */
  end(): void {
    this.#hasEverSucceeded = true;
    this.reset();
  }

  /** The source changed: what failed before does not count against it. The last message stays for the status. */
  reset(): void {
    this.#failures = 0;
    this.#credentialRejections = 0;
    this.#first = null;
    this.#retryAfterMs = null;
  }

  get failures(): number {
    return this.#failures;
  }

  /** The last failure's text; stays after a success, since it explains what was. */
  get message(): string | null {
    return this.#message;
  }

  /** The same with the server that could not be called: for logs, as it names a host. */
  get detail(): string | null {
    return this.#target === null ? this.#message : `${this.#message} at ${this.#target}`;
  }

  get lastAtWallMs(): number | null {
    return this.#last === null ? null : this.#last.wallMs;
  }

  get isMisconfigured(): boolean {
    return this.#credentialRejections >= (this.#hasEverSucceeded ? CREDENTIALS_REJECTED_LIMIT : 1);
  }

  failingForMs(nowMonoMs: number): number {
    return this.#first === null ? 0 : nowMonoMs - this.#first.monoMs;
  }

  /** When the issuer may be called again, on the monotonic clock; minus infinity when nothing failed. */
  nextAttemptMonoMs(nowMonoMs: number, context: PauseContext): number {
    if (this.#failures === 0 || this.#last === null) return Number.NEGATIVE_INFINITY;
    const pauseMs = pauseAfterFailureMs({
      ...context,
      failures: this.#failures,
      draw: this.#draw,
      isMisconfigured: this.isMisconfigured,
      failingForMs: this.failingForMs(nowMonoMs),
      retryAfterMs: this.#retryAfterMs,
      // Half of what was left at the failure, not half of what is left at each later computation.
      remainingMs:
        context.remainingMs === null ? null : context.remainingMs + (nowMonoMs - this.#last.monoMs),
    });
    return this.#last.monoMs + pauseMs;
  }
}
