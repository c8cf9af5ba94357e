import assert from 'node:assert/strict';
import { test } from 'node:test';
import { haveJsonArguments } from '../../helpers/canonical-checker.ts';
import { cpuMsSince } from '../../helpers/cpu-time.ts';
import { chunk, DONE, ROLE, read, reply, STOP, sse, stream, text } from '../upstream-bytes.ts';

function calls(...list: readonly object[]): object {
  return chunk({ tool_calls: list });
}

function opening(index: number, id: unknown, name: string, args: unknown = ''): object {
  return { index, id, type: 'function', function: { name, arguments: args } };
}

function more(index: number, args: string): object {
  return { index, function: { arguments: args } };
}

const CALLED = chunk({}, 'tool_calls');

/** Name and arguments of each call that came out. */
function callsOf(body: string, overrides = {}) {
  const result = read(body, overrides);
  const choice = result.choices[0];
  assert.equal(choice?.finish, 'tool_calls');
  assert.ok(haveJsonArguments(result));
  return choice.calls.map((call) => [call.name, call.arguments]);
}

test('S69 S70 S71 two canonical calls are relayed byte for byte', () => {
  const body = sse(
    ROLE,
    calls(opening(0, 'call_a', 'f')),
    calls(more(0, '{"a"')),
    calls(more(0, ':1}')),
    calls(opening(1, 'call_b', 'g')),
    calls(more(1, '{}')),
    CALLED,
    DONE,
  );
  assert.equal(stream(body).text, body);
});

test('Q108 no index: by id, by order', () => {
  const whole = (id: unknown, name: string, args: unknown) => ({ id, function: { name, arguments: args } });
  assert.deepEqual(callsOf(sse(calls(whole('a', 'f', '{"x":1}')), calls(whole('b', 'g', '{"y":2}')), STOP)), [
    ['f', '{"x":1}'],
    ['g', '{"y":2}'],
  ]);
  assert.deepEqual(callsOf(sse(calls(whole('', 'f', '{}'), whole(null, 'f', '{}')), STOP)), [
    ['f', '{}'],
    ['f', '{}'],
  ]);
  const piecewise = [calls(whole('a', 'f', '')), calls({ function: { arguments: '{"x"' } })];
  const rest = [calls({ function: { arguments: ':1}' } }), calls(whole('b', 'g', '{}'))];
  assert.deepEqual(callsOf(sse(...piecewise, ...rest, STOP)), [
    ['f', '{"x":1}'],
    ['g', '{}'],
  ]);
});

test('Q108 an index that comes only later still belongs to the same call', () => {
  const body = sse(
    calls({ id: 'a', function: { name: 'f', arguments: '{"x"' } }),
    calls(more(0, ':1}')),
    STOP,
  );
  assert.deepEqual(callsOf(body), [['f', '{"x":1}']]);
});

test('Q109 index always 0 for different ids: a new call for each id', () => {
  const body = sse(
    calls(opening(0, 'a', 'f', '{"x"')),
    calls(more(0, ':1}')),
    calls(opening(0, 'b', 'f')),
    calls(more(0, '{}')),
    STOP,
  );
  assert.deepEqual(callsOf(body), [
    ['f', '{"x":1}'],
    ['f', '{}'],
  ]);
});

test('Q110 index from 1, with gaps, as text: 0,1,2', () => {
  for (const [first, second] of [
    [1, 2],
    [0, 5],
    ['0', '1'],
    [3, 1],
  ]) {
    const body = sse(
      calls(opening(first as number, 'a', 'f', '{}')),
      calls(opening(second as number, 'b', 'g', '{}')),
      STOP,
    );
    assert.deepEqual(
      callsOf(body),
      [
        ['f', '{}'],
        ['g', '{}'],
      ],
      `${first} ${second}`,
    );
  }
});

test('S72 Q111 ids missing, null, "", "0" or the same for every call: unique ones', () => {
  for (const id of [undefined, null, '', '0', 'same']) {
    const { choices } = read(sse(calls(opening(0, id, 'f', '{}')), calls(opening(1, id, 'g', '{}')), STOP));
    const ids = choices[0]?.calls.map((call) => call.id) ?? [];
    assert.equal(ids.length, 2, `${id}`);
    assert.notEqual(ids[0], ids[1]);
    for (const made of ids.filter((made) => made !== 'same')) assert.match(made, /^call_[0-9a-f]{24}$/);
  }
});

