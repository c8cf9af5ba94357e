import { counted, times } from '../../lib/text/format.ts';
import type { AcquireReason, SourceErrorSeverity } from '../sources/token-source.ts';

/**
 * What becomes of a request whose token was rejected: `superseded`: a newer token is in use · `joined`: its renewal is
 * on its way · `renewing`: it is renewed now · `denied`: it may not be renewed again so soon.
 */
export type RejectionOutcome = 'superseded' | 'joined' | 'renewing' | 'denied';

/** The facts of each kind of event. */
export interface TokenEventFacts {
  acquired: {
    readonly reason: AcquireReason;
    readonly durationMs: number;
    readonly lifeMs: number;
    readonly isExpiryKnown: boolean;
    /** The token that was in use already: a static one that was read again, or an issuer's cache. */
    readonly isSame: boolean;
    /** The issuer's wall clock less ours; null when unknown. */
    readonly issuerSkewMs: number | null;
  };
  renewal_failed: {
    readonly reason: AcquireReason;
    readonly durationMs: number;
    readonly severity: SourceErrorSeverity;
    /** Value-free. */
    readonly message: string;
    readonly failures: number;
    /** The remaining lifetime of the token in use; null when there is none. */
    readonly remainingMs: number | null;
    /** Null: none is planned until the next request. */
    readonly nextAttemptInMs: number | null;
  };
  /** An upstream rejected a token. */
  rejected: {
    readonly status: number | null;
    readonly outcome: RejectionOutcome;
    /** More than a fifth of the token's lifetime was left and no renewal of ours explains it. */
    readonly isEarly: boolean;
    /** The same was reported of this token already: while renewals are denied every request would repeat it. */
    readonly isRepeated: boolean;
    readonly remainingMs: number | null;
  };
  /** No usable token is left and requests wait or will have to; `isFailingAtOnce`: they fail, as waiting would not help. */
  starving: { readonly failures: number; readonly message: string; readonly isFailingAtOnce?: true };
  /** A token again after failures. */
  recovered: { readonly failures: number; readonly failedForMs: number; readonly wasStarving: boolean };
  /** The wall clock ran ahead (positive) or behind the monotonic one. */
  clock_jump: { readonly jumpMs: number };
  /** The issuer returned the token that is in use already. */
  same_token: { readonly remainingMs: number; readonly wasRejected: boolean };
  /** A remark about the responses, such as expiry hints that disagree; each is made once. */
  note: { readonly note: string };
  /** Another client seems to acquire tokens with the same credentials, which revokes ours. */
  shared_credential_suspected: {
    readonly earlyRejections: number;
    /** The source is shared between replicas already. */
    readonly isShared: boolean;
  };
  /** New tokens are rejected too: no replay for a while. */
  breaker_open: { readonly pauseMs: number };
  /** A request's wait for a token is over; `left`: the client aborted. */
  waited: { readonly waitMs: number; readonly outcome: WaitOutcome };
  /** No request for long: renewal stopped. */
  dormant: { readonly idleMs: number };
}

/** How a request's wait for a token ended. */
export type WaitOutcome = 'served' | 'unavailable' | 'left';

export type TokenEventKind = keyof TokenEventFacts;

/** Something worth a log line or a count, with plain facts and without secrets. `source` is the source's name. */
export type TokenEvent = {
  [Kind in TokenEventKind]: { readonly kind: Kind; readonly source: string } & TokenEventFacts[Kind];
}[TokenEventKind];

/** One line for a log: what happened, how bad it is, what comes next. Without secrets. */
export function describeTokenEvent(event: TokenEvent): string {
  return `${event.source}: ${describe(event)}`;
}

