import { type Json, mapChoice, mapDelta } from '../answers.ts';
import type { Vector } from '../vector.ts';
import { type ChangeChunks, choice, delta, each, finish, hasNoFinish, without } from './changes.ts';

/** All text so far in each chunk. */
function cumulative(chunks: Json[]): Json[] {
  let content = '';
  return chunks.map((one) =>
    mapDelta(one, (old) => {
      content += String(old.content ?? '');
      return 'content' in old ? { ...old, content } : old;
    }),
  );
}

/** The last text in the chunk of the finish. */
function lastWithFinish(chunks: Json[]): Json[] {
  const index = chunks.findIndex((one) => (one.choices as Json[])[0]?.finish_reason != null);
  const last = chunks[index - 1] as Json;
  const merged = mapChoice(last, (one) => ({ ...one, finish_reason: 'stop' }));
  return chunks.toSpliced(index - 1, 2, merged);
}

const AZURE_FIRST = {
  id: '',
  object: '',
  created: 0,
  model: '',
  choices: [],
  prompt_filter_results: [{ prompt_index: 0, content_filter_results: {} }],
};

const AZURE_FILTER = {
  id: '',
  object: '',
  created: 0,
  model: '',
  choices: [{ index: 0, finish_reason: null, content_filter_offsets: { check_offset: 1 }, logprobs: null }],
};

const OUTER: readonly Vector[] = [
  { name: 'azure-first', quirks: ['Q48'], answer: 'text', chunks: (chunks) => [AZURE_FIRST, ...chunks] },
  {
    name: 'azure-filter',
    quirks: ['Q49'],
    answer: 'text',
    chunks: (chunks) => chunks.toSpliced(3, 0, AZURE_FILTER),
  },
  { name: 'choices-absent-in-usage', quirks: ['Q79'], answer: 'text', chunks: each(usageWithout('absent')) },
  { name: 'choices-null-in-usage', quirks: ['Q79'], answer: 'text', chunks: each(usageWithout('null')) },
  { name: 'index-missing', quirks: ['Q80'], answer: 'text', chunks: choice(without('index')) },
  { name: 'index-text', quirks: ['Q80'], answer: 'text', chunks: choice((one) => ({ ...one, index: '0' })) },
  { name: 'index-one', quirks: ['Q80'], answer: 'text', chunks: choice((one) => ({ ...one, index: 1 })) },
  {
    name: 'id-changes',
    quirks: ['Q81'],
    answer: 'text',
    chunks: each((one, n) => ({ ...one, id: `id-${n}` })),
  },
  { name: 'id-null', quirks: ['Q81'], answer: 'text', chunks: each((one) => ({ ...one, id: null })) },
  { name: 'id-number', quirks: ['Q81'], answer: 'text', chunks: each((one) => ({ ...one, id: 7 })) },
  {
    name: 'created-text',
    quirks: ['Q82'],
    answer: 'text',
    chunks: each((one) => ({ ...one, created: '1763000000' })),
  },
  {
    name: 'created-date',
    quirks: ['Q82'],
    answer: 'text',
    chunks: each((one) => ({ ...one, created: '2025-11-13T02:13:20Z' })),
  },
  {
    name: 'created-float',
    quirks: ['Q82'],
    answer: 'text',
    chunks: each((one) => ({ ...one, created: 1_763_000_000_123.5 })),
  },
  { name: 'created-missing', quirks: ['Q82'], answer: 'text', chunks: each(without('created')) },
  { name: 'object-missing', quirks: ['Q83'], answer: 'text', chunks: each(without('object')) },
  {
    name: 'object-of-a-whole',
    quirks: ['Q83'],
    answer: 'text',
    chunks: each((one) => ({ ...one, object: 'chat.completion' })),
  },
  { name: 'model-missing', quirks: ['Q84'], answer: 'text', chunks: each(without('model')) },
  {
    name: 'extras',
    quirks: ['Q93', 'Q94', 'Q95'],
    answer: 'text',
    chunks: each((one) => ({ ...one, obfuscation: 'xx', search_info: { results: [] }, hidden_states: null })),
  },
];

