import type { Secret } from '../../lib/secret.ts';
import type { Lifetime, Moment } from '../expiry/lifetime.ts';
import type { Lease } from './lease.ts';
import type { TokenManagerSettings } from './token-manager-settings.ts';

/** At most these shares of the lifetime, however large the configured times are: those are meant for long tokens. */
const MAX_LEEWAY = 0.05;
const MAX_FLOOR = 0.01;

/** The remaining times below which a token is not used: while the issuer responds, and at all. */
export function cutoffsOf(
  lifeMs: number,
  settings: Pick<TokenManagerSettings, 'leewayMs' | 'floorMs'>,
): { leewayMs: number; floorMs: number } {
  const floorMs = Math.min(settings.floorMs, MAX_FLOOR * lifeMs);
  return { leewayMs: Math.max(floorMs, Math.min(settings.leewayMs, MAX_LEEWAY * lifeMs)), floorMs };
}

interface CurrentTokenFacts {
  readonly lease: Lease;
  readonly lifetime: Lifetime;
  readonly leewayMs: number;
  readonly floorMs: number;
  readonly isExpiryKnown: boolean;
  readonly renewBelowMs: number;
  readonly secrets: readonly Secret[];
}

/**
 * The newest token of a source. What decides its use is kept as plain numbers, so that "may this be used now?" is
 * one subtraction and two comparisons on the request path.
 */
export class CurrentToken {
  readonly lease: Lease;
  readonly lifetime: Lifetime;
  readonly floorMs: number;
  /** False: the issuer stated no lifetime. */
  readonly isExpiryKnown: boolean;
  /** What must not appear in any text while it is in use. */
  readonly secrets: readonly Secret[];
  /** Renewed with so much left or less. */
  readonly renewBelowMs: number;
  /** Not used with so much left or less: the leeway, the floor, or infinite while rejected. */
  cutoffMs: number;
  /** An upstream accepted it. */
  isProven = false;
  /** It was rejected before any upstream had accepted it. */
  wasRejectedUnproven = false;
  /** It counted against the breaker: many requests report one rejected token. */
  isCounted = false;
  /** The event of its denied renewal was emitted: each further request would repeat it. */
  isDenialReported = false;

  constructor(facts: CurrentTokenFacts) {
    this.lease = facts.lease;
    this.lifetime = facts.lifetime;
    this.floorMs = facts.floorMs;
    this.isExpiryKnown = facts.isExpiryKnown;
    this.secrets = facts.secrets;
    this.renewBelowMs = facts.renewBelowMs;
    this.cutoffMs = facts.leewayMs;
  }

  /** An upstream rejected it and another one is on its way. */
  get isRejected(): boolean {
    return this.cutoffMs === Number.POSITIVE_INFINITY;
  }

  reject(): void {
    this.cutoffMs = Number.POSITIVE_INFINITY;
  }

  /** Rejected, but the issuer has no other: in use again. */
  reinstate(): void {
    this.cutoffMs = this.floorMs;
  }

  /** The issuer has nothing better at the moment: used until the floor. */
  useUntilFloor(): void {
    if (!this.isRejected) this.cutoffMs = this.floorMs;
  }

  remainingMs(now: Moment): number {
    return this.lifetime.remainingMs(now.monoMs, now.wallMs);
  }

  /** Since it was requested. */
  ageMs(now: Moment): number {
    return this.lifetime.lifeMs - this.remainingMs(now);
  }

  isUsable(now: Moment): boolean {
    return this.remainingMs(now) > this.cutoffMs;
  }
}
