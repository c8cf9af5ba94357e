import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  chunk,
  DONE,
  PLAIN,
  ROLE,
  read,
  reply,
  STOP,
  sse,
  stream,
  text,
  USAGE,
  usageChunk,
} from '../upstream-bytes.ts';

function textOf(body: string, overrides = {}): string | undefined {
  return read(body, overrides).choices[0]?.content;
}

/** A chunk of which the one choice has these members and no others. */
function bare(choice: object, more: object = {}): object {
  return { ...chunk({}), choices: [choice], ...more };
}

test('S44 S51 S53 the smallest upstream gets role, finish and [DONE]', () => {
  const { choices, chunks } = read(sse({ choices: [{ delta: { content: 'Hi' } }] }, DONE));
  assert.deepEqual([choices[0]?.role, choices[0]?.content, choices[0]?.finish], ['assistant', 'Hi', 'stop']);
  assert.equal(chunks.length, 3);
});

test('S45 Q81 id missing, null, a number or another one in each chunk: one stable text', () => {
  const ids = (...values: unknown[]) => sse(...values.map((id) => ({ ...text('x'), id })), STOP);
  assert.equal(read(ids(undefined, null, '')).id, 'chatcmpl-own');
  assert.equal(read(ids(17, 18)).id, '17');
  assert.equal(read(ids('a', 'b', 'c')).id, 'a');
});

test('S45 Q82 created as text, float, milliseconds, ISO date or missing: integer seconds', () => {
  const createdOf = (created: unknown) => read(sse({ ...text('x'), created }, STOP)).created;
  assert.equal(createdOf('1763000000'), 1_763_000_000);
  assert.equal(createdOf(1_763_000_000.9), 1_763_000_000);
  assert.equal(createdOf(1_763_000_000_123), 1_763_000_000);
  assert.equal(createdOf('2025-11-13T02:13:20Z'), 1_763_000_000);
  for (const nonsense of [undefined, null, 'soon', -5, 0, {}])
    assert.equal(createdOf(nonsense), 1_763_700_000);
  assert.equal(read(sse({ choices: [{ delta: { content: 'x' } }] }, DONE)).created, 1_763_700_000);
});

test('S45 Q83 object missing, empty or of a whole completion', () => {
  for (const object of [undefined, '', 'chat.completion', 7]) {
    assert.equal(textOf(sse({ ...text('x'), object }, STOP, DONE)), 'x');
  }
});

test('Q84 a missing model is the requested one; reply_model: requested replaces every one', () => {
  assert.equal(read(sse({ ...text('x'), model: null }, DONE)).model, 'asked-model');
  const { model, stream: chat } = read(PLAIN, { replyModel: 'requested' });
  assert.equal(model, 'asked-model');
  assert.equal(chat.upstreamModel, 'up-model');
});

test('reply_model: requested renames the model inside the text, so that every digit stays', () => {
  const odd = PLAIN.replaceAll('"logprobs":null', '"logprobs":null,"seed":12345678901234567890,"weight":1.0');
  const { text: out } = stream(odd, { replyModel: 'requested' });
  assert.equal(out, odd.replaceAll('up-model', 'asked-model'));
});

test('reply_model: requested never renames a model that stands elsewhere in the chunk', () => {
  const { model: _model, ...rest } = text('say "model":"up-model"');
  const { chunks } = read(
    sse(ROLE, { ...rest, extra: { model: 'up-model' }, model: 'up-model' }, STOP, DONE),
    {
      replyModel: 'requested',
    },
  );
  assert.equal(chunks[1]?.extra.model, 'up-model');
  assert.equal(chunks[1]?.choices[0].delta.content, 'say "model":"up-model"');
});

test('chunks of Azure with filter results that hit nothing are relayed', () => {
  const azure = PLAIN.replaceAll(
    '"logprobs":null',
    '"logprobs":null,"content_filter_results":{"hate":{"filtered":false}}',
  );
  assert.equal(stream(azure).text, azure);
});

test('a delta that is a string, or content that is a number, is text', () => {
  const { choices } = read(sse(bare({ index: 0, delta: 'a' }), chunk({ content: 5 }), STOP, DONE));
  assert.equal(choices[0]?.content, 'a5');
});

