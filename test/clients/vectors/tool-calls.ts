import { ANSWERS, chunk, type Json, mapCalls, mapChoice } from '../answers.ts';
import type { Vector } from '../vector.ts';

type ChangeChunks = (chunks: Json[]) => unknown[];

const CALLS = ANSWERS.calls.calls;

/** Each fragment of a call changed. */
const calls =
  (change: (call: Json) => unknown): ChangeChunks =>
  (chunks) =>
    chunks.map((one) => mapCalls(one, change));

const index = (change: (index: number) => unknown): ChangeChunks =>
  calls((call) => ({ ...call, index: change(call.index as number) }));

/** The first fragments of the calls, which have their ids. */
const openings = (change: (call: Json) => Json): ChangeChunks =>
  calls((call) => ('id' in call ? change(call) : call));

const withoutIndex = calls(({ index: _, ...rest }) => rest);

/** The whole call in one fragment. */
const wholeCall = (position: number, args: (text: string) => unknown): Json => {
  const { id, name, arguments: pieces } = CALLS[position] as (typeof CALLS)[number];
  return { index: position, id, type: 'function', function: { name, arguments: args(pieces.join('')) } };
};

const wholeCalls =
  (args: (text: string) => unknown): ChangeChunks =>
  (chunks) =>
    replaced(
      chunks,
      [0, 1].map((position) => chunk({ tool_calls: [wholeCall(position, args)] })),
    );

/** The chunks with these in place of all that carry calls. */
function replaced(chunks: Json[], instead: readonly unknown[]): unknown[] {
  const isCall = (one: Json) => 'tool_calls' in (((one.choices as Json[])[0]?.delta ?? {}) as Json);
  const first = chunks.findIndex(isCall);
  const rest = chunks.filter((one) => !isCall(one));
  return rest.toSpliced(first, 0, ...(instead as Json[]));
}

/** Both calls opened, then their arguments piece by piece in turn. */
function interleaved(chunks: Json[]): unknown[] {
  const fragments = [0, 1].map((position) => ({ position, call: CALLS[position] as (typeof CALLS)[number] }));
  const opened = fragments.map(({ position }) => wholeCall(position, () => ''));
  const pieces = [0, 1].flatMap((piece) =>
    fragments.map(({ position, call }) => ({
      index: position,
      function: { arguments: call.arguments[piece] },
    })),
  );
  return replaced(
    chunks,
    [...opened, ...pieces].map((call) => chunk({ tool_calls: [call] })),
  );
}

/** Each fragment with everything of its call so far. */
function cumulativeArguments(chunks: Json[]): unknown[] {
  const sums = new Map<unknown, string>();
  return calls((call) => {
    const old = call.function as Json;
    const sum = `${sums.get(call.index) ?? ''}${old.arguments ?? ''}`;
    sums.set(call.index, sum);
    return { ...call, function: { ...old, arguments: sum } };
  })(chunks);
}

/** Everything that names a call in each of its fragments. */
function repeated(value: (first: unknown, member: string) => unknown): ChangeChunks {
  return (chunks) => {
    const first = new Map<unknown, Json>();
    return calls((call) => {
      if ('id' in call) {
        first.set(call.index, call);
        return call;
      }
      const known = first.get(call.index) as Json;
      const name = value((known.function as Json).name, 'name');
      return {
        ...call,
        id: value(known.id, 'id'),
        type: value('function', 'type'),
        function: { ...(call.function as Json), name },
      };
    })(chunks);
  };
}

function legacy(chunks: Json[]): unknown[] {
  const { name, arguments: pieces } = CALLS[0];
  return replaced(chunks, [
    chunk({ function_call: { name, arguments: '' } }),
    ...pieces.map((text) => chunk({ function_call: { arguments: text } })),
  ]).map((one) =>
    mapChoice(one as Json, (choice) => ({
      ...choice,
      finish_reason: choice.finish_reason === null ? null : 'function_call',
    })),
  );
}

const emptyCall = (args: unknown): ChangeChunks => {
  const { id, name } = ANSWERS.emptyCall.calls[0];
  const call = { index: 0, id, type: 'function', function: { name, arguments: args } };
  return (chunks) => replaced(chunks, [chunk({ tool_calls: [call] })]);
};

const finishAs =
  (reason: string): ChangeChunks =>
  (chunks) =>
    chunks.map((one) =>
      mapChoice(one, (choice) => ({
        ...choice,
        finish_reason: choice.finish_reason === null ? null : reason,
      })),
    );

