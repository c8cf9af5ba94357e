import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseChatResponse } from '../../../src/openai/chat/chat-response.ts';
import { REPAIRS, type Repair } from '../../../src/openai/vendors/repairs.ts';
import {
  chunk,
  completion,
  DONE,
  type Overrides,
  optionsFor,
  PLAIN,
  ROLE,
  STOP,
  sse,
  stream,
  text,
  USAGE,
  usageChunk,
} from '../upstream-bytes.ts';

/** The repairs that a stream needed, in the order of their report. */
function repairsOf(body: string, overrides: Overrides = {}): Repair[] {
  const repairs: Repair[] = [];
  const { failure } = stream(body, { ...overrides, onRepair: (repair) => repairs.push(repair) });
  assert.equal(failure, null, failure?.message);
  return repairs;
}

function repairsOfWhole(body: string, overrides: Overrides = {}): Repair[] {
  const repairs: Repair[] = [];
  parseChatResponse(
    Buffer.from(body),
    optionsFor({ ...overrides, onRepair: (repair) => repairs.push(repair) }),
  );
  return repairs;
}

const call = (more: object) => ({ id: 'c1', type: 'function', ...more });
const calls = (...list: readonly object[]) => chunk({ tool_calls: list });
const CALLED = chunk({}, 'tool_calls');
const F = { index: 0, ...call({ function: { name: 'f', arguments: '{"a":1}' } }) };

test('a canonical stream and a canonical response need no repair', () => {
  assert.deepEqual(repairsOf(PLAIN), []);
  assert.deepEqual(
    repairsOf(sse(ROLE, text('a'), STOP, usageChunk(USAGE), DONE), { includeUsage: true }),
    [],
  );
  assert.deepEqual(repairsOf(sse(ROLE, calls(F), CALLED, DONE)), []);
  const whole = completion({ content: 'a', refusal: null }, { logprobs: null });
  assert.deepEqual(repairsOfWhole(JSON.stringify(whole)), []);
});

test('a repair is reported once for a response, however often it was needed', () => {
  const chunks = ['a', 'b', 'c'].map((one) => chunk({ reasoning: one }));
  assert.deepEqual(repairsOf(sse(ROLE, ...chunks, text('d'), STOP, DONE)), ['reasoning_name']);
});

