/** Answers of which a part was once lost, doubled or told as complete without a word: each is read, or is an error. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  chunk,
  DONE,
  type Overrides,
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

const LENGTH = chunk({}, 'length');

const choices = (...list: readonly object[]) => ({ ...chunk({}), choices: list });
const beside = (delta: unknown, more: object) => choices({ index: 0, delta, finish_reason: null, ...more });
const of = (index: number, delta: object, finish: string | null = null) =>
  choices({ index, delta, finish_reason: finish });

/** What the choices of a stream say and how they end; the whole body says the same. */
function told(events: readonly unknown[], overrides: Overrides = {}): string[] {
  const body = sse(...events);
  const streamed = read(body, overrides);
  assert.equal(streamed.failure, null, streamed.failure?.message);
  const found = streamed.choices.map(({ content, finish }) => `${content} ${finish}`);
  const whole = reply(body, overrides).json.choices.map(
    (choice: { message?: { content: string }; text?: string; finish_reason: string }) =>
      `${choice.message?.content ?? choice.text} ${choice.finish_reason}`,
  );
  assert.deepEqual(whole, found);
  return found;
}

function fault(events: readonly unknown[] | string, overrides: Overrides = {}): string {
  const body = typeof events === 'string' ? events : sse(...events);
  const { failure } = stream(body, overrides);
  assert.notEqual(failure, null);
  assert.throws(() => reply(body, overrides));
  return failure?.message ?? '';
}

test('a text beside an empty delta is used, and one that repeats the delta is not', () => {
  for (const delta of [{}, { content: '' }, { content: null }, { role: 'assistant', content: '' }]) {
    assert.deepEqual(told([beside(delta, { text: 'Hello' }), STOP, DONE]), ['Hello stop']);
  }
  const last = beside({}, { text: '!', finish_reason: 'stop' });
  assert.deepEqual(told([ROLE, text('Hello'), last, DONE]), ['Hello! stop']);
  assert.deepEqual(told([ROLE, beside({ content: 'Hello' }, { text: 'Hello' }), STOP, DONE]), ['Hello stop']);
});

test('a message beside the empty delta of the last chunk is the response when no delta had one', () => {
  const last = beside({}, { message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' });
  assert.deepEqual(told([ROLE, last, DONE]), ['Hello stop']);
  assert.deepEqual(told([ROLE, text('Hello'), last, DONE]), ['Hello stop']);
});

test('members beside a message or delta are used even if the rest is canonical', () => {
  const body = { ...chunk({}), object: 'chat.completion', usage: USAGE };
  const whole = (message: object, more: object, top: object = {}) => {
    const choice = { index: 0, message: { role: 'assistant', refusal: null, ...message }, logprobs: null };
    return JSON.stringify({ ...body, choices: [{ ...choice, finish_reason: 'stop', ...more }], ...top });
  };
  const answer = (...parts: Parameters<typeof whole>) => reply(whole(...parts)).json.choices[0];
  assert.equal(answer({ content: '' }, { text: 'Hello' }).message.content, 'Hello');
  assert.equal(answer({ content: '' }, { content: 'Hello' }).message.content, 'Hello');
  assert.equal(answer({ content: 'Hello' }, { text: 'Hello' }).message.content, 'Hello');
  const tool_calls = [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } }];
  assert.equal(answer({ content: 'Hello' }, { tool_calls }).finish_reason, 'tool_calls');
  const filtered = { content_filter_results: { hate: { filtered: true } } };
  assert.equal(answer({ content: 'Hello' }, filtered).finish_reason, 'content_filter');
  const details = { content: 'Hello', reasoning_details: [{ text: 'Hm' }] };
  assert.equal(answer(details, {}).message.reasoning_content, 'Hm');
  const nameless = [{ id: 'c1', type: 'function', function: { name: '', arguments: '{}' } }];
  const calling = { content: null, tool_calls: nameless };
  assert.throws(() => reply(whole(calling, { finish_reason: 'tool_calls' })), /without the name/);
  assert.throws(() => reply(whole({ content: '', zzz: 'Hello' }, {})), /unrecognised response format/);
  assert.equal(answer({ content: '' }, {}).message.content, '', 'an empty answer can be one');

  const called = { index: 0, delta: { content: 'Hello' }, tool_calls, logprobs: null, finish_reason: null };
  const { choices: streamed } = read(sse(ROLE, choices(called), STOP, DONE));
  assert.deepEqual([streamed[0]?.content, streamed[0]?.calls.length], ['Hello', 1]);
  const { stream: reported } = read(sse(ROLE, text('a'), { ...STOP, Usage: USAGE }, DONE));
  assert.equal(reported.usage?.totalTokens, 7);
});