function describe(event: TokenEvent): string {
  switch (event.kind) {
    case 'acquired':
      return `${event.isSame ? 'the same token again' : 'new token'} (${event.reason}) in ${Math.round(event.durationMs)} ms, ${describeLife(event.lifeMs, event.isExpiryKnown)}${describeSkew(event.issuerSkewMs)}`;
    case 'renewal_failed':
      return `issuer has failed ${times(event.failures)} (${event.message}), ${describeRemaining(event.remainingMs)}, ${describeNext(event.nextAttemptInMs)}`;
    case 'rejected':
      return `an upstream rejected the token${event.status === null ? '' : ` with ${event.status}`}${event.isEarly ? ' long before it expires' : ''}; ${REJECTION_OUTCOMES[event.outcome]}`;
    case 'starving':
      return `no usable token, requests ${event.isFailingAtOnce ? 'fail at once' : 'wait'}: issuer has failed ${times(event.failures)} (${event.message})`;
    case 'recovered':
      return `issuer is back, after ${counted(event.failures, 'failure')} in ${span(event.failedForMs)}${event.wasStarving ? ', requests had to wait' : ''}`;
    case 'clock_jump':
      return `the wall clock jumped ${span(Math.abs(event.jumpMs))} ${event.jumpMs > 0 ? 'ahead' : 'back'} (or the machine slept); the token's lifetime is checked on both clocks`;
    case 'same_token':
      return event.wasRejected
        ? 'the issuer returned the rejected token again; it stays in use as there is no other'
        : `the issuer returned the same token, valid for ${span(event.remainingMs)}`;
    case 'note':
      return event.note;
    case 'shared_credential_suspected':
      return describeSharing(event.earlyRejections, event.isShared);
    case 'breaker_open':
      return `upstreams reject new tokens too: no replay for ${span(event.pauseMs)}. ${NEW_TOKENS_REJECTED_HINT}`;
    case 'waited':
      return `a request waited ${Math.round(event.waitMs)} ms for a token: ${event.outcome}`;
    case 'dormant':
      return `no request for ${span(event.idleMs)}: renewal stops until the next one`;
  }
}

/** What to check when upstreams reject tokens that are new. */
export const NEW_TOKENS_REJECTED_HINT =
  'Check the scope, the audience and the permissions of the credentials, and whether another client uses them too.';

/** What to check when working tokens are rejected long before they expire. `isShared`: replicas share them already. */
export function describeSharing(rejections: number, isShared: boolean): string {
  const who = isShared
    ? 'beside these replicas'
    : '(a second replica? then set "rotation: exclusive" and "share")';
  return `${rejections} working tokens were rejected long before they expire: does another client use the same credentials ${who}, or does the issuer revoke them sooner than it states?`;
}

const REJECTION_OUTCOMES: Readonly<Record<RejectionOutcome, string>> = {
  superseded: 'a newer one is in use already',
  joined: 'its renewal is running',
  renewing: 'it is renewed now',
  denied: 'not renewed again so soon',
};

function describeLife(lifeMs: number, isExpiryKnown: boolean): string {
  return isExpiryKnown
    ? `valid for ${span(lifeMs)}`
    : `the issuer states no certain lifetime, ${span(lifeMs)} assumed`;
}

/** A few seconds are normal and need no attention. */
const MIN_SKEW_MS = 5_000;

function describeSkew(skewMs: number | null): string {
  if (skewMs === null || Math.abs(skewMs) < MIN_SKEW_MS) return '';
  return `; the issuer's clock is ${span(Math.abs(skewMs))} ${skewMs > 0 ? 'ahead of' : 'behind'} ours`;
}

function describeRemaining(remainingMs: number | null): string {
  if (remainingMs === null) return 'there is no token yet';
  return remainingMs > 0 ? `token still valid for ${span(remainingMs)}` : 'the token has expired';
}

function describeNext(nextAttemptInMs: number | null): string {
  return nextAttemptInMs === null ? 'the next request retries' : `next attempt in ${span(nextAttemptInMs)}`;
}

/** `140 s`, `2.5 s`, `20 min`, `3 h`: as precise as an operator needs it. */
function span(ms: number): string {
  const seconds = ms / 1_000;
  if (seconds < 10) return `${Math.round(seconds * 10) / 10} s`;
  if (seconds < 600) return `${Math.round(seconds)} s`;
  const minutes = seconds / 60;
  return minutes < 120 ? `${Math.round(minutes)} min` : `${Math.round(minutes / 60)} h`;
}
