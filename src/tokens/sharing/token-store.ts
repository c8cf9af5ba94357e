/** A token as replicas share it. */
export interface StoredToken {
  /** Counts the tokens of a source; the fencing token of `put`. */
  readonly generation: number;
  readonly value: string;
  /** Wall clock when the token was requested; its life counts from there. */
  readonly issuedWallMs: number;
  /** Null: the issuer stated none. */
  readonly lifeMs: number | null;
  readonly refreshInMs?: number;
  /** On our wall clock. */
  readonly notBeforeWallMs?: number;
  readonly extra?: Readonly<Record<string, string>>;
  /** `lifeMs` was computed in an assumed time zone. */
  readonly isLocalTime?: true;
}

/** Parses what a store kept as JSON; null when it was written by another version, by hand, or cut off. */
export function parseStoredToken(text: string): StoredToken | null {
  let stored: unknown;
  try {
    stored = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof stored !== 'object' || stored === null) return null;
  const token = stored as Partial<StoredToken>;
  const hasLife = token.lifeMs === null || typeof token.lifeMs === 'number';
  const isToken =
    typeof token.value === 'string' &&
    typeof token.generation === 'number' &&
    typeof token.issuedWallMs === 'number' &&
    hasLife;
  return isToken ? (token as StoredToken) : null;
}

/** A store that cannot be used; the message is fit for a log. */
export class TokenStoreError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'TokenStoreError';
  }
}

/** The right to call the issuer; it expires when its owner dies. */
export interface RenewalLease {
  /** Idempotent; never rejects. */
  release(): Promise<void>;
}

/**
 * Where replicas share tokens: small, so that files, PostgreSQL and others fit. `key` is the key of a source. All but
 * `watch` reject when the store is unavailable.
 */
export interface TokenStore {
  get(key: string): Promise<StoredToken | null>;
  /** Stores a token newer than the stored one; false: another replica was first, and its token stays. */
  put(key: string, token: StoredToken): Promise<boolean>;
  /** For at most `forMs`; null: another replica has it. */
  lease(key: string, forMs: number): Promise<RenewalLease | null>;
  /** A hint that `get` may give another token now. It may come late, twice or not at all. */
  watch(key: string, onHint: () => void): { close(): void };
  close(): Promise<void>;
}

/** One store used by several sources: each closes its own view, and the store closes with the last of them. */
export class CountedStore {
  readonly #store: TokenStore;
  #users = 0;

  constructor(store: TokenStore) {
    this.#store = store;
  }

  open(): TokenStore {
    const store = this.#store;
    let isOpen = true;
    this.#users += 1;
    return {
      get: (key) => store.get(key),
      put: (key, token) => store.put(key, token),
      lease: (key, forMs) => store.lease(key, forMs),
      watch: (key, onHint) => store.watch(key, onHint),
      close: async () => {
        if (!isOpen) return;
        isOpen = false;
        this.#users -= 1;
        if (this.#users === 0) await store.close();
      },
    };
  }
}
