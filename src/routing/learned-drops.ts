import NodeCache from 'node-cache';

/** How long an upstream's dislike of a parameter is remembered: upstreams get updates. */
const REMEMBERED_SECONDS = 3_600;

/** Counted here: the cache's own limit also refuses to change what it knows. */
const MOST_MODELS = 1_000;

const NONE: readonly string[] = [];

/**
 * The parameters and forms (`FORM`) that one upstream refused lately, per model; forgotten after an hour, since upstreams
 * are upgraded.
 */
export class LearnedDrops {
  readonly #byModel = new NodeCache({
    stdTTL: REMEMBERED_SECONDS,
    checkperiod: 0,
    useClones: false,
  });
  /** Keeps the ordinary request from asking the cache at all. */
  #isEmpty = true;

  get(model: string): readonly string[] {
    if (this.#isEmpty) return NONE;
    return this.#byModel.get<readonly string[]>(keyOf(model)) ?? NONE;
  }

  add(model: string, refused: string): void {
    const known = this.get(model);
    if (known.includes(refused)) return;
    const key = keyOf(model);
    if (!this.#byModel.has(key) && this.#byModel.keys().length >= MOST_MODELS) this.#byModel.flushAll();
    this.#byModel.set(key, [...known, refused]);
    this.#isEmpty = false;
  }
}

/** The cache keeps its entries in a plain object, where a model called `__proto__` would be none. */
function keyOf(model: string): string {
  return `model ${model}`;
}
