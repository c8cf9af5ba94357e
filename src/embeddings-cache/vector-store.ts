import type { StoredVector } from './stored-vector.ts';

/** One input of a request with its vector, and how many of the upstream's tokens it was. */
export interface CachedInput {
  readonly vector: StoredVector;
  readonly tokens: number;
}

/** What a store has of some inputs: all of one model. */
export interface FoundInputs {
  /** The name that the upstream gave the model in its responses; null: none. Of no meaning when nothing was found. */
  readonly model: string | null;
  /** One for each text; null: unknown. */
  readonly inputs: readonly (CachedInput | null)[];
}

/** Inputs to keep: `keys` are those of their texts. */
export interface KeptInputs {
  readonly scope: string;
  readonly model: string | null;
  readonly keys: readonly string[];
  readonly inputs: readonly CachedInput[];
}

export interface StoreStats {
  readonly entries: number;
  readonly bytes: number;
  /** Since the start. */
  readonly evictions: number;
}

/**
 * Vectors by scope and text, within a maximum of bytes; the least recently used go first. A scope (an upstream, a model,
 * parameters) has the vectors of one model: those of another model replace all that were kept before.
 */
export interface VectorStore {
  readonly stats: StoreStats;
  /** Never rejects: what cannot be read is unknown. */
  find(scope: string, keys: readonly string[]): Promise<FoundInputs>;
  keep(kept: KeptInputs): void;
  resize(maxBytes: number): void;
  /** Resolves when nothing is in it; rejects when that failed. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

export const NOTHING_STORED: StoreStats = { entries: 0, bytes: 0, evictions: 0 };
