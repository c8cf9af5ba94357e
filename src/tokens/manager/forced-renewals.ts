const APART_MS = 1_000;
const WINDOW_MS = 60_000;
const MOST_IN_WINDOW = 5;
const UNPROVEN_BEFORE_OPEN = 2;
export const BREAKER_PAUSE_MS = 30_000;

/**
 * Decides whether a refused token may cost the issuer a call. Upstreams say 401 for other reasons too (a scope, a
 * model, an address); then every new token is refused as well, and renewing for each request would burn the quota.
 */
export class ForcedRenewals {
  /** Monotonic times of the permitted renewals of the last minute; the newest may lie up to a second ahead. */
  #permitted: number[] = [];
  /** Tokens refused in a row of which none was ever accepted. */
  #unproven = 0;
  #openUntilMonoMs = Number.NEGATIVE_INFINITY;

  /** When a renewal may start (monotonic, maybe a moment ahead to keep them apart); null: not at all. */
  permit(monoMs: number, maxWaitMs: number): number | null {
    if (this.isBreakerOpen(monoMs)) return null;
    this.#permitted = this.#permitted.filter((at) => monoMs - at < WINDOW_MS);
    if (this.#permitted.length >= MOST_IN_WINDOW) return null;
    const startMonoMs = Math.max(monoMs, (this.#permitted.at(-1) ?? Number.NEGATIVE_INFINITY) + APART_MS);
    if (startMonoMs - monoMs > maxWaitMs) return null;
    this.#permitted.push(startMonoMs);
    return startMonoMs;
  }

  /** The last permitted renewal cost the issuer no call: it does not count. */
  refund(): void {
    this.#permitted.pop();
  }

  /** A token was refused that no upstream ever accepted. True: that was one too many, the breaker is open now. */
  noteUnproven(monoMs: number): boolean {
    this.#unproven += 1;
    if (this.#unproven < UNPROVEN_BEFORE_OPEN || this.isBreakerOpen(monoMs)) return false;
    this.#openUntilMonoMs = monoMs + BREAKER_PAUSE_MS;
    return true;
  }

  /** An upstream accepted the newest token: tokens work. */
  noteProven(): void {
    this.#unproven = 0;
    this.#openUntilMonoMs = Number.NEGATIVE_INFINITY;
  }

  isBreakerOpen(monoMs: number): boolean {
    return monoMs < this.#openUntilMonoMs;
  }
}
