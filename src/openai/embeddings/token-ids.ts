import { FerryError } from '../../lib/errors/ferry-error.ts';

/**
 * What happens to embeddings inputs that are token ids (LangChain for Python sends cl100k's by default, S108). `auto`:
 * OpenAI's own models get them, for all others they are decoded to text, since a model with another vocabulary would
 * return vectors of some other text. The name of an encoding: always decoded by it.
 */
export type TokenIdsPolicy = 'auto' | 'pass' | 'refuse' | TokenEncoding;
type TokenEncoding = 'cl100k_base' | 'o200k_base';

/** The text of token ids; throws for an id that the encoding does not have. */
export type TokenText = (ids: readonly number[]) => string;

/** The models whose vocabulary is cl100k, also behind a provider's prefix. */
const OPENAI_MODEL = /(?:^|\/)text-embedding-(?:3-|ada-)/;

/** What `auto` means for a model, by its name at the upstream. */
export function tokenIdsFor(
  policy: TokenIdsPolicy,
  upstreamModel: string,
): 'pass' | 'refuse' | TokenEncoding {
  if (policy !== 'auto') return policy;
  return OPENAI_MODEL.test(upstreamModel) ? 'pass' : 'cl100k_base';
}

const loaded = new Map<TokenEncoding, Promise<TokenText>>();

/** The decoder of an encoding. Its tables are 2 MB, so that they are loaded when first needed and never at start. */
export function loadTokenText(encoding: TokenEncoding): Promise<TokenText> {
  let decoder = loaded.get(encoding);
  if (decoder === undefined) {
    decoder = importEncoding(encoding).then(({ decode }) => decode);
    loaded.set(encoding, decoder);
  }
  return decoder;
}

function importEncoding(encoding: TokenEncoding): Promise<{ decode: TokenText }> {
  return encoding === 'cl100k_base'
    ? import('gpt-tokenizer/encoding/cl100k_base')
    : import('gpt-tokenizer/encoding/o200k_base');
}

/** The error for a client whose upstream accepts texts only. */
export function refusedTokenIds(): FerryError {
  return new FerryError('invalid_request', {
    message:
      'The inputs are token ids, and this model accepts texts only: send texts (in LangChain for Python: ' +
      'check_embedding_ctx_length=False).',
    param: 'input',
  });
}

/**
 * The texts of an `input` of token ids: one for a list of ids, a list for several. Throws FerryError
 * `invalid_request` with the position of what is no token id of the encoding.
 */
export function textsOfTokenIds(input: readonly unknown[], textOf: TokenText): string | string[] {
  if (!Array.isArray(input[0])) return decode(input, textOf, '');
  return input.map((ids, position) => {
    if (!Array.isArray(ids)) throw noTokenId(`${position}`);
    return decode(ids, textOf, `${position}.`);
  });
}

function decode(ids: readonly unknown[], textOf: TokenText, place: string): string {
  const wrong = ids.findIndex((id) => typeof id !== 'number');
  if (wrong !== -1) throw noTokenId(`${place}${wrong}`);
  return decodedOrNull(ids as number[], textOf) ?? fail(ids as number[], textOf, place);
}

function decodedOrNull(ids: readonly number[], textOf: TokenText): string | null {
  try {
    return textOf(ids);
  } catch {
    return null;
  }
}

/** Throws with the first invalid id, found by halving: millions of ids cost as much as to decode them twice. */
function fail(ids: readonly number[], textOf: TokenText, place: string): never {
  let from = 0;
  let to = ids.length;
  while (to - from > 1) {
    const middle = Math.floor((from + to) / 2);
    if (decodedOrNull(ids.slice(from, middle), textOf) === null) to = middle;
    else from = middle;
  }
  throw noTokenId(`${place}${from}`);
}

function noTokenId(position: string): FerryError {
  return new FerryError('invalid_request', {
    message:
      `The input at position ${position} is not a token id of OpenAI's encoding, which is used to decode token ids for this ` +
      'model: send texts (in LangChain for Python: check_embedding_ctx_length=False).',
    param: `input.${position}`,
  });
}
