import NodeCache from 'node-cache';

/** Upstreams get updates, so that what they refused is tried again. */
const REMEMBERED_SECONDS = 3_600;
/** Enforced here: the cache's own limit also refuses to change entries that it has. */
const MAX_MODELS = 1_000;

/** One value per model of one upstream, learned from what it refused; forgotten after an hour. */
class LearnedByModel<Value> {
  readonly #byModel = new NodeCache({ stdTTL: REMEMBERED_SECONDS, checkperiod: 0, useClones: false });
  /** Spares requests the cache look-up until something was learned. */
  #isEmpty = true;

  get(model: string): Value | undefined {
    return this.#isEmpty ? undefined : this.#byModel.get<Value>(keyOf(model));
  }

  set(model: string, value: Value): void {
    const key = keyOf(model);
    if (!this.#byModel.has(key) && this.#byModel.keys().length >= MAX_MODELS) this.#byModel.flushAll();
    this.#byModel.set(key, value);
    this.#isEmpty = false;
  }
}

/** The cache keeps its entries in a plain object, where a model called `__proto__` would be none. */
function keyOf(model: string): string {
  return `model ${model}`;
}

const NONE: readonly string[] = [];

/** The parameters and forms (`FORM`) that one upstream refused lately, per model. */
export class LearnedDrops {
  readonly #byModel = new LearnedByModel<readonly string[]>();

  get(model: string): readonly string[] {
    return this.#byModel.get(model) ?? NONE;
  }

  add(model: string, refused: string): void {
    const known = this.get(model);
    if (!known.includes(refused)) this.#byModel.set(model, [...known, refused]);
  }
}

/**
 * The maximum number of inputs of one embeddings call: as configured, or less where the upstream said so for a model.
 * Forgotten after an hour, since a batch may also have been refused for the length of its texts.
 */
export class BatchLimits {
  /** 0: no limit known. */
  readonly #configured: number;
  readonly #learned = new LearnedByModel<number>();

  constructor(configured: number) {
    this.#configured = configured;
  }

  /** 0: no limit known. */
  get(model: string): number {
    return this.#learned.get(model) ?? this.#configured;
  }

  /** Ignores a larger limit than is known: it comes from a request that began before that was learned. */
  learn(model: string, limit: number): void {
    const known = this.get(model);
    if (known === 0 || limit < known) this.#learned.set(model, limit);
  }
}