test('S71 Q112 id, name and type repeated in each delta, or empty, or null: only in the first', () => {
  const repeated = sse(
    calls(opening(0, 'a', 'f', '{"x"')),
    calls(opening(0, 'a', 'f', ':1}')),
    calls(opening(0, 'a', 'f', '')),
    STOP,
  );
  assert.deepEqual(callsOf(repeated), [['f', '{"x":1}']]);
  for (const none of ['', null]) {
    const hollow = { index: 0, id: none, type: none, function: { name: none, arguments: ':1}' } };
    assert.deepEqual(callsOf(sse(calls(opening(0, 'a', 'f', '{"x"')), calls(hollow), STOP)), [
      ['f', '{"x":1}'],
    ]);
  }
  for (const id of ['a', '', 'b']) {
    const unnamed = { index: 0, id, type: 'function', function: { name: '', arguments: ':1}' } };
    assert.deepEqual(callsOf(sse(calls(opening(0, 'a', 'f', '{"x"')), calls(unnamed), STOP)), [
      ['f', '{"x":1}'],
    ]);
  }
  const nameOnly = { index: 0, function: { name: 'f', arguments: ':1}' } };
  assert.deepEqual(callsOf(sse(calls(opening(0, 'a', 'f', '{"x"')), calls(nameOnly), STOP)), [
    ['f', '{"x":1}'],
  ]);
});

test('Q112 id that changes in each delta of a call', () => {
  const later = { index: 0, id: 'b', function: { arguments: ':1}' } };
  assert.deepEqual(callsOf(sse(calls(opening(0, 'a', 'f', '{"x"')), calls(later), STOP)), [['f', '{"x":1}']]);
});

test('S75 Q114 arguments as an object are written once', () => {
  assert.deepEqual(callsOf(sse(calls(opening(0, 'a', 'f', { x: { y: [1] } })), STOP)), [
    ['f', '{"x":{"y":[1]}}'],
  ]);
});

test('S75 numbers inside such an object keep every digit', () => {
  const event = JSON.stringify(calls(opening(0, 'a', 'f', { n: 1, m: 2 })));
  const exact = event.replace('"n":1', '"n":12345678901234567890').replace('"m":2', '"m":1.0');
  assert.deepEqual(callsOf(sse(exact, STOP)), [['f', '{"n":12345678901234567890,"m":1.0}']]);
});

test('S76 Q115 arguments null, absent or empty: "{}" at the end', () => {
  for (const args of [null, undefined, '', '  ']) {
    assert.deepEqual(callsOf(sse(calls(opening(0, 'a', 'f', args)), STOP)), [['f', '{}']], `${args}`);
  }
  assert.deepEqual(callsOf(sse(calls({ index: 0, id: 'a', function: { name: 'f' } }), STOP)), [['f', '{}']]);
});

test('S75 Q116 a JSON text of a JSON text is decoded once, also in pieces', () => {
  const twice = JSON.stringify('{"x":"a\\"b"}');
  for (let cut = 0; cut <= twice.length; cut++) {
    const body = sse(
      calls(opening(0, 'a', 'f')),
      calls(more(0, twice.slice(0, cut))),
      calls(more(0, twice.slice(cut))),
      STOP,
    );
    assert.deepEqual(callsOf(body), [['f', '{"x":"a\\"b"}']]);
  }
});

test('S75 arguments that are a plain JSON text stay as they are', () => {
  assert.deepEqual(callsOf(sse(calls(opening(0, 'a', 'f', '"just text"')), STOP)), [['f', '"just text"']]);
});

test('Q117 cumulative arguments give suffixes, by profile', () => {
  const body = sse(
    calls(opening(0, 'a', 'f')),
    calls(more(0, '{"x"')),
    calls(more(0, '{"x":1}')),
    calls(more(0, '{"x":1}')),
    STOP,
  );
  assert.deepEqual(callsOf(body, { profile: { cumulative: 'always' } }), [['f', '{"x":1}']]);
});

