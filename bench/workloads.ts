/** Requests and the upstream's responses; shared by the load generator and the scripted upstream. */

export type WorkloadName = 'chat' | 'burst' | 'paced' | 'held' | 'embeddings' | 'base64';

export const FRAMES = 100;

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

export const EMBEDDING_INPUTS = 16;
export const EMBEDDING_DIMENSION = 1536;

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

function embeddingsRequest(model: string, encoding_format: 'float' | 'base64'): string {
  const input = Array.from({ length: EMBEDDING_INPUTS }, (_, index) => `${index} ${filler(60)}`);
  return JSON.stringify({ model, input, encoding_format });
}

export interface Workload {
  readonly path: string;
  readonly request: string;
}

/** The model's name selects the response of the upstream. */
export const WORKLOADS: Readonly<Record<WorkloadName, Workload>> = {
  chat: { path: '/v1/chat/completions', request: chatRequest('bench-chat', false, 850) },
  burst: { path: '/v1/chat/completions', request: chatRequest('bench-burst', true, 850) },
  paced: { path: '/v1/chat/completions', request: chatRequest('bench-paced', true, 850) },
  held: { path: '/v1/chat/completions', request: chatRequest('bench-held', true, 850) },
  embeddings: { path: '/v1/embeddings', request: embeddingsRequest('bench-embeddings', 'float') },
  // What openai for Python and Node request when the application says nothing.
  base64: { path: '/v1/embeddings', request: embeddingsRequest('bench-base64', 'base64') },
};

export const MODELS: readonly string[] = [
  'bench-chat',
  'bench-burst',
  'bench-paced',
  'bench-held',
  'bench-embeddings',
  'bench-base64',
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
export const STREAM_END = Buffer.from('data: [DONE]\n\n');

/** 16 vectors: about 300 KB as floats as OpenAI writes them, 130 KB as base64. */
export function embeddingsReply(encoding: 'float' | 'base64'): Buffer {
  let seed = 1;
  const next = (): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return Number(((seed / 2 ** 32 - 0.5) / 10).toFixed(9));
  };
  const data = Array.from({ length: EMBEDDING_INPUTS }, (_, index) => {
    const vector = Array.from({ length: EMBEDDING_DIMENSION }, next);
    const base64 = (): string => Buffer.from(new Float32Array(vector).buffer).toString('base64');
    return { object: 'embedding', index, embedding: encoding === 'float' ? vector : base64() };
  });
  const usage = { prompt_tokens: 240, total_tokens: 240 };
  return Buffer.from(JSON.stringify({ object: 'list', data, model: 'bench-embeddings', usage }));
}
