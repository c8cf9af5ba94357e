import { earliestRenewalShare } from './renewal-age.ts';
import { isShared, type TokenManagerSettings } from './token-manager-settings.ts';

/** A refusal with more of the life left than this share was not due. */
const EARLY_SHARE = 0.2;
const WINDOW_MS = 60 * 60_000;
const SUSPICIOUS = 2;
/** After so long without another one it is over. */
const SUSPICION_LASTS_MS = 10 * 60_000;
const LEARN_FROM = 2;
const SAFETY = 0.9;
const SHORTEST_LEARNED_MS = 5_000;

/** The share of a life that is left when a refusal is early. A shared token may have been renewed by another replica. */
export function earlyShareOf(settings: TokenManagerSettings): number {
  const mayBeReplaced = isShared(settings) && settings.rotation === 'exclusive';
  return mayBeReplaced ? Math.max(EARLY_SHARE, 1 - earliestRenewalShare(settings)) : EARLY_SHARE;
}

/** What can be learned from working tokens that were refused long before their end. */
export class EarlyRejections {
  #seenAt: number[] = [];
  #saidAt = Number.NEGATIVE_INFINITY;
  /** Ages at which tokens without a stated life were refused, in milliseconds. */
  #ages: number[] = [];

  /** Returns how many there were within the hour when that is suspicious and was not said within it; else null. */
  note(monoMs: number): number | null {
    this.#seenAt = this.#seenAt.filter((at) => monoMs - at < WINDOW_MS);
    this.#seenAt.push(monoMs);
    if (this.#seenAt.length < SUSPICIOUS || monoMs - this.#saidAt < WINDOW_MS) return null;
    this.#saidAt = monoMs;
    return this.#seenAt.length;
  }

  /** How many there were within the hour, while that is suspicious and still going on; else 0. */
  suspicious(monoMs: number): number {
    const latest = this.#seenAt.at(-1) ?? Number.NEGATIVE_INFINITY;
    if (monoMs - latest > SUSPICION_LASTS_MS) return 0;
    const seen = this.#seenAt.filter((at) => monoMs - at < WINDOW_MS).length;
    return seen < SUSPICIOUS ? 0 : seen;
  }

  /** A token whose issuer states no life was refused at this age. */
  noteAge(ageMs: number): void {
    this.#ages.push(ageMs);
    if (this.#ages.length > 8) this.#ages.shift();
  }

  /** The life to assume where the issuer states none: one refusal may be chance, two are a life. */
  learnedLifeMs(defaultMs: number): number {
    if (this.#ages.length < LEARN_FROM) return defaultMs;
    return Math.min(defaultMs, Math.max(SHORTEST_LEARNED_MS, SAFETY * Math.min(...this.#ages)));
  }
}
