import assert from 'node:assert/strict';
import { errorEvent, FerryError } from '../../src/lib/errors/ferry-error.ts';
import { parseChatResponse } from '../../src/openai/chat/chat-response.ts';
import { ChatStream } from '../../src/openai/chat/chat-stream.ts';
import type { ChatStreamOptions } from '../../src/openai/chat/response-format.ts';
import type { Profile } from '../../src/openai/request/profile.ts';
import { type CheckRules, checkCanonicalReply, checkCanonicalStream } from '../helpers/canonical-checker.ts';
import { DEFAULT_PROFILE } from '../helpers/default-profile.ts';

export type Overrides = Partial<Omit<ChatStreamOptions, 'profile'>> & { readonly profile?: Partial<Profile> };

/** Options as a request without anything special has them. */
export function optionsFor(overrides: Overrides = {}): ChatStreamOptions {
  return {
    endpoint: 'chat',
    requestedModel: 'asked-model',
    replyModel: 'upstream',
    includeUsage: false,
    legacyFunctions: false,
    contentType: 'text/event-stream',
    newId: () => 'chatcmpl-own',
    nowSeconds: () => 1_763_700_000,
    maxEventBytes: 16 * 1024 * 1024,
    scrub: (text) => text,
    ...overrides,
    profile: { ...DEFAULT_PROFILE, ...overrides.profile },
  };
}

export interface Outcome {
  /** What the client gets, the error event included when the stream failed. */
  readonly text: string;
  readonly failure: FerryError | null;
  readonly stream: ChatStream;
}

/** Sends an upstream's body through a `ChatStream`, in the given pieces or at once. */
export function stream(
  body: string | Uint8Array | readonly Uint8Array[],
  overrides: Overrides = {},
): Outcome {
  const chatStream = new ChatStream(optionsFor(overrides));
  const pieces = typeof body === 'string' ? [Buffer.from(body)] : body instanceof Uint8Array ? [body] : body;
  let text = '';
  for (const piece of pieces) text += chatStream.push(piece);
  text += chatStream.end();
  const { failure } = chatStream;
  return { text: failure === null ? text : text + errorEvent(failure), failure, stream: chatStream };
}

/** Streams a body and reads the result with the strict checker. */
export function read(body: string | Uint8Array, overrides: Overrides = {}) {
  const outcome = stream(body, overrides);
  const { endpoint, includeUsage, legacyFunctions } = optionsFor(overrides);
  const rules: CheckRules = { form: endpoint, includeUsage, legacyFunctions };
  return { ...outcome, ...checkCanonicalStream(outcome.text, rules) };
}

/** Reads a whole body and checks the reply. */
export function reply(body: string | Uint8Array, overrides: Overrides = {}) {
  const options = optionsFor(overrides);
  const result = parseChatResponse(Buffer.from(body as Uint8Array), options);
  const rules: CheckRules = { form: options.endpoint, legacyFunctions: options.legacyFunctions };
  return { ...result, json: checkCanonicalReply(result.body.toString(), rules) };
}

/** A canonical chunk's object. */
export function chunk(delta: unknown, finish: unknown = null, more: object = {}): Record<string, unknown> {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1_763_000_000,
    model: 'up-model',
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
    ...more,
  };
}

/** Objects or texts as server-sent events. */
export function sse(...events: readonly unknown[]): string {
  return events
    .map((event) => `data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`)
    .join('');
}

export const ROLE = chunk({ role: 'assistant', content: '' });
export const STOP = chunk({}, 'stop');
export const DONE = '[DONE]';

export function text(content: string): Record<string, unknown> {
  return chunk({ content });
}

/** role, "Hello", " world", stop, [DONE]: the stream that nothing needs to be done to. */
export const PLAIN = sse(ROLE, text('Hello'), text(' world'), STOP, DONE);

export function usageChunk(usage: unknown): Record<string, unknown> {
  return { ...chunk({}), choices: [], usage };
}

export const USAGE = { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 };

/** The failure that a whole body is. */
export function failureOfReply(body: string | Uint8Array): FerryError {
  try {
    parseChatResponse(Buffer.from(body as Uint8Array), optionsFor());
  } catch (error) {
    assert.ok(error instanceof FerryError);
    return error;
  }
  return assert.fail('no failure');
}

/** A whole reply's object; `message`, `choice` and `more` are put over it. */
export function completion(message: object, choice: object = {}, more: object = {}): Record<string, unknown> {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1_763_000_000,
    model: 'up-model',
    choices: [{ index: 0, message: { role: 'assistant', ...message }, finish_reason: 'stop', ...choice }],
    usage: USAGE,
    ...more,
  };
}
