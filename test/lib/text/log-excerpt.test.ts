import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SecretRegistry } from '../../../src/lib/secret.ts';
import { logExcerpt } from '../../../src/lib/text/log-excerpt.ts';

const secrets = new SecretRegistry();
secrets.add('known-secret');
const excerpt = (text: string, keep?: 'beginning' | 'end') =>
  logExcerpt(text, (words) => secrets.scrub(words), keep);

const SENTENCES: readonly [string, string][] = [
  ['bad known-secret here', 'bad [redacted] here'],
  ['login failed: password=hunter2', 'login failed: password=[...]'],
  ['password: hunter', 'password: [...]'],
  ['client_secret = "two words" refused', 'client_secret = [...] refused'],
  ['{"access_token": "abc-1", "ttl": 5}', '{ access_token : [...], ttl : 5}'],
  ["{'apiKey': 'k-77'}", "{'apiKey': [...]}"],
  ['Authorization: Bearer abc.1', 'Authorization: Bearer [...]'],
  ['GET /t?access_token=a1&x=2 failed', 'GET /t?access_token=[...]&x=2 failed'],
  ['cannot reach https://me:pw@sso.corp.example/t', 'cannot reach https://[...]@sso.corp.example/t'],
  ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOjF9.c2ln is over', '[...] is over'],
  // What mentions a secret without containing it stays readable.
  ['invalid token: expired', 'invalid token: expired'],
  ['The key is of another tenant', 'The key is of another tenant'],
  ['two\n  lines', 'two lines'],
];

for (const [text, expected] of SENTENCES) {
  test(`foreign text is quoted as ${JSON.stringify(expected)}`, () => assert.equal(excerpt(text), expected));
}

test('foreign text is cut to its beginning, or to its end', () => {
  const text = `first ${'x y '.repeat(2_000)}last`;
  assert.equal(excerpt(text).length, 200);
  assert.match(excerpt(text), /^first/);
  assert.match(excerpt(text, 'end'), /last$/);
});

test('a text of megabytes costs no more than its beginning', () => {
  const started = performance.now();
  excerpt('token'.repeat(1_000_000));
  excerpt('"key'.repeat(1_000_000), 'end');
  assert.ok(performance.now() - started < 5_000);
});
