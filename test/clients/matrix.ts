import { isDeepStrictEqual } from 'node:util';
import { ANSWERS } from './answers.ts';
import type { Client } from './clients.ts';
import { CLIENT_KEY, type Ferry } from './ferry.ts';
import type { Reading, Report, Task } from './protocol.ts';
import { runClient } from './run-client.ts';
import type { FaultVector, Vector } from './vector.ts';
import { EMBEDDINGS_VECTORS, type EmbeddingsVector } from './vectors/embeddings.ts';
import { FAULT_VECTORS, STREAM_VECTORS, WHOLE_VECTORS } from './vectors.ts';

/** Seven inputs, so that batches of four are two. */
const INPUTS = ['one', 'two', 'drei', '四', '👋 five', 'six', 'seven'];

/** One thing that one client reads through the gateway, and what it ought to have read. */
interface Cell {
  readonly vector: string;
  /** The way of reading, with a note when usage was not asked for. */
  readonly column: string;
  readonly task: Task;
  /** The same reading from the upstream itself, or null for a fault. */
  readonly reference: Task | null;
  /** What is wrong with the reading; null when nothing is. */
  judge(reading: Reading, reference: Reading | null): string | null;
}

/** column → vector → what is wrong, or null. */
export type Matrix = Map<string, Map<string, string | null>>;

/** Lets one client read every vector in every of its ways. */
export async function readMatrix(client: Client, ferry: Ferry): Promise<Matrix> {
  const cells = cellsOf(client, ferry);
  const tasks = new Map<string, Task>();
  for (const { task, reference } of cells) {
    tasks.set(task.id, task);
    if (reference !== null) tasks.set(reference.id, reference);
  }
  const reports = await runClient(client, [...tasks.values()]);
  const matrix: Matrix = new Map();
  for (const cell of cells) {
    const column = matrix.get(cell.column) ?? new Map<string, string | null>();
    matrix.set(cell.column, column);
    column.set(cell.vector, verdict(cell, reports));
  }
  return matrix;
}

function verdict({ task, reference, judge }: Cell, reports: Map<string, Report>): string | null {
  const reading = reports.get(task.id) as Report;
  return judge(reading, reference === null ? null : (reports.get(reference.id) as Report));
}

function cellsOf(client: Client, ferry: Ferry): Cell[] {
  const usage = { choice: [true, false], always: [true], never: [false] }[client.usage];
  const task = (way: string, model: string, more: Partial<Task> = {}): Task => ({
    id: `${way} ${model} ${more.url === undefined ? 'gateway' : 'direct'} ${more.includeUsage ?? true}`,
    way,
    url: `${ferry.gatewayUrl}/v1`,
    key: CLIENT_KEY,
    model,
    includeUsage: true,
    tools: false,
    ...more,
  });
  const chat = (way: string, vector: Vector, includeUsage: boolean, column: string): Cell => {
    const answer = ANSWERS[vector.answer];
    const more = { includeUsage, tools: answer.calls.length > 0 };
    return {
      vector: vector.name,
      column,
      task: task(way, vector.name, more),
      reference: task(way, `canonical-${vector.answer}`, { ...more, url: ferry.directUrl }),
      judge: (reading, reference) => judgeAnswer(vector, reading, reference as Reading),
    };
  };
  const fault = (way: string, one: FaultVector): Cell => ({
    vector: one.name,
    column: way,
    task: task(way, one.name),
    reference: null,
    judge: (reading) => judgeFault(one.expect, reading),
  });
  const embedding = (way: string, one: EmbeddingsVector): Cell => ({
    vector: one.name,
    column: way,
    task: task(way, one.name, { inputs: INPUTS }),
    reference: task(way, 'embed-canonical', { inputs: INPUTS, url: ferry.directUrl }),
    judge: (reading, reference) =>
      one.expect === undefined
        ? judgeAnswer(one, reading, reference as Reading)
        : judgeFault({ ...one.expect, says: /./ }, reading),
  });
  const refusal = (way: string): Cell[] => [
    {
      vector: 'wrong-key',
      column: way,
      task: task(way, 'canonical-text', { key: 'not-a-key', id: `${way} wrong-key` }),
      reference: null,
      judge: (reading) => judgeFault({ status: 401, says: /key/ }, reading),
    },
    {
      vector: 'unknown-model',
      column: way,
      task: task(way, 'nobody-offers-this'),
      reference: null,
      judge: (reading) => judgeFault({ status: 404, says: /nobody-offers-this/ }, reading),
    },
  ];
  const models = (way: string): Cell => ({
    vector: 'models',
    column: way,
    task: task(way, ''),
    reference: null,
    judge: ({ value }) => (hasModels(value) ? null : `lists ${JSON.stringify(value)}`),
  });
  const faults = (isFor: 'stream' | 'whole') =>
    FAULT_VECTORS.filter(({ only }) => only === undefined || only === isFor);
  return [
    ...client.streams.flatMap((way) =>
      usage.flatMap((asked) =>
        STREAM_VECTORS.map((one) => chat(way, one, asked, asked ? way : `${way}, usage not asked for`)),
      ),
    ),
    ...client.streams.flatMap((way) => faults('stream').map((one) => fault(way, one))),
    ...client.wholes.flatMap((way) => WHOLE_VECTORS.map((one) => chat(way, one, true, way))),
    ...client.wholes.flatMap((way) => faults('whole').map((one) => fault(way, one))),
    ...[...client.streams, ...client.wholes].flatMap(refusal),
    ...(client.models === undefined ? [] : [models(client.models)]),
    ...client.embeds.flatMap((way) => EMBEDDINGS_VECTORS.map((one) => embedding(way, one))),
  ];
}

