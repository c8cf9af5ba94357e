import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anyMatcher, globMatcher } from '../../src/routing/glob.ts';
import { cpuMsSince } from '../helpers/cpu-time.ts';
import { randomFrom } from '../helpers/seeded-random.ts';

/** A pattern, what it matches, and what it does not. */
const PATTERNS: readonly [pattern: string, yes: readonly string[], no: readonly string[]][] = [
  ['gpt-4o', ['gpt-4o'], ['gpt-4o-mini', 'GPT-4o', '', 'xgpt-4o']],
  ['*', ['gpt-4o', 'a/b', '', '/v1/files', 'a\nb'], []],
  ['**', ['gpt-4o', 'a/b', ''], []],
  ['gpt-4*', ['gpt-4', 'gpt-4o', 'gpt-4/x'], ['gpt-3', 'my-gpt-4']],
  ['*-mini', ['gpt-4o-mini', '-mini'], ['gpt-4o-mini-2', 'mini']],
  ['org/*', ['org/model', 'org/a/b', 'org/'], ['org', 'other/model']],
  ['gpt-?o', ['gpt-4o', 'gpt-/o'], ['gpt-o', 'gpt-44o']],
  ['a*b*c', ['abc', 'aXbYc'], ['acb', 'abcd']],
  ['/v1/files', ['/v1/files'], ['/v1/files/f', '/v1/file']],
  ['/v1/files/*', ['/v1/files/f', '/v1/files/'], ['/v1/files', '/v1/files/f/content']],
  ['/v1/files/**', ['/v1/files/f', '/v1/files/f/content'], ['/v1/files', '/v1/file/f']],
  ['/v1/*/content', ['/v1/f/content'], ['/v1/a/b/content']],
  ['/v1/file?', ['/v1/files'], ['/v1/file', '/v1/file/']],
  ['gpt-4.1', ['gpt-4.1'], ['gpt-4x1']],
  ['gpt-4.*', ['gpt-4.1'], ['gpt-4x1']],
  ['a+b(c)[d]{e}|f^g$h\\*', ['a+b(c)[d]{e}|f^g$h\\', 'a+b(c)[d]{e}|f^g$h\\x'], ['aab', 'f']],
  ['模型-*', ['模型-一'], ['模-一']],
];

for (const [pattern, yes, no] of PATTERNS) {
  test(`${pattern} matches ${yes.length} names of the table and no other`, () => {
    const matches = globMatcher(pattern);
    for (const text of yes) assert.ok(matches(text), JSON.stringify(text));
    for (const text of no) assert.ok(!matches(text), JSON.stringify(text));
  });
}

test('several patterns match what one of them does; none match nothing', () => {
  const matches = anyMatcher(['gpt-*', '/v1/embeddings']);
  assert.ok(matches('gpt-4o'));
  assert.ok(matches('/v1/embeddings'));
  assert.ok(!matches('bge-m3'));
  assert.ok(!anyMatcher([])(''));
});

test('patterns with several stars mean what the same regular expression means', () => {
  const random = randomFrom(7);
  const pick = (letters: string): string => letters[Math.floor(random() * letters.length)] ?? '';
  const word = (letters: string, most: number): string =>
    Array.from({ length: Math.floor(random() * most) }, () => pick(letters)).join('');
  for (let count = 0; count < 5_000; count++) {
    const pattern = `${pick('a/')}${word('ab/*?', 8)}*${word('ab/*?', 4)}`;
    const isPath = pattern.startsWith('/');
    const source = pattern.replace(/\*\*|\*|\?/g, (part) =>
      part === '**' || !isPath ? (part === '?' ? '.' : '.*') : part === '?' ? '[^/]' : '[^/]*',
    );
    // Long ones are matched in another way than short ones.
    const text = `${pick('a/')}${word('ab/', 8)}${count % 2 === 0 ? '' : 'ab'.repeat(80)}${word('ab/', 4)}`;
    assert.equal(globMatcher(pattern)(text), new RegExp(`^${source}$`).test(text), `${pattern} ${text}`);
  }
});

test('no pattern is slow: a name of a hundred thousand characters takes less than a second', () => {
  for (const pattern of [
    `${'*a'.repeat(8)}b`,
    '*gpt*mini*x',
    '/v1/*a*b',
    '/v1/**a**b',
    '*a',
    'a*',
    '*aaab*',
    '***b',
  ]) {
    const began = process.cpuUsage();
    globMatcher(pattern)(`${pattern.startsWith('/') ? '/v1/' : ''}${'a'.repeat(100_000)}`);
    globMatcher(pattern)('gpt'.repeat(30_000));
    assert.ok(cpuMsSince(began) < 1_000, `${pattern}: ${cpuMsSince(began)} ms`);
  }
});
