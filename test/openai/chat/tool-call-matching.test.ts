/** Fragments of tool calls that can be matched in more than one way: told as what they are, or an error, never as half a call. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chunk, DONE, ROLE, read, reply, STOP, sse, stream, text } from '../upstream-bytes.ts';

const ULM = '{"city":"Ulm"}';
const END = chunk({}, 'tool_calls');

const calls = (...list: readonly unknown[]) => chunk({ tool_calls: list });
const call = (name: string, args: unknown, more: object = { index: 0, id: 'c1' }) => ({
  ...more,
  function: { name, arguments: args },
});
const more = (args: unknown, index = 0) => ({ index, function: { arguments: args } });

/** The calls of a stream, the same at once, byte by byte and as a whole body. */
function told(...chunks: readonly unknown[]): (readonly [string, string])[] {
  const body = sse(ROLE, ...chunks, DONE);
  const { choices, failure } = read(body);
  assert.equal(failure, null);
  const found = (choices[0]?.calls ?? []).map((one) => [one.name, one.arguments] as const);
  const bytes = Buffer.from(body);
  const slow = stream(Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)));
  const withoutIds = (sent: string) => sent.replace(/call_[0-9a-f]{24}/g, 'call_');
  assert.equal(withoutIds(slow.text), withoutIds(stream(body).text));
  const whole = reply(body).json.choices[0].message.tool_calls ?? [];
  assert.deepEqual(
    whole.map((one: { function: { name: string; arguments: string } }) => [
      one.function.name,
      one.function.arguments,
    ]),
    found,
  );
  return found;
}

function fault(...chunks: readonly unknown[]): string {
  const { failure } = stream(sse(ROLE, ...chunks, DONE));
  assert.notEqual(failure, null);
  return failure?.message ?? '';
}

test('an empty object before the arguments is ignored', () => {
  for (const empty of ['{}', {}]) {
    const parts = [calls(call('f', empty)), calls(more('{"city":')), calls(more('"Ulm"}')), END];
    assert.deepEqual(told(...parts), [['f', ULM]]);
    assert.deepEqual(told(calls(call('f', '')), calls(more(empty)), calls(more(ULM)), END), [['f', ULM]]);
  }
  assert.deepEqual(told(calls(call('f', '{}')), calls(call('g', ULM, { index: 1, id: 'c2' })), END), [
    ['f', '{}'],
    ['g', ULM],
  ]);
  assert.deepEqual(told(calls(call('f', '{}')), text('so'), END), [['f', '{}']]);
});

test('an empty object in two pieces is written once', () => {
  const next = call('g', ULM, { index: 1, id: 'c2' });
  for (const known of [{ index: 0, id: 'c1', type: 'function' }, { id: 'c1' }]) {
    const parts = [calls(call('f', '', known)), calls(more('{')), calls(more('}'))];
    assert.deepEqual(told(...parts, END), [['f', '{}']]);
    assert.deepEqual(told(...parts, calls(next), END), [
      ['f', '{}'],
      ['g', ULM],
    ]);
    assert.match(fault(...parts, calls(more(ULM)), END), /complete: \{"city":"Ulm"\}/);
  }
});

test('a complete call that is repeated is written once', () => {
  const parts = [calls(call('f', '')), calls(more('{"city":')), calls(more('"Ulm"}'))];
  assert.deepEqual(told(...parts, calls(call('f', ULM)), END), [['f', ULM]]);
  assert.deepEqual(told(...parts, chunk({ tool_calls: [call('f', ULM)] }, 'tool_calls')), [['f', ULM]]);
  assert.deepEqual(told(...parts, calls(more(ULM)), END), [['f', ULM]]);
  const legacy = chunk({ function_call: { name: 'f', arguments: ULM } });
  assert.deepEqual(told(...parts, legacy, END), [['f', ULM]]);
  assert.deepEqual(told(legacy, calls(call('f', ULM)), END), [['f', ULM]]);
});

test('one id for all calls, with and without an index: every complete call is a separate one', () => {
  for (const index of [{}, { index: 0 }]) {
    const of = (name: string, args: string) => call(name, args, { ...index, id: 'x' });
    const others = [of('f', '{"q":1}'), of('g', '{"q":2}'), of('g', '{"q":3}')];
    const expected = [
      ['f', '{"q":1}'],
      ['g', '{"q":2}'],
      ['g', '{"q":3}'],
    ];
    assert.deepEqual(told(...others.map((one) => calls(one)), END), expected);
    assert.deepEqual(told(calls(...others), END), expected);
  }
});

test('a repeated name without arguments starts another call when arguments follow, and is a repetition when none do', () => {
  const bonn = '{"city":"Bonn"}';
  const fragment = (more: object, name: string | undefined, args: string) =>
    calls({ ...more, function: { ...(name !== undefined && { name }), arguments: args } });
  for (const known of [{}, { index: 0 }, { id: 'x' }, { index: 0, id: 'x' }]) {
    const said = (args: string) => [
      fragment(known, 'f', ''),
      fragment(known, undefined, args.slice(0, 5)),
      fragment(known, undefined, args.slice(5)),
    ];
    assert.deepEqual(told(...said(ULM), ...said(bonn), END), [
      ['f', ULM],
      ['f', bonn],
    ]);
    assert.deepEqual(told(...said(ULM), fragment(known, 'f', ''), END), [['f', ULM]]);
  }
});

