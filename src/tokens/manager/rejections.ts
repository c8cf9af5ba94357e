import type { Moment } from '../expiry/lifetime.ts';
import type { CurrentToken } from './current-token.ts';
import type { Lease } from './lease.ts';
import { earliestRenewalShare } from './renewal-timing.ts';
import { isShared, type TokenManagerSettings } from './token-manager-settings.ts';

const MAX_REJECTED = 8;
const REJECTED_FOR_MS = 10 * 60_000;

/** Tokens that an upstream rejected, by fingerprint: an issuer's cache may return them once more. */
export class RejectedTokens {
  /** Fingerprint to monotonic time of the rejection; oldest first, since a repeated one is moved to the end. */
  readonly #rejectedAt = new Map<string, number>();

  add(fingerprint: string, monoMs: number): void {
    this.#rejectedAt.delete(fingerprint);
    this.#rejectedAt.set(fingerprint, monoMs);
    for (const oldest of this.#rejectedAt.keys()) {
      if (this.#rejectedAt.size <= MAX_REJECTED) break;
      this.#rejectedAt.delete(oldest);
    }
  }

  has(fingerprint: string, monoMs: number): boolean {
    const rejectedAt = this.#rejectedAt.get(fingerprint);
    return rejectedAt !== undefined && monoMs - rejectedAt < REJECTED_FOR_MS;
  }

  delete(fingerprint: string): void {
    this.#rejectedAt.delete(fingerprint);
  }
}

const APART_MS = 1_000;
const FORCED_WINDOW_MS = 60_000;
const FORCED_LIMIT = 5;
const UNPROVEN_LIMIT = 2;
/** A single rejection, whose replay got no response that confirms the new token, does not count for a later one. */
const UNPROVEN_WINDOW_MS = 10 * 60_000;
/** How long no token is renewed because of a rejection once new tokens were rejected too. */
export const BREAKER_PAUSE_MS = 30_000;

/**
 * Decides whether a rejected token may cost the issuer a call. Upstreams send 401 for other reasons too (a scope, a
 * model, an address); then every new token is rejected as well, and renewing for each request would use up the quota.
 */
export class ForcedRenewals {
  /** Monotonic times of the permitted renewals of the last minute; the newest may be up to a second ahead. */
  #permitted: number[] = [];
  /** Monotonic times at which tokens were rejected that no upstream had accepted, since one was accepted. */
  #unproven: number[] = [];
  #openUntilMonoMs = Number.NEGATIVE_INFINITY;