function usageWithout(form: 'absent' | 'null') {
  return ({ choices, ...rest }: Json): Json => {
    if ((choices as unknown[]).length > 0) return { ...rest, choices };
    return form === 'null' ? { ...rest, choices: null } : rest;
  };
}

const DELTAS: readonly Vector[] = [
  {
    name: 'role-in-each',
    quirks: ['Q52'],
    answer: 'text',
    chunks: delta((old) => ({ role: 'assistant', ...old })),
  },
  { name: 'role-never', quirks: ['Q53'], answer: 'text', chunks: delta(without('role')) },
  { name: 'role-null', quirks: ['Q53'], answer: 'text', chunks: delta((old) => ({ ...old, role: null })) },
  { name: 'role-empty', quirks: ['Q53'], answer: 'text', chunks: delta((old) => ({ ...old, role: '' })) },
  { name: 'role-tool', quirks: ['Q53'], answer: 'text', chunks: delta((old) => ({ ...old, role: 'tool' })) },
  { name: 'text-with-finish', quirks: ['Q54'], answer: 'text', chunks: lastWithFinish },
  {
    name: 'message-for-delta',
    quirks: ['Q67'],
    answer: 'text',
    chunks: choice(({ delta: old, ...rest }) => ({ ...rest, message: old })),
  },
  { name: 'delta-null', quirks: ['Q75'], answer: 'text', chunks: finish((one) => ({ ...one, delta: null })) },
  { name: 'delta-absent', quirks: ['Q75'], answer: 'text', chunks: finish(without('delta')) },
  {
    name: 'content-null',
    quirks: ['Q76'],
    answer: 'reasoning',
    chunks: delta((old) => ({ content: null, tool_calls: null, refusal: null, ...old })),
  },
  {
    name: 'content-parts',
    quirks: ['Q77'],
    answer: 'text',
    chunks: delta((old) =>
      typeof old.content === 'string' ? { ...old, content: [{ type: 'text', text: old.content }] } : old,
    ),
  },
  {
    name: 'thinking-parts',
    quirks: ['Q77'],
    answer: 'reasoning',
    chunks: delta(({ reasoning_content: text, ...old }) =>
      text === undefined
        ? old
        : { content: [{ type: 'thinking', thinking: [{ type: 'text', text }] }], ...old },
    ),
  },
];

const FINISHES: readonly Vector[] = [
  {
    name: 'finish-empty-text',
    quirks: ['Q55'],
    answer: 'text',
    chunks: choice((one) => ({ ...one, finish_reason: one.finish_reason ?? '' })),
  },
  { name: 'finish-eos', quirks: ['Q57'], answer: 'text', chunks: finishAs('eos_token') },
  { name: 'finish-max-tokens', quirks: ['Q58'], answer: 'cut', chunks: finishAs('MAX_TOKENS') },
  { name: 'finish-end-turn', quirks: ['Q61'], answer: 'text', chunks: finishAs('end_turn') },
  { name: 'finish-missing', quirks: ['Q63'], answer: 'text', chunks: (chunks) => chunks.filter(hasNoFinish) },
  {
    name: 'finish-twice',
    quirks: ['Q64'],
    answer: 'text',
    chunks: (chunks) => chunks.flatMap((one) => (hasNoFinish(one) ? [one] : [one, one])),
  },
  {
    name: 'cumulative',
    quirks: ['Q65'],
    answer: 'text',
    chunks: cumulative,
    profile: { cumulative: 'always' },
  },
];

function finishAs(reason: string): ChangeChunks {
  return finish((one) => ({ ...one, finish_reason: reason }));
}

export const CHUNKS: readonly Vector[] = [...OUTER, ...DELTAS, ...FINISHES];
