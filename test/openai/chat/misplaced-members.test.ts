/**
 * Answers whose members have other names, other places or a wrapping around them. A text that is somewhere in an answer is
 * told, or the answer is an error that shows it: a client never gets an empty answer in its place.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FerryError } from '../../../src/lib/errors/ferry-error.ts';
import { parseChatResponse } from '../../../src/openai/chat/chat-response.ts';
import {
  chunk,
  completion,
  DONE,
  optionsFor,
  ROLE,
  read,
  reply,
  STOP,
  sse,
  stream,
  text,
  usageChunk,
} from '../upstream-bytes.ts';

const CALL = { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Ulm"}' } };

type Edit = (value: unknown) => unknown;

const WRAPPINGS: Readonly<Record<string, Edit>> = {
  list: (value) => [value],
  'list with null': (value) => [value, null],
  'list in list': (value) => [[value]],
  'keyed by index': (value) => ({ 0: value }),
  text: (value) => ({ text: value }),
  value: (value) => ({ value }),
  content: (value) => ({ content: value }),
  part: (value) => ({ type: 'text', text: { value, annotations: [] } }),
  'of a name that nobody has': (value) => ({ zzz: value }),
};

const NAMES = ['Content', 'text', 'output_text', 'outputText', 'value', 'messages', 'Delta', 'zzz'];

/** Every way of wrapping or renaming the member at `path`, applied to each of `objects` that has it. */
function* edits(objects: readonly object[], path: readonly string[]): Generator<[string, object[]]> {
  const edited = (edit: (parent: Record<string, unknown>, name: string) => void): object[] =>
    objects.map((object) => {
      const copy = structuredClone(object) as Record<string, unknown>;
      const parent = path
        .slice(0, -1)
        .reduce<unknown>((at, step) => (at as Record<string, unknown>)?.[step], copy);
      const name = path.at(-1) ?? '';
      if (typeof parent === 'object' && parent !== null && name in parent)
        edit(parent as Record<string, unknown>, name);
      return copy;
    });
  for (const [what, wrap] of Object.entries(WRAPPINGS)) {
    yield [
      `${path.join('.')} as ${what}`,
      edited((parent, name) => {
        parent[name] = wrap(parent[name]);
      }),
    ];
  }
  for (const other of NAMES) {
    const rename = (parent: Record<string, unknown>, name: string): void => {
      const value = parent[name];
      delete parent[name];
      parent[other] = value;
    };
    yield [`${path.join('.')} called ${other}`, edited(rename)];
  }
}

/** What a whole reply's first message is; null when the reply is an error. */
function messageOf(object: object): { content: unknown; tool_calls?: { function: unknown }[] } | null {
  try {
    const { body } = parseChatResponse(Buffer.from(JSON.stringify(object)), optionsFor());
    return JSON.parse(body.toString()).choices[0].message;
  } catch (error) {
    assert.ok(error instanceof FerryError, String(error));
    return null;
  }
}

test('text that is wrapped or has another name is written, or shown in an error', () => {
  const chunks = [ROLE, text('Hello'), text(' world'), STOP];
  let told = 0;
  for (const path of [
    ['choices'],
    ['choices', '0'],
    ['choices', '0', 'delta'],
    ['choices', '0', 'delta', 'content'],
  ]) {
    for (const [what, edited] of edits(chunks, path)) {
      const { failure, choices } = read(sse(...edited, DONE));
      if (failure !== null) continue;
      assert.equal(choices[0]?.content, 'Hello world', what);
      told++;
    }
  }
  for (const path of [
    ['choices'],
    ['choices', '0'],
    ['choices', '0', 'message'],
    ['choices', '0', 'message', 'content'],
  ]) {
    for (const [what, [edited = {}]] of edits([completion({ content: 'Hello world' })], path)) {
      const message = messageOf(edited);
      if (message === null) continue;
      assert.equal(message.content, 'Hello world', what);
      told++;
    }
  }
  assert.ok(told > 25, `${told} were told`);
});

