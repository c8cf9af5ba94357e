import type { Moment } from '../expiry/lifetime.ts';
import type { Acquisition, SourceResponse } from './acquisition.ts';
import type { CurrentToken } from './current-token.ts';
import { EarlyRejections, ForcedRenewals, NewTokenLag, RejectedTokens } from './rejections.ts';
import { FailureStreak } from './renewal-timing.ts';
import type { Waiter } from './waiters.ts';

/** Without a request for this long, slower retries delay no request. */
const IDLE_MS = 60_000;

/**
 * All that is known about the token of one source. Only `transition()` changes it, and the two functions of the
 * request path below. Times are monotonic milliseconds.
 */
export interface TokenState {
  isStopped: boolean;

  /** The newest token, usable or not; null before the first. */
  token: CurrentToken | null;
  /** How many different tokens there were. */
  generation: number;

  /** The acquisition in flight: at most one. */
  acquisition: Acquisition | null;
  /** A response whose token is not valid yet, or not known to upstreams; counts as in flight. */
  heldBack: { readonly response: SourceResponse; readonly acquisition: Acquisition } | null;
  /** The source reported a change and was not asked since. */
  hasSourceChanged: boolean;
  /** When something is due next; infinite when nothing is planned. */
  nextAttemptMonoMs: number;
  /** How long the source took for its last token. */
  lastDurationMs: number;
  readonly failures: FailureStreak;

  /** The requests that wait, in the order of their arrival. */
  readonly waiters: Set<Waiter>;
  /** How many of them are `manual`. */
  manualWaiters: number;
  /** `starving` was reported; reset by the next token. */
  isStarving: boolean;

  lastRequestMonoMs: number;
  /** Renewal stopped because there were no requests. */
  isDormant: boolean;
  /** The first acquisition waits until then (jitter); minus infinity once a request needed a token, which does not wait. */
  startMonoMs: number;

  readonly rejectedTokens: RejectedTokens;
  readonly forcedRenewals: ForcedRenewals;
  readonly earlyRejections: EarlyRejections;
  readonly newTokenLag: NewTokenLag;
  /** When the rejected token may be renewed. */
  forcedFromMonoMs: number;

  /** Both clocks as they were last seen: what they moved apart since is a jump. */
  lastSeen: Moment;
  /** Remarks about responses that were reported: the same one comes with every renewal. */
  readonly reportedNotes: Set<string>;
  readonly counters: { -readonly [Name in keyof TokenCounters]: TokenCounters[Name] };
}

/** Counts since the token manager was made. */
export interface TokenCounters {
  readonly acquired: number;
  readonly failed: number;
  readonly rejected: number;
  /** How often the issuer returned the token that was in use already. */
  readonly sameToken: number;
  readonly clockJumps: number;
  /** Leases given to requests, by the state of the token at that moment. */
  readonly servedFresh: number;
  readonly servedRenewing: number;
  readonly servedDegraded: number;
}

/** The state of a source that was never asked. */
export function initialState(now: Moment): TokenState {
  return {
    isStopped: false,
    token: null,
    generation: 0,
    acquisition: null,
    heldBack: null,
    hasSourceChanged: false,
    nextAttemptMonoMs: Number.POSITIVE_INFINITY,
    lastDurationMs: 0,
    failures: new FailureStreak(),
    waiters: new Set(),
    manualWaiters: 0,
    isStarving: false,
    lastRequestMonoMs: now.monoMs,
    isDormant: false,
    startMonoMs: Number.NEGATIVE_INFINITY,
    rejectedTokens: new RejectedTokens(),
    forcedRenewals: new ForcedRenewals(),
    earlyRejections: new EarlyRejections(),
    newTokenLag: new NewTokenLag(),
    forcedFromMonoMs: Number.NEGATIVE_INFINITY,
    lastSeen: now,
    reportedNotes: new Set(),
    counters: {
      acquired: 0,
      failed: 0,
      rejected: 0,
      sameToken: 0,
      clockJumps: 0,
      servedFresh: 0,
      servedRenewing: 0,
      servedDegraded: 0,
    },
  };
}

/** Whether a token is on its way. */
export function isBusy(state: TokenState): boolean {
  return state.acquisition !== null || state.heldBack !== null;
}

export function isIdle(state: TokenState, monoMs: number): boolean {
  return monoMs - state.lastRequestMonoMs > IDLE_MS;
}

/** A request needs renewal to start or to continue. */
export function wake(state: TokenState, monoMs: number): void {
  state.lastRequestMonoMs = monoMs;
  // Failures from before renewal stopped are outdated: the request that wakes it waits for the next attempt.
  if (state.isDormant) state.failures.reset();
  state.isDormant = false;
  state.startMonoMs = Number.NEGATIVE_INFINITY;
}

/**
 * A request needs the token. True: `renewalDue` must follow, as a renewal is due, there is no token, or renewal had
 * stopped. Takes numbers and allocates nothing: it is called for every request.
 */
export function noteRequest(state: TokenState, monoMs: number, wallMs: number): boolean {
  const { token } = state;
  const isWanted =
    token === null || state.isDormant || token.lifetime.remainingMs(monoMs, wallMs) <= token.renewBelowMs;
  if (!isWanted) {
    state.lastRequestMonoMs = monoMs;
    return false;
  }
  const wasIdle = isIdle(state, monoMs);
  wake(state, monoMs);
  if (isBusy(state)) return false;
  // While the issuer fails this is called for every request, and there is nothing to do before the pause ends.
  const isPausing = state.failures.failures > 0 && monoMs < state.nextAttemptMonoMs;
  return !isPausing || wasIdle;
}

/** The token that may be used now, or null. Decided by its remaining time on both clocks and by nothing else. */
export function usableToken({ token }: TokenState, monoMs: number, wallMs: number): CurrentToken | null {
  return token !== null && token.lifetime.remainingMs(monoMs, wallMs) > token.cutoffMs ? token : null;
}

/** A request gets the token. */
export function countServed(state: TokenState): void {
  if (state.failures.failures > 0) state.counters.servedDegraded += 1;
  else if (isBusy(state)) state.counters.servedRenewing += 1;
  else state.counters.servedFresh += 1;
}
