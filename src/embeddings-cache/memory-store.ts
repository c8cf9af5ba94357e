import { LRUCache } from 'lru-cache';
import { compacted, expanded } from './stored-vector.ts';
import type { CachedInput, FoundInputs, KeptInputs, StoreStats, VectorStore } from './vector-store.ts';

/** A new one takes the place of that of another model, and what was kept with the old one is not found any more. */
interface Scope {
  readonly model: string | null;
}

interface Entry extends CachedInput {
  readonly scope: Scope;
}

/** Of an entry beside its vector: its key, two objects, its places in the maps. */
const ENTRY_BYTES = 400;

/** Parameters of clients make scopes. */
const MAX_SCOPES = 1_000;

/** The store in the memory of this process. */
export class MemoryStore implements VectorStore {
  #entries: LRUCache<string, Entry>;
  readonly #scopes = new LRUCache<string, Scope>({ max: MAX_SCOPES });
  #evictions = 0;

  constructor(maxBytes: number) {
    this.#entries = this.#newEntries(maxBytes);
  }

  get stats(): StoreStats {
    const { size: entries, calculatedSize: bytes } = this.#entries;
    return { entries, bytes, evictions: this.#evictions };
  }

  async find(scope: string, keys: readonly string[]): Promise<FoundInputs> {
    const current = this.#scopes.get(scope);
    if (current === undefined) return { model: null, inputs: keys.map(() => null) };
    const inputs = keys.map((key) => {
      const entry = this.#entries.get(scope + key);
      if (entry === undefined || entry.scope !== current) return null;
      return { vector: expanded(entry.vector), tokens: entry.tokens };
    });
    return { model: current.model, inputs };
  }

  keep({ scope, model, keys, inputs }: KeptInputs): void {
    let current = this.#scopes.get(scope);
    if (current === undefined || current.model !== model) {
      current = { model };
      this.#scopes.set(scope, current);
    }
    for (const [at, { vector, tokens }] of inputs.entries())
      this.#entries.set(`${scope}${keys[at]}`, { scope: current, vector: compacted(vector), tokens });
  }

  resize(maxBytes: number): void {
    const kept = this.#entries.dump();
    this.#entries = this.#newEntries(maxBytes);
    this.#entries.load(kept);
  }

  async clear(): Promise<void> {
    this.#entries = this.#newEntries(this.#entries.maxSize);
    this.#scopes.clear();
  }

  async close(): Promise<void> {
    await this.clear();
  }

  #newEntries(maxSize: number): LRUCache<string, Entry> {
    return new LRUCache({
      maxSize,
      sizeCalculation: ({ vector }) => vector.bytes.byteLength + ENTRY_BYTES,
      dispose: (_entry, _key, reason) => {
        if (reason === 'evict') this.#evictions += 1;
      },
    });
  }
}
