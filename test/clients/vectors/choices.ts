import { type Json, mapChoice } from '../answers.ts';
import type { Vector } from '../vector.ts';
import { isUsage } from './changes.ts';

/** The same for the second choice, which says everything in capitals. */
function second(choice: Json): Json {
  const said = (choice.delta ?? choice.message) as Json;
  const content = said.content;
  const own = typeof content === 'string' ? { ...said, content: content.toUpperCase() } : said;
  return { ...choice, index: 1, [choice.delta === undefined ? 'message' : 'delta']: own };
}

/** One choice after the other in each step. */
const alternating = (chunks: Json[]): Json[] =>
  chunks.flatMap((one) => (isUsage(one) ? [one] : [one, mapChoice(one, second)]));

/** Both choices in each chunk. */
const joined = (chunks: Json[]): Json[] =>
  chunks.map((one) => ({
    ...one,
    choices: (one.choices as Json[]).flatMap((choice) => [choice, second(choice)]),
  }));

const both = (reply: Json): string =>
  JSON.stringify({
    ...reply,
    choices: (reply.choices as Json[]).flatMap((choice) => [choice, second(choice)]),
  });

/** What upstreams send for `n: 2`; the first is how OpenAI does. */
export const CHOICES_VECTORS: readonly Vector[] = [
  { name: 'choices-alternating', quirks: ['Q96'], answer: 'text', chunks: alternating, whole: both },
  { name: 'choices-in-one-chunk', quirks: ['Q96'], answer: 'text', chunks: joined, whole: both },
  {
    name: 'choices-role-in-each',
    quirks: ['Q96', 'Q52'],
    answer: 'text',
    chunks: (chunks) =>
      joined(chunks).map((one) =>
        mapChoice(one, (choice) => ({ ...choice, delta: { role: 'assistant', ...(choice.delta as Json) } })),
      ),
    whole: both,
  },
];
