import type { Secret } from '../../lib/secret.ts';
import type { Lifetime, Moment } from '../expiry/lifetime.ts';
import type { Lease } from './lease.ts';

/** At most these shares of the life, however large the configured times are: they are meant for long tokens. */
const MOST_LEEWAY = 0.05;
const MOST_FLOOR = 0.01;

/** The times below which a token of this life is not used: while the issuer is well, and at all. */
export function cutoffsOf(
  lifeMs: number,
  settings: { readonly leewayMs: number; readonly floorMs: number },
): { leewayMs: number; floorMs: number } {
  const floorMs = Math.min(settings.floorMs, MOST_FLOOR * lifeMs);
  return { leewayMs: Math.max(floorMs, Math.min(settings.leewayMs, MOST_LEEWAY * lifeMs)), floorMs };
}

/**
 * The token in use. The three `…Ms` fields that change are kept as plain numbers, so that the question "may this be
 * used now?" is one subtraction and two comparisons on the request path.
 */
export class HeldToken {
  readonly lease: Lease;
  readonly lifetime: Lifetime;
  readonly leewayMs: number;
  readonly floorMs: number;
  /** False: the issuer stated no life. */
  readonly isExpiryKnown: boolean;
  /** What must be in no text while it is in use. */
  readonly secrets: readonly Secret[];
  /** Not used with so much left or less. Set: leeway or floor. Infinite while refused by an upstream. */
  cutoffMs: number;
  /** Renewed with so much left or less. */
  renewBelowMs: number;
  /** An upstream accepted it. */
  isProven = false;
  /** It was refused before any upstream had accepted it. */
  wasRefusedNew = false;
  /** It was said that its refusal could not be answered with a renewal: the next request has the same to tell. */
  isDenialTold = false;
  /** It counted against the breaker already: many requests report one refused token. */
  isCounted = false;

  constructor(facts: {
    readonly lease: Lease;
    readonly lifetime: Lifetime;
    readonly leewayMs: number;
    readonly floorMs: number;
    readonly isExpiryKnown: boolean;
    readonly renewBelowMs: number;
    readonly secrets: readonly Secret[];
  }) {
    this.lease = facts.lease;
    this.lifetime = facts.lifetime;
    this.leewayMs = facts.leewayMs;
    this.floorMs = facts.floorMs;
    this.isExpiryKnown = facts.isExpiryKnown;
    this.secrets = facts.secrets;
    this.renewBelowMs = facts.renewBelowMs;
    this.cutoffMs = facts.leewayMs;
  }

  /** An upstream refused it and another one is on its way. */
  get isRefused(): boolean {
    return this.cutoffMs === Number.POSITIVE_INFINITY;
  }

  refuse(): void {
    this.cutoffMs = Number.POSITIVE_INFINITY;
  }

  /** Nothing better can be had at the moment: use it to its last second. */
  serveToTheEnd(): void {
    if (!this.isRefused) this.cutoffMs = this.floorMs;
  }

  /** Refused, but the issuer has no other: in use again. */
  reinstate(): void {
    this.cutoffMs = this.floorMs;
  }

  remainingMs(now: Moment): number {
    return this.lifetime.remainingMs(now.monoMs, now.wallMs);
  }

  /** Since it was asked for. */
  ageMs(now: Moment): number {
    return this.lifetime.lifeMs - this.remainingMs(now);
  }

  isUsable(now: Moment): boolean {
    return this.remainingMs(now) > this.cutoffMs;
  }
}