test('a tool call that is wrapped or has another name is written with its function’s name, or is an error', () => {
  const chunks = [
    ROLE,
    chunk({ tool_calls: [{ index: 0, ...CALL }] }),
    chunk({}, { finish_reason: 'tool_calls' }),
  ];
  const steps = ['choices', '0', 'delta', 'tool_calls', '0', 'function', 'name'];
  let told = 0;
  for (let length = 1; length <= steps.length; length++) {
    for (const [what, edited] of edits(chunks, steps.slice(0, length))) {
      const { failure, choices } = read(sse(...edited, DONE));
      if (failure !== null) continue;
      assert.deepEqual(
        choices[0]?.calls.map(({ name }) => name),
        ['weather'],
        what,
      );
      told++;
    }
    const whole = steps.slice(0, length).map((step) => (step === 'delta' ? 'message' : step));
    for (const [what, [edited = {}]] of edits(
      [completion({ content: null, tool_calls: [CALL] }, { finish_reason: 'tool_calls' })],
      whole,
    )) {
      const message = messageOf(edited);
      if (message === null) continue;
      assert.deepEqual(
        message.tool_calls?.map((call) => call.function),
        [CALL.function],
        what,
      );
      told++;
    }
  }
  assert.ok(told > 25, `${told} were told`);
});

test('names in the style of Java and C# are parsed, and those within arguments are kept', () => {
  const camel = (object: unknown, first: (letter: string) => string): unknown => {
    if (Array.isArray(object)) return object.map((item) => camel(item, first));
    if (typeof object !== 'object' || object === null) return object;
    const entries = Object.entries(object).map(([name, value]) => [
      name.replace(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase()).replace(/^./, first),
      camel(value, first),
    ]);
    return Object.fromEntries(entries);
  };
  const args = { cityName: 'Ulm', Content: 'x' };
  const call = { index: 0, id: 'call_1', type: 'function', function: { name: 'weather', arguments: args } };
  const chunks = [
    ROLE,
    chunk({ reasoning_content: 'H' }),
    chunk({ reasoning_details: [{ type: 'reasoning.text', text: 'm' }] }),
    chunk({ content: [{ type: 'text', text: 'Hello' }] }),
    chunk({ tool_calls: [call] }),
    chunk({}, 'tool_calls'),
    usageChunk({ input_tokens: 5, output_tokens: 2 }),
  ];
  for (const first of [(letter: string) => letter, (letter: string) => letter.toUpperCase()]) {
    const written = chunks.map((one) => camel(one, first)) as Record<string, unknown>[];
    // The arguments are the model's own.
    const json = written.map((one) => JSON.stringify(one).replace(/"CityName"/, '"cityName"'));
    const { choices, failure, usage } = read(sse(...json, DONE), { includeUsage: true });
    assert.equal(failure, null);
    assert.equal(usage?.total_tokens, 7);
    assert.deepEqual(
      [choices[0]?.reasoning, choices[0]?.content, choices[0]?.finish],
      ['Hm', 'Hello', 'tool_calls'],
    );
    assert.deepEqual(JSON.parse(choices[0]?.calls[0]?.arguments ?? ''), args);
  }
});

test('text, reasoning or calls beside an empty delta are the delta’s', () => {
  const beside = (more: object): object => ({
    ...chunk({}),
    choices: [{ index: 0, delta: {}, ...more, finish_reason: null }],
  });
  const { choices } = read(
    sse(ROLE, beside({ reasoning_content: 'Hm' }), beside({ content: 'Hello' }), STOP, DONE),
  );
  assert.deepEqual([choices[0]?.reasoning, choices[0]?.content], ['Hm', 'Hello']);
});

test('a delta that is JSON in a text is opened, but not one that the model may have written', () => {
  const said = (delta: string): object => ({
    ...chunk({}),
    choices: [{ index: 0, delta, finish_reason: null }],
  });
  const opened = read(
    sse(said('{"role":"assistant","content":""}'), said('{"content":"Hello"}'), STOP, DONE),
  );
  assert.equal(opened.choices[0]?.content, 'Hello');
  const written = read(sse(ROLE, said('{"city":'), said('{"name":"Ulm"}'), STOP, DONE));
  assert.equal(written.choices[0]?.content, '{"city":{"name":"Ulm"}');
});

