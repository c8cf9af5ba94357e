import { ANSWERS } from './answers.ts';
import type { Client } from './clients.ts';
import { CLIENT_KEY, type Ferry } from './ferry.ts';
import { judgeAnswer } from './judge.ts';
import { CANONICAL_CHOICES, INPUTS, waysOfChoices } from './matrix.ts';
import type { Report, Task } from './protocol.ts';
import { runClient } from './run-client.ts';
import type { Vector } from './vector.ts';
import { CHOICES_VECTORS } from './vectors/choices.ts';
import { EMBEDDINGS_VECTORS } from './vectors/embeddings.ts';
import { STREAM_VECTORS, WHOLE_VECTORS } from './vectors.ts';

/**
 * What the client makes of each answer when it reads the upstream itself: which of them it gets wrong without the
 * gateway. Its first way of streaming, of reading whole replies and of embedding.
 */
export async function readUnaided(client: Client, ferry: Ferry): Promise<Map<string, string>> {
  const pairs = unaidedPairs(client, ferry.directUrl);
  const tasks = pairs.flatMap(({ task, reference }) => [task, reference]);
  const reports = await runClient(client, [...new Map(tasks.map((one) => [one.id, one])).values()]);
  const wrong = new Map<string, string>();
  for (const { vector, task, reference } of pairs) {
    const [reading, canonical] = [reports.get(task.id) as Report, reports.get(reference.id) as Report];
    const difference = judgeAnswer(vector, reading, canonical);
    if (difference !== null) wrong.set(vector.name, difference);
  }
  return wrong;
}

interface UnaidedPair {
  readonly vector: { readonly name: string; readonly ownIds?: boolean; readonly ownUsage?: boolean };
  readonly task: Task;
  readonly reference: Task;
}

function unaidedPairs(client: Client, url: string): UnaidedPair[] {
  const { streams, wholes, embeds, usage } = client;
  const pair = (vector: UnaidedPair['vector'], way: string, canonical: string, more: Partial<Task> = {}) => {
    const task = (model: string): Task => ({
      id: `${way} ${model} ${more.tools ?? false}`,
      way,
      model,
      url,
      key: CLIENT_KEY,
      includeUsage: usage !== 'never',
      tools: false,
      ...more,
    });
    return { vector, task: task(vector.name), reference: task(canonical) };
  };
  const chats = (way: string, vectors: readonly Vector[]) =>
    vectors.map((vector) =>
      pair(vector, way, `canonical-${vector.answer}`, { tools: ANSWERS[vector.answer].calls.length > 0 }),
    );
  const embeddings = (way: string) =>
    EMBEDDINGS_VECTORS.filter((vector) => vector.expect === undefined).map((vector) =>
      pair(vector, way, 'embed-canonical', { inputs: INPUTS }),
    );
  const choices = (way: string) =>
    CHOICES_VECTORS.map((vector) => pair(vector, way, CANONICAL_CHOICES, { choices: 2 }));
  // A client that waits for the end of a stream without one would wait for minutes.
  const ending = STREAM_VECTORS.filter(({ staysOpen }) => staysOpen !== true);
  return [
    ...streams.slice(0, 1).flatMap((way) => chats(way, ending)),
    ...wholes.slice(0, 1).flatMap((way) => chats(way, WHOLE_VECTORS)),
    ...waysOfChoices(client).slice(0, 1).flatMap(choices),
    ...embeds.slice(0, 1).flatMap(embeddings),
  ];
}
