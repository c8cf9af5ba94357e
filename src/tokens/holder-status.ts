/**
 * `empty`: never had a token · `acquiring`: the first is on its way · `fresh` · `renewing`: serving while the next is fetched ·
 * `degraded`: serving while renewal fails · `starved`: nothing to serve and the issuer fails · `rejected`: the upstream refused
 * the token, the next is on its way · `misconfigured`: the issuer refuses our credentials · `dormant`: nobody asks · `stopped`.
 */
export type HolderState =
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

/** A picture of a holder for the admin API and metrics; without secrets. Durations in milliseconds. */
export interface HolderStatus {
  readonly name: string;
  readonly kind: string;
  readonly state: HolderState;
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
  readonly counters: HolderCounters;
}

/** Counts since the holder was made. */
export interface HolderCounters {
  readonly acquired: number;
  readonly failed: number;
  readonly rejected: number;
  readonly sameToken: number;
  readonly clockJumps: number;
  /** Leases handed out, by the holder's state at that moment. */
  readonly servedFresh: number;
  readonly servedRenewing: number;
  readonly servedDegraded: number;
}

export interface StateFacts {
  readonly isStopped: boolean;
  readonly isDormant: boolean;
  readonly isUsable: boolean;
  readonly isRefused: boolean;
  readonly isBusy: boolean;
  readonly isMisconfigured: boolean;
  readonly failures: number;
}

/** The one word for a holder's facts; a later line is looked at only when the earlier ones do not hold. */
export function stateOf(facts: StateFacts): HolderState {
  if (facts.isStopped) return 'stopped';
  if (facts.isDormant) return 'dormant';
  if (facts.isMisconfigured) return 'misconfigured';
  if (facts.isUsable) {
    if (facts.failures > 0) return 'degraded';
    return facts.isBusy ? 'renewing' : 'fresh';
  }
  if (facts.isRefused) return 'rejected';
  if (facts.failures > 0) return 'starved';
  return facts.isBusy ? 'acquiring' : 'empty';
}
