const MOST = 8;
const KEPT_MS = 10 * 60_000;

/** Tokens that an upstream refused, by fingerprint: an issuer's cache may hand them out once more. */
export class Tombstones {
  /** Fingerprint to monotonic time of the refusal; oldest first, since an entry is put back at the end. */
  readonly #refusedAt = new Map<string, number>();

  add(fingerprint: string, monoMs: number): void {
    this.#refusedAt.delete(fingerprint);
    this.#refusedAt.set(fingerprint, monoMs);
    for (const oldest of this.#refusedAt.keys()) {
      if (this.#refusedAt.size <= MOST) break;
      this.#refusedAt.delete(oldest);
    }
  }

  has(fingerprint: string, monoMs: number): boolean {
    const refusedAt = this.#refusedAt.get(fingerprint);
    return refusedAt !== undefined && monoMs - refusedAt < KEPT_MS;
  }

  delete(fingerprint: string): void {
    this.#refusedAt.delete(fingerprint);
  }
}
