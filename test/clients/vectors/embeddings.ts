import type { Json } from '../answers.ts';

/** What of a request for embeddings an upstream looks at. */
export interface EmbeddingsAsk {
  readonly inputs: readonly unknown[];
  readonly format: unknown;
}

export interface EmbeddingsVector {
  /** Also the model by which a client asks for it. */
  readonly name: string;
  readonly quirks: readonly string[];
  /** Status and body; the body is made from the canonical reply in floats. */
  readonly answer: (reply: EmbeddingsReply, ask: EmbeddingsAsk) => { status?: number; body: unknown };
  /** True: the counts are not the upstream's. */
  readonly ownUsage?: boolean;
  /** What the client gets instead of an answer. */
  readonly expect?: { readonly status: number; readonly code: string };
}

export interface EmbeddingsReply {
  readonly object: 'list';
  readonly data: readonly { object: 'embedding'; index: number; embedding: number[] }[];
  readonly model: string;
  readonly usage: { readonly prompt_tokens: number; readonly total_tokens: number };
}

const DIMENSION = 8;

/** Numbers that a float32 holds exactly, so that every form of them is the same to a client. */
function vectorOf(input: unknown): number[] {
  const seed = [...JSON.stringify(input)].reduce(
    (sum, char) => (sum * 31 + (char.codePointAt(0) ?? 0)) % 4096,
    7,
  );
  return Array.from({ length: DIMENSION }, (_, position) => (((seed * (position + 3)) % 257) - 128) / 128);
}

export function embeddingsReply(inputs: readonly unknown[]): EmbeddingsReply {
  return {
    object: 'list',
    data: inputs.map((input, index) => ({ object: 'embedding', index, embedding: vectorOf(input) })),
    model: 'up-model',
    usage: { prompt_tokens: inputs.length * 3, total_tokens: inputs.length * 3 },
  };
}

function base64Of(embedding: readonly number[]): string {
  return Buffer.from(new Float32Array(embedding).buffer).toString('base64');
}

function inBase64(reply: EmbeddingsReply): Json {
  return { ...reply, data: reply.data.map((item) => ({ ...item, embedding: base64Of(item.embedding) })) };
}

const refusal = (message: string) => ({
  status: 400,
  body: { error: { message, type: 'invalid_request_error', param: null, code: null } },
});

function isBlank(input: unknown): boolean {
  return typeof input === 'string' && input.trim() === '';
}

export const EMBEDDINGS_VECTORS: readonly EmbeddingsVector[] = [
  {
    name: 'embed-canonical',
    quirks: [],
    answer: (reply, { format }) => ({ body: format === 'base64' ? inBase64(reply) : reply }),
  },
  { name: 'embed-floats-always', quirks: ['Q151'], answer: (reply) => ({ body: reply }) },
  {
    name: 'embed-refuses-base64',
    quirks: ['Q151'],
    answer: (reply, { format }) =>
      format === 'base64' ? refusal('encoding_format base64 is unsupported') : { body: reply },
  },
  {
    name: 'embed-own-vocabulary',
    quirks: ['S108'],
    // The ids are taken for its own, and so for other words.
    answer: (reply, { inputs }) => ({ body: inputs.some(Array.isArray) ? embeddingsReply(inputs) : reply }),
  },
  {
    name: 'embed-refuses-blank',
    quirks: ['S113'],
    answer: (reply, { inputs }) =>
      inputs.some(isBlank) ? refusal('input cannot be empty') : { body: reply },
  },
  { name: 'embed-base64-always', quirks: ['Q152'], answer: (reply) => ({ body: inBase64(reply) }) },
  {
    name: 'embed-reversed',
    quirks: ['Q149'],
    answer: (reply) => ({ body: { ...reply, data: reply.data.toReversed() } }),
  },
  {
    name: 'embed-no-index',
    quirks: ['Q150'],
    answer: (reply) => ({ body: { ...reply, data: reply.data.map(({ index: _, ...item }) => item) } }),
  },
  {
    name: 'embed-index-zero',
    quirks: ['Q150'],
    answer: (reply) => ({ body: { ...reply, data: reply.data.map((item) => ({ ...item, index: 0 })) } }),
  },
  {
    name: 'embed-ollama',
    quirks: ['Q153'],
    answer: (reply) => ({ body: { embeddings: reply.data.map((item) => item.embedding) } }),
    ownUsage: true,
  },
  {
    name: 'embed-bare-list',
    quirks: ['Q153'],
    answer: (reply) => ({ body: reply.data.map((item) => item.embedding) }),
    ownUsage: true,
  },
  {
    name: 'embed-no-usage',
    quirks: ['Q157'],
    answer: ({ usage: _, ...reply }) => ({ body: reply }),
    ownUsage: true,
  },
  {
    name: 'embed-batches-of-four',
    quirks: ['Q158'],
    answer: (reply) =>
      reply.data.length > 4
        ? refusal('batch size is invalid, it should not be larger than 4')
        : { body: reply },
  },
  {
    name: 'embed-in-envelope',
    quirks: ['Q42'],
    answer: (reply) => ({ body: { code: 0, msg: 'ok', data: reply } }),
  },
  {
    name: 'embed-too-few',
    quirks: ['Q156'],
    answer: (reply) => ({ body: { ...reply, data: reply.data.slice(1) } }),
    expect: { status: 502, code: 'upstream_mismatch' },
  },
  {
    name: 'embed-none',
    quirks: ['Q155'],
    answer: (reply) => ({ body: { ...reply, data: [] } }),
    expect: { status: 502, code: 'upstream_mismatch' },
  },
];