test('a finish under another name counts when there is no finish_reason', () => {
  const last = (more: object): object => ({ ...chunk({}), choices: [{ index: 0, delta: {}, ...more }] });
  const finishOf = (more: object) => read(sse(ROLE, text('Hello'), last(more), DONE)).choices[0]?.finish;
  assert.equal(finishOf({ stop_reason: 'max_tokens' }), 'length');
  assert.equal(finishOf({ finishReason: 'LENGTH' }), 'length');
  assert.equal(finishOf({ finish_details: { type: 'max_tokens' } }), 'length');
  assert.equal(
    finishOf({ finish_reason: 'stop', stop_reason: 'length' }),
    'stop',
    'vLLM: the text that stopped it',
  );
  assert.equal(finishOf({ stop_reason: '</answer>' }), 'stop');
});

test('a response without text, message and delta is an error, and an empty message is not', () => {
  const bare = { ...completion({}), choices: [{ index: 0, finish_reason: 'stop' }] };
  assert.equal(messageOf(bare), null);
  assert.equal(messageOf(completion({ content: '' }))?.content, '');
  assert.equal(messageOf(completion({ content: '', annotations: [], stop_token: 2 }))?.content, '');
  const finishOnly = { ...chunk({}), choices: [{ index: 0, finish_reason: 'stop' }] };
  assert.notEqual(read(sse(finishOnly, DONE)).failure, null);
  assert.equal(read(sse(ROLE, finishOnly, DONE)).failure, null);
  const inList = { ...chunk({}), choices: [[{ index: 0, delta: { content: 'Hello' } }]] };
  assert.match(
    read(sse(ROLE, inList, STOP, DONE)).failure?.message ?? '',
    /unrecognised response format.*Hello/,
  );
  assert.equal(read(sse(ROLE, STOP, DONE)).failure, null);
});

test('the error about unrecognised text shows it without secrets', () => {
  const odd = { ...chunk({}), choices: [{ index: 0, delta: { zzz: 'Hello world' }, finish_reason: null }] };
  const { failure } = read(sse(ROLE, odd, STOP, DONE), { scrub: (said) => said.replaceAll('world', '***') });
  assert.match(failure?.message ?? '', /unrecognised response format: .*Hello \*\*\*/);
});

test('a placeholder among tool calls is ignored, and a call that was cut before its name is dropped', () => {
  const { choices } = read(sse(ROLE, chunk({ tool_calls: [{ index: 0 }] }), text('Hello'), STOP, DONE));
  assert.deepEqual([choices[0]?.content, choices[0]?.calls, choices[0]?.finish], ['Hello', [], 'stop']);
  for (const args of [undefined, '{}']) {
    const nameless = { index: 0, id: 'call_1', function: { arguments: args } };
    const chunks = [ROLE, text('Hello'), chunk({ tool_calls: [nameless] })];
    const cut = read(sse(...chunks, chunk({}, 'length'), DONE));
    assert.deepEqual([cut.choices[0]?.calls, cut.choices[0]?.finish], [[], 'length']);
    const another = chunk({ tool_calls: [{ ...CALL, index: 1 }] });
    const { failure } = stream(sse(...chunks, another, chunk({}, 'length'), DONE));
    assert.match(failure?.message ?? '', /without the name/);
  }
  const whole = reply(JSON.stringify(completion({ content: 'Hello', tool_calls: [{}] })));
  assert.equal(whole.json.choices[0].message.tool_calls, undefined);
});

test('logprobs that are no object are null', () => {
  for (const logprobs of [false, 0, '', 'x', []]) {
    const odd = {
      ...text('Hello'),
      choices: [{ index: 0, delta: { content: 'Hello' }, logprobs, finish_reason: null }],
    };
    assert.equal(read(sse(ROLE, odd, STOP, DONE)).choices[0]?.content, 'Hello');
  }
});
