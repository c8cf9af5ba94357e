import type { Moment } from '../expiry/lifetime.ts';
import { isBusy, type TokenCounters, type TokenState } from './token-state.ts';

/**
 * `empty`: never had a token · `acquiring`: the first is on its way · `fresh` · `renewing`: serving while the next is acquired ·
 * `degraded`: serving while renewal fails · `starved`: nothing to serve and the issuer fails · `rejected`: the upstream rejected
 * the token, the next is on its way · `misconfigured`: the issuer rejects our credentials · `dormant`: no requests · `stopped`.
 */
export type TokenStateName =
  | 'empty'
  | 'acquiring'
  | 'fresh'
  | 'renewing'
  | 'degraded'
  | 'starved'
  | 'rejected'
  | 'misconfigured'
  | 'dormant'
  | 'stopped';

/** A snapshot of a token manager for the admin API and metrics; without secrets. Durations in milliseconds. */
export interface TokenStatus {
  readonly name: string;
  readonly kind: string;
  readonly state: TokenStateName;
  /** True: a request would get a token at once. */
  readonly isUsable: boolean;
  readonly remainingMs: number | null;
  readonly lifeMs: number | null;
  readonly generation: number;
  readonly fingerprint: string | null;
  /** When the issuer will be called next; null during a call, when dormant or stopped. */
  readonly nextAttemptInMs: number | null;
  readonly consecutiveFailures: number;
  readonly lastError: string | null;
  /** The same with the host that could not be called: for commands and logs. */
  readonly lastErrorDetail: string | null;
  /** Wall clock of the last failure. */
  readonly lastErrorAtMs: number | null;
  readonly waiters: number;
  readonly isBreakerOpen: boolean;
  /** How many working tokens were rejected early, while that looks as if another client uses the credentials; else 0. */
  readonly suspiciousRejections: number;
  readonly counters: TokenCounters;
}

/** `name` and `kind` are the source's. */
export function statusOf(
  state: TokenState,
  { name, kind }: { name: string; kind: string },
  now: Moment,
): TokenStatus {
  const { token, failures } = state;
  const nextInMs = state.nextAttemptMonoMs - now.monoMs;
  return {
    name,
    kind,
    state: stateNameOf(state, now),
    isUsable: token?.isUsable(now) ?? false,
    remainingMs: token?.remainingMs(now) ?? null,
    lifeMs: token?.lifetime.lifeMs ?? null,
    generation: state.generation,
    fingerprint: token?.lease.fingerprint ?? null,
    nextAttemptInMs: Number.isFinite(nextInMs) ? Math.max(0, nextInMs) : null,
    consecutiveFailures: failures.failures,
    lastError: failures.message,
    lastErrorDetail: failures.detail,
    lastErrorAtMs: failures.lastAtWallMs,
    waiters: state.waiters.size,
    isBreakerOpen: state.forcedRenewals.isBreakerOpen(now.monoMs),
    suspiciousRejections: state.earlyRejections.suspicious(now.monoMs),
    counters: { ...state.counters },
  };
}

/** The name of the state; the first line that applies wins. */
function stateNameOf(state: TokenState, now: Moment): TokenStateName {
  if (state.isStopped) return 'stopped';
  if (state.isDormant) return 'dormant';
  if (state.failures.isMisconfigured) return 'misconfigured';
  if (state.token?.isUsable(now) === true) {
    if (state.failures.failures > 0) return 'degraded';
    return isBusy(state) ? 'renewing' : 'fresh';
  }
  if (state.token?.isRejected === true) return 'rejected';
  if (state.failures.failures > 0) return 'starved';
  return isBusy(state) ? 'acquiring' : 'empty';
}
