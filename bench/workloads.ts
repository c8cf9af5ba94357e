/** Requests and the upstream's responses; shared by the load generator and the scripted upstream. */

export type WorkloadName =
  | 'chat'
  | 'large'
  | 'burst'
  | 'tools'
  | 'paced'
  | 'crowd'
  | 'held'
  | 'embeddings'
  | 'base64'
  | 'many_floats'
  | 'many_base64';

export const FRAMES = 100;

/** Of the stream with tool calls: half of them arguments, of five calls. */
export const TOOL_FRAMES = 500;

/** A stream of a crowd: this many frames, this far apart. Milliseconds. */
export const CROWD_FRAMES = 40;
export const CROWD_GAP_MS = 50;

/** Between the frames of a paced stream, and before its first. Milliseconds. */
export const PACED_FIRST_MS = 40;
export const PACED_GAP_MS = 5;
export const PACED_LENGTH_MS = PACED_FIRST_MS + FRAMES * PACED_GAP_MS;

/** The text of the first frame with content. */
export const FIRST_CONTENT = ' word0';

/** Of the tokens whose renewal is watched: renewed about every three seconds. */
export const SHORT_LIFE_S = 7;

/** A stream that only stays open: one frame at once, then one a second. Milliseconds. */
export const HELD_GAP_MS = 1000;

/** How many texts and how long their vectors. */
export interface EmbeddingsSize {
  readonly inputs: number;
  readonly dimension: number;
}

export const FEW_LONG: EmbeddingsSize = { inputs: 16, dimension: 1536 };
export const MANY_SHORT: EmbeddingsSize = { inputs: 64, dimension: 1024 };

const filler = (size: number): string =>
  'The ferry crosses the river. '.repeat(Math.ceil(size / 29)).slice(0, size);

function chatRequest(model: string, isStream: boolean, size: number): string {
  return JSON.stringify({
    model,
    messages: [
      { role: 'system', content: 'You answer shortly.' },
      { role: 'user', content: filler(size) },
    ],
    temperature: 0.2,
    ...(isStream ? { stream: true } : {}),
  });
}

function embeddingsRequest(
  model: string,
  encoding_format: 'float' | 'base64',
  { inputs }: EmbeddingsSize,
): string {
  const input = Array.from({ length: inputs }, (_, index) => `${index} ${filler(60)}`);
  return JSON.stringify({ model, input, encoding_format });
}

export interface Workload {
  readonly path: string;
  readonly request: string;
}

/** The model's name selects the response of the upstream. */
export const WORKLOADS: Readonly<Record<WorkloadName, Workload>> = {
  chat: { path: '/v1/chat/completions', request: chatRequest('bench-chat', false, 850) },
  large: { path: '/v1/chat/completions', request: chatRequest('bench-chat', false, 100_000) },
  burst: { path: '/v1/chat/completions', request: chatRequest('bench-burst', true, 850) },
  tools: { path: '/v1/chat/completions', request: chatRequest('bench-tools', true, 850) },
  paced: { path: '/v1/chat/completions', request: chatRequest('bench-paced', true, 850) },
  crowd: { path: '/v1/chat/completions', request: chatRequest('bench-crowd', true, 850) },
  held: { path: '/v1/chat/completions', request: chatRequest('bench-held', true, 850) },
  embeddings: { path: '/v1/embeddings', request: embeddingsRequest('bench-embeddings', 'float', FEW_LONG) },
  // What openai for Python and Node request when the application says nothing.
  base64: { path: '/v1/embeddings', request: embeddingsRequest('bench-base64', 'base64', FEW_LONG) },
  many_floats: {
    path: '/v1/embeddings',
    request: embeddingsRequest('bench-many-floats', 'float', MANY_SHORT),
  },
  many_base64: {
    path: '/v1/embeddings',
    request: embeddingsRequest('bench-many-base64', 'base64', MANY_SHORT),
  },
};

export const MODELS: readonly string[] = [
  'bench-chat',
  'bench-burst',
  'bench-tools',
  'bench-paced',
  'bench-crowd',
  'bench-held',
  'bench-embeddings',
  'bench-base64',
  'bench-many-floats',
  'bench-many-base64',
];

/** About 0.6 KB. */
export const CHAT_REPLY = Buffer.from(
  JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion',
    created: 1_763_683_200,
    model: 'bench-chat',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: filler(300) },
        logprobs: null,
        finish_reason: 'stop',
      },
    ],
    usage: { prompt_tokens: 190, completion_tokens: 70, total_tokens: 260 },
    system_fingerprint: 'fp_bench',
  }),
);

function frame(delta: object, finish: string | null): Buffer {
  const data = {
    id: 'chatcmpl-bench',
    object: 'chat.completion.chunk',
    created: 1_763_683_200,
    model: 'bench-stream',
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
  };
  return Buffer.from(`data: ${JSON.stringify(data)}\n\n`);
}

/** `FRAMES` frames: the role, words, and the finish; then `[DONE]` for itself. */
export const STREAM_FRAMES: readonly Buffer[] = [
  frame({ role: 'assistant', content: '' }, null),
  ...Array.from({ length: FRAMES - 2 }, (_, index) => frame({ content: ` word${index}` }, null)),
  frame({}, 'stop'),
];

/** The role, then words and pieces of the arguments of five calls by turns, and the finish. */
export const TOOL_STREAM_FRAMES: readonly Buffer[] = [
  frame({ role: 'assistant', content: '' }, null),
  ...Array.from({ length: (TOOL_FRAMES - 2) / 2 }, (_, index) => frame({ content: ` word${index}` }, null)),
  ...Array.from({ length: (TOOL_FRAMES - 2) / 2 }, (_, index) =>
    frame({ tool_calls: [callPiece(index)] }, null),
  ),
  frame({}, 'tool_calls'),
];

/** Of 249 pieces five calls get 49 each, the last one the rest. */
function callPiece(piece: number): object {
  const index = Math.min(4, Math.floor(piece / 49));
  const within = piece - index * 49;
  const isLast = index === 4 ? piece === (TOOL_FRAMES - 2) / 2 - 1 : within === 48;
  const text = within === 0 ? '{"path":"' : isLast ? '"}' : `part${within}/`;
  if (within > 0) return { index, function: { arguments: text } };
  return { index, id: `call_${index}`, type: 'function', function: { name: 'write_file', arguments: text } };
}

export const STREAM_END = Buffer.from('data: [DONE]\n\n');

/** 16 vectors of 1536: about 300 KB as floats as OpenAI writes them, 130 KB as base64. */
export function embeddingsReply(encoding: 'float' | 'base64', { inputs, dimension }: EmbeddingsSize): Buffer {
  let seed = 1;
  const next = (): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return Number(((seed / 2 ** 32 - 0.5) / 10).toFixed(9));
  };
  const data = Array.from({ length: inputs }, (_, index) => {
    const vector = Array.from({ length: dimension }, next);
    const base64 = (): string => Buffer.from(new Float32Array(vector).buffer).toString('base64');
    return { object: 'embedding', index, embedding: encoding === 'float' ? vector : base64() };
  });
  const usage = { prompt_tokens: 240, total_tokens: 240 };
  return Buffer.from(JSON.stringify({ object: 'list', data, model: 'bench-embeddings', usage }));
}
