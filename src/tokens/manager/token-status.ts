import type { Moment } from '../expiry/lifetime.ts';
import type { RenewalLoop } from './renewal-loop.ts';
import type { TokenCustody } from './token-custody.ts';

/**
 * `empty`: never had a token · `acquiring`: the first is on its way · `fresh` · `renewing`: serving while the next is fetched ·
 * `degraded`: serving while renewal fails · `starved`: nothing to serve and the issuer fails · `rejected`: the upstream refused
 * the token, the next is on its way · `misconfigured`: the issuer refuses our credentials · `dormant`: nobody asks · `stopped`.
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

/** A picture of a manager for the admin API and metrics; without secrets. Durations in milliseconds. */
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
  /** When the issuer will be asked next; null while it is being asked, when dormant or stopped. */
  readonly nextAttemptInMs: number | null;
  readonly consecutiveFailures: number;
  readonly lastError: string | null;
  /** Wall clock of the last failure. */
  readonly lastErrorAtMs: number | null;
  readonly waiters: number;
  readonly isBreakerOpen: boolean;
  /** How many working tokens were refused early, while that looks as if someone else uses the credentials; else 0. */
  readonly suspiciousRejections: number;
  readonly counters: TokenCounters;
}

/** Counts since the manager was made. */
export interface TokenCounters {
  readonly acquired: number;
  readonly failed: number;
  readonly rejected: number;
  readonly sameToken: number;
  readonly clockJumps: number;
  /** Leases handed out, by the manager's state at that moment. */
  readonly servedFresh: number;
  readonly servedRenewing: number;
  readonly servedDegraded: number;
}

/** The parts of a manager that its status is read from. */
interface StatusFacts {
  readonly name: string;
  readonly kind: string;
  readonly now: Moment;
  readonly isStopped: boolean;
  readonly isDormant: boolean;
  readonly waiters: number;
  readonly custody: TokenCustody;
  readonly loop: RenewalLoop;
  readonly counters: Omit<TokenCounters, 'sameToken'>;
}

export function statusOf(facts: StatusFacts): TokenStatus {
  const { name, kind, now, waiters, custody, loop } = facts;
  const { token } = custody;
  const nextInMs = loop.nextAttemptMonoMs - now.monoMs;
  return {
    name,
    kind,
    state: stateOf(facts),
    isUsable: token?.isUsable(now) ?? false,
    remainingMs: token?.remainingMs(now) ?? null,
    lifeMs: token?.lifetime.lifeMs ?? null,
    generation: custody.generation,
    fingerprint: token?.lease.fingerprint ?? null,
    nextAttemptInMs: Number.isFinite(nextInMs) ? Math.max(0, nextInMs) : null,
    consecutiveFailures: loop.streak.failures,
    lastError: loop.streak.message,
    lastErrorAtMs: loop.streak.lastAtWallMs,
    waiters,
    isBreakerOpen: custody.isBreakerOpen(now.monoMs),
    suspiciousRejections: custody.suspiciousRejections(now.monoMs),
    counters: { ...facts.counters, sameToken: custody.sameTokens },
  };
}

/** The one word for a manager; a later line is looked at only when the earlier ones do not hold. */
function stateOf({ isStopped, isDormant, custody, loop, now }: StatusFacts): TokenStateName {
  if (isStopped) return 'stopped';
  if (isDormant) return 'dormant';
  if (loop.streak.isMisconfigured) return 'misconfigured';
  if (custody.token?.isUsable(now) === true) {
    if (loop.streak.failures > 0) return 'degraded';
    return loop.isBusy ? 'renewing' : 'fresh';
  }
  if (custody.token?.isRefused === true) return 'rejected';
  if (loop.streak.failures > 0) return 'starved';
  return loop.isBusy ? 'acquiring' : 'empty';
}