/** Models of an upstream's own list, of a profile's upstream and of the last one. */
function hasModels(value: unknown): boolean {
  return Array.isArray(value) && ['canonical-text', 'think-tags', 'crlf'].every((id) => value.includes(id));
}

/** The same text, reasoning, calls, finish and usage as from the upstream itself. */
function judgeAnswer(
  { ownIds, ownUsage }: { readonly ownIds?: boolean; readonly ownUsage?: boolean },
  reading: Reading,
  reference: Reading,
): string | null {
  // openai-python's helper raises on finish `length`; then both must, and in the same way.
  if (reading.error?.kind !== reference.error?.kind) return difference('error', reading, reference);
  for (const name of ['text', 'reasoning', 'finish', 'value'] as const) {
    if (!isDeepStrictEqual(reading[name], reference[name])) return difference(name, reading, reference);
  }
  const isSameCalls =
    ownIds === true
      ? areOwn(reading.calls) && isDeepStrictEqual(withoutIds(reading), withoutIds(reference))
      : isDeepStrictEqual(reading.calls, reference.calls);
  if (!isSameCalls) return difference('calls', reading, reference);
  const isSameUsage =
    ownUsage === true
      ? reading.usage.length === reference.usage.length && reading.usage.every(isPlausible)
      : isDeepStrictEqual(reading.usage, reference.usage);
  return isSameUsage ? null : difference('usage', reading, reference);
}

function difference(name: keyof Reading, reading: Reading, reference: Reading): string {
  const isRefused = name === 'error' || reading.error !== null;
  const got = isRefused ? reading.error : reading[name];
  return `${name}: ${JSON.stringify(got)}, not ${JSON.stringify(reference[name])}`.slice(0, 400);
}

// Readers that join by index have holes where an upstream's indexes have gaps.
type Calls = readonly (Reading['calls'][number] | null)[];

function withoutIds({ calls }: { readonly calls: Calls }): unknown {
  return calls.map((call) => [call?.name, call?.arguments]);
}

function areOwn(calls: Calls): boolean {
  const ids = calls.map((call) => call?.id ?? '');
  return ids.every((id) => id !== '') && new Set(ids).size === ids.length;
}

function isPlausible({ prompt, completion, total }: Reading['usage'][number]): boolean {
  return Number.isSafeInteger(prompt) && prompt > 0 && total === prompt + completion;
}

/** An error with its status, when there was one to have, and its words; before it, the text that was told. */
function judgeFault(
  expect: { readonly status: number | null; readonly says: RegExp; readonly text?: string },
  { error, text }: Reading,
): string | null {
  if (error === null) return `no error, but ${JSON.stringify(text)}`;
  // Some clients tell the status in words only, and some make one up for an error within a stream.
  const isTold = error.status === expect.status || error.message.includes(String(expect.status));
  if (expect.status !== null && !isTold)
    return `status ${error.status}, not ${expect.status}: ${error.message}`.slice(0, 400);
  if (!expect.says.test(error.message)) return `says ${error.message}`.slice(0, 400);
  return text === (expect.text ?? '') ? null : `text ${JSON.stringify(text)}`;
}

/**
 * What the client makes of each vector when it reads the upstream itself: which of them it gets wrong without the
 * gateway. Its first way of streaming and of reading whole replies.
 */
export async function readUnaided(client: Client, ferry: Ferry): Promise<Map<string, string>> {
  const ways = [
    ...client.streams.slice(0, 1).map((way) => ({ way, vectors: STREAM_VECTORS })),
    ...client.wholes.slice(0, 1).map((way) => ({ way, vectors: WHOLE_VECTORS })),
  ];
  // A client that waits for the end of a stream without one would wait for minutes.
  const pairs = ways.flatMap(({ way, vectors }) =>
    vectors.filter(({ staysOpen }) => staysOpen !== true).map((vector) => ({ way, vector })),
  );
  const url = ferry.directUrl;
  const includeUsage = client.usage !== 'never';
  const task = (way: string, model: string, { answer }: Vector): Task => {
    const tools = ANSWERS[answer].calls.length > 0;
    return { id: `${way} ${model} ${tools}`, way, url, key: CLIENT_KEY, model, includeUsage, tools };
  };
  const tasks = pairs.flatMap(({ way, vector }) => [
    task(way, vector.name, vector),
    task(way, `canonical-${vector.answer}`, vector),
  ]);
  const reports = await runClient(client, [...new Map(tasks.map((one) => [one.id, one])).values()]);
  const reportOf = (one: Task) => reports.get(one.id) as Report;
  const wrong = new Map<string, string>();
  for (const { way, vector } of pairs) {
    const canonical = reportOf(task(way, `canonical-${vector.answer}`, vector));
    // Ids and counts of the upstream's own are no mistake of the client, so only what is read counts.
    const difference = judgeAnswer(vector, reportOf(task(way, vector.name, vector)), canonical);
    if (difference !== null) wrong.set(vector.name, difference);
  }
  return wrong;
}
