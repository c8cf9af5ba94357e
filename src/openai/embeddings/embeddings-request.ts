import { FerryError } from '../../lib/errors/ferry-error.ts';
import { type Element, type Member, readElements, readMembers } from '../../lib/json/json-scanner.ts';

export type VectorEncoding = 'float' | 'base64';

/** What the response to an embeddings request must fit. */
export interface EmbeddingsRequest {
  /** How many vectors the response must have. */
  readonly inputs: number;
  /** What the client gets. */
  readonly encoding: VectorEncoding;
  /** True: the inputs are token ids, which many upstreams do not understand (S108). */
  readonly hasTokenIds: boolean;
  /** The length that the vectors must have; null: none was requested. */
  readonly dimensions: number | null;
}

/** The facts of a parsed request; throws FerryError `invalid_request` where there is nothing to embed. */
export function readEmbeddingsRequest(json: Readonly<Record<string, unknown>>): EmbeddingsRequest {
  const { input } = json;
  const inputs = countOf(input, json);
  if (inputs === 0) throw invalidInput('The list of inputs is empty: add at least one text.');
  return {
    inputs,
    encoding: json.encoding_format === 'base64' ? 'base64' : 'float',
    hasTokenIds: areTokenIds(input),
    dimensions: dimensionsOf(json),
  };
}

/** A list of token ids, or a list of such lists. */
export function areTokenIds(input: unknown): input is readonly unknown[] {
  if (!Array.isArray(input)) return false;
  const [first] = input as readonly unknown[];
  return (
    typeof first === 'number' ||
    (Array.isArray(first) && (first.length === 0 || typeof first[0] === 'number'))
  );
}

/** `dimensions` of a parsed request when it is a length; any other value is left to the upstream to refuse. */
function dimensionsOf(json: Readonly<Record<string, unknown>>): number | null {
  const { dimensions } = json;
  return Number.isSafeInteger(dimensions) && (dimensions as number) > 0 ? (dimensions as number) : null;
}

function countOf(input: unknown, json: Readonly<Record<string, unknown>>): number {
  if (input === undefined || input === null) {
    // vLLM's embeddings of a chat have `messages` in place of `input`.
    if (Array.isArray(json.messages)) return 1;
    throw invalidInput('The request has no input: set "input" to a text or a list of texts.');
  }
  if (!Array.isArray(input)) return 1;
  return typeof input[0] === 'number' ? 1 : input.length;
}

function invalidInput(message: string): FerryError {
  return new FerryError('invalid_request', { message, param: 'input' });
}

/**
 * The inputs of one embeddings body in its text, to send some of them: batches for an upstream
 * with a limit, or those that no cache has. Everything else of the body goes along byte for byte.
 */
export class EmbeddingInputs {
  readonly #text: string;
  readonly #members: readonly Member[];
  readonly #input: Member | undefined;
  readonly #elements: readonly Element[];

  /** `text` is a body that was read and adapted. */
  constructor(text: string) {
    this.#text = text;
    this.#members = readMembers(text);
    this.#input = this.#members.findLast((member) => member.key === 'input');
    this.#elements = this.#input === undefined ? [] : elementsOf(text, this.#input);
  }

  get count(): number {
    return Math.max(1, this.#elements.length);
  }

  /** The JSON text of one input. */
  textOf(position: number): string {
    const element = this.#elements[position];
    return element === undefined ? '' : this.#text.slice(element.start, element.end);
  }

  /** Every other member of the body, its value as JSON text; in the order of their names, as no other order has a meaning. */
  parameters(): { readonly name: string; readonly value: string }[] {
    return this.#members
      .filter(({ key }) => key !== 'input')
      .map(({ key, valueStart, valueEnd }) => ({ name: key, value: this.#text.slice(valueStart, valueEnd) }))
      .sort((left, right) => (left.name < right.name ? -1 : left.name > right.name ? 1 : 0));
  }

  /** The body that asks for the inputs at these positions only, in this order; byte for byte the same for all of them. */
  bodyOf(positions: readonly number[]): Buffer {
    const input = this.#input;
    if (input === undefined || positions.length === this.#elements.length) return Buffer.from(this.#text);
    const list = positions.map((position) => this.textOf(position)).join(',');
    return Buffer.from(
      `${this.#text.slice(0, input.valueStart)}[${list}]${this.#text.slice(input.valueEnd)}`,
    );
  }
}

/** A text is one input, and so is a list of token ids. */
function elementsOf(text: string, input: Member): Element[] {
  const whole: Element = { start: input.valueStart, end: input.valueEnd };
  if (text[input.valueStart] !== '[') return [whole];
  const elements = readElements(text, input.valueStart);
  const first = elements[0];
  return first === undefined || /[-\d]/.test(text.charAt(first.start)) ? [whole] : elements;
}

/** Positions 0 to count-1 in runs of at most `limit`; 0: one run. */
export function batchesOf(count: number, limit: number): number[][] {
  const size = limit > 0 ? limit : count;
  const batches: number[][] = [];
  for (let start = 0; start < count; start += size) {
    batches.push(Array.from({ length: Math.min(size, count - start) }, (_, offset) => start + offset));
  }
  return batches;
}

/** The batch limit in an upstream's 400 or 413; half of what was sent when it names none; null: no such error. */
export function batchLimitFrom(error: FerryError, sentInputs: number): number | null {
  if (sentInputs <= 1 || error.kind !== 'client_fault') return null;
  const isTooLarge = error.status === 413;
  const isAboutBatch =
    (error.status === 400 || error.status === 422) && BATCH.test(error.message) && LIMIT.test(error.message);
  if (!isTooLarge && !isAboutBatch) return null;
  const numbers = [...error.message.matchAll(/\d{1,5}/g)].map(Number);
  const stated = numbers.filter((number) => number > 0 && number < sentInputs);
  return isAboutBatch && stated.length > 0 ? Math.max(...stated) : Math.floor(sentInputs / 2);
}

const BATCH = /batch|inputs?\b|array|list|contents|texts|数组|批|条/i;
const LIMIT =
  /larger than|exceed|at most|maximum|max |limit|too (?:many|large|long)|less than|greater than|<=|no more than|up to|最大|不能超过|超过/i;