test('audio and images count as content', () => {
  assert.equal(stream(sse(ROLE, chunk({ audio: { data: 'UklG' } }))).stream.hasContent, true);
});

test('S46 Q79 chunks without choices, or with null', () => {
  const body = sse(ROLE, text('x'), { ...chunk({}), choices: null }, STOP, { id: 'c', usage: USAGE }, DONE);
  const { choices, usage } = read(body, { includeUsage: true });
  assert.deepEqual([choices[0]?.content, usage?.total_tokens], ['x', 7]);
});

test('S47 Q75 delta null, absent, or absent with the finish', () => {
  const body = sse(
    ROLE,
    bare({ index: 0, delta: null }),
    text('x'),
    bare({ index: 0, finish_reason: 'stop' }),
    DONE,
  );
  const { choices } = read(body);
  assert.deepEqual([choices[0]?.content, choices[0]?.finish], ['x', 'stop']);
});

test('S48 Q76 content null beside other members is omitted', () => {
  const { choices } = read(
    sse(chunk({ role: 'assistant', content: null }), chunk({ content: null }), text('x'), STOP),
  );
  assert.equal(choices[0]?.content, 'x');
});

test('S48 Q77 content as an array of parts: text, and thinking as reasoning', () => {
  const parts = [
    { type: 'thinking', thinking: [{ type: 'text', text: 'hm' }] },
    { type: 'text', text: 'a' },
    { type: 'text', text: 'b' },
    'c',
  ];
  const { choices } = read(sse(chunk({ content: parts }), STOP, DONE));
  assert.deepEqual([choices[0]?.reasoning, choices[0]?.content], ['hm', 'abc']);
});

test('S49 Q87 Q124 a mixed delta is split: reasoning, content, tool call, refusal', () => {
  const call = { index: 0, id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } };
  const mixed = { refusal: 'no', tool_calls: [call], content: 'text', reasoning_content: 'hm' };
  const { chunks } = read(sse(chunk(mixed), STOP, DONE));
  const kinds = chunks.map((event) => Object.keys(event.choices[0].delta).join());
  assert.deepEqual(kinds, ['role,content', 'reasoning_content', 'content', 'tool_calls', 'refusal', '']);
});

test('S50 Q91 empty deltas are dropped, between reasoning and anywhere', () => {
  const body = sse(
    ROLE,
    chunk({ reasoning_content: 'a' }),
    chunk({ content: '' }),
    chunk({}),
    chunk({ reasoning_content: 'b' }),
    text('x'),
    STOP,
    DONE,
  );
  const { chunks, choices } = read(body);
  assert.equal(choices[0]?.reasoning, 'ab');
  assert.equal(chunks.length, 5);
});

test('S51 Q54 content in the finish chunk comes before the finish', () => {
  const { chunks, choices } = read(sse(ROLE, chunk({ content: 'last' }, 'stop'), DONE));
  assert.equal(choices[0]?.content, 'last');
  assert.equal(chunks.length, 3);
});

test('S51 Q64 the finish is written once, at the end, though the upstream repeats it', () => {
  assert.equal(stream(sse(ROLE, text('Hello'), text(' world'), STOP, STOP, DONE)).text, PLAIN);
  const eager = sse(ROLE, chunk({ content: 'Hello' }, 'stop'), chunk({ content: ' world' }, 'stop'), DONE);
  assert.equal(textOf(eager), 'Hello world');
});

test('S52 text after a finish is written before it', () => {
  assert.equal(textOf(sse(ROLE, text('Hello'), STOP, text(' world'), DONE)), 'Hello world');
});

test('S53 Q63 [DONE] without a finish: stop is added', () => {
  assert.equal(stream(sse(ROLE, text('Hello'), text(' world'), DONE)).text, PLAIN);
});

test('Q55 finish_reason "" or "null" in every chunk is null', () => {
  for (const none of ['', 'null', ' ']) {
    assert.equal(textOf(sse(chunk({ content: 'a' }, none), chunk({ content: 'b' }, none), STOP, DONE)), 'ab');
    assert.equal(stream(sse(chunk({ content: 'a' }, none))).failure?.kind, 'disconnected');
  }
});

