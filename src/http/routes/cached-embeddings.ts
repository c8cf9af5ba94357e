import { keyOfInput, scopeOf } from '../../embeddings-cache/cache-key.ts';
import type { EmbeddingsCache } from '../../embeddings-cache/embeddings-cache.ts';
import { storedVectorOf, vectorOf } from '../../embeddings-cache/stored-vector.ts';
import type { CachedInput } from '../../embeddings-cache/vector-store.ts';
import { EmbeddingInputs } from '../../openai/embeddings/embeddings-request.ts';
import {
  type EmbeddingsResponse,
  type EmbeddingsResponseOptions,
  joinedUsage,
  type VectorResponse,
  writeVectors,
} from '../../openai/embeddings/embeddings-response.ts';
import type { Vector } from '../../openai/embeddings/vectors.ts';
import type { RoutedRequest } from '../../routing/routed-request.ts';
import type { RoutedUpstream } from '../../routing/upstream-state/routed-upstream.ts';

/** The vectors of some inputs of a request, from one call. */
interface EmbeddedPart {
  readonly positions: readonly number[];
  readonly response: VectorResponse;
}

type ResponseForm = Pick<EmbeddingsResponseOptions, 'encoding' | 'replyModel' | 'requestedModel'>;

/** One embeddings request and the cache. */
export class CachedEmbeddings {
  readonly #cache: EmbeddingsCache;
  readonly #request: RoutedRequest;
  /** What was found last. */
  #latest: KnownInputs | null = null;

  constructor(cache: EmbeddingsCache, request: RoutedRequest) {
    this.#cache = cache;
    this.#request = request;
  }

  /** What the cache has of `body`, which is what the upstream would be sent; null: its vectors must not be kept. */
  async find(upstream: RoutedUpstream, body: Buffer): Promise<KnownInputs | null> {
    const latest = this.#latest;
    if (latest?.upstream === upstream && latest.body.equals(body)) return latest;
    const { vectorSource } = upstream;
    if (vectorSource === null) return null;
    const { query, headers, model } = this.#request;
    const inputs = new EmbeddingInputs(body.toString('utf8'));
    const scope = scopeOf(inputs, {
      upstream: vectorSource.digest,
      model: upstream.upstreamModel(model),
      query,
      headers: vectorSource.forwardedHeaders.map((name) => headers[name]?.toString()),
    });
    if (scope === null) return null;
    const keys = Array.from({ length: inputs.count }, (_, position) => keyOfInput(inputs.textOf(position)));
    const found = await this.#cache.find(scope, keys);
    this.#latest = new KnownInputs(this.#cache, { upstream, body, inputs, scope, keys }, found);
    return this.#latest;
  }
}

interface LookedUp {
  readonly upstream: RoutedUpstream;
  readonly body: Buffer;
  readonly inputs: EmbeddingInputs;
  readonly scope: string;
  readonly keys: readonly string[];
}

/** What the cache has of the inputs of one request at one upstream, and what is to be asked for. */
export class KnownInputs {
  readonly upstream: RoutedUpstream;
  readonly body: Buffer;
  readonly inputs: EmbeddingInputs;
  /** How many inputs the cache had. */
  hits: number;
  /** Positions of the others, in order. */
  missing: readonly number[];
  readonly #cache: EmbeddingsCache;
  readonly #scope: string;
  readonly #keys: readonly string[];
  #found: readonly (CachedInput | null)[];
  readonly #model: string | null;

  constructor(
    cache: EmbeddingsCache,
    { upstream, body, inputs, scope, keys }: LookedUp,
    found: Awaited<ReturnType<EmbeddingsCache['find']>>,
  ) {
    this.upstream = upstream;
    this.body = body;
    this.inputs = inputs;
    this.#cache = cache;
    this.#scope = scope;
    this.#keys = keys;
    this.#found = found.inputs;
    this.#model = found.model;
    this.missing = found.inputs.flatMap((input, position) => (input === null ? [position] : []));
    this.hits = keys.length - this.missing.length;
  }

  /** Keeps the vectors of one call. The tokens that it was are divided by the lengths of its inputs. */
  keep({ positions, response: { vectors, usage, upstreamModel } }: EmbeddedPart): void {
    const lengths = positions.map((position) => this.inputs.textOf(position).length + 1);
    const tokens = shares(usage.totalTokens, lengths);
    this.#cache.keep({
      scope: this.#scope,
      model: upstreamModel,
      keys: positions.map((position) => this.#keys[position] ?? ''),
      inputs: vectors.map((vector, at) => ({ vector: storedVectorOf(vector), tokens: tokens[at] ?? 0 })),
    });
  }

  /**
   * The response of what was known and `parts`; null when these come from another model than what was known, all of which is
   * missing then. Its usage is what the upstream has counted now; that in its body covers all inputs.
   */
  complete(parts: readonly EmbeddedPart[], form: ResponseForm): EmbeddingsResponse | null {
    const fresh = joinedUsage(parts.map(({ response }) => response));
    if (parts.length > 0 && this.hits > 0 && fresh.upstreamModel !== this.#model) {
      this.#found = this.#keys.map(() => null);
      this.missing = this.#keys.map((_, position) => position);
      this.hits = 0;
      return null;
    }
    const vectors: Vector[] = [];
    let savedTokens = 0;
    for (const [position, input] of this.#found.entries()) {
      if (input === null) continue;
      vectors[position] = vectorOf(input.vector);
      savedTokens += input.tokens;
    }
    for (const { positions, response } of parts)
      for (const [at, position] of positions.entries()) vectors[position] = response.vectors[at] as Vector;
    const upstreamModel = parts.length > 0 ? fresh.upstreamModel : this.#model;
    const { usage } = fresh;
    const shownUsage = {
      ...usage,
      promptTokens: usage.promptTokens + savedTokens,
      totalTokens: usage.totalTokens + savedTokens,
    };
    const body = writeVectors(vectors, upstreamModel, shownUsage, form);
    this.#cache.count(this.upstream.name, { hits: this.hits, misses: this.missing.length, savedTokens });
    return { ...fresh, body: [body], upstreamModel, isRelayed: false };
  }
}

/** Whole numbers in the proportions of `weights` whose sum is `total`. */
function shares(total: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((left, right) => left + right, 0);
  let weight = 0;
  let given = 0;
  return weights.map((own) => {
    weight += own;
    const share = Math.round((total * weight) / sum) - given;
    given += share;
    return share;
  });
}
