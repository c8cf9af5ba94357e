import { FORM } from '../request/rewrite-names.ts';
import { blankPositions, fillBlanks } from './blank-inputs.ts';
import { areTokenIds, type TokenText, textsOfTokenIds } from './token-ids.ts';

/** The part of an adaptation's plan that concerns embeddings. */
interface EmbeddingsPlan {
  readonly set: Map<string, string | ((old: string) => string)>;
  readonly dropped: string[];
}

/**
 * Puts what an embeddings request needs for its upstream into the plan of its adaptation. Throws FerryError
 * `invalid_request` for token ids that cannot be put back into text.
 */
export function planEmbeddings(
  plan: EmbeddingsPlan,
  json: Readonly<Record<string, unknown>>,
  wanted: { readonly tokenText: TokenText | null; readonly fillsBlanks: boolean },
): void {
  // Asked for as floats, made base64 here: upstreams do it wrongly or not at all (S109, S110).
  if (json.encoding_format === 'base64') plan.set.set('encoding_format', '"float"');
  let { input } = json;
  let decoded: string | null = null;
  if (wanted.tokenText !== null && areTokenIds(input)) {
    input = textsOfTokenIds(input, wanted.tokenText);
    decoded = JSON.stringify(input);
    plan.set.set('input', decoded);
    plan.dropped.push(FORM.tokenIds);
  }
  if (wanted.fillsBlanks && blankPositions(input).length > 0) {
    plan.set.set('input', decoded === null ? fillBlanks : fillBlanks(decoded));
    plan.dropped.push(FORM.blankInputs);
  }
}