const REASONS: Record<string, readonly string[]> = {
  stop: ['stop', 'eos_token', 'stop_sequence', 'eos', 'eot', 'end_turn', 'COMPLETE', 'STOP', 'whatever'],
  length: ['length', 'max_tokens', 'MAX_TOKENS', 'length_limit', 'model_length', 'token_limit'],
  content_filter: ['content_filter', 'sensitive', 'SAFETY', 'RECITATION', 'blocked'],
};

test('Q57 Q58 Q59 Q61 finish reasons of other vendors get OpenAI names', () => {
  for (const [ours, theirs] of Object.entries(REASONS)) {
    for (const reason of theirs) {
      assert.equal(read(sse(ROLE, text('x'), chunk({}, reason), DONE)).choices[0]?.finish, ours, reason);
    }
  }
});

test('Q60 a finish that is a failure becomes an error with the original as its code', () => {
  for (const reason of [
    'network_error',
    'error',
    'abort',
    'engine_overloaded',
    'insufficient_system_resource',
  ]) {
    const { failure, error, choices } = read(sse(ROLE, text('Hel'), chunk({}, reason), DONE));
    assert.equal(failure?.kind, 'generation_failed', reason);
    assert.equal(error?.code, reason);
    assert.equal(choices[0]?.content, 'Hel');
  }
});

test('a stream that legitimately ends without any content is a success', () => {
  const { stream: chat, choices } = read(sse(ROLE, STOP, DONE));
  assert.equal(chat.failure, null);
  assert.ok(chat.isFinished);
  assert.equal(chat.hasContent, false);
  assert.equal(choices[0]?.content, '');
});

test('hasContent is set by text, reasoning, refusal and calls, not by a role or comments', () => {
  const call = { index: 0, id: 'c', type: 'function', function: { name: 'f', arguments: '' } };
  const after = (...events: object[]) => stream(`: hi\n\n${sse(ROLE, ...events)}`).stream.hasContent;
  assert.equal(after(), false);
  assert.equal(after(chunk({ content: '' })), false);
  for (const delta of [{ content: 'x' }, { reasoning: 'x' }, { refusal: 'x' }, { tool_calls: [call] }]) {
    assert.equal(after(chunk(delta)), true, JSON.stringify(delta));
  }
});

test('canEnd is set by the finish, so that a cut after it is the end', () => {
  assert.equal(stream(sse(ROLE, text('x'))).stream.canEnd, false);
  const { stream: chat } = stream(sse(ROLE, text('x'), STOP));
  assert.equal(chat.canEnd, true);
});

test('Q48 the empty first chunk of Azure gives neither its id nor a chunk', () => {
  const first = {
    id: '',
    object: '',
    model: '',
    created: 0,
    choices: [],
    prompt_filter_results: [{ index: 0 }],
  };
  const { id, model, choices } = read(sse(first, ROLE, text('x'), STOP, DONE));
  assert.deepEqual([id, model, choices[0]?.content], ['chatcmpl-1', 'up-model', 'x']);
});

test('Q49 a choice without delta is swallowed; a filter hit makes the finish content_filter', () => {
  const late = (filtered: boolean) => ({
    ...bare({
      index: 0,
      content_filter_results: { hate: { filtered, severity: 'high' } },
      content_filter_offsets: {},
    }),
    id: '',
  });
  assert.equal(stream(sse(ROLE, late(false), text('Hello'), text(' world'), STOP, DONE)).text, PLAIN);
  assert.equal(read(sse(ROLE, text('x'), late(true), STOP, DONE)).choices[0]?.finish, 'content_filter');
});

test('Q51 role and empty content first, then no role: unchanged', () => {
  assert.equal(stream(PLAIN).text, PLAIN);
});

test('Q52 role in every delta is written once', () => {
  const body = sse(
    chunk({ role: 'assistant', content: 'a' }),
    chunk({ role: 'assistant', content: 'b' }),
    STOP,
  );
  assert.equal(textOf(body), 'ab');
});

test('Q53 no role or an unknown one: assistant', () => {
  for (const role of [undefined, null, '', 'tool', 'AI', 'model']) {
    assert.equal(read(sse(chunk({ role, content: 'x' }), STOP)).choices[0]?.role, 'assistant', String(role));
  }
});