  /** When a renewal may start (monotonic, maybe a moment ahead to keep them apart); null: not by `latestMonoMs`. */
  permit(monoMs: number, latestMonoMs: number): number | null {
    if (this.isBreakerOpen(monoMs)) return null;
    this.#permitted = this.#permitted.filter((at) => monoMs - at < FORCED_WINDOW_MS);
    if (this.#permitted.length >= FORCED_LIMIT) return null;
    const startMonoMs = Math.max(monoMs, (this.#permitted.at(-1) ?? Number.NEGATIVE_INFINITY) + APART_MS);
    if (startMonoMs > latestMonoMs) return null;
    this.#permitted.push(startMonoMs);
    return startMonoMs;
  }

  /** The last permitted renewal cost the issuer no call: it does not count. */
  refund(): void {
    this.#permitted.pop();
  }

  /** A token was rejected that no upstream ever accepted. True: the breaker opened just now. */
  noteUnproven(monoMs: number): boolean {
    this.#unproven = this.#unproven.filter((at) => monoMs - at < UNPROVEN_WINDOW_MS);
    this.#unproven.push(monoMs);
    if (this.#unproven.length < UNPROVEN_LIMIT || this.isBreakerOpen(monoMs)) return false;
    this.#openUntilMonoMs = monoMs + BREAKER_PAUSE_MS;
    return true;
  }

  /** An upstream accepted the newest token. */
  noteProven(): void {
    this.#unproven = [];
    this.#openUntilMonoMs = Number.NEGATIVE_INFINITY;
  }

  isBreakerOpen(monoMs: number): boolean {
    return monoMs < this.#openUntilMonoMs;
  }
}

/** A rejection with more of the lifetime left than this share is early. */
const EARLY_SHARE = 0.2;
const EARLY_WINDOW_MS = 60 * 60_000;
const SUSPICIOUS_LIMIT = 2;
/** Without another early rejection for so long the suspicion ends. */
const SUSPICION_LASTS_MS = 10 * 60_000;
const LEARN_FROM = 2;
const MAX_AGES = 8;
/** Two tokens that were revoked by hand must not shorten the lifetime of all later ones. */
const LEARNED_FOR_MS = 24 * 60 * 60_000;
const LEARNED_SHARE = 0.9;
const MIN_LEARNED_MS = 5_000;

/** The share of a lifetime that is left when a rejection is early. Another replica may have renewed a shared token. */
export function earlyShareOf(settings: TokenManagerSettings): number {
  const mayBeReplaced = isShared(settings) && settings.rotation === 'exclusive';
  return mayBeReplaced ? Math.max(EARLY_SHARE, 1 - earliestRenewalShare(settings)) : EARLY_SHARE;
}

/** Conclusions about credentials and lifetime from valid tokens that were rejected long before their expiry. */
export class EarlyRejections {
  #rejectedAt: number[] = [];
  #reportedAt = Number.NEGATIVE_INFINITY;
  /** When and at which age tokens without a stated lifetime were rejected, in milliseconds. */
  #ages: { readonly atMonoMs: number; readonly ageMs: number }[] = [];

  /** Returns how many there were within the hour when that is suspicious and was not reported within it; else null. */
  note(monoMs: number): number | null {
    this.#rejectedAt = this.#rejectedAt.filter((at) => monoMs - at < EARLY_WINDOW_MS);
    this.#rejectedAt.push(monoMs);
    if (this.#rejectedAt.length < SUSPICIOUS_LIMIT || monoMs - this.#reportedAt < EARLY_WINDOW_MS)
      return null;
    this.#reportedAt = monoMs;
    return this.#rejectedAt.length;
  }

  /** How many there were within the hour, while that is suspicious and recent; else 0. */
  suspicious(monoMs: number): number {
    const latest = this.#rejectedAt.at(-1) ?? Number.NEGATIVE_INFINITY;
    if (monoMs - latest > SUSPICION_LASTS_MS) return 0;
    const count = this.#rejectedAt.filter((at) => monoMs - at < EARLY_WINDOW_MS).length;
    return count < SUSPICIOUS_LIMIT ? 0 : count;
  }

  /** A token whose issuer states no lifetime was rejected at this age. */
  noteAge(ageMs: number, atMonoMs: number): void {
    this.#ages.push({ atMonoMs, ageMs });
    if (this.#ages.length > MAX_AGES) this.#ages.shift();
  }

  /** The lifetime to assume where the issuer states none: one rejection may be chance, two are a lifetime. */
  learnedLifeMs(defaultMs: number, monoMs: number): number {
    this.#ages = this.#ages.filter(({ atMonoMs }) => monoMs - atMonoMs < LEARNED_FOR_MS);
    if (this.#ages.length < LEARN_FROM) return defaultMs;
    const shortestMs = Math.min(...this.#ages.map(({ ageMs }) => ageMs));
    return Math.min(defaultMs, Math.max(MIN_LEARNED_MS, LEARNED_SHARE * shortestMs));
  }
}

const MIN_LAG_MS = 1_000;
const MAX_LAG_MS = 10_000;
const LAG_MARGIN = 1.5;

/**
 * How long upstreams take to accept a new token, where stores replicate and keys are cached. It is measured with a token that
 * is rejected first and accepted later: from then on new ones are held back for that long while the previous one
 * serves. Until it is known, the previous token that worked is the fallback where no renewal is permitted.
 */
export class NewTokenLag {
  #lagMs = 0;
  /** The last token that upstreams accepted, once a newer one has taken its place and unless it was rejected. */
  #previous: CurrentToken | null = null;

  /** A new token takes the place of `before`. */
  replaced(before: CurrentToken | null): void {
    if (before?.isProven === true) this.#previous = before.isRejected ? null : before;
  }

  /** An upstream accepted the newest token for the first time. */
  accepted(token: CurrentToken, now: Moment): void {
    this.#previous = null;
    if (token.wasRejectedUnproven)
      this.#lagMs = Math.min(MAX_LAG_MS, Math.max(MIN_LAG_MS, LAG_MARGIN * token.ageMs(now)));
  }

  /** For a replay, when the newest token was rejected and cannot be renewed now. */
  fallback(now: Moment): Lease | null {
    return this.#previous?.isUsable(now) === true ? this.#previous.lease : null;
  }

  /** An upstream rejected the token of `lease`: it is no fallback any more. */
  rejected(lease: Lease): void {
    if (this.#previous?.lease.generation === lease.generation) this.#previous = null;
  }

  /** How long after its issue upstreams accept a new token, in milliseconds; 0 when there never was a delay. */
  get lagMs(): number {
    return this.#lagMs;
  }
}
