import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChatStreamOptions } from '../../../src/openai/chat/response-format.ts';
import { messagesForm } from '../../../src/openai/messages/messages-response.ts';
import { reasoningOf } from '../../../src/openai/messages/thinking-signature.ts';
import { callIdentityOf, ToolNames } from '../../../src/openai/messages/tool-names.ts';
import { checkMessage, checkMessagesStream } from '../../helpers/messages-checker.ts';
import { randomFrom } from '../../helpers/seeded-random.ts';
import {
  chunk,
  completion,
  DONE,
  optionsFor,
  ROLE,
  STOP,
  sse,
  text,
  USAGE,
  usageChunk,
} from '../upstream-bytes.ts';

const OWN = {
  names: new ToolNames(),
  stopSequences: ['END'],
  showsThinking: true,
  requestId: 'req_1',
  maxLength: 1_000_000,
};

type Overrides = Partial<ChatStreamOptions>;
type Own = Partial<typeof OWN>;

function eventsOf(body: string | readonly Uint8Array[], overrides: Overrides = {}, own: Own = {}): string {
  const stream = messagesForm({ ...OWN, ...own }).openStream(optionsFor(overrides));
  const pieces = typeof body === 'string' ? [Buffer.from(body)] : body;
  let told = '';
  for (const piece of pieces) told += stream.push(piece);
  told += stream.end();
  if (stream.failure !== null) told += stream.broken(stream.failure);
  return told;
}

/** The events of an upstream's body, read by the strict checker. */
const read = (body: string, overrides: Overrides = {}, own: Own = {}) =>
  checkMessagesStream(eventsOf(body, overrides, own));

function whole(body: string, own: Own = {}) {
  const { body: reply } = messagesForm({ ...OWN, ...own }).readWhole(Buffer.from(body), optionsFor());
  return checkMessage(JSON.parse(String(reply)));
}

const reasoning = (said: string) => chunk({ reasoning_content: said });
const opens = (index: number, name: string, args = '', id = `call_${name}`) =>
  chunk({ tool_calls: [{ index, id, type: 'function', function: { name, arguments: args } }] });
const continues = (index: number, args: string) =>
  chunk({ tool_calls: [{ index, function: { arguments: args } }] });
const CALLS = chunk({}, 'tool_calls');

test('text is sent as the complete sequence of events, with usage at its end', () => {
  const {
    events,
    message,
    text: said,
  } = read(sse(ROLE, text('Hello'), text(' world'), STOP, usageChunk(USAGE), DONE));
  assert.deepEqual(
    events.map(({ type }) => type),
    [
      'message_start',
      'ping',
      'content_block_start',
      'content_block_delta',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ],
  );
  assert.equal(said, 'Hello world');
  assert.deepEqual(
    [message?.model, message?.stop_reason, message?.usage.input_tokens, message?.usage.output_tokens],
    ['up-model', 'end_turn', 5, 2],
  );
});

test('message_start has the tokens of the prompt: an estimate, or what the upstream has stated by then', () => {
  const startOf = (...chunks: Parameters<typeof sse>) => {
    const { events } = read(sse(...chunks), { promptForEstimate: () => 'word '.repeat(400) });
    return events[0]?.message.usage;
  };
  const { input_tokens: input, output_tokens: output } = startOf(
    ROLE,
    text('Hi'),
    STOP,
    usageChunk(USAGE),
    DONE,
  );
  assert.deepEqual([input, output], [500, 0]);
  const stated = startOf(
    usageChunk({ prompt_tokens: 480, completion_tokens: 1, total_tokens: 481 }),
    text('Hi'),
    STOP,
  );
  assert.deepEqual([stated.input_tokens, stated.output_tokens], [480, 0]);
});

test('reasoning, text and calls are blocks in their order', () => {
  const {
    message,
    thinking,
    text: said,
    calls,
  } = read(
    sse(
      ROLE,
      reasoning('H'),
      reasoning('m.'),
      text('Let me look.'),
      opens(0, 'read', '{"a"'),
      continues(0, ':1}'),
      opens(1, 'now'),
      CALLS,
      DONE,
    ),
  );
  assert.deepEqual(
    message?.content.map(({ type }: { type: string }) => type),
    ['thinking', 'text', 'tool_use', 'tool_use'],
  );
  assert.deepEqual([thinking, said, message?.stop_reason], ['Hm.', 'Let me look.', 'tool_use']);
  assert.deepEqual(
    calls.map(({ id, name, input, json }) => [id, name, input, json]),
    [
      ['call_read', 'read', { a: 1 }, '{"a":1}'],
      ['call_now', 'now', {}, '{}'],
    ],
  );
});

