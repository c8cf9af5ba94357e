import type { SecretRegistry } from '../../lib/secret.ts';

/** As long as a tombstone: an upstream or issuer may still echo a token after it was replaced. */
const KEPT_MS = 10 * 60_000;
/** Bounds what tokens of a few seconds can pile up; every one costs a search in each scrubbed text. */
const MOST_RETIRED = 256;

/** Keeps the registry of secrets in step with one manager's tokens: the current one and those of ten minutes. */
export class LiveValues {
  readonly #secrets: SecretRegistry;
  /** Value to monotonic time of its retirement, oldest first. */
  readonly #retired = new Map<string, number>();
  /** Values that were registered before us (a static key from the configuration) and are not ours to remove. */
  readonly #foreign = new Set<string>();

  constructor(secrets: SecretRegistry) {
    this.#secrets = secrets;
  }

  add(value: string): void {
    const isOurs = this.#retired.delete(value);
    if (!isOurs && this.#secrets.scrub(value) !== value) this.#foreign.add(value);
    this.#secrets.add(value);
  }

  retire(value: string, monoMs: number): void {
    if (this.#foreign.delete(value)) return;
    this.#retired.set(value, monoMs);
    for (const [old, retiredAt] of this.#retired) {
      if (monoMs - retiredAt < KEPT_MS && this.#retired.size <= MOST_RETIRED) break;
      this.#retired.delete(old);
      this.#secrets.delete(old);
    }
  }
}
