import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { Config, TokenSourceConfig } from '../config/config.ts';
import type { Clock } from '../lib/clock.ts';
import { sha256Hex } from '../lib/secret.ts';
import { FileTokenStore } from '../tokens/sharing/file-token-store.ts';
import { PostgresTokenStore } from '../tokens/sharing/postgres-token-store.ts';
import { SharedSource } from '../tokens/sharing/shared-source.ts';
import { CountedStore, type TokenStore } from '../tokens/sharing/token-store.ts';
import type { TokenSource } from '../tokens/sources/token-source.ts';

/** Added to the attempt timeout for a replica's renewal lease: the store's own calls around the attempt. */
const STORE_TIME_MS = 5_000;

/** The stores that token sources are shared through: opened for the first source that needs one, closed with the last. */
export class SharedStores {
  readonly #config: Config;
  readonly #clock: Clock;
  readonly #opened = new Map<TokenSourceConfig['share'], CountedStore>();

  constructor(config: Config, clock: Clock) {
    this.#config = config;
    this.#clock = clock;
  }

  /** The source itself, or one that shares its tokens as configured by `share`. */
  share(config: TokenSourceConfig, source: TokenSource): TokenSource {
    const store = this.#storeOf(config.share);
    if (store === null) return source;
    return new SharedSource(source, store, {
      rotation: config.rotation,
      leaseMs: config.refresh.attempt_timeout + STORE_TIME_MS,
      clock: this.#clock,
    });
  }

  /** Equal for sources that are shared in the same way; contains no secret. */
  nameOf({ share }: TokenSourceConfig): string {
    if (share !== 'shared') return share;
    const { shared, shared_key: sharedKey } = this.#config;
    return `shared ${sha256Hex(`${shared?.reveal()} ${sharedKey?.reveal()}`)}`;
  }

  #storeOf(share: TokenSourceConfig['share']): TokenStore | null {
    let counted = this.#opened.get(share);
    if (counted === undefined) {
      const store = this.#open(share);
      if (store === null) return null;
      counted = new CountedStore(store);
      this.#opened.set(share, counted);
    }
    return counted.open();
  }

  #open(share: TokenSourceConfig['share']): TokenStore | null {
    const { shared, shared_key: sharedKey } = this.#config;
    if (share === 'file') return new FileTokenStore(sharedDirectory(), this.#clock);
    if (share === 'shared' && shared !== null && sharedKey !== null)
      return new PostgresTokenStore(shared, sharedKey, this.#clock);
    return null;
  }
}

/** One directory per user and machine, independent of the working directory. The store refuses one that others can write. */
function sharedDirectory(): string {
  return join(tmpdir(), `tokenferry-tokens-${process.getuid?.() ?? userInfo().username}`);
}
