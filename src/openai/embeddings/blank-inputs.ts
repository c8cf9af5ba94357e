import { FerryError } from '../../lib/errors/ferry-error.ts';
import { editElements } from '../../lib/json/json-edits.ts';

/**
 * Replaces an empty text where an upstream accepts none. Not a space, which OpenAI and TEI accept: others (DashScope,
 * Zhipu, Cohere) trim it and refuse the rest. A full stop is one token of every vocabulary.
 */
export const FILLED = '.';

/** Texts of upstreams for an empty input. */
export const SAYS_EMPTY = /empty|blank|at least (?:1|one)|min_?length|too[_ ]?short|whitespace|为空/i;

/** Positions listed in an error. */
const MAX_LISTED = 5;

type Json = Readonly<Record<string, unknown>>;

/** Positions of the inputs that are empty or white space alone; an empty list of token ids is one as well. */
export function blankPositions(input: unknown): number[] {
  const inputs: readonly unknown[] = Array.isArray(input) ? input : [input];
  return inputs.flatMap((one, position) => (isBlank(one) ? [position] : []));
}

/** The JSON text of an input with its blanks filled, every other text byte for byte. */
export function fillBlanks(text: string): string {
  const fill = (one: string): string => (isBlank(JSON.parse(one)) ? JSON.stringify(FILLED) : one);
  return text.startsWith('[') ? editElements(text, fill) : fill(text);
}

/**
 * Whether an error of embeddings is about blank inputs. TEI returns 413; OpenAI only reports that `$.input` is invalid,
 * others not even that, so that any error counts that names no other parameter of the request.
 */
export function refusesBlank(error: FerryError, json: Json): boolean {
  if (error.kind !== 'client_fault' || blankPositions(json.input).length === 0) return false;
  const isAboutRequest = error.status === 400 || error.status === 422;
  if (saysBlank(error)) return isAboutRequest || error.status === 413;
  const words = [error.param ?? '', error.message].join(' ');
  const others = Object.keys(json).filter((name) => name !== 'input' && name !== 'model');
  return isAboutRequest && !others.some((name) => words.includes(name));
}

/** True: the message names blank inputs, which has priority over a number of inputs in it. */
export function saysBlank(error: FerryError): boolean {
  return SAYS_EMPTY.test(error.message);
}

/** The error for the client, with the positions of the blank inputs. */
export function namingBlanks(error: FerryError, { input }: Json): FerryError {
  const positions = blankPositions(input);
  const listed = positions.slice(0, MAX_LISTED).join(', ') + (positions.length > MAX_LISTED ? ', …' : '');
  const isList = Array.isArray(input);
  const [where, are] = positions.length === 1 ? ['input at position', 'is'] : ['inputs at positions', 'are'];
  const which = isList ? `The ${where} ${listed} of the list ${are} blank` : 'The input is blank';
  return new FerryError('client_fault', {
    message: `${error.message} ${which}: remove blank inputs.`,
    status: 400,
    upstreamStatus: error.upstreamStatus,
    type: 'invalid_request_error',
    code: error.kind === 'client_fault' ? error.code : null,
    param: isList ? `input.${positions[0]}` : 'input',
    detail: error.detail,
    cause: error,
  });
}

function isBlank(input: unknown): boolean {
  return typeof input === 'string' ? input.trim() === '' : Array.isArray(input) && input.length === 0;
}