test('Q65 cumulative text gives its suffixes, by profile only', () => {
  const body = sse(text('H'), text('He'), text('Hello'), text('Hello'), chunk({ content: '' }, 'stop'), DONE);
  assert.equal(textOf(body, { profile: { cumulative: 'always' } }), 'Hello');
  assert.equal(textOf(body), 'HHeHelloHello');
});

test('Q65 cumulative: text that does not continue the previous text is new', () => {
  assert.equal(textOf(sse(text('one'), text('two'), STOP), { profile: { cumulative: 'always' } }), 'onetwo');
});

test('Q67 message in place of delta in each chunk', () => {
  const body = sse(
    bare({ index: 0, message: { role: 'assistant', content: 'a' }, finish_reason: null }),
    bare({ index: 0, message: { role: 'assistant', content: 'b' }, finish_reason: 'stop' }),
  );
  assert.equal(textOf(body), 'ab');
});

test('Q67 such a stream is not whole when it is cut', () => {
  const body = sse(bare({ index: 0, message: { content: 'a' }, finish_reason: null }));
  assert.equal(stream(body).failure?.kind, 'disconnected');
});

test('a whole message after deltas (MiniMax) repeats them and adds only new text', () => {
  const whole = bare(
    {
      index: 0,
      finish_reason: 'stop',
      message: { role: 'assistant', content: 'Hello world', reasoning_content: 'hm' },
    },
    { object: 'chat.completion', usage: USAGE },
  );
  for (const deltas of [
    [ROLE, text('Hello'), text(' world')],
    [chunk({ content: 'Hello' }), chunk({ content: ' world', role: '' })],
  ]) {
    const { choices, usage } = read(sse(...deltas, whole), { includeUsage: true });
    assert.deepEqual(
      [choices[0]?.content, choices[0]?.reasoning, usage?.total_tokens],
      ['Hello world', 'hm', 7],
    );
  }
});

test('Q69 Ollama', () => {
  const lines = [
    {
      model: 'l',
      created_at: '2025-11-13T02:13:20Z',
      message: { role: 'assistant', content: 'Hi' },
      done: false,
    },
    {
      model: 'l',
      message: { content: '' },
      done: true,
      done_reason: 'stop',
      prompt_eval_count: 3,
      eval_count: 4,
    },
  ];
  const body = lines.map((line) => JSON.stringify(line)).join('\n');
  const { choices, usage, created } = read(body, { includeUsage: true });
  assert.deepEqual([choices[0]?.content, choices[0]?.finish, created], ['Hi', 'stop', 1_763_000_000]);
  assert.deepEqual(usage, { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 });
});

test('Q70 Baidu', () => {
  const body = sse({ result: 'a', is_end: false }, { result: 'b', is_end: true, usage: USAGE });
  const { choices, usage } = read(body, { includeUsage: true });
  assert.deepEqual([choices[0]?.content, choices[0]?.finish, usage?.total_tokens], ['ab', 'stop', 7]);
});

test('S51 images, audio and citations in the chunk of the finish reason are sent before the finish', () => {
  for (const said of [
    { images: [{ image_url: { url: 'data:,x' } }] },
    { audio: { data: 'AA' } },
    { annotations: [{ url: 'u' }] },
  ]) {
    const last = chunk({ role: 'assistant', content: '', ...said }, 'stop', {});
    (last.choices as Record<string, unknown>[])[0] = {
      ...(last.choices as object[])[0],
      native_finish_reason: 'STOP',
    };
    const { chunks, choices } = read(sse(ROLE, text('See:'), last, DONE));
    assert.deepEqual([choices[0]?.content, choices[0]?.finish], ['See:', 'stop']);
    assert.deepEqual(chunks.at(-2)?.choices[0].delta, said);
    assert.equal(chunks.at(-2)?.choices[0].native_finish_reason, undefined);
    assert.equal(chunks.at(-1)?.choices[0].native_finish_reason, 'STOP');
    const alone = read(sse(last, DONE));
    assert.deepEqual(alone.chunks.at(-2)?.choices[0].delta, said);
    const whole = reply(sse(ROLE, text('See:'), last, DONE)).json.choices[0];
    assert.deepEqual({ ...whole.message, ...said }, whole.message);
  }
});

