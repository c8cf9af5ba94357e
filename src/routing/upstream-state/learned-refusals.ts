import NodeCache from 'node-cache';

/** Upstreams get updates, so that what they refused is tried again. */
const REMEMBERED_SECONDS = 3_600;
/** Enforced here: the cache's own limit also refuses to change entries that it has. */
const MAX_MODELS = 1_000;

/** One value per model of one upstream, learned from what it refused; forgotten after an hour. */
class LearnedByModel<Value> {
  readonly #byModel = new NodeCache({ stdTTL: REMEMBERED_SECONDS, checkperiod: 0, useClones: false });
  /** Nothing was learned yet: spares requests the look-up. */
  isEmpty = true;
  /** The value of models of which nothing was learned. */
  readonly unlearned: Value;

  constructor(unlearned: Value) {
    this.unlearned = unlearned;
  }

  get(model: string): Value {
    return this.#byModel.get<Value>(keyOf(model)) ?? this.unlearned;
  }

  protected set(model: string, value: Value): void {
    const key = keyOf(model);
    if (!this.#byModel.has(key) && this.#byModel.keys().length >= MAX_MODELS) this.#byModel.flushAll();
    this.#byModel.set(key, value);
    this.isEmpty = false;
  }
}

/** The cache keeps its entries in a plain object, where a model called `__proto__` would be none. */
function keyOf(model: string): string {
  return `model ${model}`;
}

const NONE: readonly string[] = [];

/** Of one model; more are refusals of values that differ with each request. */
const MAX_CHANGES = 64;
/** Of all models together. */
const MAX_REASONS = 10_000;

/** What one upstream's refusals have taught lately (`learned-change.ts`), per model, with its words. */
export class LearnedDrops extends LearnedByModel<readonly string[]> {
  readonly #reasons = new Map<string, string>();

  constructor() {
    super(NONE);
  }

  /** `reason`: the upstream's words. */
  add(model: string, change: string, reason = ''): void {
    const known = this.get(model);
    if (known.includes(change)) return;
    this.set(model, [...known.slice(-MAX_CHANGES + 1), change]);
    if (this.#reasons.size >= MAX_REASONS) this.#reasons.clear();
    this.#reasons.set(`${change} ${model}`, reason);
  }

  /** Forgets what turned out to be a wrong conclusion. */
  remove(model: string, change: string): void {
    const known = this.get(model);
    if (known.includes(change))
      this.set(
        model,
        known.filter((one) => one !== change),
      );
    this.#reasons.delete(`${change} ${model}`);
  }

  /** The upstream's words from which a change was learned; '' for an unknown one. */
  reasonOf(model: string, change: string): string {
    return this.#reasons.get(`${change} ${model}`) ?? '';
  }
}

/**
 * The maximum number of inputs of one embeddings call: as configured, or less if the upstream stated a limit for a model.
 * 0: no limit known. Forgotten after an hour, since a batch may also have been refused for the length of its texts.
 */
export class BatchLimits extends LearnedByModel<number> {
  /** Ignores a larger limit than is known: it comes from a request that began before that was learned. */
  learn(model: string, limit: number): void {
    const known = this.get(model);
    if (known === 0 || limit < known) this.set(model, limit);
  }
}
