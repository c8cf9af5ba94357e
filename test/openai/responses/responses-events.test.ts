import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChatStreamOptions } from '../../../src/openai/chat/response-format.ts';
import { ResponsesStream, responsesForm } from '../../../src/openai/responses/responses-response.ts';
import { ResponsesTools } from '../../../src/openai/responses/responses-tools.ts';
import { checkResponseObject, checkResponsesStream } from '../../helpers/responses-checker.ts';
import { randomFrom } from '../../helpers/seeded-random.ts';
import { chunk, DONE, optionsFor, ROLE, STOP, sse, text, USAGE, usageChunk } from '../upstream-bytes.ts';

const ECHO = {
  background: false,
  instructions: null,
  metadata: { trip: '7' },
  parallel_tool_calls: true,
  previous_response_id: null,
  store: false,
  temperature: null,
  tool_choice: 'auto',
  tools: [],
  top_p: null,
};

const OWN = {
  echo: ECHO,
  tools: new ResponsesTools(),
  hasEncryptedReasoning: false,
  maxLength: 1_000_000,
};

type Overrides = Partial<ChatStreamOptions>;

function events(body: string | readonly Uint8Array[], overrides: Overrides = {}) {
  const stream = new ResponsesStream(optionsFor(overrides), OWN);
  const pieces = typeof body === 'string' ? [Buffer.from(body)] : body;
  let told = '';
  for (const piece of pieces) told += stream.push(piece);
  told += stream.end();
  if (stream.failure !== null) told += stream.broken(stream.failure);
  return { told, stream };
}

/** The events of an upstream's body, read by the strict checker. */
function read(body: string, overrides: Overrides = {}) {
  const { told, stream } = events(body, overrides);
  return { ...checkResponsesStream(told), stream };
}

function whole(body: string, overrides: Overrides = {}) {
  const reply = responsesForm(OWN).readWhole(Buffer.from(body), optionsFor(overrides));
  const response = JSON.parse(String(reply.body));
  checkResponseObject(response);
  return { ...reply, response };
}

const reasoning = (said: string) => chunk({ reasoning_content: said });

const opens = (index: number, name: string, args = '') =>
  chunk({
    tool_calls: [{ index, id: `call_${name}`, type: 'function', function: { name, arguments: args } }],
  });

const continues = (index: number, args: string) =>
  chunk({ tool_calls: [{ index, function: { arguments: args } }] });

test('S125 text is sent as the complete sequence of events', () => {
  const {
    events,
    response,
    text: said,
  } = read(sse(ROLE, text('Hello'), text(' world'), STOP, usageChunk(USAGE), DONE));
  assert.deepEqual(
    events.map(({ type }) => type),
    [
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ],
  );
  assert.equal(said, 'Hello world');
  assert.equal(response?.status, 'completed');
  assert.equal(response?.model, 'up-model');
  assert.equal(response?.created_at, 1_763_000_000);
  assert.deepEqual(response?.metadata, { trip: '7' });
  const { input_tokens, output_tokens, total_tokens } = response?.usage ?? {};
  assert.deepEqual([input_tokens, output_tokens, total_tokens], [5, 2, 7]);
});

test('S125 reasoning is an item with a summary before the message', () => {
  const {
    response,
    reasoning: thought,
    text: said,
  } = read(sse(ROLE, reasoning('Let me'), reasoning(' think.'), text('Done.'), STOP, DONE));
  assert.equal(thought, 'Let me think.');
  assert.equal(said, 'Done.');
  assert.deepEqual(
    response?.output.map(({ type }: { type: string }) => type),
    ['reasoning', 'message'],
  );
});

test('S125 tool calls are separate items, their arguments sent in pieces', () => {
  const { response, calls } = read(
    sse(
      ROLE,
      text('Let me look.'),
      opens(0, 'get_weather'),
      continues(0, '{"city":'),
      continues(0, '"Zürich"}'),
      opens(1, 'get_time'),
      continues(1, '{}'),
      chunk({}, 'tool_calls'),
      DONE,
    ),
  );
  assert.deepEqual(calls, [
    { id: 'call_get_weather', name: 'get_weather', arguments: '{"city":"Zürich"}' },
    { id: 'call_get_time', name: 'get_time', arguments: '{}' },
  ]);
  assert.equal(response?.status, 'completed');
  assert.deepEqual(
    response?.output.map(({ type, status }: { type: string; status: string }) => [type, status]),
    [
      ['message', 'completed'],
      ['function_call', 'completed'],
      ['function_call', 'completed'],
    ],
  );
});

test('S125 a call without arguments has {}', () => {
  const { calls } = read(sse(ROLE, opens(0, 'get_time'), chunk({}, 'tool_calls'), DONE));
  assert.deepEqual(calls, [{ id: 'call_get_time', name: 'get_time', arguments: '{}' }]);
});