test('Q71 DashScope', () => {
  const chunks = [{ output: { choices: [{ message: { content: 'a' }, finish_reason: 'null' }] } }];
  const last = { output: { text: 'b', finish_reason: 'stop' }, usage: { input_tokens: 5, output_tokens: 2 } };
  const { choices, usage } = read(sse(...chunks, last), { includeUsage: true });
  assert.deepEqual([choices[0]?.content, choices[0]?.finish, usage?.total_tokens], ['ab', 'stop', 7]);
  const message = { content: 'ab' };
  for (const whole of [
    {
      output: { choices: [{ message, finish_reason: 'length' }] },
      usage: { input_tokens: 5, output_tokens: 2 },
    },
    {
      output: { choices: [{ message, finishReason: 'length' }] },
      usage: { inputTokens: 5, outputTokens: 2 },
    },
  ]) {
    const { json } = reply(JSON.stringify(whole));
    assert.deepEqual([json.choices[0].message.content, json.choices[0].finish_reason], ['ab', 'length']);
    assert.equal(json.usage.total_tokens, 7);
  }
});

test('Q72 TGI', () => {
  const body = sse(
    { token: { text: 'a', special: false }, generated_text: null },
    { token: { text: '</s>', special: true }, generated_text: 'a', details: { finish_reason: 'eos_token' } },
  );
  const { choices } = read(body);
  assert.deepEqual([choices[0]?.content, choices[0]?.finish], ['a', 'stop']);
});

test('Q73 Q74 formats that are not translated give an error that names them', () => {
  const anthropic = stream(sse({ type: 'message_start', message: {} }));
  assert.match(anthropic.failure?.message ?? '', /Anthropic/);
  const gemini = stream(sse({ candidates: [{ content: { parts: [{ text: 'x' }] } }] }));
  assert.match(gemini.failure?.message ?? '', /Gemini/);
  const responses = stream(sse({ type: 'response.created', response: {} }));
  assert.match(responses.failure?.message ?? '', /Responses/);
});

test('Q80 choice index missing, as text or from 1: from 0', () => {
  for (const index of [undefined, null, '0', 1, '1', -1, 7, 'x']) {
    const event = (delta: object, finish: string | null = null) =>
      bare({ index, delta, finish_reason: finish });
    assert.equal(
      textOf(sse(event({ content: 'a' }), event({ content: 'b' }), event({}, 'stop'))),
      'ab',
      `${index}`,
    );
  }
});

test('Q85 reasoning of another name becomes reasoning_content', () => {
  for (const name of ['reasoning', 'thinking', 'reasoning_content']) {
    const { choices } = read(sse(chunk({ [name]: 'hm' }), text('x'), STOP));
    assert.deepEqual([choices[0]?.reasoning, choices[0]?.content], ['hm', 'x'], name);
  }
});

test('Q86 empty or null reasoning beside content is omitted', () => {
  for (const none of ['', null]) {
    const { choices } = read(sse(chunk({ content: 'x', reasoning_content: none }), STOP));
    assert.deepEqual([choices[0]?.reasoning, choices[0]?.content], ['', 'x']);
  }
});

test('Q90 reasoning_details beside reasoning do not duplicate the text', () => {
  const details = [{ type: 'reasoning.text', text: 'hm' }];
  const both = read(
    sse(chunk({ content: '', reasoning: 'hm', reasoning_details: details }), text('x'), STOP),
  );
  assert.equal(both.choices[0]?.reasoning, 'hm');
  const alone = read(sse(chunk({ reasoning_details: details }), text('x'), STOP));
  assert.equal(alone.choices[0]?.reasoning, 'hm');
});

test('Q93 Q94 Q95 unknown members are kept on a chunk with choices, obfuscation may be dropped', () => {
  const search = { search_info: { search_results: [{ index: 1 }] } };
  const { chunks } = read(
    sse(
      { ...text('x'), id: 'changed', ...search },
      bare({ index: 0, delta: {}, finish_reason: 'stop', matched_stop: 7 }),
    ),
  );
  assert.ok(chunks.some((event) => event.search_info !== undefined && event.choices.length === 1));
  assert.ok(chunks.some((event) => event.choices[0].matched_stop === 7));
});