test('a thinking block has a signature by which its reasoning is found again', () => {
  const body = sse(ROLE, reasoning('Hm. Ü'), text('Yes.'), STOP, DONE);
  const [block] = read(body).message?.content ?? [];
  assert.deepEqual([block.thinking, reasoningOf(block.thinking, block.signature)], ['Hm. Ü', 'Hm. Ü']);
  const own = { showsThinking: false };
  for (const message of [
    read(body, {}, own).message,
    whole(JSON.stringify(completion({ content: 'Yes.', reasoning_content: 'Hm. Ü' })), own),
  ]) {
    const [omitted, said] = message?.content ?? [];
    assert.deepEqual([omitted.type, omitted.thinking, said.text], ['thinking', '', 'Yes.']);
    assert.equal(reasoningOf(omitted.thinking, omitted.signature), 'Hm. Ü');
  }
});

test('the stop reason is Anthropic’s word for the end of the chat', () => {
  const reasonOf = (...chunks: readonly unknown[]) => {
    const { message } = read(sse(ROLE, ...chunks, DONE));
    return [message?.stop_reason, message?.stop_sequence];
  };
  assert.deepEqual(reasonOf(text('a'), STOP), ['end_turn', null]);
  assert.deepEqual(reasonOf(text('a'), chunk({}, 'length')), ['max_tokens', null]);
  assert.deepEqual(reasonOf(text('a'), chunk({}, 'content_filter')), ['refusal', null]);
  assert.deepEqual(reasonOf(chunk({ refusal: 'I cannot.' }), STOP), ['refusal', null]);
  assert.deepEqual(reasonOf(opens(0, 'read', '{}'), STOP), ['tool_use', null]);
  assert.deepEqual(reasonOf(opens(0, 'read', '{"a'), chunk({}, 'length')), ['max_tokens', null]);
  const stopped = (more: object) => {
    const { choices, ...rest } = STOP as { choices: object[] };
    return { ...rest, choices: [{ ...choices[0], ...more }] };
  };
  assert.deepEqual(reasonOf(text('a'), stopped({ stop_reason: 'END' })), ['stop_sequence', 'END']);
  assert.deepEqual(reasonOf(text('a'), stopped({ matched_stop: 'END' })), ['stop_sequence', 'END']);
  assert.deepEqual(reasonOf(text('a'), stopped({ stop_reason: null })), ['end_turn', null]);
  assert.deepEqual(reasonOf(text('a'), stopped({ matched_stop: 151_645 })), ['end_turn', null]);
  assert.deepEqual(reasonOf(stopped({ delta: { content: 'a' }, stop_reason: 'END' })), [
    'stop_sequence',
    'END',
  ]);
  const message = whole(JSON.stringify(completion({ content: 'a' }, { stop_reason: 'END' })));
  assert.deepEqual([message.stop_reason, message.stop_sequence], ['stop_sequence', 'END']);
});

test('a refusal is a text', () => {
  const { text: said } = read(sse(ROLE, chunk({ refusal: 'I cannot.' }), STOP, DONE));
  assert.equal(said, 'I cannot.');
});

test('text within the arguments of a call comes behind it, and behind a complete call at once', () => {
  const within = read(
    sse(ROLE, opens(0, 'read', '{"a"'), text('And'), continues(0, ':1}'), text(' so.'), CALLS, DONE),
  );
  assert.deepEqual(within.calls[0]?.input, { a: 1 });
  assert.equal(within.text, 'And so.');
  const between = read(
    sse(ROLE, opens(0, 'read', '{"a":1}'), text('And'), opens(1, 'now', '{}'), CALLS, DONE),
  );
  assert.deepEqual(
    between.message?.content.map(({ type }: { type: string }) => type),
    ['tool_use', 'text', 'tool_use'],
  );
});

test('an id that Anthropic would not accept is encoded, a shortened name is the client’s again', () => {
  const names = new ToolNames();
  const long = `mcp__${'x'.repeat(80)}`;
  const { calls } = read(
    sse(ROLE, opens(0, names.sent(long), '{}', 'functions.read:0'), CALLS, DONE),
    {},
    { names },
  );
  assert.equal(calls[0]?.name, long);
  assert.match(calls[0]?.id ?? '', /^[\w-]+$/);
  assert.deepEqual(callIdentityOf(calls[0]?.id ?? ''), { id: 'functions.read:0', extensions: null });
});

test('the id of a call carries the members that its upstream wants back', () => {
  const signed = { extra_content: { google: { thought_signature: 'abc' } } };
  const call = {
    index: 0,
    id: 'call_1',
    type: 'function',
    function: { name: 'read', arguments: '{}' },
    ...signed,
  };
  const { calls } = read(sse(ROLE, chunk({ tool_calls: [call] }), CALLS, DONE));
  assert.deepEqual(callIdentityOf(calls[0]?.id ?? ''), { id: 'call_1', extensions: signed });
});

