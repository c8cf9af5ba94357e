import { LearnedByModel } from './learned-by-model.ts';

/**
 * How many inputs one embeddings call may have: as configured, and less where the upstream said so of a model lately.
 * Forgotten after an hour, since a batch may also have been too large for the length of its texts.
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

  /** A larger one than is known is no news: it comes from a request that began before that was learned. */
  learn(model: string, limit: number): void {
    const known = this.get(model);
    if (known === 0 || limit < known) this.#learned.set(model, limit);
  }
}
