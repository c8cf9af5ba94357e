import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemberEdits } from '../../../src/lib/json/json-edits.ts';
import {
  JsonValueScanner,
  readElements,
  readMembers,
  surveyJson,
} from '../../../src/lib/json/json-scanner.ts';
import { cpuMsSince } from '../../helpers/cpu-time.ts';
import { randomFrom } from '../../helpers/seeded-random.ts';

const text = '{ "model" : "a",\n "n": 12345678901234567890, "t":1.0,"x":{"y":[1,"}"]}\t}';

test('members are found with their spans, whatever their values hold', () => {
  const found = readMembers(text).map((m) => [m.key, text.slice(m.valueStart, m.valueEnd)]);
  assert.deepEqual(found, [
    ['model', '"a"'],
    ['n', '12345678901234567890'],
    ['t', '1.0'],
    ['x', '{"y":[1,"}"]}'],
  ]);
});

test('keys written with escapes are the keys they mean, and duplicates are all listed', () => {
  const members = readMembers('{"\\u006dodel":1,"model":2,"a\\"b":"\\\\","":[]}');
  assert.deepEqual(
    members.map((m) => m.key),
    ['model', 'model', 'a"b', ''],
  );
});

test('elements of an array are found with their spans', () => {
  const array = '[ "a]" , 1.0,[2,[3]],{"b":"]"} ,null ]';
  assert.deepEqual(
    readElements(array).map((e) => array.slice(e.start, e.end)),
    ['"a]"', '1.0', '[2,[3]]', '{"b":"]"}', 'null'],
  );
  assert.deepEqual(readElements('[ ]'), []);
});

test('an edit changes its member and leaves every other byte', () => {
  const edits = new MemberEdits(text);
  edits.replace('model', '"b"');
  edits.remove('t');
  edits.rename('n', 'm');
  edits.insert('k', 'true');
  assert.equal(
    edits.toString(),
    '{ "model" : "b",\n "m": 12345678901234567890, "x":{"y":[1,"}"]},"k":true\t}',
  );
  assert.equal(edits.valueOf('t'), '1.0');
});

test('removing the first, the last, the last two and all members leaves valid JSON', () => {
  const cases: [string[], string][] = [
    [['a'], '{ "b":2 , "c":3 }'],
    [['c'], '{ "a":1, "b":2 }'],
    [['b', 'c'], '{ "a":1 }'],
    [['a', 'b', 'c'], '{  }'],
    [['a', 'c'], '{ "b":2 }'],
  ];
  for (const [keys, expected] of cases) {
    const edits = new MemberEdits('{ "a":1, "b":2 , "c":3 }');
    for (const key of keys) edits.remove(key);
    assert.equal(edits.toString(), expected);
  }
});

test('without changes the text is the same string', () => {
  const edits = new MemberEdits(text);
  edits.remove('absent');

  assert.equal(edits.toString(), text);
});

test('a member is added to an empty object', () => {
  const edits = new MemberEdits('{ }');
  edits.insert('a', '1');
  edits.insert('b', '2');
  assert.deepEqual(JSON.parse(edits.toString()), { a: 1, b: 2 });
});

test('edits agree with JSON.parse on 3000 random objects (seeded)', () => {
  const random = randomFrom(7);
  for (let round = 0; round < 3000; round++) {
    const { json, keys } = randomObject(random);
    const expected = new Map(Object.entries(JSON.parse(json) as Record<string, unknown>));
    assert.deepEqual(new Set(readMembers(json).map((m) => m.key)), new Set(keys), json);
    const edits = new MemberEdits(json);
    for (const key of new Set(keys)) {
      const choice = random();
      if (choice < 0.3) {
        edits.remove(key);
        expected.delete(key);
      } else if (choice < 0.5) {
        edits.replace(key, '{"new":[1]}');
        expected.set(key, { new: [1] });
      }
    }
    if (random() < 0.5) {
      edits.insert('inserted', '"é"');
      expected.set('inserted', 'é');
    }
    const after = JSON.parse(edits.toString()) as Record<string, unknown>;
    assert.deepEqual(new Map(Object.entries(after)), expected, json);
  }
});

test('text that is not JSON ends without an error', () => {
  const random = randomFrom(11);
  const alphabet = '{}[]",:\\ \n1ea';
  for (let round = 0; round < 3000; round++) {
    let noise = '{';
    for (let i = 0; i < 20; i++) noise += alphabet[Math.floor(random() * alphabet.length)];
    try {
      readMembers(noise);
      readElements(noise);
    } catch (error) {
      assert.ok(error instanceof SyntaxError, noise);
    }
  }
});

