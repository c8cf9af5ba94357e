import { FerryError } from '../../lib/errors/ferry-error.ts';
import { editElements } from '../../lib/json/json-edits.ts';

/**
 * In place of a text that is empty, where an upstream takes none. Not a space, which OpenAI and TEI would take: others
 * (DashScope, Zhipu, Cohere) trim it away and refuse what is left. A full stop is one token of every vocabulary and
 * says nothing.
 */
export const FILLED = '.';

/** How refusals of every upstream say that a text is empty. */
export const SAYS_EMPTY = /empty|blank|at least (?:1|one)|min_?length|too[_ ]?short|whitespace|为空/i;

/** So many positions are named in an error. */
const NAMED = 5;

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
 * Whether a refusal of embeddings is about blank inputs. TEI says so with 413; OpenAI says only that `$.input` is
 * invalid, others not even that, so that any refusal counts which names no other parameter of the request.
 */
export function refusesBlank(error: FerryError, json: Json): boolean {
  if (error.kind !== 'client_fault' || blankPositions(json.input).length === 0) return false;
  const isAboutRequest = error.status === 400 || error.status === 422;
  if (saysBlank(error)) return isAboutRequest || error.status === 413;
  const words = [error.param ?? '', error.message].join(' ');
  const others = Object.keys(json).filter((name) => name !== 'input' && name !== 'model');
  return isAboutRequest && !others.some((name) => words.includes(name));
}

/** True: the words leave no doubt, so that they come before what a refusal may say of the number of inputs. */
export function saysBlank(error: FerryError): boolean {
  return SAYS_EMPTY.test(error.message);
}

/** The refusal as the client is told of it: with the places of the blanks. */
export function namingBlanks(error: FerryError, { input }: Json): FerryError {
  const positions = blankPositions(input);
  const told = positions.slice(0, NAMED).join(', ') + (positions.length > NAMED ? ', …' : '');
  const isList = Array.isArray(input);
  const [where, are] = positions.length === 1 ? ['input at position', 'is'] : ['inputs at positions', 'are'];
  const which = isList ? `The ${where} ${told} of the list ${are} blank` : 'The input is blank';
  return new FerryError('client_fault', {
    message: `${error.message} ${which}: leave out what has no text.`,
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
