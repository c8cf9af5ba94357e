import type { TokenHolder } from '../tokens/manager/token-holder.ts';
import type { AcquireContext, RawToken, TokenSource } from '../tokens/sources/token-source.ts';

/**
 * A source whose first token is the one that another holder of the same recipe has: new settings for how a token is
 * kept are no reason to ask the issuer, and one that revokes the previous token would end it for running requests.
 */
export class InheritedToken implements TokenSource {
  readonly kind: string;
  readonly key: string;
  readonly #source: TokenSource;
  #from: TokenHolder | null;

  constructor(source: TokenSource, from: TokenHolder) {
    this.kind = source.kind;
    this.key = source.key;
    this.#source = source;
    this.#from = from;
  }

  async acquire(context: AcquireContext): Promise<RawToken> {
    const lease = context.force ? null : (this.#from?.peek() ?? null);
    this.#from = null;
    const lifetimeMs = lease?.remainingMs() ?? Number.POSITIVE_INFINITY;
    if (lease === null || !Number.isFinite(lifetimeMs)) return this.#source.acquire(context);
    return { value: lease.secret.reveal(), lifetimeMs };
  }

  watch(onChange: () => void): { close(): void } {
    return this.#source.watch?.(onChange) ?? { close: () => undefined };
  }

  async close(): Promise<void> {
    await this.#source.close?.();
  }
}
