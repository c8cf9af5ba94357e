import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseChatResponse } from '../../../src/openai/chat/chat-response.ts';
import type { ChatResponse } from '../../../src/openai/chat/response-format.ts';
import { DEFAULT_PROFILE } from '../../helpers/default-profile.ts';

function read(text: string, endpoint: 'chat' | 'completions' = 'chat'): ChatResponse {
  return parseChatResponse(Buffer.from(text), {
    endpoint,
    requestedModel: 'm',
    replyModel: 'upstream',
    profile: DEFAULT_PROFILE,
    legacyFunctions: false,
    contentType: 'application/json',
    scrub: (dirty) => dirty,
    newId: () => 'id',
    nowSeconds: () => 1,
  });
}

const USAGE = '"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}';

test('S28 S29 absent logprobs and refusal are put in, and every number keeps its digits', () => {
  const reply = read(
    `{"id":"a","object":"chat.completion","created":1763683200,"model":"m","seed":12345678901234567890,"x":1.0,"choices":[{"index":0,"message":{"role":"assistant","content":"the \\"message\\":{ in a text"},"finish_reason":"stop"}],${USAGE}}`,
  );
  assert.equal(
    String(reply.body),
    `{"id":"a","object":"chat.completion","created":1763683200,"model":"m","seed":12345678901234567890,"x":1.0,"choices":[{"logprobs":null,"index":0,"message":{"refusal":null,"role":"assistant","content":"the \\"message\\":{ in a text"},"finish_reason":"stop"}],${USAGE}}`,
  );
  assert.equal(reply.isRelayed, false);
});

test('S28 S29 the nulls go into the choice and its message, also beside other members of these names and with spaces', () => {
  const response = (members: string): string =>
    `{"id":"a","object":"chat.completion","created":1763683200,"model":"m",${members},${USAGE}}`;
  const choice = '{"index": 0, "message" : {"role": "assistant", "content": "x"}, "finish_reason": "stop"}';
  for (const members of [
    `"choices": [ ${choice} ]`,
    `"choices":[${choice}],"trace":{"message":{"choices":[{"message":{}}]}}`,
    `"trace":{"choices":[{"message":{}}]},"choices":[${choice}]`,
  ]) {
    const body = JSON.parse(String(read(response(members)).body));
    assert.equal(body.choices[0].logprobs, null, members);
    assert.equal(body.choices[0].message.refusal, null, members);
    assert.deepEqual(body.trace, JSON.parse(response(members)).trace, members);
  }
});

test('S28 S29 each of several choices gets what it lacks', () => {
  const choice = (index: number, extra: string) =>
    `{"index":${index},"message":{"role":"assistant","content":"${index}"${extra}},"finish_reason":"stop"}`;
  const reply = read(
    `{"id":"a","object":"chat.completion","created":1763683200,"model":"m","choices":[${choice(0, '')},${choice(1, ',"refusal":null')}],${USAGE}}`,
  );
  const { choices } = JSON.parse(String(reply.body));
  for (const [index, one] of choices.entries()) {
    assert.equal(one.logprobs, null);
    assert.equal(one.message.refusal, null);
    assert.equal(one.message.content, String(index));
  }
});

test('S29 a response that lacks nothing is relayed as its own bytes', () => {
  const text = `{"id":"a","object":"chat.completion","created":1763683200,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"x","refusal":null},"logprobs":null,"finish_reason":"stop"}],${USAGE}}`;
  const reply = read(text);
  assert.equal(String(reply.body), text);
  assert.equal(reply.isRelayed, true);
});

test('S28 a text completion gets logprobs and no refusal', () => {
  const reply = read(
    `{"id":"a","object":"text_completion","created":1763683200,"model":"m","choices":[{"index":0,"text":"x","finish_reason":"stop"}],${USAGE}}`,
    'completions',
  );
  assert.deepEqual(JSON.parse(String(reply.body)).choices, [
    { logprobs: null, index: 0, text: 'x', finish_reason: 'stop' },
  ]);
});
