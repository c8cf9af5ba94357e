/** What the model has to say, apart from how an upstream writes it down. */
export interface Answer {
  readonly reasoning: readonly string[];
  readonly text: readonly string[];
  readonly calls: readonly Call[];
  readonly finish: 'stop' | 'length' | 'tool_calls';
}

export interface Call {
  readonly id: string;
  readonly name: string;
  /** JSON, in the pieces in which it is streamed. */
  readonly arguments: readonly string[];
}

const NONE = { reasoning: [], text: [], calls: [] } as const;

export const ANSWERS = {
  text: { ...NONE, text: ['Grüße ', 'aus Zürich, ', '你好 👋: ', 'the ferry ', 'leaves.'], finish: 'stop' },
  reasoning: {
    ...NONE,
    reasoning: ['The user ', 'wants a time. '],
    text: ['It leaves ', 'at noon.'],
    finish: 'stop',
  },
  call: {
    ...NONE,
    calls: [{ id: 'call_paris', name: 'get_weather', arguments: ['{"city":', '"Paris"}'] }],
    finish: 'tool_calls',
  },
  calls: {
    ...NONE,
    calls: [
      { id: 'call_paris', name: 'get_weather', arguments: ['{"city":', '"Paris"}'] },
      { id: 'call_zone', name: 'get_time', arguments: ['{"zone":"C', 'ET","exact":true}'] },
    ],
    finish: 'tool_calls',
  },
  textAndCall: {
    ...NONE,
    text: ['Let me ', 'look.'],
    calls: [{ id: 'call_paris', name: 'get_weather', arguments: ['{"city":', '"Paris"}'] }],
    finish: 'tool_calls',
  },
  emptyCall: {
    ...NONE,
    calls: [{ id: 'call_now', name: 'get_time', arguments: ['{}'] }],
    finish: 'tool_calls',
  },
  /** More than a megabyte, as a picture has; each piece fits into the line of 1 MiB that RAGFlow's reader in Go takes. */
  long: {
    ...NONE,
    text: Array.from({ length: 4 }, (_, at) => `Picture ${at}: `.repeat(30_000)),
    finish: 'stop',
  },
  cut: { ...NONE, text: ['The ferry ', 'leaves at'], finish: 'length' },
} as const satisfies Record<string, Answer>;

export type AnswerName = keyof typeof ANSWERS;

export const USAGE = { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 };

/** An object of JSON, to be bent into what some upstream sends. */
export type Json = Record<string, unknown>;

const HEAD = { id: 'chatcmpl-up', created: 1_763_000_000, model: 'up-model' };

/** One chunk of OpenAI's stream. */
export function chunk(delta: unknown, finish: string | null = null): Json {
  const choice = { index: 0, delta, logprobs: null, finish_reason: finish };
  return { ...HEAD, object: 'chat.completion.chunk', choices: [choice] };
}

/** The stream as OpenAI itself would send it: role, reasoning, text, calls, finish. */
export function chunksOf(answer: Answer): Json[] {
  return [
    chunk({ role: 'assistant', content: '' }),
    ...answer.reasoning.map((text) => chunk({ reasoning_content: text })),
    ...answer.text.map((content) => chunk({ content })),
    ...answer.calls.flatMap(callChunks),
    chunk({}, answer.finish),
  ];
}

function callChunks({ id, name, arguments: pieces }: Call, index: number): Json[] {
  const opening = { index, id, type: 'function', function: { name, arguments: '' } };
  return [opening, ...pieces.map((text) => ({ index, function: { arguments: text } }))].map((call) =>
    chunk({ tool_calls: [call] }),
  );
}

export function usageChunk(usage: unknown = USAGE): Json {
  return { ...chunk({}), choices: [], usage };
}

/** The whole answer as OpenAI itself would send it. */
export function wholeOf(answer: Answer): Json {
  const calls = answer.calls.map(({ id, name, arguments: pieces }) => ({
    id,
    type: 'function',
    function: { name, arguments: pieces.join('') },
  }));
  const message = {
    role: 'assistant',
    content: answer.text.length === 0 && calls.length > 0 ? null : answer.text.join(''),
    refusal: null,
    ...(answer.reasoning.length > 0 ? { reasoning_content: answer.reasoning.join('') } : {}),
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
  };
  const choice = { index: 0, message, logprobs: null, finish_reason: answer.finish };
  return { ...HEAD, object: 'chat.completion', choices: [choice], usage: USAGE };
}

/** The delta of a chunk's only choice changed, other chunks left alone. */
export function mapDelta(source: Json, change: (delta: Json) => unknown): Json {
  return mapChoice(source, (choice) => ({ ...choice, delta: change(choice.delta as Json) }));
}

/** A chunk's choices changed. */
export function mapChoice(source: Json, change: (choice: Json) => unknown): Json {
  return { ...source, choices: (source.choices as Json[]).map(change) };
}

/** The tool calls of a chunk changed. */
export function mapCalls(source: Json, change: (call: Json) => unknown): Json {
  return mapDelta(source, (delta) =>
    Array.isArray(delta.tool_calls) ? { ...delta, tool_calls: delta.tool_calls.map(change) } : delta,
  );
}
