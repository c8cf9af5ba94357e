import NodeCache from 'node-cache';

/** How long what an upstream refused is remembered: upstreams get updates. */
const REMEMBERED_SECONDS = 3_600;

/** Counted here: the cache's own limit also refuses to change what it knows. */
const MOST_MODELS = 1_000;

/** What the refusals of one upstream taught of its models; forgotten after an hour. */
export class LearnedByModel<Value> {
  readonly #byModel = new NodeCache({
    stdTTL: REMEMBERED_SECONDS,
    checkperiod: 0,
    useClones: false,
  });
  /** Keeps the ordinary request from asking the cache at all. */
  #isEmpty = true;

  get(model: string): Value | undefined {
    return this.#isEmpty ? undefined : this.#byModel.get<Value>(keyOf(model));
  }

  set(model: string, value: Value): void {
    const key = keyOf(model);
    if (!this.#byModel.has(key) && this.#byModel.keys().length >= MOST_MODELS) this.#byModel.flushAll();
    this.#byModel.set(key, value);
    this.#isEmpty = false;
  }
}

/** The cache keeps its entries in a plain object, where a model called `__proto__` would be none. */
function keyOf(model: string): string {
  return `model ${model}`;
}