const INDEXES: readonly Vector[] = [
  { name: 'calls-no-index', quirks: ['Q108'], answer: 'calls', chunks: withoutIndex },
  { name: 'calls-index-zero', quirks: ['Q109'], answer: 'calls', chunks: index(() => 0) },
  { name: 'calls-index-from-one', quirks: ['Q110'], answer: 'calls', chunks: index((n) => n + 1) },
  { name: 'calls-index-gaps', quirks: ['Q110'], answer: 'calls', chunks: index((n) => n * 3) },
  { name: 'calls-index-text', quirks: ['Q110'], answer: 'calls', chunks: index(String) },
  { name: 'calls-interleaved', quirks: ['Q118'], answer: 'calls', chunks: interleaved },
];

const IDS: readonly Vector[] = [
  {
    name: 'calls-id-missing',
    quirks: ['Q111'],
    answer: 'calls',
    chunks: openings(({ id: _, ...call }) => call),
    ownIds: true,
  },
  {
    name: 'calls-id-empty',
    quirks: ['Q111'],
    answer: 'calls',
    chunks: openings((call) => ({ ...call, id: '' })),
    ownIds: true,
  },
  {
    name: 'calls-id-same',
    quirks: ['Q111'],
    answer: 'calls',
    chunks: openings((call) => ({ ...call, id: '0' })),
    ownIds: true,
  },
  { name: 'calls-repeated', quirks: ['Q112'], answer: 'calls', chunks: repeated((first) => first) },
  { name: 'calls-repeated-null', quirks: ['Q112'], answer: 'calls', chunks: repeated(() => null) },
  { name: 'calls-repeated-empty', quirks: ['Q112'], answer: 'calls', chunks: repeated(() => '') },
  {
    name: 'calls-repeated-but-for-the-name',
    quirks: ['Q112'],
    answer: 'calls',
    chunks: repeated((first, member) => (member === 'name' ? '' : first)),
  },
];

const ARGUMENTS: readonly Vector[] = [
  {
    name: 'arguments-object',
    quirks: ['Q114'],
    answer: 'calls',
    chunks: wholeCalls((text) => JSON.parse(text)),
  },
  { name: 'arguments-null', quirks: ['Q115'], answer: 'emptyCall', chunks: emptyCall(null) },
  { name: 'arguments-absent', quirks: ['Q115'], answer: 'emptyCall', chunks: emptyCall(undefined) },
  { name: 'arguments-empty', quirks: ['Q115'], answer: 'emptyCall', chunks: emptyCall('') },
  {
    name: 'arguments-double-encoded',
    quirks: ['Q116'],
    answer: 'calls',
    chunks: wholeCalls((text) => JSON.stringify(text)),
  },
  {
    name: 'arguments-cumulative',
    quirks: ['Q117'],
    answer: 'calls',
    chunks: cumulativeArguments,
    profile: { cumulative: 'always' },
  },
];

const SHAPES: readonly Vector[] = [
  { name: 'calls-finish-stop', quirks: ['Q62'], answer: 'calls', chunks: finishAs('stop') },
  { name: 'calls-finish-tool-use', quirks: ['Q61'], answer: 'calls', chunks: finishAs('tool_use') },
  { name: 'function-call', quirks: ['Q120'], answer: 'call', chunks: legacy, ownIds: true },
  {
    name: 'calls-in-one-delta',
    quirks: ['Q118'],
    answer: 'calls',
    chunks: (chunks) =>
      replaced(chunks, [
        chunk({ tool_calls: [0, 1].map((position) => wholeCall(position, (text) => text)) }),
      ]),
  },
  {
    name: 'calls-empty-list-in-each',
    quirks: ['Q122'],
    answer: 'text',
    chunks: (chunks) =>
      chunks.map((one) =>
        mapChoice(one, (choice) => ({ ...choice, delta: { tool_calls: [], ...(choice.delta as Json) } })),
      ),
  },
  {
    name: 'text-and-call-in-one',
    quirks: ['Q124'],
    answer: 'textAndCall',
    chunks: (chunks) =>
      replaced(chunks, []).toSpliced(
        2,
        1,
        chunk({ content: 'look.', tool_calls: [wholeCall(0, (text) => text)] }),
      ),
  },
  {
    name: 'call-with-finish',
    quirks: ['Q54', 'Q108'],
    answer: 'call',
    chunks: (chunks) => [
      chunk({ role: 'assistant', content: null, tool_calls: [wholeCall(0, (text) => text)] }, 'stop'),
      ...chunks.filter((one) => (one.choices as unknown[]).length === 0),
    ],
  },
];

export const TOOL_CALLS: readonly Vector[] = [...INDEXES, ...IDS, ...ARGUMENTS, ...SHAPES];
