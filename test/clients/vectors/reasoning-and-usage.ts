import { chunk, type Json, USAGE } from '../answers.ts';
import type { Vector } from '../vector.ts';
import { type ChangeChunks, delta, each, hasNoFinish, isUsage } from './changes.ts';

const THINKING = ['<th', 'ink>The user wants', ' a time. </thi', 'nk>It leaves ', 'at noon.'];

const textChunks = (texts: readonly string[]): Json[] => [
  chunk({ role: 'assistant', content: '' }),
  ...texts.map((content) => chunk({ content })),
  chunk({}, 'stop'),
];

const REASONING: readonly Vector[] = [
  {
    name: 'reasoning-key',
    quirks: ['Q85'],
    answer: 'reasoning',
    chunks: delta(({ reasoning_content: reasoning, ...old }) =>
      reasoning === undefined ? old : { ...old, reasoning },
    ),
  },
  {
    name: 'reasoning-empty-beside-text',
    quirks: ['Q86', 'Q91'],
    answer: 'reasoning',
    chunks: delta((old) => ({ content: '', reasoning_content: '', ...old })),
  },
  {
    name: 'reasoning-and-text-in-one',
    quirks: ['Q87'],
    answer: 'reasoning',
    chunks: (chunks) =>
      chunks.toSpliced(2, 2, chunk({ reasoning_content: 'wants a time. ', content: 'It leaves ' })),
  },
  {
    name: 'reasoning-details',
    quirks: ['Q90'],
    answer: 'reasoning',
    chunks: delta(({ reasoning_content: text, ...old }) =>
      text === undefined
        ? old
        : { ...old, reasoning: text, reasoning_details: [{ type: 'reasoning.text', text }] },
    ),
  },
  {
    name: 'think-tags',
    quirks: ['Q88'],
    answer: 'reasoning',
    chunks: (chunks) => [...textChunks(THINKING), ...chunks.filter(isUsage)],
    profile: { think_tags: 'split' },
  },
  {
    name: 'think-tags-closing-only',
    quirks: ['Q89'],
    answer: 'reasoning',
    chunks: (chunks) => [
      ...textChunks(['The user wants a time. ', '</think>It leaves at noon.']),
      ...chunks.filter(isUsage),
    ],
    profile: { think_tags: 'split' },
  },
];

const GROWING = each((one, position) => ({
  ...one,
  usage: { ...USAGE, completion_tokens: position, total_tokens: 11 + position },
}));

const USAGES: readonly Vector[] = [
  {
    name: 'usage-in-each',
    quirks: ['Q97', 'Q99'],
    answer: 'text',
    chunks: (chunks) => [
      ...GROWING(chunks.filter((one) => !isUsage(one))),
      { ...chunk({}), choices: [], usage: USAGE },
    ],
  },
  {
    name: 'usage-with-finish',
    quirks: ['Q98', 'Q99'],
    answer: 'text',
    chunks: (chunks) =>
      chunks.filter((one) => !isUsage(one)).map((one) => (hasNoFinish(one) ? one : { ...one, usage: USAGE })),
  },
  {
    name: 'usage-not-given',
    quirks: ['Q100'],
    answer: 'text',
    chunks: (chunks) => chunks.filter((one) => !isUsage(one)),
    ownUsage: true,
  },
  {
    name: 'usage-in-x-groq',
    quirks: ['Q98', 'Q100'],
    answer: 'text',
    chunks: beside({ x_groq: { id: 'req_1', usage: { ...USAGE, queue_time: 0.01 } } }),
  },
  {
    name: 'usage-in-invocation-metrics',
    quirks: ['Q98', 'Q102'],
    answer: 'text',
    chunks: beside({ 'amazon-bedrock-invocationMetrics': { inputTokenCount: 11, outputTokenCount: 7 } }),
  },
  {
    name: 'usage-in-timings',
    quirks: ['Q98', 'Q102'],
    answer: 'text',
    chunks: beside({ timings: { cache_n: 8, prompt_n: 3, predicted_n: 7, predicted_ms: 88.5 } }),
  },
  {
    name: 'usage-other-names',
    quirks: ['Q102'],
    answer: 'text',
    chunks: usageAs({ input_tokens: 11, output_tokens: 7 }),
  },
  {
    name: 'usage-text',
    quirks: ['Q103'],
    answer: 'text',
    chunks: usageAs({
      prompt_tokens: '11',
      completion_tokens: 7.0,
      total_tokens: '18',
      prompt_tokens_details: null,
    }),
  },
  {
    name: 'usage-wrong-total',
    quirks: ['Q103'],
    answer: 'text',
    chunks: usageAs({ prompt_tokens: 11, completion_tokens: 7, total_tokens: 3 }),
  },
  {
    name: 'usage-partial',
    quirks: ['Q104'],
    answer: 'text',
    chunks: usageAs({ prompt_tokens: 11, total_tokens: 18 }),
  },
  {
    name: 'usage-before-finish',
    quirks: ['Q105'],
    answer: 'text',
    chunks: (chunks) => [...chunks.filter(isUsage), ...chunks.filter((one) => !isUsage(one))],
  },
  {
    name: 'usage-twice',
    quirks: ['Q107'],
    answer: 'text',
    chunks: (chunks) => chunks.flatMap((one) => (isUsage(one) ? [one, one] : [one])),
  },
];

/** No usage chunk, and this in the chunk with the finish. */
function beside(members: Json): ChangeChunks {
  return (chunks) =>
    chunks.filter((one) => !isUsage(one)).map((one) => (hasNoFinish(one) ? one : { ...one, ...members }));
}

function usageAs(usage: Json): ChangeChunks {
  return each((one) => (isUsage(one) ? { ...one, usage } : one));
}

export const REASONING_AND_USAGE: readonly Vector[] = [...REASONING, ...USAGES];
