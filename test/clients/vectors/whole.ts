import { gzipSync } from 'node:zlib';
import { ANSWERS, chunksOf, type Json, USAGE, usageChunk } from '../answers.ts';
import { sse, type Vector } from '../vector.ts';
import { inGbk } from './framing.ts';

/** The only choice changed. */
const choice =
  (change: (choice: Json) => unknown) =>
  (reply: Json): string =>
    JSON.stringify({ ...reply, choices: (reply.choices as Json[]).map(change) });

const message = (change: (message: Json) => unknown) =>
  choice((one) => ({ ...one, message: change(one.message as Json) }));

const calls = (change: (call: Json) => unknown) =>
  message((old) => ({ ...old, tool_calls: (old.tool_calls as Json[]).map(change) }));

const args = (change: (text: string) => unknown) =>
  calls((call) => {
    const old = call.function as Json;
    return { ...call, function: { ...old, arguments: change(String(old.arguments)) } };
  });

const only =
  (...names: readonly string[]) =>
  (reply: Json): string =>
    JSON.stringify(Object.fromEntries(names.map((name) => [name, reply[name]])));

const usage = (value: unknown) => (reply: Json) => JSON.stringify({ ...reply, usage: value });

const asStream = (name: keyof typeof ANSWERS) => sse([...chunksOf(ANSWERS[name]), usageChunk()]);

const BODIES: readonly Vector[] = [
  {
    name: 'whole-pretty',
    quirks: ['Q37'],
    answer: 'text',
    whole: (reply) => `\ufeff\n  ${JSON.stringify(reply, null, 2)}\n`,
  },
  { name: 'whole-as-events', quirks: ['Q35'], answer: 'text', whole: () => asStream('text') },
  { name: 'whole-as-events-calls', quirks: ['Q35'], answer: 'calls', whole: () => asStream('calls') },
  {
    name: 'whole-as-ndjson',
    quirks: ['Q35', 'Q33'],
    answer: 'text',
    whole: () => [...chunksOf(ANSWERS.text), usageChunk()].map((one) => `${JSON.stringify(one)}\n`).join(''),
  },
  {
    name: 'whole-in-envelope',
    quirks: ['Q42'],
    answer: 'text',
    whole: (reply) => JSON.stringify({ code: 0, msg: 'ok', data: reply }),
  },
  {
    name: 'whole-double-encoded',
    quirks: ['Q42'],
    answer: 'text',
    whole: (reply) => JSON.stringify(JSON.stringify(reply)),
  },
  { name: 'whole-plain-type', quirks: ['Q32'], answer: 'text', contentType: 'text/plain' },
  { name: 'whole-without-type', quirks: ['Q32'], answer: 'text', contentType: null },
  {
    name: 'whole-gzip',
    quirks: ['Q31'],
    answer: 'text',
    bytes: gzipSync,
    headers: { 'content-encoding': 'gzip' },
  },
  { name: 'whole-one-byte-segments', quirks: ['Q18'], answer: 'text', segment: 1 },
  {
    name: 'whole-not-a-number',
    quirks: ['Q45'],
    answer: 'text',
    whole: (reply) => JSON.stringify(reply).replace('"logprobs":null', '"logprobs":null,"score":NaN'),
  },
  { name: 'whole-from-stream-only', quirks: ['Q47b'], answer: 'text', profile: { always_stream: true } },
  { name: 'whole-refuses-no-stream', quirks: ['Q47b'], answer: 'text', only: 'streams' },
  { name: 'whole-refuses-no-stream-calls', quirks: ['Q47b'], answer: 'calls', only: 'streams' },
  {
    name: 'whole-gbk',
    quirks: ['Q46'],
    answer: 'text',
    bytes: inGbk,
    contentType: 'application/json; charset=gbk',
  },
];

