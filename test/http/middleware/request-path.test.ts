import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRequestPath, RequestPaths } from '../../../src/http/middleware/request-path.ts';
import { FerryError } from '../../../src/lib/errors/ferry-error.ts';
import { cpuMsSince } from '../../helpers/cpu-time.ts';
import { randomFrom } from '../../helpers/seeded-random.ts';

const BASE = '/agent/api/llm_proxy';

/** What clients send, and the path and query that are meant. */
const SPELLINGS: readonly [target: string, path: string, query?: string][] = [
  ['/v1/chat/completions', '/v1/chat/completions'],
  ['/chat/completions', '/v1/chat/completions'],
  ['/v1/v1/v1/chat/completions', '/v1/chat/completions'],
  ['//v1//chat///completions//', '/v1/chat/completions'],
  ['/v1/chat/completions/chat/completions', '/v1/chat/completions'],
  ['/v1/embeddings/v1/chat/completions', '/v1/chat/completions'],
  ['/v1/models/chat/completions', '/v1/chat/completions'],
  [`${BASE}/v1/embeddings`, '/v1/embeddings'],
  [`${BASE}/embeddings/`, '/v1/embeddings'],
  [BASE, '/v1'],
  ['/v1', '/v1'],
  ['/', '/v1'],
  ['/rerank?a=1', '/v1/rerank', 'a=1'],
  ['/v1/files?', '/v1/files', ''],
  ['/v1/files?a=/../&b=?#c', '/v1/files', 'a=/../&b=?'],
  ['/v1/files#?a=1', '/v1/files', ''],
  ['http://evil.example/v1/files?a=1', '/v1/files', 'a=1'],
  ['HTTPS://evil.example', '/v1'],
  ['/v1/models/org/m:latest', '/v1/models/org/m:latest'],
  ['/v1/models/org%2Fm%3Alatest', '/v1/models/org%2Fm%3Alatest'],
  ['/v1/models/%E6%A8%A1', '/v1/models/%E6%A8%A1'],
  ['/v1/%66iles/%7ea%2Db%5Fc%2Ed', '/v1/files/~a-b_c.d'],
  ['/v1/files/a%20b%25.c', '/v1/files/a%20b%25.c'],
  ['/v1/files/a..b/...', '/v1/files/a..b/...'],
  ['/v2/rerank', '/v1/rerank'],
  ['/v1/v2/rerank/', '/v1/rerank'],
  ['/openai/deployments/m/chat/completions?api-version=2024-10-21', '/v1/chat/completions', ''],
  ['/openai/deployments/m/completions?a=1&api-version=1', '/v1/completions', 'a=1'],
  ['/v1/openai/deployments/org%2Fm/embeddings', '/v1/embeddings'],
  ['/anthropic/v1/messages?beta=true', '/v1/messages', 'beta=true'],
  ['/anthropic/messages', '/v1/messages'],
  ['/v1/anthropic/v1/messages/count_tokens', '/v1/messages/count_tokens'],
  [`${BASE}/anthropic/v1/models/m`, '/v1/models/m'],
  ['/livez', '/livez'],
  [`${BASE}/readyz/`, '/readyz'],
  ['/metrics', '/metrics'],
  ['/v1/metrics', '/v1/metrics'],
  ['/admin/status', '/admin/status'],
  ['/v1/admin/status', '/v1/admin/status'],
];

for (const [target, path, query = ''] of SPELLINGS) {
  test(`${target} is ${path}`, () => {
    const read = parseRequestPath(target, BASE);
    assert.deepEqual([read.path, read.query], [path, query]);
    assert.deepEqual(parseRequestPath(read.path, BASE).path, path, 'and stays it');
  });
}

test('a path outside the API is not sent to an upstream', () => {
  for (const [target, isApi] of [
    ['/v1/anything', true],
    ['/files', true],
    ['/responses/r', true],
    ['/', false],
    ['/favicon.ico', false],
    ['/filesx', false],
    ['/v1x/models', false],
    ['/v2/chat/completions', false],
    ['/v2/rerank', true],
    ['/openai/deployments/m/chat/completions', true],
    ['/openai/deployments/m/files', false],
    ['/anthropic/v1/messages', true],
    ['/anthropic/x', false],
    ['/anthropic', false],
    ['/livez', false],
  ] as const)
    assert.equal(parseRequestPath(target, '').isApi, isApi, target);
});

