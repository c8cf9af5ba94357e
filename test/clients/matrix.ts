import { ANSWERS } from './answers.ts';
import type { Client } from './clients.ts';
import { CLIENT_KEY, type Ferry } from './ferry.ts';
import { judgeAnswer, judgeFault } from './judge.ts';
import type { Reading, Report, Task } from './protocol.ts';
import { runClient } from './run-client.ts';
import type { FaultVector, Vector } from './vector.ts';
import { CHOICES_VECTORS } from './vectors/choices.ts';
import { EMBEDDINGS_VECTORS, type EmbeddingsVector } from './vectors/embeddings.ts';
import { FAULT_VECTORS, STREAM_VECTORS, WHOLE_VECTORS } from './vectors.ts';

/** Seven inputs, so that batches of four are two. */
export const INPUTS = ['one', 'two', 'drei', '四', '👋 five', 'six', 'seven'];

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
  const choices = (way: string, vector: Vector): Cell => ({
    vector: vector.name,
    column: way,
    task: task(way, vector.name, { choices: 2 }),
    reference: task(way, CANONICAL_CHOICES, { choices: 2, url: ferry.directUrl }),
    judge: (reading, reference) => judgeAnswer(vector, reading, reference as Reading),
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
    ...waysOfChoices(client).flatMap((way) => CHOICES_VECTORS.map((one) => choices(way, one))),
    ...client.embeds.flatMap((way) => EMBEDDINGS_VECTORS.map((one) => embedding(way, one))),
  ];
}

/** The vector that is as OpenAI sends several choices. */
export const CANONICAL_CHOICES = 'choices-alternating';

export function waysOfChoices({ choices }: Client): string[] {
  return choices === undefined ? [] : [choices.stream, choices.whole];
}

/** Models of an upstream's own list, of a profile's upstream and of the last one. */
function hasModels(value: unknown): boolean {
  return Array.isArray(value) && ['canonical-text', 'think-tags', 'crlf'].every((id) => value.includes(id));
}
