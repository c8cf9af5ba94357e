import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load, MINIMAL, problemsOf } from './config-text.ts';

test('a duplicate key is a problem at its second place', () => {
  assert.deepEqual(problemsOf(`${MINIMAL}timeout: 5\ntimeout: 6\n`), ['6 timeout: duplicate key']);
  assert.deepEqual(problemsOf(MINIMAL.replace('sk:', 'sk: a, sk:')), ['4 upstreams[0].sk: duplicate key']);
});

test('a syntax error has its line and a clear message, and the part before it is checked too', () => {
  assert.deepEqual(problemsOf(`wrkers: 1\nauthorization: "open\nupstreams: []\n`), [
    '1 wrkers: unknown key; did you mean "workers"?',
    '4 : YAML: a closing quote, bracket, comma or colon is missing',
  ]);
});

test('tabs, unknown tags and undefined aliases have different messages', () => {
  assert.match(problemsOf('record:\n\tcontent: all\n').join(), /2 : YAML: .*tabs/);
  assert.match(problemsOf('hostname: !secret x\n').join(), /1 : YAML: an unknown tag/);
  assert.match(problemsOf('hostname: *name\n').join(), /1 hostname: an alias/);
});

test('a second document is refused', () => {
  assert.match(problemsOf(`${MINIMAL}---\na: 1\n`).join(), /only one document is allowed/);
});

test('anchors, aliases and merged mappings work', () => {
  const { config } = load(`authorization: k
upstreams:
  - &base { endpoint: "https://a.example/v1", sk: one, timeout: 7 }
  - { <<: *base, name: other, timeout: 8 }
`);
  assert.equal(config.upstreams[1]?.endpoint, 'https://a.example/v1');
  assert.equal(config.upstreams[1]?.timeout, 8_000);
});

test('only mappings can be merged', () => {
  assert.match(
    problemsOf(`${MINIMAL}log: { <<: [1], level: info }\n`).join(),
    /5 log: << can only merge mappings/,
  );
});

test('aliases that multiply are stopped', () => {
  const levels = Array.from(
    { length: 12 },
    (_, index) => `l${index + 1}: &l${index + 1} [${`*l${index}, `.repeat(9)}]`,
  );
  const text = `l0: &l0 [x]\n${levels.join('\n')}\n`;
  assert.match(problemsOf(text).join(), /too large or too deeply nested/);
});

test('a recursive alias does not loop', () => {
  assert.ok(problemsOf('a: &a [*a]\n').length > 0);
  assert.ok(problemsOf('a: &a { b: *a }\n').length > 0);
});

test('nesting is limited', () => {
  assert.ok(problemsOf(`a: ${'['.repeat(5_000)}`).length > 0);
});

test('keys that mean something to JavaScript are ordinary unknown keys', () => {
  assert.deepEqual(problemsOf(`${MINIMAL}__proto__: { timeout: 1 }\nconstructor: 1\n`), [
    '5 __proto__: unknown key',
    '6 constructor: unknown key',
  ]);
  const { config } = load(MINIMAL.replace(' }', ', headers: { __proto__: a } }'));
  assert.deepEqual(Object.keys(config.upstreams[0]?.headers ?? {}), ['__proto__']);
});

test('a key that is no text is refused', () => {
  assert.match(problemsOf(`${MINIMAL}? [a]\n: b\n`).join(), /keys must be text/);
});
