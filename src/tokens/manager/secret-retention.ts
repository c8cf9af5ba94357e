import type { SecretRegistry } from '../../lib/secret.ts';

/** As long as a rejected token is remembered: an upstream or issuer may still echo a token after it was replaced. */
const RETAINED_FOR_MS = 10 * 60_000;
/** Bounds what tokens of a few seconds accumulate; each one costs a search in every redacted text. */
const MAX_RETIRED = 256;

/** Keeps the tokens of one source in the registry of secrets: the current one, and replaced ones for ten minutes. */
export class SecretRetention {
  readonly #registry: SecretRegistry;
  /** Value to monotonic time of its retirement, oldest first. */
  readonly #retired = new Map<string, number>();
  /** Values that the configuration registered (a static key), which stay for good. */
  readonly #configured = new Set<string>();

  constructor(registry: SecretRegistry) {
    this.#registry = registry;
  }

  /** The value came into use. */
  add(value: string): void {
    const isOurs = this.#retired.delete(value);
    if (!isOurs && this.#registry.scrub(value) !== value) this.#configured.add(value);
    this.#registry.add(value);
  }

  /** The value was replaced. */
  retire(value: string, monoMs: number): void {
    if (this.#configured.delete(value)) return;
    this.#retired.set(value, monoMs);
    for (const [old, retiredAt] of this.#retired) {
      if (monoMs - retiredAt < RETAINED_FOR_MS && this.#retired.size <= MAX_RETIRED) break;
      this.#retired.delete(old);
      this.#registry.delete(old);
    }
  }
}
