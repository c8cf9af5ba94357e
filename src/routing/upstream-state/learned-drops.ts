import { LearnedByModel } from './learned-by-model.ts';

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