test('S73 Q118 interleaved fragments: call 0 whole, then call 1', () => {
  const body = sse(
    calls(opening(0, 'a', 'f'), opening(1, 'b', 'g')),
    calls(more(0, '{"x"')),
    calls(more(1, '{"y"')),
    calls(more(0, ':1}')),
    calls(more(1, ':2}')),
    STOP,
  );
  assert.deepEqual(callsOf(body), [
    ['f', '{"x":1}'],
    ['g', '{"y":2}'],
  ]);
});

test('S73 a call is written at once when the one before has complete arguments', () => {
  const { text: out } = stream(sse(ROLE, calls(opening(0, 'a', 'f', '{}')), calls(opening(1, 'b', 'g'))));
  assert.match(out, /"name":"g"/);
});

test('S74 several calls in one delta become several chunks', () => {
  assert.deepEqual(
    callsOf(
      sse(calls(opening(0, 'a', 'f', '{}'), opening(1, 'b', 'g', '{}'), opening(2, 'c', 'h', '{}')), STOP),
    ),
    [
      ['f', '{}'],
      ['g', '{}'],
      ['h', '{}'],
    ],
  );
});

test('S77 Q61 Q62 any call makes the finish tool_calls, with any reason of the upstream', () => {
  for (const reason of ['stop', 'tool_use', 'function_call', 'tool_calls', 'length', 'eos_token']) {
    const { choices } = read(sse(calls(opening(0, 'a', 'f', '{}')), chunk({}, reason), DONE));
    assert.equal(choices[0]?.finish, 'tool_calls', reason);
  }
  assert.equal(read(sse(calls(opening(0, 'a', 'f', '{}')), DONE)).choices[0]?.finish, 'tool_calls');
});

test('Q123 arguments cut by length are relayed as they are, with finish length', () => {
  const { choices } = read(sse(calls(opening(0, 'a', 'f', '{"x": "un')), chunk({}, 'length'), DONE));
  assert.deepEqual([choices[0]?.calls[0]?.arguments, choices[0]?.finish], ['{"x": "un', 'length']);
});

test('Q123 a call that was cut before its first argument is no call without arguments', () => {
  const { choices } = read(sse(calls(opening(0, 'a', 'f')), chunk({}, 'length'), DONE));
  assert.deepEqual([choices[0]?.calls[0]?.arguments, choices[0]?.finish], ['', 'length']);
  const two = read(
    sse(calls(opening(0, 'a', 'f')), calls(opening(1, 'b', 'g', '{"x')), chunk({}, 'length'), DONE),
  );
  assert.deepEqual(
    two.choices[0]?.calls.map((call) => call.arguments),
    ['{}', '{"x'],
  );
});

test('a hundred thousand calls cost bounded time', () => {
  const events = Array.from({ length: 100 }, (_, n) =>
    calls(...Array.from({ length: 1000 }, (_, m) => opening(n * 1000 + m, `id-${n}-${m}`, 'f', '{}'))),
  );
  const began = process.cpuUsage();
  const { choices } = read(sse(...events, STOP, DONE));
  assert.ok(cpuMsSince(began) < 5000);
  assert.equal(choices[0]?.calls.length, 256);
});

test('members of a call that OpenAI does not know (the signature of Gemini) stay with it', () => {
  const extra_content = { google: { thought_signature: 's' } };
  const { type: _type, ...call } = { ...opening(0, 'a', 'f', { x: 1 }), type: 'function' };
  const { chunks } = read(sse(calls({ ...call, extra_content }), STOP, DONE));
  assert.deepEqual(chunks[1]?.choices[0].delta.tool_calls[0].extra_content, extra_content);
  const canonical = sse(ROLE, calls({ ...opening(0, 'a', 'f', '{}'), extra_content }), CALLED, DONE);
  assert.equal(stream(canonical).text, canonical);
  const { json } = reply(sse(calls({ ...call, extra_content }), STOP, DONE));
  assert.deepEqual(json.choices[0].message.tool_calls[0].extra_content, extra_content);
});

