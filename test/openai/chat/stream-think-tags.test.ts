import assert from 'node:assert/strict';
import { test } from 'node:test';
import { THINK_HOLD_CHARS, ThinkTags } from '../../../src/openai/chat/assembly/think-tags.ts';
import { DONE, ROLE, read, STOP, sse, stream, text } from '../upstream-bytes.ts';

const SPLIT = { profile: { thinkTags: 'split' } } as const;

/** Reasoning and content of a text that comes in pieces of `size` characters. */
function split(whole: string, size: number): [string, string] {
  const pieces = [];
  for (let at = 0; at < whole.length; at += size) pieces.push(text(whole.slice(at, at + size)));
  const { choices } = read(sse(ROLE, ...pieces, STOP, DONE), SPLIT);
  return [choices[0]?.reasoning ?? '', choices[0]?.content ?? ''];
}

function assertSplit(whole: string, reasoning: string, content: string): void {
  for (let size = 1; size <= whole.length; size++)
    assert.deepEqual(split(whole, size), [reasoning, content], `${size}`);
}

test('Q88 by default the tags stay in the text', () => {
  const body = sse(ROLE, text('<think>hm</think>x'), STOP, DONE);
  assert.equal(stream(body).text, body);
});

test('Q88 split: text between the tags is reasoning, however the tags are cut', () => {
  assertSplit('<think>let me see</think>\n\nHello', 'let me see', '\n\nHello');
  assertSplit('\n<think>a < b </thin </think>x', 'a < b </thin ', 'x');
});

test('Q89 split: without an opening tag the text before </think> is reasoning', () => {
  assertSplit('let me see\n</think>\nHello', 'let me see\n', '\nHello');
});

test('Q88 split: text that only looks like a tag is preserved', () => {
  assertSplit('a <thin b', '', 'a <thin b');
  assertSplit('Use <think> and </think> tags', '', 'Use <think> and </think> tags');
  assertSplit('<think>x</think>say </think> again', 'x', 'say </think> again');
});

test('Q88 split: a block that is never closed is reasoning', () => {
  assertSplit('<think>hm </th', 'hm </th', '');
});

test('split: reasoning is written while it comes', () => {
  const { text: out } = stream(sse(ROLE, text('<think>'), text('first ')), SPLIT);
  assert.match(out, /"reasoning_content":"first "/);
});

test('split: a response without tags is written when it grows beyond the hold, and nothing is lost', () => {
  const tags = new ThinkTags();
  let out = '';
  const piece = 'x'.repeat(1000);
  const count = Math.ceil(THINK_HOLD_CHARS / 1000) + 5;
  for (let n = 0; n < count; n++) out += tags.push(piece).content;
  assert.equal(out.length, count * 1000);
});

test('split: a </think> far into the text is found in any pieces', () => {
  const thought = 'let me think about it. '.repeat(500);
  assert.deepEqual(split(`${thought}</think>Hello`, 3), [thought, 'Hello']);
  assert.deepEqual(split(`${' '.repeat(300)}${thought}`, 7), ['', `${' '.repeat(300)}${thought}`]);
});

test('split: with a field of its own for reasoning, content is not held', () => {
  const thinking = { ...text(''), choices: [{ index: 0, delta: { reasoning_content: 'hm' } }] };
  const { text: out } = stream(sse(ROLE, thinking, text('Hello')), SPLIT);
  assert.match(out, /"content":"Hello"/);
});

test('split: after the reasoning, text is relayed as it is', () => {
  const exact = JSON.stringify(text('x')).replace(
    '"logprobs":null',
    '"logprobs":null,"seed":12345678901234567890',
  );
  assert.ok(stream(sse(ROLE, text('<think>hm</think>'), exact, STOP, DONE), SPLIT).text.includes(exact));
});

test('split: content counts as received while it is held', () => {
  assert.equal(stream(sse(ROLE, text('Hello')), SPLIT).stream.hasContent, true);
});

test('split: with an upstream that has its own reasoning field, that comes through', () => {
  const { choices } = read(
    sse(ROLE, { ...text(''), choices: [{ index: 0, delta: { reasoning_content: 'hm' } }] }, text('x'), STOP),
    SPLIT,
  );
  assert.deepEqual([choices[0]?.reasoning, choices[0]?.content], ['hm', 'x']);
});
