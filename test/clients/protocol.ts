/**
 * What the tests and the client programs say to each other: one `Order` on the program's standard input, one
 * `Report` a line on its standard output. A program knows nothing about vectors; it reads what it is told to read.
 */
export interface Order {
  readonly tasks: readonly Task[];
}

export interface Task {
  readonly id: string;
  /** Which of its ways of reading the client uses: a key of the program's table. */
  readonly way: string;
  /** Ends in `/v1`. */
  readonly url: string;
  readonly key: string;
  readonly model: string;
  /** Ask for usage, where the client leaves the choice. */
  readonly includeUsage: boolean;
  /** Offer the two tools, `get_weather` and `get_time`. */
  readonly tools: boolean;
  /** Ask for so many choices. */
  readonly choices?: number;
  /** For embeddings and rerank. */
  readonly inputs?: readonly string[];
}

/** What an application has after reading, in the client's own terms brought to one form. */
export interface Reading {
  text: string;
  reasoning: string;
  calls: { id: string; name: string; arguments: string }[];
  finish: string | null;
  /** Every usage that it was given, so that one too many is seen. */
  usage: { prompt: number; completion: number; total: number }[];
  /** Vectors, model names, ranks: whatever else was asked for. */
  value: unknown;
  error: { kind: string; status: number | null; message: string } | null;
}

export interface Report extends Reading {
  readonly id: string;
}

export function emptyReading(): Reading {
  return { text: '', reasoning: '', calls: [], finish: null, usage: [], value: null, error: null };
}

/** What every client asks in the first place. */
export const QUESTION = 'When does it leave?';

/** Offered to clients that were told to; strict, as openai-python's helper demands. */
export const TOOLS = [
  tool('get_weather', { city: { type: 'string' } }),
  tool('get_time', { zone: { type: 'string' }, exact: { type: 'boolean' } }),
];

function tool(name: string, properties: Record<string, unknown>) {
  const parameters = {
    type: 'object',
    properties,
    required: Object.keys(properties),
    additionalProperties: false,
  };
  return { type: 'function' as const, function: { name, description: name, parameters, strict: true } };
}
