import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RepeatedFrame } from '../../../src/openai/chat/writing/canonical-relay.ts';
import { randomFrom } from '../../helpers/seeded-random.ts';
import { chunk, DONE, ROLE, read, STOP, sse, stream, text } from '../upstream-bytes.ts';

const frame = (said: string, index = 0): string =>
  JSON.stringify({ id: 'c', choices: [{ index, delta: { content: said }, finish_reason: null }] });

test('a frame that differs only in its text is recognised, and its text read', () => {
  const repeated = new RepeatedFrame();
  repeated.note(frame('Hello'), 'content', 'Hello');
  for (const said of [
    'x',
    '',
    'a longer text than before',
    'Grüße 漢字 🛶',
    'a "quote"',
    'line\nbreak\t\u0001\\',
    '}',
  ]) {
    assert.equal(repeated.textIn(frame(said)), said, JSON.stringify(said));
  }
});

test('the text of the frame before may have been written with escapes', () => {
  const repeated = new RepeatedFrame();
  repeated.note(frame('"\n'), 'content', '"\n');
  assert.equal(repeated.textIn(frame('next')), 'next');
});

test('anything else that is different makes it another frame', () => {
  const repeated = new RepeatedFrame();
  assert.equal(repeated.textIn(frame('x')), null, 'nothing came before');
  repeated.note(frame('Hello'), 'content', 'Hello');
  const other = frame('Hello');
  for (const not of [
    frame('x', 1),
    other.replace('"c"', '"d"'),
    other.replace('null', '"stop"'),
    other.replace('"delta":{', '"delta":{"role":"assistant",'),
    other.replace('"finish_reason"', '"logprobs":null,"finish_reason"'),
    `${other}{}`,
    other.slice(0, -1),
    '',
    '{}',
  ]) {
    assert.equal(repeated.textIn(not), null, not);
  }
});

test('the text of a repeated frame must be one JSON string', () => {
  const repeated = new RepeatedFrame();
  repeated.note(frame('Hello'), 'content', 'Hello');
  const [before, after] = frame('|').split('|') as [string, string];
  for (const source of ['a"b', 'a","role":"tool', 'a\nb', 'a\\', '\\x', '\\u12', '\u0000', '"', '\\"\\']) {
    assert.equal(repeated.textIn(before + source + after), null, JSON.stringify(source));
  }
  assert.equal(repeated.textIn(`${before}\\u0041\\/${after}`), 'A/');
});

test('a member of that name elsewhere in the frame makes the place uncertain, so such frames are parsed', () => {
  const repeated = new RepeatedFrame();
  const twice = (said: string): string =>
    JSON.stringify({ extra: { content: said }, choices: [{ delta: { content: said } }] });
  repeated.note(twice('a'), 'content', 'a');
  assert.equal(repeated.textIn(twice('b')), null);
});

test('Python’s space behind the colon is no hindrance', () => {
  const repeated = new RepeatedFrame();
  repeated.note('{"delta": {"content": "a"}}', 'content', 'a');
  assert.equal(repeated.textIn('{"delta": {"content": "b"}}'), 'b');
});

test('an upstream with random data in each frame is not compared any more, one with it at times is', () => {
  const repeated = new RepeatedFrame();
  const random = (count: number): void => {
    for (let at = 0; at < count; at++) {
      const odd = frame('x').replace('"c"', `"c","obfuscation":"${at}"`);
      assert.equal(repeated.textIn(odd), null);
      repeated.note(odd, 'content', 'x');
    }
  };
  random(10);
  repeated.note(frame('x'), 'content', 'x');
  assert.equal(repeated.textIn(frame('y')), 'y');
  random(10);
  repeated.note(frame('x'), 'content', 'x');
  assert.equal(repeated.textIn(frame('y')), 'y');
  random(20);
  repeated.note(frame('x'), 'content', 'x');
  assert.equal(repeated.textIn(frame('y')), null);
});

test('recognised frames are relayed byte for byte, with any text, in any pieces', () => {
  const random = randomFrom(20_261_121);
  const bits = [
    'word ',
    '"',
    '\\',
    '\n',
    'é',
    '漢',
    '🛶',
    '<think>',
    '</think>',
    '}',
    '{"a":1}',
    '\u2028',
    'data: x\n\n',
  ];
  for (let round = 0; round < 200; round++) {
    const said = Array.from({ length: 20 }, () => bits[Math.floor(random() * bits.length)] ?? '');
    const body = sse(ROLE, ...said.map(text), STOP, DONE);
    const bytes = Buffer.from(body);
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; ) {
      const end = at + 1 + Math.floor(random() * 300);
      pieces.push(bytes.subarray(at, end));
      at = end;
    }
    assert.equal(stream(pieces).text, body);
  }
});

test('their text counts for an estimate as it does when every frame is parsed', () => {
  const said = Array.from({ length: 60 }, (_, at) => (at % 7 === 0 ? ' "quoted"\n' : ` word${at}`));
  const plain = stream(sse(ROLE, ...said.map(text), STOP, DONE), { estimateUsage: 'exactly' });
  const whole = stream(sse(ROLE, text(said.join('')), STOP, DONE), { estimateUsage: 'exactly' });
  assert.ok(plain.stream.isUsageEstimated);
  assert.deepEqual(plain.stream.usage, whole.stream.usage);
});

test('stages that hold or split text still see it: think tags, halves of a character, a model that is renamed', () => {
  const words = ['<th', 'ink>a', 'b', '</thi', 'nk>c', 'd', 'e'].map(text);
  const split = read(sse(ROLE, ...words, STOP, DONE), { profile: { thinkTags: 'split' } });
  assert.equal(split.choices[0]?.content, 'cde');
  assert.equal(split.choices[0]?.reasoning, 'ab');

  const halves = ['a', 'b', '\\ud83d', '\\udef6', 'c'].map((source) =>
    JSON.stringify(text('|')).replace('|', source),
  );
  assert.equal(read(sse(ROLE, ...halves, STOP, DONE)).choices[0]?.content, 'ab🛶c');

  const renamed = read(sse(ROLE, text('a'), text('b'), text('c'), STOP, DONE), { replyModel: 'requested' });
  assert.doesNotMatch(renamed.text, /"model":"(?!asked-model)/);
  assert.equal(renamed.choices[0]?.content, 'abc');
});

test('text of two choices in turns, reasoning and then text, and text after a finish reason keep their places', () => {
  const of = (index: number, delta: object, finish: string | null = null): object =>
    chunk({}, null, { choices: [{ index, delta, logprobs: null, finish_reason: finish }] });
  const two = (index: number, said: string): object => of(index, { content: said });
  const begun = [0, 1].map((index) => of(index, { role: 'assistant', content: '' }));
  const ends = [0, 1].map((index) => of(index, {}, 'stop'));
  const turns = read(
    sse(...begun, two(0, 'a'), two(0, 'b'), two(1, 'x'), two(1, 'y'), two(0, 'c'), ...ends, DONE),
    { choiceCount: 2 },
  );
  assert.deepEqual(
    turns.choices.map(({ content }) => content),
    ['abc', 'xy'],
  );

  const thought = (said: string): object => chunk({ reasoning_content: said });
  const kinds = read(sse(ROLE, thought('1'), thought('2'), text('a'), text('b'), STOP, DONE));
  assert.equal(kinds.choices[0]?.reasoning, '12');
  assert.equal(kinds.choices[0]?.content, 'ab');

  const late = read(sse(ROLE, text('a'), text('b'), STOP, text('c'), DONE));
  assert.equal(late.choices[0]?.content, 'abc');
});