test('Q120 legacy function_call deltas become tool_calls', () => {
  const body = sse(
    chunk({ role: 'assistant', function_call: { name: 'f', arguments: '' } }),
    chunk({ function_call: { arguments: '{"x"' } }),
    chunk({ function_call: { arguments: ':1}' } }),
    chunk({}, 'function_call'),
  );
  assert.deepEqual(callsOf(body), [['f', '{"x":1}']]);
});

test('S79 a request with functions gets a response in the legacy form, from either form', () => {
  const legacy = sse(
    chunk({ function_call: { name: 'f', arguments: '{"x"' } }),
    chunk({ function_call: { arguments: ':1}' } }),
    chunk({}, 'function_call'),
  );
  const modern = sse(calls(opening(0, 'a', 'f', '{"x"')), calls(more(0, ':1}')), CALLED);
  for (const body of [legacy, modern]) {
    const { choices } = read(body, { legacyFunctions: true });
    assert.deepEqual(choices[0]?.functionCall, { name: 'f', arguments: '{"x":1}' });
    assert.equal(choices[0]?.finish, 'function_call');
  }
});

test('Q122 tool_calls [] or null in each chunk is omitted', () => {
  for (const none of [[], null]) {
    const { choices } = read(
      sse(chunk({ content: 'a', tool_calls: none }), chunk({ content: 'b', tool_calls: none }), STOP),
    );
    assert.deepEqual([choices[0]?.content, choices[0]?.finish], ['ab', 'stop']);
  }
});

test('Q121 a tool call that is written as text stays text', () => {
  const { choices } = read(sse(ROLE, text('<tool_call>{"name":"f"}</tool_call>'), STOP, DONE));
  assert.equal(choices[0]?.content, '<tool_call>{"name":"f"}</tool_call>');
});

test('Q124 content and a call in one delta: content first', () => {
  const { choices } = read(sse(chunk({ content: 'I call', tool_calls: [opening(0, 'a', 'f', '{}')] }), STOP));
  assert.deepEqual([choices[0]?.content, choices[0]?.calls[0]?.name], ['I call', 'f']);
});

test('a name that comes after the arguments is still written first', () => {
  const body = sse(
    calls({ index: 0, id: 'a', function: { arguments: '{"x"' } }),
    calls({ index: 0, function: { name: 'f', arguments: ':1}' } }),
    STOP,
  );
  assert.deepEqual(callsOf(body), [['f', '{"x":1}']]);
});

test('an announced call that never arrives is not a response', () => {
  assert.equal(stream(sse(ROLE, CALLED, DONE)).failure?.kind, 'invalid_response');
  assert.equal(read(sse(ROLE, text('x'), CALLED, DONE)).choices[0]?.finish, 'stop');
});

test('S61 long arguments are written in several chunks', () => {
  const long = JSON.stringify({ x: 'é'.repeat(700_000) });
  assert.deepEqual(callsOf(sse(calls(opening(0, 'a', 'f', long)), STOP)), [['f', long]]);
  assert.deepEqual(callsOf(sse(ROLE, calls(opening(0, 'a', 'f')), calls(more(0, long)), CALLED, DONE)), [
    ['f', long],
  ]);
});

test('custom tools and flat calls are read', () => {
  assert.deepEqual(
    callsOf(sse(calls({ index: 0, id: 'a', type: 'custom', custom: { name: 'f', input: '{}' } }), STOP)),
    [['f', '{}']],
  );
  assert.deepEqual(callsOf(sse(chunk({ tool_calls: { name: 'f', arguments: { x: 1 } } }), STOP)), [
    ['f', '{"x":1}'],
  ]);
});

test('fragments of long arguments that repeat the name take linear time', () => {
  const piece = (args: string) => calls({ index: 0, id: 'call_a', function: { name: 'f', arguments: args } });
  const pieces = Array.from({ length: 60_000 }, () => piece('x'.repeat(10)));
  const began = process.cpuUsage();
  const [[name, args] = []] = callsOf(sse(ROLE, piece('{"a":"'), ...pieces, piece('"}'), CALLED, DONE));
  assert.equal(name, 'f');
  assert.equal(args?.length, 8 + 600_000);
  // Comparing each piece with all that came before it took ten times as long.
  assert.ok(cpuMsSince(began) < 6_000);
});