test('an error in any form beside a response without text is an error, whole and in the last chunk', () => {
  const empty = {
    index: 0,
    message: { role: 'assistant', content: '' },
    logprobs: null,
    finish_reason: 'stop',
  };
  const body = { ...chunk({}), object: 'chat.completion', usage: USAGE, choices: [empty] };
  const errors = [
    { code: 500, msg: 'boom' },
    { status: 'error', message: 'boom' },
    { success: false, message: 'boom' },
    { errors: ['boom'] },
    { fault: { faultstring: 'boom' } },
    { base_resp: { status_code: 1002, status_msg: 'boom' } },
  ];
  for (const error of errors) {
    assert.match(fault(JSON.stringify({ ...body, ...error })), /boom/);
    assert.match(fault([ROLE, text('a'), { ...STOP, ...error }, DONE]), /boom/);
  }
  assert.deepEqual(told([ROLE, text('a'), { ...STOP, code: 0, message: 'ok', success: true }, DONE]), [
    'a stop',
  ]);
});

test('several deltas in a list are written one after the other', () => {
  const list = beside([{ content: 'a' }, { content: 'b' }], { finish_reason: 'stop' });
  assert.deepEqual(told([ROLE, list, DONE]), ['ab stop']);
});

test('a stop with nothing before it does not make a cut response complete', () => {
  assert.deepEqual(told([ROLE, text('a'), LENGTH, STOP, DONE]), ['a length']);
  const filtered = chunk({}, 'content_filter');
  assert.deepEqual(told([ROLE, text('a'), filtered, usageChunk(USAGE), STOP, DONE]), ['a content_filter']);
  assert.deepEqual(told([ROLE, text('a'), LENGTH, text('b'), STOP, DONE]), ['ab stop'], 'it went on');
  assert.deepEqual(told([ROLE, text('a'), text('b'), LENGTH, text('c'), text('d'), STOP, DONE]), [
    'abcd stop',
  ]);
});

test('an error of a choice or of its delta is one', () => {
  const error = { code: 502, message: 'Provider lost' };
  for (const finish_reason of [null, 'stop', 'error']) {
    assert.match(fault([ROLE, text('a'), beside({}, { error, finish_reason }), DONE]), /Provider lost/);
    assert.match(fault([ROLE, text('a'), beside({ error }, { finish_reason }), DONE]), /Provider lost/);
  }
  const whole = { index: 0, message: { role: 'assistant', content: '', error }, logprobs: null };
  const body = { ...chunk({}), object: 'chat.completion', usage: USAGE };
  const answer = JSON.stringify({ ...body, choices: [{ ...whole, finish_reason: 'stop' }] });
  assert.match(fault(answer), /Provider lost/);
});

test('an error beside text counts when no finish reason follows', () => {
  const error = { message: 'boom', code: 500 };
  assert.match(fault([ROLE, { ...text('a'), error }, DONE]), /aborted.*boom/);
  assert.match(fault([ROLE, beside({ content: 'a' }, { error }), DONE]), /aborted.*boom/);
  assert.deepEqual(told([ROLE, { ...text('a'), error }, text('b'), STOP, DONE]), ['ab stop']);
});