test('usage has the tokens of caches apart, and is estimated when the upstream gives none', () => {
  const usageOf = (usage: unknown) =>
    read(sse(ROLE, text('a'), STOP, usageChunk(usage), DONE)).message?.usage;
  const details = usageOf({
    prompt_tokens: 100,
    completion_tokens: 20,
    total_tokens: 120,
    prompt_tokens_details: { cached_tokens: 60, cache_write_tokens: 30 },
    completion_tokens_details: { reasoning_tokens: 8 },
  });
  assert.deepEqual(
    [
      details.input_tokens,
      details.cache_read_input_tokens,
      details.cache_creation_input_tokens,
      details.output_tokens,
      details.output_tokens_details,
    ],
    [10, 60, 30, 20, { thinking_tokens: 8 }],
  );
  const deepSeek = usageOf({
    prompt_tokens: 9,
    completion_tokens: 1,
    total_tokens: 10,
    prompt_cache_hit_tokens: 5,
  });
  assert.deepEqual([deepSeek.input_tokens, deepSeek.cache_read_input_tokens], [4, 5]);
  const wrong = usageOf({
    prompt_tokens: 3,
    completion_tokens: 1,
    prompt_tokens_details: { cached_tokens: 50 },
  });
  assert.deepEqual([wrong.input_tokens, wrong.cache_read_input_tokens], [0, 3]);
  const estimated = read(sse(ROLE, text('one two three'), STOP, DONE), {
    promptForEstimate: () => 'a question',
  });
  assert.ok(estimated.message?.usage.input_tokens > 0 && estimated.message?.usage.output_tokens > 0);
});

test('a whole response is one message', () => {
  const call = (args: unknown) => ({
    id: 'call_1',
    type: 'function',
    function: { name: 'read', arguments: args },
  });
  const message = whole(
    JSON.stringify(
      completion(
        { content: 'Yes.', reasoning_content: 'Hm.', tool_calls: [call('{"a":1}')] },
        { finish_reason: 'tool_calls' },
      ),
    ),
  );
  assert.deepEqual(
    message.content.map((block: Record<string, unknown>) => block.thinking ?? block.text ?? block.input),
    ['Hm.', 'Yes.', { a: 1 }],
  );
  assert.deepEqual([message.stop_reason, message.usage.input_tokens], ['tool_use', 5]);
  // What is no object reaches the application's own check.
  const odd = whole(
    JSON.stringify(
      completion({ content: null, tool_calls: [call('{"a":')] }, { finish_reason: 'tool_calls' }),
    ),
  );
  assert.deepEqual(odd.content[0].input, { invalid_arguments: '{"a":' });
});

test('<think> text becomes thinking by the profile', () => {
  const { profile } = optionsFor({});
  const split = { profile: { ...profile, thinkTags: 'split' as const } };
  const { thinking, text: said } = read(sse(ROLE, text('<think>Hm.</think>Yes.'), STOP, DONE), split);
  assert.deepEqual([thinking, said], ['Hm.', 'Yes.']);
});

test('a cut after content, and an error of the upstream in mid-stream, end in an error event', () => {
  const cut = read(sse(ROLE, text('Hel')));
  assert.deepEqual([cut.text, cut.error?.type], ['Hel', 'api_error']);
  const failed = read(sse(ROLE, text('Hel'), { error: { message: 'out of memory', code: 'oom' } }));
  assert.match(failed.error?.message, /out of memory/);
});

test('what must be kept of an endless response ends it at limits.response', () => {
  const own = { showsThinking: false, maxLength: 50 };
  const { error } = read(sse(ROLE, ...Array.from({ length: 20 }, () => reasoning('Hm, hm, hm.'))), {}, own);
  assert.match(error?.message, /limits\.response/);
});

test('the same body in any pieces gives the same events up to their ids', () => {
  const body = Buffer.from(
    sse(
      ROLE,
      reasoning('Hm. Ü'),
      text('Grüße 👋'),
      opens(0, 'read', '{"a"'),
      continues(0, ':"ü"}'),
      CALLS,
      usageChunk(USAGE),
      DONE,
    ),
  );
  const withoutId = (told: string): string => told.replace(/msg_\w+/g, '');
  const expected = withoutId(eventsOf([body]));
  const random = randomFrom(7);
  for (let round = 0; round < 50; round++) {
    const pieces: Buffer[] = [];
    for (let start = 0; start < body.length; ) {
      const end = start + 1 + Math.floor(random() * 40);
      pieces.push(body.subarray(start, end));
      start = end;
    }
    assert.equal(withoutId(eventsOf(pieces)), expected);
  }
});
