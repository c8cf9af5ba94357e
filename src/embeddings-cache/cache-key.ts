import { hash } from 'node:crypto';
import type { EmbeddingInputs } from '../openai/embeddings/embeddings-request.ts';

/** What distinguishes the vectors of one text, beside the text. */
interface ScopeFacts {
  /** Of the upstream: its address and what it is sent with every request. */
  readonly upstream: string;
  /** The upstream's own name of the model. */
  readonly model: string;
  /** Of the client, as far as the upstream gets them. */
  readonly query: string;
  readonly headers: readonly (string | undefined)[];
}

/**
 * Parameters that make the vector of an input depend on the others of its request.
 * Jina, 2024-08: with `late_chunking` it "will concatenate all sentences in the input field" (docs.trychroma.com, Jina AI).
 */
const CONTEXTUAL: ReadonlySet<string> = new Set(['late_chunking']);
/** For OpenAI a name of the end user, which no vector depends on. */
const IGNORED: ReadonlySet<string> = new Set(['user']);
/** Two ways to write the same numbers; others (`int8`, `binary`) are other vectors. */
const SAME_VALUES = /^"(?:float|base64)"$/;

/**
 * A digest of everything that the upstream gets but the inputs: whatever parameter an upstream knows (`dimensions`,
 * `input_type`, `task`) keeps vectors apart. Null: the vectors of this request cannot be used for another one.
 */
export function scopeOf(inputs: EmbeddingInputs, facts: ScopeFacts): string | null {
  const parameters: string[] = [];
  for (const { name, value } of inputs.parameters()) {
    if (CONTEXTUAL.has(name) && value !== 'false' && value !== 'null') return null;
    if (IGNORED.has(name) || value === 'null') continue;
    if (name === 'encoding_format' && SAME_VALUES.test(value)) continue;
    parameters.push(JSON.stringify(name), value);
  }
  const { upstream, model, query, headers } = facts;
  return digest(JSON.stringify([upstream, model, query, headers.map((value) => value ?? null), parameters]));
}

/** The key of an input: equal for equal texts, however they are escaped, and for equal lists of token ids. */
export function keyOfInput(json: string): string {
  const isPlain = json.startsWith('"') && !json.includes('\\');
  return digest(isPlain || json === '' ? json : JSON.stringify(JSON.parse(json)));
}

function digest(text: string): string {
  return hash('sha256', text, 'base64');
}