test('an event named error is an error with any data', () => {
  for (const data of ['overloaded', '', '[DONE]']) {
    assert.match(
      fault(`${sse(ROLE, text('a'))}event: error\ndata: ${data}\n\n${sse(DONE)}`),
      /reported an error/,
    );
  }
});

test('text without JSON after a response without finish reason is its error', () => {
  for (const words of [
    'Internal Server Error\n',
    'data: Internal Server Error\n\n',
    'Traceback:\n  File x\nboom now\n',
  ]) {
    for (const end of [sse(DONE), '']) {
      assert.match(fault(`${sse(ROLE, text('a'))}${words}${end}`), /aborted its response with: \S/);
      assert.match(fault(`${sse(ROLE)}${words}${end}`), /\w{4}/);
    }
    assert.equal(stream(`${sse(ROLE, text('a'), STOP)}${words}${sse(DONE)}`).failure, null);
    assert.equal(stream(`${words}${sse(ROLE, text('a'), DONE)}`).failure, null);
  }
  assert.match(
    fault(`${sse(ROLE, text('a'))}<h1>Bad Gateway</h1>`),
    /aborted its response with: .*Bad Gateway/,
  );
  assert.match(
    fault(sse(ROLE, text('a'), { message: 'engine died' })),
    /aborted its response with: .*engine died/,
  );
  assert.match(fault(`${sse(ROLE, text('a'))}data: {"id":"c1","choices":[{"del`), /closed the connection/);
  assert.equal(stream(`${sse(ROLE, text('a'))}1f4\r\n${sse(DONE)}`).failure, null);
  assert.equal(stream(`${sse(ROLE, text('a'))}finished\n`).failure, null);
});

test('two responses where one was requested are never merged into one text', () => {
  const one = { choiceCount: 1 };
  const message = (index: number, content: string) => ({
    index,
    message: { content },
    finish_reason: 'stop',
  });
  assert.match(fault([choices(message(0, 'A'), message(1, 'B')), DONE], one), /several responses/);
  assert.match(fault([choices(message(0, 'A'), message(0, 'B')), DONE], one), /several responses/);
  const both = choices({ index: 0, delta: { content: 'A' } }, { index: 1, delta: { content: 'B' } });
  assert.match(fault([both, STOP, DONE], one), /several responses/);
  const turns = [0, 1, 0, 1].map((index) => of(index, { content: 'x' }));
  assert.match(fault([...turns, STOP, DONE], one), /several responses/);
  const counted = ['a', 'b', 'c'].map((content, index) => of(index, { content }));
  assert.deepEqual(told([...counted, STOP, DONE], one), ['abc stop']);
  assert.deepEqual(told([choices(message(0, 'A'), message(0, 'B')), DONE], { choiceCount: 2 }), [
    'A stop',
    'B stop',
  ]);
});

test('a missing or unfinished choice among others is an error', () => {
  const ends = (...list: readonly number[]) => list.map((index) => of(index, {}, 'stop'));
  const says = (...list: readonly number[]) => list.map((index) => of(index, { content: 'x' }));
  assert.match(fault([...says(1), ...ends(1), DONE], { choiceCount: 2 }), /omitted/);
  assert.match(fault([...says(0, 2), ...ends(0, 2), DONE], { choiceCount: 3 }), /omitted/);
  assert.match(fault([...says(0, 1), ...ends(0), DONE], { choiceCount: 2 }), /closed the connection/);
  assert.deepEqual(told([...says(0, 1), DONE], { choiceCount: 2 }), ['x stop', 'x stop']);
  const wholeBetween = choices({ index: 1, message: { content: 'y' }, delta: {}, finish_reason: 'length' });
  const begun = of(1, { role: 'assistant', content: '' });
  assert.match(
    fault([begun, ...says(0), wholeBetween, ...ends(1), DONE], { choiceCount: 2 }),
    /closed the connection/,
  );
});