const SHAPES: readonly Vector[] = [
  {
    name: 'whole-only-choices',
    quirks: ['Q81', 'Q82', 'Q83', 'Q84'],
    answer: 'text',
    whole: only('choices', 'usage'),
  },
  {
    name: 'whole-bare-choice',
    quirks: ['Q80', 'Q63'],
    answer: 'text',
    whole: choice(({ message: one }) => ({ message: one })),
  },
  {
    name: 'whole-role-missing',
    quirks: ['Q53'],
    answer: 'text',
    whole: message(({ content }) => ({ content })),
  },
  {
    name: 'whole-content-parts',
    quirks: ['Q77'],
    answer: 'text',
    whole: message((old) => ({ ...old, content: [{ type: 'text', text: old.content }] })),
  },
  {
    name: 'whole-reasoning-key',
    quirks: ['Q85'],
    answer: 'reasoning',
    whole: message(({ reasoning_content: reasoning, ...old }) => ({ ...old, reasoning })),
  },
  {
    name: 'whole-think-tags',
    quirks: ['Q88'],
    answer: 'reasoning',
    whole: message(({ reasoning_content: text, ...old }) => ({
      ...old,
      content: `<think>${text}</think>${old.content}`,
    })),
    profile: { think_tags: 'split' },
  },
  {
    name: 'whole-finish-eos',
    quirks: ['Q57'],
    answer: 'text',
    whole: choice((one) => ({ ...one, finish_reason: 'eos_token' })),
  },
  {
    name: 'whole-calls-finish-stop',
    quirks: ['Q62'],
    answer: 'calls',
    whole: choice((one) => ({ ...one, finish_reason: 'stop' })),
  },
  {
    name: 'whole-arguments-object',
    quirks: ['Q114'],
    answer: 'calls',
    whole: args((text) => JSON.parse(text)),
  },
  {
    name: 'whole-arguments-twice',
    quirks: ['Q116'],
    answer: 'calls',
    whole: args((text) => JSON.stringify(text)),
  },
  { name: 'whole-arguments-null', quirks: ['Q115'], answer: 'emptyCall', whole: args(() => null) },
  {
    name: 'whole-calls-no-ids',
    quirks: ['Q111'],
    answer: 'calls',
    whole: calls(({ id: _, ...call }) => call),
    ownIds: true,
  },
  {
    name: 'whole-function-call',
    quirks: ['Q120'],
    answer: 'call',
    whole: choice((one) => {
      const { tool_calls: list, ...old } = one.message as Json;
      const { function: called } = (list as Json[])[0] as Json;
      return { ...one, message: { ...old, function_call: called }, finish_reason: 'function_call' };
    }),
    ownIds: true,
  },
  {
    name: 'whole-calls-empty-list',
    quirks: ['Q122'],
    answer: 'text',
    whole: message((old) => ({ ...old, tool_calls: [] })),
  },
];

const USAGES: readonly Vector[] = [
  { name: 'whole-usage-missing', quirks: ['Q100'], answer: 'text', whole: usage(undefined), ownUsage: true },
  { name: 'whole-usage-null', quirks: ['Q100'], answer: 'text', whole: usage(null), ownUsage: true },
  {
    name: 'whole-usage-in-x-groq',
    quirks: ['Q98', 'Q100'],
    answer: 'text',
    whole: ({ usage: counts, ...reply }) =>
      JSON.stringify({ ...reply, x_groq: { id: 'req_1', usage: counts } }),
  },
  {
    name: 'whole-usage-text',
    quirks: ['Q103'],
    answer: 'text',
    whole: usage({ prompt_tokens: '11', completion_tokens: 7, total_tokens: null }),
  },
  {
    name: 'whole-usage-other-names',
    quirks: ['Q102'],
    answer: 'text',
    whole: usage({ input_tokens: USAGE.prompt_tokens, output_tokens: USAGE.completion_tokens }),
  },
];

export const WHOLE: readonly Vector[] = [...BODIES, ...SHAPES, ...USAGES];
