import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { z } from 'zod/v4';
import { checkCanonicalReply, checkCanonicalStream } from '../helpers/canonical-checker.ts';
import { CLIENT_KEY, closeFerry, type Ferry, startFerry } from './ferry.ts';
import {
  chatCompletion,
  chatCompletionChunk,
  completion,
  embeddings,
  errorBody,
  modelList,
} from './schemas.ts';
import { EMBEDDINGS_VECTORS } from './vectors/embeddings.ts';
import { FAULT_VECTORS, STREAM_VECTORS, WHOLE_VECTORS } from './vectors.ts';

let ferry: Ferry;

before(async () => {
  ferry = await startFerry();
});

after(() => closeFerry(ferry));

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

async function ask(path: string, body?: object): Promise<Answer> {
  const response = await fetch(`${ferry.gatewayUrl}/v1${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${CLIENT_KEY}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

const messages = [{ role: 'user', content: 'When does it leave?' }];
const chat = (model: string, more: object = {}) => ask('/chat/completions', { model, messages, ...more });

function fits(schema: z.ZodType, value: unknown, what: string): void {
  const { error } = schema.safeParse(value);
  assert.equal(error, undefined, `${what}: ${error?.message}`);
}

/** The JSON of every event but `[DONE]`. */
function eventsIn(text: string): { readonly error?: unknown }[] {
  return text
    .split('\n\n')
    .filter((block) => block.startsWith('data: {'))
    .map((block) => JSON.parse(block.slice(6)));
}

test('S134 every chunk of every vector fits CreateChatCompletionStreamResponse', async () => {
  for (const { name } of STREAM_VECTORS) {
    for (const includeUsage of [true, false]) {
      const options = includeUsage ? { stream_options: { include_usage: true } } : {};
      const { status, text } = await chat(name, { stream: true, ...options });
      assert.equal(status, 200, `${name}: ${text}`);
      checkCanonicalStream(text, { includeUsage });
      for (const event of eventsIn(text)) fits(chatCompletionChunk, event, name);
    }
  }
});

test('S134 every JSON response fits CreateChatCompletionResponse', async () => {
  for (const { name } of WHOLE_VECTORS) {
    const { status, headers, text } = await chat(name);
    assert.equal(status, 200, `${name}: ${text}`);
    assert.match(headers.get('content-type') ?? '', /^application\/json/);
    fits(chatCompletion, checkCanonicalReply(text), name);
  }
});

test('S134 completions fit CreateCompletionResponse', async () => {
  const { text } = await ask('/completions', { model: 'canonical-text', prompt: 'It leaves' });
  fits(completion, JSON.parse(text), 'completions');
});

test('S134 embeddings of every vector fit CreateEmbeddingResponse, as floats and as base64', async () => {
  for (const { name, expect } of EMBEDDINGS_VECTORS) {
    for (const format of ['float', 'base64', undefined]) {
      const body = { model: name, input: ['one', 'two', 'three', 'four', 'five'], encoding_format: format };
      const { status, text } = await ask('/embeddings', body);
      assert.equal(status, expect?.status ?? 200, `${name}: ${text}`);
      fits(expect === undefined ? embeddings : errorBody, JSON.parse(text), name);
    }
  }
});

test('S134 the list of models fits ListModelsResponse', async () => {
  const { text } = await ask('/models');
  fits(modelList, JSON.parse(text), 'models');
});

test('S134 S81 every fault fits ErrorResponse, with its status and code', async () => {
  for (const { name, expect, only } of FAULT_VECTORS) {
    for (const stream of [true, false]) {
      if (only === (stream ? 'whole' : 'stream')) continue;
      const { status, text } = await chat(name, { stream });
      assert.equal(status, expect.status ?? 200, `${name}: ${text}`);
      const body = expect.status === null ? eventsIn(text).at(-1) : JSON.parse(text);
      fits(errorBody, body, name);
      const { code, message } = body.error as { code: string | null; message: string };
      assert.match(message, expect.says, name);
      if (expect.code !== null) assert.equal(code, expect.code, `${name}: ${text}`);
      if (expect.text !== undefined)
        assert.equal(checkCanonicalStream(text).choices[0]?.content, expect.text);
    }
  }
});
