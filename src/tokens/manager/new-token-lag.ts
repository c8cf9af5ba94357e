import type { Moment } from '../expiry/lifetime.ts';
import type { Answer } from './attempt.ts';
import type { HeldToken } from './held-token.ts';
import type { Lease } from './lease.ts';

const SHORTEST_LAG_MS = 1_000;
const LONGEST_LAG_MS = 10_000;
const SAFETY = 1.5;

/**
 * Upstreams may need a moment until they know a new token, where stores replicate and keys are cached. The sign of it is
 * a token that was refused first and accepted then: from there on new ones are held back for so long, while the one
 * before serves. Until it is known, the token that worked before stands in where no renewal is permitted any more.
 */
export class NewTokenLag {
  #lagMs = 0;
  /** The last token that upstreams accepted, when a newer one took its place and nobody refused it. */
  #worked: HeldToken | null = null;

  /** A new token takes the place of `before`. */
  replaced(before: HeldToken | null): void {
    if (before?.isRefused === true && before.isProven) this.#worked = null;
    else if (before?.isProven === true) this.#worked = before;
  }

  /** An upstream accepted the newest token for the first time, at this age. */
  accepted(token: HeldToken, ageMs: number): void {
    this.#worked = null;
    if (token.wasRefusedNew)
      this.#lagMs = Math.min(LONGEST_LAG_MS, Math.max(SHORTEST_LAG_MS, SAFETY * ageMs));
  }

  /** For a replay, when the newest token was refused and cannot be renewed now. */
  standIn(now: Moment): Lease | null {
    return this.#worked?.isUsable(now) === true ? this.#worked.lease : null;
  }

  /** An upstream refused the token of `lease`: it stands in for nothing any more. */
  refused(lease: Lease): void {
    if (this.#worked?.lease.generation === lease.generation) this.#worked = null;
  }

  /** When upstreams will know the token of an answer, on the monotonic clock; minus infinity when none ever lagged. */
  knownFromMonoMs({ raw, received }: Answer): number {
    if (this.#lagMs === 0) return Number.NEGATIVE_INFINITY;
    return received.monoMs + this.#lagMs - (raw?.ageMs ?? 0);
  }
}
