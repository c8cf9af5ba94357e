import type { Clock } from '../lib/clock.ts';
import {
  type FoundInputs,
  type KeptInputs,
  NOTHING_STORED,
  type StoreStats,
  type VectorStore,
} from './vector-store.ts';

/** `embeddings_cache` of the configuration. */
interface CacheSettings {
  /** Maximum bytes; 0: off. */
  readonly size: number;
  /** The SQLite file; null: in memory. */
  readonly path: string | null;
}

/** What requests found at one upstream since the start. */
interface CacheCounts {
  hits: number;
  misses: number;
  /** Tokens of the hits, as the upstream had counted them. */
  savedTokens: number;
}

interface EmbeddingsCacheParts {
  readonly clock: Clock;
  /** The file cannot be used, and why in words; null: it can again. */
  readonly onFault: (fault: string | null) => void;
}

/** The vectors of inputs that upstreams have embedded. It outlives configurations, which may change its size and place. */
export class EmbeddingsCache {
  readonly #parts: EmbeddingsCacheParts;
  #settings: CacheSettings = { size: 0, path: null };
  /** Null: off. */
  #store: Promise<VectorStore> | null = null;
  /** The same, when it is open. */
  #open: VectorStore | null = null;
  readonly #counts = new Map<string, CacheCounts>();
  /** Evictions of stores that were closed. */
  #evictions = 0;
  #faults = 0;
  #problem: string | null = null;

  constructor(parts: EmbeddingsCacheParts) {
    this.#parts = parts;
  }

  /** Why the file cannot be used; null: it can, or there is none. */
  get problem(): string | null {
    return this.#problem;
  }

  /** How often the file could not be used. */
  get faults(): number {
    return this.#faults;
  }

  get stats(): StoreStats {
    const { evictions, ...stats } = this.#open?.stats ?? NOTHING_STORED;
    return { ...stats, evictions: this.#evictions + evictions };
  }

  /** By upstream. */
  get counts(): ReadonlyMap<string, CacheCounts> {
    return this.#counts;
  }

  /** Another size keeps what fits in it; another place begins with what is there. */
  update(settings: CacheSettings): void {
    const { size, path } = this.#settings;
    this.#settings = settings;
    const isSamePlace = size > 0 && settings.size > 0 && settings.path === path;
    if (isSamePlace && settings.size !== size) void this.#store?.then((store) => store.resize(settings.size));
    if (isSamePlace || (size === 0 && settings.size === 0)) return;
    void this.close();
    if (settings.size > 0) this.#begin(settings);
  }

  async find(scope: string, keys: readonly string[]): Promise<FoundInputs> {
    return (await this.#store)?.find(scope, keys) ?? { model: null, inputs: keys.map(() => null) };
  }

  keep(kept: KeptInputs): void {
    if (this.#open !== null) this.#open.keep(kept);
    else void this.#store?.then((store) => store.keep(kept));
  }

  count(upstream: string, { hits, misses, savedTokens }: CacheCounts): void {
    let counts = this.#counts.get(upstream);
    if (counts === undefined) {
      counts = { hits: 0, misses: 0, savedTokens: 0 };
      this.#counts.set(upstream, counts);
    }
    counts.hits += hits;
    counts.misses += misses;
    counts.savedTokens += savedTokens;
  }

  /** Rejects with the reason in words when that failed. */
  async clear(): Promise<void> {
    await (await this.#store)?.clear();
  }

  /** Never rejects. */
  async close(): Promise<void> {
    const store = this.#store;
    this.#store = null;
    this.#open = null;
    this.#problem = null;
    const closed = await store;
    this.#evictions += closed?.stats.evictions ?? 0;
    await closed?.close();
  }

  #begin(settings: CacheSettings): void {
    const store = this.#openStore(settings);
    this.#store = store;
    void store.then((open) => {
      if (this.#store === store) this.#open = open;
    });
  }

  /** Loads only the kind that is needed. */
  async #openStore({ size, path }: CacheSettings): Promise<VectorStore> {
    if (path === null) {
      const { MemoryStore } = await import('./memory-store.ts');
      return new MemoryStore(size);
    }
    const { SqliteStore } = await import('./sqlite-store.ts');
    const store: VectorStore = new SqliteStore({
      path,
      maxBytes: size,
      clock: this.#parts.clock,
      onFault: (fault) => {
        // A store that was replaced may still be writing.
        if (this.#open !== store) return;
        this.#problem = fault === null ? null : `the file ${path} cannot be used: ${fault}.`;
        if (fault !== null) this.#faults += 1;
        this.#parts.onFault(this.#problem);
      },
    });
    return store;
  }
}
