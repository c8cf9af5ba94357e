/** One ranked document as every form of the reply has it. */
export interface Ranked {
  readonly index: number;
  readonly score: number;
}

export interface RerankVector {
  /** Also the model by which a client asks for it. */
  readonly name: string;
  readonly quirks: readonly string[];
  readonly body: (ranked: readonly Ranked[]) => unknown;
}

const USAGE = { prompt_tokens: 5, total_tokens: 5 };

/** The score of a document is known by its place, the best one in the middle. */
export function rank(documents: readonly unknown[]): Ranked[] {
  return documents
    .map((_, index) => ({ index, score: 1 / (1 + Math.abs(index - 1)) }))
    .sort((one, other) => other.score - one.score);
}

const results = (ranked: readonly Ranked[]) =>
  ranked.map(({ index, score }) => ({ index, relevance_score: score }));

export const RERANK_VECTORS: readonly RerankVector[] = [
  {
    name: 'rerank-canonical',
    quirks: [],
    body: (ranked) => ({ id: 'r-1', model: 'up-model', results: results(ranked), usage: USAGE }),
  },
  {
    name: 'rerank-score',
    quirks: ['Q159'],
    body: (ranked) => ({ results: ranked.toReversed().map(({ index, score }) => ({ index, score })) }),
  },
  { name: 'rerank-data', quirks: ['Q159'], body: (ranked) => ({ data: results(ranked), usage: USAGE }) },
  { name: 'rerank-bare-list', quirks: ['Q159'], body: (ranked) => results(ranked.toReversed()) },
];