test('JSON with carriage returns between its members is written without them', () => {
  const lines = [ROLE, text('Hello'), STOP].map((one) => JSON.stringify(one).replaceAll(',"', ',\r"'));
  assert.equal(read(lines.join('\n')).choices[0]?.content, 'Hello');
});

test('cumulative text that begins anew is repeated by itself', () => {
  const cumulative = { profile: { cumulative: 'always' } } as const;
  const said = (...texts: readonly string[]) => told([ROLE, ...texts.map(text), STOP, DONE], cumulative);
  assert.deepEqual(said('Hello', 'Bye', 'Bye now', 'Bye now!'), ['HelloBye now! stop']);
  assert.deepEqual(said('Hello', 'H', 'Hi', 'Hi you'), ['HelloHi you stop']);
  assert.deepEqual(said('Hello', ' world', 'Hello world!'), ['Hello world! stop']);
});

test('S64 logprobs of a delta without text, as of half a character, are written with what follows', () => {
  const of = (delta: object, token: string, finish: string | null = null) =>
    choices({ index: 0, delta, logprobs: { content: [{ token }], refusal: null }, finish_reason: finish });
  const rest = [of({ content: '\u{1f600}' }, 'second'), of({ content: 'b' }, 'third'), STOP, DONE];
  for (const first of [of({ content: '' }, 'first'), of({ role: 'assistant', content: '' }, 'first')]) {
    const { chunks, text: sent } = read(sse(ROLE, first, ...rest));
    assert.deepEqual(sent.match(/first|second|third/g), ['first', 'second', 'third']);
    assert.deepEqual(chunks[1]?.choices[0].logprobs.content, [{ token: 'first' }, { token: 'second' }]);
  }
  const last = read(sse(ROLE, text('a'), of({ content: '' }, 'first'), of({}, 'second', 'stop'), DONE));
  assert.deepEqual(last.chunks.at(-1)?.choices[0].logprobs.content, [
    { token: 'first' },
    { token: 'second' },
  ]);
});

test('logprobs of all chunks are joined, those of completions and of refusals too', () => {
  const logprobs = (token: string) => ({ tokens: [token], token_logprobs: [-1], text_offset: [0] });
  const piece = (said: string, finish_reason: string | null = null) => ({
    ...chunk({}),
    object: 'text_completion',
    choices: [{ index: 0, text: said, logprobs: logprobs(said), finish_reason }],
  });
  const completion = reply(sse(piece('a'), piece('b', 'stop'), DONE), { endpoint: 'completions' });
  const joined = { tokens: ['a', 'b'], token_logprobs: [-1, -1], text_offset: [0, 0] };
  assert.deepEqual(completion.json.choices[0].logprobs, joined);
  const refused = ['a', 'b'].map((token) =>
    beside({ refusal: token }, { logprobs: { content: null, refusal: [{ token }] } }),
  );
  const chat = reply(sse(ROLE, ...refused, STOP, DONE));
  assert.deepEqual(chat.json.choices[0].logprobs, {
    content: null,
    refusal: [{ token: 'a' }, { token: 'b' }],
  });
});

test('usage in two halves is combined, and a number too large for a count is ignored', () => {
  const usageOf = (...reports: readonly object[]) =>
    read(sse(ROLE, text('a'), STOP, ...reports.map(usageChunk), DONE), { includeUsage: true }).usage;
  const halves = usageOf({ prompt_tokens: 5, completion_tokens: 0 }, { completion_tokens: 2 });
  assert.deepEqual(halves, USAGE);
  assert.deepEqual(usageOf({ input_tokens: 5 }, { output_tokens: 2 }), USAGE);
  assert.deepEqual(usageOf(USAGE, { total_tokens: 9, completion_tokens: 3 })?.total_tokens, 9);
  assert.equal(usageOf({ prompt_tokens: 1e300, completion_tokens: 2 })?.prompt_tokens, 0);
});