test('S125 text after a call, and reasoning after text, are separate items', () => {
  const { response, text: said } = read(
    sse(ROLE, text('One.'), reasoning('Hm.'), text('Two.'), opens(0, 'f', '{}'), text('Three.'), STOP, DONE),
  );
  assert.equal(said, 'One.Two.Three.');
  assert.deepEqual(
    response?.output.map(({ type }: { type: string }) => type),
    ['message', 'reasoning', 'message', 'function_call', 'message'],
  );
});

test('S125 a refusal is a part of its own in the message', () => {
  const { response, refusal } = read(sse(ROLE, text('Well: '), chunk({ refusal: 'no.' }), STOP, DONE));
  assert.equal(refusal, 'no.');
  assert.deepEqual(response?.output[0].content, [
    { type: 'output_text', text: 'Well: ', annotations: [], logprobs: [] },
    { type: 'refusal', refusal: 'no.' },
  ]);
});

for (const [reason, why] of [
  ['length', 'max_output_tokens'],
  ['content_filter', 'content_filter'],
] as const) {
  test(`S125 a model that stops for ${reason} leaves the Response incomplete, with ${why}`, () => {
    const { events, response } = read(sse(ROLE, text('Hel'), chunk({}, reason), DONE));
    assert.equal(events.at(-1)?.type, 'response.incomplete');
    assert.deepEqual(response?.incomplete_details, { reason: why });
    assert.equal(response?.output[0].status, 'incomplete');
  });
}

test('S125 a call whose arguments were cut is incomplete though text came after it', () => {
  const cut = sse(ROLE, opens(0, 'f', '{"x":'), text('so'), chunk({}, 'length'), DONE);
  const { response } = read(cut);
  assert.deepEqual(
    response?.output.map((item: { status: string }) => item.status),
    ['incomplete', 'incomplete'],
  );
});

test('S125 a call that is cut by the limit is incomplete, and the text before it is not', () => {
  const { response } = read(
    sse(ROLE, text('Look.'), opens(0, 'f'), continues(0, '{"city":"Zü'), chunk({}, 'length'), DONE),
  );
  assert.equal(response?.status, 'incomplete');
  assert.deepEqual(
    response?.output.map(({ status }: { status: string }) => status),
    ['completed', 'incomplete'],
  );
  assert.equal(response?.output[1].arguments, '{"city":"Zü');
});

test('S125 usage has its details, and is estimated when the upstream gives none', () => {
  const details = {
    ...USAGE,
    prompt_tokens_details: { cached_tokens: 3 },
    completion_tokens_details: { reasoning_tokens: 1 },
  };
  const told = read(sse(ROLE, text('Hi'), STOP, usageChunk(details), DONE));
  assert.deepEqual(told.response?.usage, {
    input_tokens: 5,
    input_tokens_details: { cached_tokens: 3, cache_write_tokens: 0 },
    output_tokens: 2,
    output_tokens_details: { reasoning_tokens: 1 },
    total_tokens: 7,
  });
  const guessed = read(sse(ROLE, text('Hello world'), STOP, DONE), { promptForEstimate: () => 'Say hello' });
  assert.ok(guessed.response?.usage.output_tokens > 0 && guessed.response?.usage.input_tokens > 0);
  assert.equal(guessed.stream.isUsageEstimated, true);
});

test('S125 <think> text becomes reasoning by the profile', () => {
  const profile = { ...optionsFor().profile, thinkTags: 'split' as const };
  const { reasoning: thought, text: said } = read(
    sse(ROLE, text('<think>Hm'), text('.</think>Yes.'), STOP, DONE),
    { profile },
  );
  assert.equal(thought, 'Hm.');
  assert.equal(said, 'Yes.');
});

test('S125 a JSON body for a stream is sent as events, NDJSON as well', () => {
  const message = { role: 'assistant', content: 'Hello', reasoning_content: 'Hm.' };
  const body = { ...chunk({}), choices: [{ index: 0, message, finish_reason: 'stop' }], usage: USAGE };
  const json = read(JSON.stringify(body), { contentType: 'application/json' });
  assert.deepEqual([json.reasoning, json.text], ['Hm.', 'Hello']);
  const lines = [ROLE, text('Hel'), text('lo'), STOP].map((one) => `${JSON.stringify(one)}\n`).join('');
  assert.equal(read(lines, { contentType: 'application/x-ndjson' }).text, 'Hello');
});

test('S126 a cut after content ends in an error event with flat and nested members', () => {
  const { error, events, response } = read(sse(ROLE, text('Hel')));
  assert.equal(response, null);
  assert.equal(error?.code, 'upstream_disconnected');
  assert.equal(events.at(-1)?.message, error?.message);
});