test('Q94 members of a chunk without choices move to the next chunk', () => {
  const { chunks } = read(
    sse({ ...chunk({}), choices: [], web_search: [{ title: 't' }] }, chunk({ content: 'x' }, 'stop')),
  );
  assert.ok(chunks.some((event) => event.web_search !== undefined));
});

test('delta members that OpenAI does not know pass with their delta or alone', () => {
  const { chunks } = read(
    sse(ROLE, chunk({ content: 'x', images: [{ url: 'u' }] }), chunk({ audio: { id: 'a' } }), STOP),
  );
  assert.deepEqual(chunks[1]?.choices[0].delta.images, [{ url: 'u' }]);
  assert.deepEqual(chunks[2]?.choices[0].delta, { audio: { id: 'a' } });
});

test('S62 a surrogate pair that the upstream split between two events is written whole', () => {
  const [high, low] = ['\ud83c', '\udf89'];
  const { chunks } = read(sse(ROLE, text(`a${high}`), text(`${low}b`), STOP, DONE));
  assert.deepEqual(
    chunks.slice(1, 3).map((event) => event.choices[0].delta.content),
    ['a', '🎉b'],
  );
});

test('S62 half a pair that stays alone is written at the end and breaks nothing', () => {
  assert.equal(textOf(sse(ROLE, text('a\ud83c'), STOP, DONE)), 'a\ud83c');
});

test('S63 Q96 n>1: choices in one chunk or alternating, one role and one finish each', () => {
  const event = (index: number, delta: object, finish: string | null = null) => ({
    index,
    delta,
    finish_reason: finish,
  });
  const body = sse(
    { ...chunk({}), choices: [event(0, { content: 'a' }), event(1, { content: 'x' })] },
    { ...chunk({}), choices: [event(1, { content: 'y' })] },
    { ...chunk({}), choices: [event(0, { content: 'b' }, 'stop')] },
    { ...chunk({}), choices: [event(1, {}, 'length')] },
    DONE,
  );
  for (const choiceCount of [2, undefined]) {
    const { choices } = read(body, { choiceCount });
    assert.deepEqual(
      choices.map((choice) => [choice.content, choice.finish]),
      [
        ['ab', 'stop'],
        ['xy', 'length'],
      ],
    );
  }
});

test('S63 n>1: the second choice may come first', () => {
  const event = (index: number, content: string) => ({
    ...chunk({}),
    choices: [{ index, delta: { content } }],
  });
  const { choices } = read(sse(event(1, 'x'), event(0, 'a'), DONE), { choiceCount: 2 });
  assert.deepEqual(
    choices.map((choice) => choice.content),
    ['a', 'x'],
  );
});

test('S63 n>1: an end while one choice has no finish is a failure', () => {
  const event = (index: number, delta: object, finish: string | null = null) => ({
    ...chunk({}),
    choices: [{ index, delta, finish_reason: finish }],
  });
  const body = sse(event(0, { content: 'a' }), event(1, { content: 'x' }), event(0, {}, 'stop'));
  assert.equal(stream(body, { choiceCount: 2 }).failure?.kind, 'disconnected');
});

test('with n=1 a counter in the place of the index is one choice', () => {
  const event = (index: number, content: string) => ({
    ...chunk({}),
    choices: [{ index, delta: { content } }],
  });
  assert.equal(textOf(sse(event(0, 'a'), event(1, 'b'), event(2, 'c'), DONE), { choiceCount: 1 }), 'abc');
});

test('S64 logprobs pass through, also when the chunk is rewritten', () => {
  const logprobs = { content: [{ token: 'x', logprob: -0.5, top_logprobs: [] }], refusal: null };
  const choice = { index: 0, delta: { role: 'assistant', content: 'x' }, logprobs, finish_reason: null };
  const { chunks } = read(sse(bare(choice), STOP));
  assert.deepEqual(chunks[1]?.choices[0].logprobs, logprobs);
});

test('usage chunk members and system_fingerprint of relayed chunks stay', () => {
  const body = sse(
    { ...ROLE, system_fingerprint: 'fp' },
    { ...text('x'), system_fingerprint: 'fp' },
    STOP,
    usageChunk(USAGE),
    DONE,
  );
  assert.equal(stream(body, { includeUsage: true }).text, body);
});