const STREAMS: Partial<Record<Repair, string>> = {
  sse_missing_blank_line: PLAIN.replaceAll('\n\n', '\n'),
  sse_missing_data_field: `${sse(ROLE)}${JSON.stringify(text('a'))}\n${sse(STOP, DONE)}`,
  sse_field_name_case: PLAIN.replaceAll('data:', 'Data:'),
  sse_wrapped_field: sse(ROLE, ': keepalive', text('a'), STOP, DONE),
  stray_text: `${sse(ROLE, text('a'))}1f\n${sse(STOP, DONE)}`,
  json_for_stream: JSON.stringify(completion({ content: 'a' })),
  ndjson_for_stream: [ROLE, text('a'), STOP].map((one) => JSON.stringify(one)).join('\n'),
  several_values_in_event: sse(ROLE, JSON.stringify(text('a')) + JSON.stringify(text('b')), STOP, DONE),
  json_in_string: sse(ROLE, JSON.stringify(JSON.stringify(text('a'))), STOP, DONE),
  invalid_json: sse(ROLE, JSON.stringify(text('a')).replace('null', 'NaN'), STOP, DONE),
  invalid_event_skipped: sse(ROLE, "{'a': 1}", text('a'), STOP, DONE),
  unknown_event_skipped: sse(ROLE, { type: 'ping' }, text('a'), STOP, DONE),
  done_spelling: sse(ROLE, text('a'), STOP, 'DONE'),
  done_missing: sse(ROLE, text('a'), STOP),
  vendor_end_marker: sse(ROLE, text('a'), '[END]'),
  envelope: sse(ROLE, { code: 0, data: text('a') }, STOP, DONE),
  member_name_style: sse(ROLE, text('a'), STOP, DONE).replaceAll('finish_reason', 'finishReason'),
  choices_form: sse(
    ROLE,
    { ...text('a'), choices: { 0: { index: 0, delta: { content: 'a' } } } },
    STOP,
    DONE,
  ),
  native_ollama: sse({ message: { content: 'a' }, done: false }, { message: { content: '' }, done: true }),
  native_dashscope: sse({ output: { text: 'a', finish_reason: 'stop' } }),
  native_baidu: sse({ result: 'a', is_end: true }),
  native_tgi: sse({ token: { text: 'a' }, generated_text: 'a' }),
  misplaced_text: sse(
    ROLE,
    { ...text(''), choices: [{ index: 0, message: { content: 'a' }, finish_reason: 'stop' }] },
    DONE,
  ),
  content_form: sse(ROLE, chunk({ content: [{ type: 'text', text: 'a' }] }), STOP, DONE),
  reasoning_name: sse(ROLE, chunk({ reasoning: 'a' }), text('b'), STOP, DONE),
  identity_missing: sse({ choices: [{ index: 0, delta: { content: 'a' }, finish_reason: 'stop' }] }, DONE),
  index_changed: sse(ROLE, text('a'), STOP, DONE).replaceAll('"index":0', '"index":1'),
  finish_reason_name: sse(ROLE, text('a'), chunk({}, 'eos_token'), DONE),
  finish_reason_missing: sse(ROLE, text('a'), DONE),
  finish_reason_corrected: sse(ROLE, calls(F), STOP, DONE),
  tool_call_form: sse(ROLE, calls({ index: 0, id: 'c1', name: 'f', arguments: '{}' }), CALLED, DONE),
  tool_call_legacy: sse(ROLE, chunk({ function_call: { name: 'f', arguments: '{}' } }), CALLED, DONE),
  tool_call_index: sse(ROLE, calls({ ...F, index: 1 }), CALLED, DONE),
  tool_call_id_missing: sse(ROLE, calls({ ...F, id: null }), CALLED, DONE),
  tool_arguments_form: sse(
    ROLE,
    calls({ index: 0, ...call({ function: { name: 'f', arguments: { a: 1 } } }) }),
    CALLED,
    DONE,
  ),
  tool_arguments_quoted: sse(
    ROLE,
    calls({ index: 0, ...call({ function: { name: 'f', arguments: '"{\\"a\\":1}"' } }) }),
    CALLED,
    DONE,
  ),
  tool_arguments_missing: sse(ROLE, calls({ index: 0, ...call({ function: { name: 'f' } }) }), CALLED, DONE),
  tool_calls_reordered: sse(
    ROLE,
    calls({ index: 0, ...call({ function: { name: 'f', arguments: '{"a"' } }) }),
    calls({ index: 1, id: 'c2', type: 'function', function: { name: 'g', arguments: '{}' } }),
    calls({ index: 0, function: { arguments: ':1}' } }),
    CALLED,
    DONE,
  ),
  usage_form: sse(ROLE, text('a'), STOP, usageChunk({ input_tokens: 5, output_tokens: 2 }), DONE),
  usage_in_vendor_member: sse(ROLE, text('a'), { ...STOP, x_groq: { usage: USAGE } }, DONE),
};

for (const [repair, body] of Object.entries(STREAMS)) {
  test(`${repair} is reported for a stream that needed it`, () => {
    const repairs = repairsOf(body);
    assert.ok(repairs.includes(repair as Repair), `${repairs}`);
    assert.equal(new Set(repairs).size, repairs.length, 'each once');
  });
}

test('what depends on the request or the profile', () => {
  assert.deepEqual(repairsOf(PLAIN, { includeUsage: true }), ['usage_estimated']);
  assert.deepEqual(repairsOf(PLAIN, { contentType: 'text/event-stream; charset=gbk' }), ['charset']);
  assert.deepEqual(
    repairsOf(sse(ROLE, text('<think>a</think>b'), STOP, DONE), { profile: { thinkTags: 'split' } }),
    ['think_tags_split'],
  );
  assert.deepEqual(
    repairsOf(sse(ROLE, text('a'), text('ab'), STOP, DONE), { profile: { cumulative: 'always' } }),
    ['cumulative_text'],
  );
  const legacy = sse(
    ROLE,
    chunk({ function_call: { name: 'f', arguments: '{}' } }),
    chunk({}, 'function_call'),
    DONE,
  );
  assert.deepEqual(repairsOf(legacy, { legacyFunctions: true }), [], 'as it was asked for');
});

test('a whole response: absent nulls, and a stream instead of it unless the profile requests one', () => {
  assert.deepEqual(repairsOfWhole(JSON.stringify(completion({ content: 'a' }))), ['nulls_filled']);
  assert.deepEqual(repairsOfWhole(PLAIN), ['stream_for_json', 'usage_estimated']);
  assert.deepEqual(repairsOfWhole(PLAIN, { profile: { alwaysStream: true } }), ['usage_estimated']);
});

test('names are stable labels of a metric, and each has a description that fits into one line', () => {
  for (const [name, description] of Object.entries(REPAIRS)) {
    assert.match(name, /^[a-z]+(?:_[a-z]+)*$/);
    assert.match(description, /^[^\n|]{10,160}\.$/, name);
  }
});