for (const target of [
  'v1/files',
  '*',
  '',
  'evil.example:443',
  'ftp://evil.example/v1',
  '/v1/..',
  '/v1/../admin',
  '/..',
  '/.',
  '/v1/./files',
  '/v1/%2e%2E/files',
  '/v1/.%2e/files',
  '/v1/%2e/files',
  '/v1/files/..%2Fadmin',
  '/v1/files%2f..',
  '/v1/files/..;/admin',
  '/v1/files;a=b',
  '/v1/files%3Ba',
  '/v1\\files',
  '/v1/%5Cfiles',
  '/v1/files/a%00',
  '/v1/files/a%0d%0ab',
  '/v1/files/a%7F',
  '/v1/files/a b',
  '/v1/files/a\tb',
  '/v1/files%2Fa',
  '/v1/organization%2fusers',
  '/models%2F..',
  '/v1/%256frganization/users',
  '/v1/%25%36%66rganization/users',
  '/v1/x/%252e%252e/files',
  '/v1/x/%25252e%25252e/files',
  '/v1/models/a%252fb',
  '/v1/%c0%af/files',
  '/v1/x/%c0%ae%c0%ae/files',
  '/v1/x/%u002e%u002e/files',
  '/v1/files/%ff',
  '/v1/files/%zz',
  '/v1/files/%',
  '/v1/organization./users',
  '/v1/organization%2e%2E/users',
  '/v1/files/a.',
  '/v1/organization%20/users',
  '/v1/files/a%20',
]) {
  test(`${JSON.stringify(target)} is refused`, () => {
    assert.throws(
      () => parseRequestPath(target, BASE),
      (error) => error instanceof FerryError && error.kind === 'invalid_request',
    );
  });
}

test('every parsed path has one /v1, no empty or dot segment, and is normalised to itself', () => {
  const random = randomFrom(3);
  const parts = [
    '/',
    '//',
    'v1',
    'chat',
    'completions',
    'models',
    '%2F',
    '..',
    '.',
    '%2e',
    'a',
    'agent',
    '%41',
  ];
  let read = 0;
  for (let count = 0; count < 5_000; count++) {
    const length = 1 + Math.floor(random() * 8);
    const target = `/${Array.from({ length }, () => parts[Math.floor(random() * parts.length)]).join('')}`;
    let path: string;
    try {
      path = parseRequestPath(target, BASE).path;
    } catch {
      continue;
    }
    read += 1;
    assert.match(path, /^\/v1(?!\/v1(?:\/|$))(?:\/[^/]+)*$/, target);
    assert.doesNotMatch(path, /\/\.{1,2}(?:\/|$)/, target);
    assert.equal(parseRequestPath(path, BASE).path, path, target);
  }
  assert.ok(read > 500);
});

test('remembered paths are the same paths, and a flood of new ones is not remembered', () => {
  const paths = new RequestPaths(`${BASE}/`);
  for (const [target, path] of SPELLINGS) {
    assert.equal(paths.parse(target).path, path);
    assert.equal(paths.parse(target), paths.parse(target), 'the same object');
  }
  for (let count = 0; count < 1_000; count++) paths.parse(`/v1/files/${count}`);
  assert.notEqual(paths.parse('/v1/files/999'), paths.parse('/v1/files/999'));
  assert.throws(() => paths.parse('/v1/..'));
  assert.throws(() => paths.parse('/v1/..'), 'and again');
});

test('the longest target that limits.header_bytes allows is parsed in milliseconds', () => {
  for (const part of [
    '/models',
    '/v1',
    '/v1/chat/completions',
    '/',
    '/%41',
    '/a%2',
    '%2',
    '/.a',
    '?',
    '#?',
    '/;',
  ]) {
    const target = `/${part.repeat(64_000 / part.length)}`;
    const began = process.cpuUsage();
    try {
      parseRequestPath(target, BASE);
    } catch (error) {
      assert.ok(error instanceof FerryError, part);
    }
    assert.ok(cpuMsSince(began) < 200, `${part}: ${cpuMsSince(began)} ms`);
  }
});