test('fragments with the id of their call continue it although all indexes are 0', () => {
  const begun = [calls(call('f', '', { index: 0, id: 'a' })), calls(call('g', '', { index: 0, id: 'b' }))];
  const piece = (id: string, args: string) => calls({ index: 0, id, function: { arguments: args } });
  const pieces = [piece('a', '{"city"'), piece('b', '{"zone"'), piece('a', ':"Ulm"}'), piece('b', ':1}')];
  assert.deepEqual(told(...begun, ...pieces, END), [
    ['f', ULM],
    ['g', '{"zone":1}'],
  ]);
});

test('arguments that are followed by other ones are an error that shows them', () => {
  assert.match(fault(calls(call('f', { a: 1 })), calls(more({ b: 2 })), END), /complete: \{"b":2\}/);
  const late = [calls(call('f', ULM)), calls(call('g', ULM, { index: 1, id: 'c2' })), calls(more('{"a":1}'))];
  assert.match(fault(...late, END), /complete: \{"a":1\}/);
});

test('a name in fragments is an error, since its end is unknown', () => {
  for (const known of [{ index: 0, id: 'c1' }, { index: 0 }]) {
    const rest = [calls({ index: 0, function: { name: 'ther' } }), calls(more(ULM)), END];
    assert.match(fault(calls(call('wea', '', known)), ...rest), /in pieces: wea, ther/);
  }
  assert.match(fault(calls(call('wea', '')), calls(call('ther', '')), calls(more(ULM)), END), /in pieces/);
});

test('calls in a list of lists or as JSON in a text are calls, also beside text', () => {
  for (const list of [[[call('f', ULM)]], JSON.stringify([call('f', ULM)])]) {
    assert.deepEqual(told(text('so'), chunk({ tool_calls: list }), END), [['f', ULM]]);
  }
});

test('announced calls that cannot be parsed are an error beside text as well', () => {
  const odd = chunk({ toolUse: [{ tool: 'f', with: ULM }] });
  assert.match(fault(text('so'), odd, END), /toolUse/);
  assert.deepEqual(told(text('so'), END), []);
});

test('an end without a finish reason in the middle of the arguments is a cut', () => {
  assert.match(fault(calls(call('f', '{"ci'))), /closed the connection/);
  assert.deepEqual(told(calls(call('f', ULM))), [['f', ULM]]);
  assert.deepEqual(told(calls(call('f', ULM)), STOP), [['f', ULM]]);
});

test('the input of a custom tool is any text: never parsed, cut or restarted', () => {
  const custom = (input: string, known: object = {}) => calls({ index: 0, ...known, custom: { input } });
  const first = (input: string) =>
    calls({ index: 0, id: 'c1', type: 'custom', custom: { name: 'py', input } });
  assert.deepEqual(told(first('{a}'), custom('\n{b}'), END), [['py', '{a}\n{b}']]);
  assert.deepEqual(told(first('  if (a) {'), custom(' b')), [['py', '  if (a) { b']]);
  assert.deepEqual(told(first('"{\\"a\\":1}"'), END), [['py', '"{\\"a\\":1}"']]);
});

test('a repeated name with another id or none, in the middle of arguments, continues the call', () => {
  for (const index of [{}, { index: 0 }]) {
    const parts = ['{"a"', ':1', '}'].map((args, at) => calls(call('f', args, { ...index, id: `x${at}` })));
    assert.deepEqual(told(...parts, END), [['f', '{"a":1}']]);
  }
  const turns = [
    ['f', '{"a"'],
    ['g', '{"b"'],
    ['f', ':1}'],
    ['g', ':2}'],
  ] as const;
  assert.deepEqual(told(...turns.map(([name, args]) => calls(call(name, args, {}))), END), [
    ['f', '{"a":1}'],
    ['g', '{"b":2}'],
  ]);
});

test('an empty object and the arguments in one text are the arguments', () => {
  assert.deepEqual(told(calls(call('f', `{}${ULM}`)), END), [['f', ULM]]);
  const typed = { index: 0, id: 'c1', type: 'function' };
  assert.deepEqual(told(calls(call('f', `{}${ULM}`, typed)), END), [['f', ULM]]);
  assert.deepEqual(told(calls(call('f', '', typed)), calls(more(`{}${ULM}`)), END), [['f', ULM]]);
  assert.deepEqual(told(calls(call('f', `${ULM}{}`)), END), [['f', `${ULM}{}`]], 'the model wrote it');
});

test('a legacy call is parsed as leniently as the others', () => {
  const legacy = { name: 'f', arguments: ULM };
  for (const written of [
    legacy,
    [legacy],
    JSON.stringify(legacy),
    { name: 'f', parameters: { city: 'Ulm' } },
  ]) {
    assert.deepEqual(told(chunk({ function_call: written }), END), [['f', ULM]]);
  }
});

test('Q117 cumulative calls without ids are written once, by their indexes or their places', () => {
  for (const isNumbered of [true, false]) {
    const both = (...list: readonly (readonly [string, string])[]) =>
      calls(...list.map(([name, args], index) => call(name, args, isNumbered ? { index } : {})));
    const steps = [
      both(['f', '{"city"']),
      both(['f', ULM]),
      both(['f', ULM], ['g', '{"b"']),
      both(['f', ULM], ['g', '{"b":1}']),
      both(['f', ULM], ['g', '{"b":1}']),
    ];
    const { choices } = read(sse(ROLE, ...steps, END, DONE), { profile: { cumulative: 'always' } });
    const found = choices[0]?.calls.map((one) => [one.name, one.arguments]);
    assert.deepEqual(found, [
      ['f', ULM],
      ['g', '{"b":1}'],
    ]);
  }
});
