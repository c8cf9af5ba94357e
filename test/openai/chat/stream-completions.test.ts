import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DONE, PLAIN, ROLE, read, reply, STOP, sse, stream, text, USAGE } from '../upstream-bytes.ts';

const COMPLETIONS = { endpoint: 'completions' } as const;

function textChunk(value: unknown, finish: string | null = null, more: object = {}): object {
  const choices = [{ text: value, index: 0, logprobs: null, finish_reason: finish }];
  return {
    id: 'cmpl-1',
    object: 'text_completion',
    created: 1_763_000_000,
    model: 'up-model',
    choices,
    ...more,
  };
}

test('S107 a canonical text_completion stream is relayed byte for byte', () => {
  const body = sse(
    textChunk('Hello'),
    textChunk(' world'),
    textChunk('', 'stop'),
    { ...textChunk(''), choices: [], usage: USAGE },
    DONE,
  );
  assert.equal(stream(body, { ...COMPLETIONS, includeUsage: true }).text, body);
});

test('S107 text in the finish chunk is split off', () => {
  const { choices, chunks } = read(sse(textChunk('Hello', 'length'), DONE), COMPLETIONS);
  assert.deepEqual([choices[0]?.content, choices[0]?.finish, chunks.length], ['Hello', 'length', 2]);
});

test('S107 a chat stream becomes text_completion for a chat-only upstream', () => {
  const { choices } = read(PLAIN, COMPLETIONS);
  assert.deepEqual([choices[0]?.content, choices[0]?.finish], ['Hello world', 'stop']);
});

test('S107 a text_completion stream on the chat path becomes chat', () => {
  const { choices } = read(sse(textChunk('Hello'), textChunk('', 'stop'), DONE));
  assert.deepEqual([choices[0]?.content, choices[0]?.finish], ['Hello', 'stop']);
});

test('S107 reasoning is dropped, as the form has no place for it', () => {
  const thinking = { ...text(''), choices: [{ index: 0, delta: { reasoning_content: 'hm' } }] };
  const { choices } = read(sse(ROLE, thinking, text('x'), STOP, DONE), COMPLETIONS);
  assert.equal(choices[0]?.content, 'x');
});

test('S107 a cut text_completion stream fails', () => {
  assert.equal(stream(sse(textChunk('Hel')), COMPLETIONS).failure?.kind, 'disconnected');
});

test('S107 whole responses: canonical relayed, chat rewritten, SSE aggregated', () => {
  const whole = JSON.stringify(textChunk('Hello', 'stop', { usage: USAGE }));
  const relayed = reply(whole, COMPLETIONS);
  assert.equal(relayed.isRelayed, true);
  assert.equal(relayed.body.toString(), whole);
  const chat = {
    object: 'chat.completion',
    choices: [{ message: { content: 'Hello' }, finish_reason: 'stop' }],
  };
  for (const body of [
    JSON.stringify(chat),
    PLAIN.replace(' world', ''),
    JSON.stringify(textChunk('Hello')),
  ]) {
    const { json } = reply(body, COMPLETIONS);
    assert.deepEqual([json.choices[0].text, json.choices[0].finish_reason], ['Hello', 'stop']);
  }
});

test('S107 two prompts in one request are two choices, with any n', () => {
  const second = {
    ...textChunk('b'),
    choices: [{ text: 'b', index: 1, logprobs: null, finish_reason: 'stop' }],
  };
  const { choices } = read(sse(textChunk('a', 'stop'), second, DONE), { ...COMPLETIONS, choiceCount: 1 });
  assert.deepEqual(
    choices.map((choice) => choice.content),
    ['a', 'b'],
  );
});
