import type { StoredToken } from './stored-token.ts';

export type { StoredToken } from './stored-token.ts';

/** A store that cannot be used, for a reason that is fit for a log. */
export class TokenStoreError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'TokenStoreError';
  }
}

/** The right to ask the issuer; ends by itself when its holder dies. */
export interface RenewalLease {
  /** Idempotent; never rejects. */
  release(): Promise<void>;
}

/**
 * Where replicas share tokens: small, so that files, PostgreSQL and others fit. `key` is a source's recipe hash.
 * All but `watch` reject when the store is away.
 */
export interface TokenStore {
  get(key: string): Promise<StoredToken | null>;
  /** Stores a token newer than the one that is there; false: another replica was first, and its token stays. */
  put(key: string, token: StoredToken): Promise<boolean>;
  /** For `forMs` at most; null: another replica has it. */
  lease(key: string, forMs: number): Promise<RenewalLease | null>;
  /** A hint that `get` may give another token now. It may come late, twice or not at all. */
  watch(key: string, onHint: () => void): { close(): void };
  close(): Promise<void>;
}