test('S126 an error of the upstream in mid-stream is sent with its message', () => {
  const { error } = read(sse(ROLE, text('Hel'), { error: { message: 'GPU on fire', code: 'boom' } }));
  assert.match(error?.message, /GPU on fire/);
});

test('S126 an endless response is ended at limits.response', () => {
  const stream = new ResponsesStream(optionsFor(), { ...OWN, maxLength: 1_000 });
  let told = stream.push(Buffer.from(sse(ROLE)));
  for (let count = 0; stream.failure === null; count++) {
    assert.ok(count < 200);
    told += stream.push(Buffer.from(sse(text('and so on '))));
  }
  const { error } = checkResponsesStream(told + stream.broken(stream.failure));
  assert.equal(error?.code, 'upstream_invalid_response');
  assert.equal(stream.push(Buffer.from(sse(text('and so on ')))), '');
});

test('S124 a whole response is one Response object', () => {
  const message = {
    role: 'assistant',
    content: 'Hello',
    reasoning_content: 'Hm.',
    tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }],
  };
  const body = {
    ...chunk({}),
    object: 'chat.completion',
    choices: [{ index: 0, message, finish_reason: 'tool_calls' }],
    usage: USAGE,
  };
  const { response, usage } = whole(JSON.stringify(body), { contentType: 'application/json' });
  assert.equal(response.status, 'completed');
  assert.equal(usage?.totalTokens, 7);
  assert.deepEqual(
    response.output.map(({ type, id: _, ...item }: { type: string; id: string }) => [type, item]),
    [
      ['reasoning', { summary: [{ type: 'summary_text', text: 'Hm.' }] }],
      [
        'message',
        {
          status: 'completed',
          role: 'assistant',
          content: [{ type: 'output_text', text: 'Hello', annotations: [], logprobs: [] }],
        },
      ],
      ['function_call', { status: 'completed', call_id: 'call_1', name: 'f', arguments: '{"a":1}' }],
    ],
  );
});

test('S124 a whole response that is a stream, an error or empty is handled as such', () => {
  assert.equal(whole(sse(ROLE, text('Hello'), STOP, DONE)).response.output[0].content[0].text, 'Hello');
  const form = responsesForm(OWN);
  for (const [body, kind] of [
    ['', 'invalid_response'],
    ['<html>login</html>', 'invalid_response'],
    ['{"choices":[', 'disconnected'],
  ] as const) {
    assert.throws(() => form.readWhole(Buffer.from(body), optionsFor()), { kind });
  }
});

test('S125 S131 the same body in any pieces gives the same events up to their ids', () => {
  const body = Buffer.from(
    sse(
      ROLE,
      reasoning('Hm, Grüße 👋'),
      text('Zürich 你好'),
      text(' 👋🏽 done'),
      opens(0, 'f'),
      continues(0, '{"a":"ü'),
      continues(0, '👋"}'),
      chunk({}, 'tool_calls'),
      usageChunk(USAGE),
      DONE,
    ),
  );
  const expected = withoutIds(events([body]).told);
  const random = randomFrom(20_261_121);
  for (let run = 0; run < 200; run++) {
    const pieces: Buffer[] = [];
    for (let at = 0; at < body.length; ) {
      const size = 1 + Math.floor(random() * (run % 4 === 0 ? 3 : 80));
      pieces.push(body.subarray(at, at + size));
      at += size;
    }
    const { told } = events(pieces);
    checkResponsesStream(told);
    assert.equal(withoutIds(told), expected, `run ${run}`);
  }
});

test('S125 for any output of a model the joined deltas equal the final output and the whole response', () => {
  const random = randomFrom(7);
  const words = ['ferry ', 'Zü', '你', '👋', '\n', '"quote"', '\\', ' '];
  const word = () => words[Math.floor(random() * words.length)] as string;
  for (let run = 0; run < 300; run++) {
    const chunks: unknown[] = [ROLE];
    let calls = 0;
    for (let step = 0; step < 12; step++) {
      const kind = Math.floor(random() * 4);
      if (kind === 0) chunks.push(text(word()));
      else if (kind === 1) chunks.push(reasoning(word()));
      else if (kind === 2) chunks.push(opens(calls, `f${calls++}`, `{"a":"${step}"}`));
      else chunks.push(chunk({ refusal: word() }));
    }
    const body = sse(...chunks, chunk({}, calls > 0 ? 'tool_calls' : 'stop'), DONE);
    const { response } = read(body);
    const { response: same } = whole(body);
    assert.deepEqual(
      JSON.parse(withoutIds(JSON.stringify(same))),
      JSON.parse(withoutIds(JSON.stringify(response))),
    );
  }
});

/** Ids are new in every answer. */
function withoutIds(told: string): string {
  return told.replaceAll(/"(resp|msg|rs|fc)_[0-9a-f]+"/g, '"$1"');
}
