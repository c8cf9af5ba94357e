import type { AcquireReason, SourceErrorSeverity } from '../sources/token-source.ts';

/** What became of a request whose token was refused. */
export type RenewalOutcome = 'superseded' | 'joined' | 'renewing' | 'denied';

/** What each kind of event tells. */
interface TokenEventFacts {
  acquired: {
    readonly reason: AcquireReason;
    readonly durationMs: number;
    readonly lifeMs: number;
    readonly isExpiryKnown: boolean;
    /** The token that was in use already: a static one that was read again, or an issuer's cache. */
    readonly isSame: boolean;
    /** The issuer's wall clock less ours; null when it does not tell. */
    readonly issuerSkewMs: number | null;
  };
  renewal_failed: {
    readonly reason: AcquireReason;
    readonly durationMs: number;
    readonly severity: SourceErrorSeverity;
    /** Value-free. */
    readonly message: string;
    readonly failures: number;
    /** What the token in use has left; null when there is none. */
    readonly remainingMs: number | null;
    /** Null: none is planned, as nobody asks. */
    readonly nextAttemptInMs: number | null;
  };
  /** An upstream refused a token. */
  rejected: {
    readonly status: number | null;
    readonly outcome: RenewalOutcome;
    /** More than a fifth of the token's life was left and no renewal of ours explains it. */
    readonly isEarly: boolean;
    /** The same was said of this token already: while renewals are denied every request would tell it. */
    readonly isRepeated: boolean;
    readonly remainingMs: number | null;
  };
  /** No usable token is left and requests wait or will have to. */
  starving: { readonly failures: number; readonly message: string };
  /** A token again after failures. */
  recovered: { readonly failures: number; readonly failedForMs: number; readonly wasStarving: boolean };
  /** The wall clock ran ahead (positive) or behind the monotonic one. */
  clock_jump: { readonly jumpMs: number };
  /** The issuer returned the token that we have already. */
  same_token: { readonly remainingMs: number; readonly wasRejected: boolean };
  /** A remark about the answers, such as expiry hints that disagree; each is made once. */
  note: { readonly note: string };
  /** Someone else seems to obtain tokens with the same credentials, which kills ours. */
  shared_credential_suspected: {
    readonly earlyRejections: number;
    /** The source is shared between replicas already. */
    readonly isShared: boolean;
  };
  /** New tokens are refused too: no replay for a while. */
  breaker_open: { readonly pauseMs: number };
  /** A request's wait for a token ended. */
  waited: { readonly waitMs: number; readonly outcome: 'served' | 'unavailable' | 'left' };
  /** No request for long: renewal stopped. */
  dormant: { readonly idleMs: number };
}

export type TokenEventKind = keyof TokenEventFacts;

/** Something worth a log line or a count, with plain facts and without secrets. `source` is the source's name. */
export type TokenEvent = {
  [Kind in TokenEventKind]: { readonly kind: Kind; readonly source: string } & TokenEventFacts[Kind];
}[TokenEventKind];

/** How the parts of a manager report events. */
export type EmitTokenEvent = <Kind extends TokenEventKind>(kind: Kind, facts: TokenEventFacts[Kind]) => void;

/**
 * Hands events of one manager to a listener. They are for people and counters: a listener that throws must not keep a
 * token from a request, so what it throws is dropped.
 */
export function emitterOf(
  source: string,
  onEvent: ((event: TokenEvent) => void) | undefined,
): EmitTokenEvent {
  return (kind, facts) => {
    try {
      onEvent?.({ kind, source, ...facts } as TokenEvent);
    } catch {
      // There is nobody above who could do anything about it.
    }
  };
}

/** What a source says of itself, without the name that it begins with: events and statuses name the manager already. */
export function unnamed(source: string, text: string): string {
  return text.startsWith(`${source}: `) ? text.slice(source.length + 2) : text;
}
