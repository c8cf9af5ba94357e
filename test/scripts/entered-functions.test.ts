import assert from 'node:assert/strict';
import { test } from 'node:test';
import { enteredFunctions, firstCalls, stopsOf, withoutIdle } from '../../scripts/entered-functions.ts';

const ROOT = 'file:///app/';

/** One thread's report: file → function → calls. Functions lie behind each other, 100 characters each. */
function report(files: Readonly<Record<string, Readonly<Record<string, number>>>>) {
  const result = Object.entries(files).map(([file, calls]) => {
    const functions = Object.entries(calls).map(([functionName, count], index) => ({
      functionName,
      ranges: [{ startOffset: index * 100, endOffset: index * 100 + 100, count }],
    }));
    const whole = { functionName: '', ranges: [{ startOffset: 0, endOffset: 900, count: 1 }] };
    return { url: ROOT + file, functions: [whole, ...functions] };
  });
  return { result };
}

function entered(...threads: ReturnType<typeof report>[]) {
  return enteredFunctions(threads, ROOT);
}

test('a function counts when the request calls it and no idle run does', () => {
  const first = entered(report({ 'src/http/route.ts': { probe: 1, answer: 0, flush: 0 } }));
  const second = entered(report({ 'src/http/route.ts': { probe: 1, answer: 0, flush: 2 } }));
  const request = entered(report({ 'src/http/route.ts': { probe: 3, answer: 1, flush: 1, never: 0 } }));
  const left = withoutIdle(request, [first, second]);
  assert.deepEqual(left, [{ file: 'src/http/route.ts', name: 'answer', start: 100, end: 200 }]);
});

test('functions of one name are distinguished by their place', () => {
  const idle = entered(report({ 'src/a.ts': { run: 1 }, 'src/b.ts': { other: 1, run: 0 } }));
  const request = entered(report({ 'src/a.ts': { run: 1 }, 'src/b.ts': { other: 1, run: 1 } }));
  const files = withoutIdle(request, [idle]).map(({ file }) => file);
  assert.deepEqual(files, ['src/b.ts']);
});

test('what a worker calls counts, and what two threads call counts once', () => {
  const main = report({ 'src/row.ts': { read: 1, write: 0 } });
  const worker = report({ 'src/row.ts': { read: 1, write: 1 } });
  assert.deepEqual(
    entered(main, worker).map(({ name }) => name),
    ['read', 'write'],
  );
});

test('modules themselves, packages and tests do not count', () => {
  const found = entered(
    report({ 'src/table.ts': {}, 'node_modules/p/src/index.js': { run: 1 }, 'test/a.ts': { run: 1 } }),
  );
  assert.deepEqual(found, []);
});

test('files and their functions stand in the order of the first calls, unlogged ones last', () => {
  const log = [
    'script-details,7,/app/src/late.ts,0,0,',
    'script-details,8,file:///app/src/late.ts,0,0,',
    'script-details,9,file:///app/src/early.ts,0,0,',
    'script-details,10,file:///app/node_modules/p/index.js,0,0,',
    'function,full-parse,9,20,100,0.1,998,first',
    'function,interpreter,9,220,300,0.1,999,<instance_members_initializer>',
    'function,interpreter,9,120,200,0.1,1000,second',
    'function,interpreter,10,20,100,0.1,1001,foreign',
    'function,interpreter,8,20,100,0.1,1002,only',
    'function,interpreter,9,20,100,0.1,1004,first',
    '',
  ].join('\n');
  const functions = entered(
    report({
      'src/never-logged.ts': { a: 1 },
      'src/late.ts': { only: 1 },
      'src/early.ts': { first: 1, second: 1, '<instance_members_initializer>': 1 },
    }),
  );
  const stops = stopsOf(functions, firstCalls(log, ROOT));
  assert.deepEqual(
    stops.map(({ file, functions: inside }) => [file, ...inside.map(({ name }) => name)]),
    [
      ['src/early.ts', 'second', 'first', '<instance_members_initializer>'],
      ['src/late.ts', 'only'],
      ['src/never-logged.ts', 'a'],
    ],
  );
});
