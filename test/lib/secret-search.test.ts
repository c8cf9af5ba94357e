import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SecretRegistry } from '../../src/lib/secret.ts';
import { SecretSearch } from '../../src/lib/secret-search.ts';

/** A small generator with a seed: a failure can be played again. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test('the search finds what includes() finds, for random needles and texts of few letters', () => {
  const random = randomOf(7);
  const word = (length: number) => Array.from({ length }, () => 'ab-é模'[Math.floor(random() * 5)]).join('');
  for (let round = 0; round < 3_000; round++) {
    const needles = Array.from({ length: 1 + Math.floor(random() * 6) }, () =>
      word(6 + Math.floor(random() * 20)),
    );
    let text = word(Math.floor(random() * 60));
    for (const needle of needles) if (random() < 0.5) text += needle + word(Math.floor(random() * 5));
    const expected = needles.filter((needle) => text.includes(needle));
    assert.deepEqual(new Set(new SecretSearch(needles).findIn(text)), new Set(expected), `round ${round}`);
  }
});

test('a secret is found at every position, the very start and end included', () => {
  const needle = 'sk-0123456789abcdef';
  const search = new SecretSearch([needle, 'another-much-longer-secret-value']);
  for (let before = 0; before < 64; before++) {
    assert.deepEqual(search.findIn('x'.repeat(before) + needle), [needle]);
    assert.deepEqual(search.findIn(`${'x'.repeat(before) + needle}yy`), [needle]);
    assert.deepEqual(search.findIn('x'.repeat(before) + needle.slice(0, -1)), []);
  }
});

test('finds nothing in short and empty texts, and nothing without needles', () => {
  assert.deepEqual(new SecretSearch(['sk-0123456789abcdef']).findIn('sk-'), []);
  assert.deepEqual(new SecretSearch(['sk-0123456789abcdef']).findIn(''), []);
  assert.deepEqual(new SecretSearch([]).findIn('anything'), []);
});

test('a secret that contains another is replaced whole', () => {
  const secrets = new SecretRegistry();
  secrets.add('token-abcdef-12');
  secrets.add('token-abcdef-12-and-its-tail');
  assert.equal(
    secrets.scrub('a token-abcdef-12-and-its-tail b token-abcdef-12 c'),
    'a [redacted] b [redacted] c',
  );
});

test('a secret is scrubbed as it is, percent-encoded, and escaped in JSON up to three deep', () => {
  const secrets = new SecretRegistry();
  const value = 'a+b/c="quoted\\value"';
  secrets.add(value);
  let text = `${value} ${encodeURIComponent(value)}`;
  for (let depth = 0; depth < 3; depth++) {
    assert.ok(!secrets.scrub(text).includes('quoted'), `depth ${depth}`);
    text = JSON.stringify({ text });
  }
  secrets.delete(value);
  assert.equal(secrets.scrub(text), text);
});

test('a secret is scrubbed from its registration until its retention ends', () => {
  const secrets = new SecretRegistry();
  secrets.add('first-secret-value');
  const text = 'first-secret-value second-secret-value';
  assert.equal(secrets.scrub(text), '[redacted] second-secret-value');
  secrets.add('second-secret-value');
  assert.equal(secrets.scrub(text), '[redacted] [redacted]');
  secrets.delete('first-secret-value');
  assert.equal(secrets.scrub(text), 'first-secret-value [redacted]');
});