test('50 MB of a data URI, of backslashes and of brackets are scanned in linear time', () => {
  const bodies = [
    `{"model":"m","image":"${'A'.repeat(50_000_000)}","z":1}`,
    `{"model":"m","image":"${'\\\\'.repeat(5_000_000)}","z":1}`,
    `{"model":"m","image":"${'\\"'.repeat(2_500_000)}","z":1}`,
    `{"model":"m","deep":${'['.repeat(2_000_000)}${']'.repeat(2_000_000)},"z":1}`,
  ];
  for (const body of bodies) {
    const began = process.cpuUsage();
    assert.equal(readMembers(body).length, 3);
    assert.ok(cpuMsSince(began) < 2000);
  }
});

function randomObject(random: () => number): { json: string; keys: string[] } {
  const keys: string[] = [];
  const space = (): string => [' ', '', '\n', '\t ', ''][Math.floor(random() * 5)] ?? '';
  const members: string[] = [];
  const count = Math.floor(random() * 6);
  for (let i = 0; i < count; i++) {
    const key = ['model', 'a"b', 'stream', '\\', 'ü😀', '', '{', '__proto'][Math.floor(random() * 8)] ?? '';
    keys.push(key);
    members.push(`${JSON.stringify(key)}${space()}:${space()}${randomValue(random, 0)}`);
  }
  const json = `{${space()}${members.map((m) => m + space()).join(`,${space()}`)}}`;
  return { json, keys };
}

function randomValue(random: () => number, depth: number): string {
  const leaves = ['1.0', '-2e10', '""', '"a\\\\"', '"\\"}"', 'null', 'true', '12345678901234567890', '"],"'];
  const choice = random();
  if (depth > 3 || choice < 0.6) return leaves[Math.floor(random() * leaves.length)] ?? '0';
  const items = Array.from({ length: Math.floor(random() * 4) }, () => randomValue(random, depth + 1));
  if (choice < 0.8) return `[${items.join(' , ')}]`;
  return `{${items.map((item, i) => `"k${i}":${item}`).join(',')}}`;
}

const LIMITS = { levels: 9, containers: 99, strings: 99, members: 99, values: 99 };

test('a survey finds the same members as a search for them alone (seeded)', () => {
  const random = randomFrom(11);
  const pieces = ['1', '-2.5e3', '"x\\"}"', 'true', 'null', '[1,[2]]', '{"a":{"b":[]}}', '""', '[]', '{ }'];
  const space = (): string => ['', '', ' ', '\n\t'][Math.floor(random() * 4)] ?? '';
  for (let round = 0; round < 2000; round++) {
    const members = Array.from({ length: Math.floor(random() * 5) }, (_, index) => {
      const value = pieces[Math.floor(random() * pieces.length)];
      return `${space()}"k\\u0041${index}"${space()}:${space()}${value}${space()}`;
    });
    const object = `${space()}{${members.join(',')}}${space()}`;
    assert.deepEqual(surveyJson(object, LIMITS), { exceeded: null, members: readMembers(object) }, object);
  }
});

test('a survey counts the values of a text that is long enough to have too many', () => {
  const survey = surveyJson(`{"a":[${'1,'.repeat(150)}1],"b":[]}`, LIMITS);
  assert.equal(survey.exceeded, 'values');
});

test('a survey of invalid JSON takes linear time', () => {
  const start = process.cpuUsage();
  for (const piece of ['"a":"b":', '"a":x', '{"a":', '" "']) {
    surveyJson(`{${piece.repeat(9_000)}${'x'.repeat(10_000_000)}`, { ...LIMITS, members: 1e4, strings: 1e6 });
  }
  assert.ok(cpuMsSince(start) < 2_000);
});

test('the end of a value is found at every division of its text into pieces', () => {
  const value = '{"a\\\\":"x\\"}","b":[{},"\\\\"],"c":"\\u00e9\\\\\\""}';
  for (let first = 0; first <= value.length; first++) {
    for (let second = first; second <= value.length; second++) {
      const scanner = new JsonValueScanner();
      const pieces = [value.slice(0, first), value.slice(first, second), `${value.slice(second)} {"next":1}`];
      const ends = pieces.map((piece) => {
        const goesOn = scanner.isInside || piece.startsWith('{');
        return goesOn ? scanner.scan(piece, 0) : -1;
      });
      const whole = first === value.length ? 0 : second === value.length ? 1 : 2;
      if (first === value.length) assert.equal(ends[0], value.length);
      else assert.equal(ends[whole], value.length - (whole === 1 ? first : second));
    }
  }
});
