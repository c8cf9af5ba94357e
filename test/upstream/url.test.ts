import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FerryError } from '../../src/lib/errors/ferry-error.ts';
import { type PathSettings, UpstreamPaths } from '../../src/upstream/url.ts';

const paths = (endpoint: string, settings: Partial<PathSettings> = {}): UpstreamPaths =>
  new UpstreamPaths({ endpoint: new URL(endpoint), query: {}, paths: {}, ...settings });

/** The endpoint, what follows our /v1, the client's query, and what the upstream gets. */
const JOINED: readonly [endpoint: string, path: string, query: string, built: string][] = [
  ['https://llm.example/v1', '/chat/completions', '', '/v1/chat/completions'],
  ['https://llm.example/v1/', '/chat/completions', '', '/v1/chat/completions'],
  ['https://llm.example/v2', '/embeddings', '', '/v2/embeddings'],
  ['https://llm.example', '/embeddings', '', '/embeddings'],
  ['https://llm.example/a/b//', '/files/f/content', '', '/a/b/files/f/content'],
  ['https://llm.example/v1', '', '', '/v1'],
  ['https://llm.example', '', '', '/'],
  ['https://llm.example/v1', '/files', 'limit=2&after=x', '/v1/files?limit=2&after=x'],
  ['https://llm.example/v1?key=1', '/files', '', '/v1/files?key=1'],
  ['https://llm.example/v1?key=1', '/files', 'limit=2', '/v1/files?limit=2&key=1'],
  ['https://llm.example/v1', '/files/a%2Fb', 'q=%20+', '/v1/files/a%2Fb?q=%20+'],
];

for (const [endpoint, path, query, built] of JOINED) {
  test(`${endpoint} and ${path || 'nothing'}?${query} give ${built}`, () => {
    const own = paths(endpoint);
    assert.equal(own.build(path, query, 'm'), built);
    assert.equal(own.build(path, query, 'other'), built, 'and again');
  });
}

test('the configured query is sent with every request, and a client cannot override it', () => {
  const own = paths('https://llm.example/v1?a=1', { query: { 'api-version': '2024 10', a: '2' } });
  const ours = 'a=2&api-version=2024+10';
  assert.equal(own.build('/files', '', 'm'), `/v1/files?${ours}`);
  for (const theirs of [
    'api-version=1',
    'api%2Dversion=1',
    'api-version',
    '%61pi-version=1&a=3',
    'a=1&a=2&a=3',
  ])
    assert.equal(own.build('/files', theirs, 'm'), `/v1/files?${ours}`, theirs);
  assert.equal(own.build('/files', 'x=1&api-version=1&&y', 'm'), `/v1/files?x=1&&y&${ours}`);
  assert.equal(own.build('/files', 'API-version=1', 'm'), `/v1/files?API-version=1&${ours}`);
});

test('a template replaces endpoint and path, for its own endpoint only', () => {
  const own = paths('https://llm.example/v1', {
    query: { 'api-version': '1' },
    paths: { chat: '/openai/deployments/{model}/chat/completions', embeddings: '/embed?x={model}' },
  });
  assert.equal(
    own.build('/chat/completions', '', 'gpt-4o'),
    '/openai/deployments/gpt-4o/chat/completions?api-version=1',
  );
  assert.equal(
    own.build('/chat/completions', 'q=1', 'b'),
    '/openai/deployments/b/chat/completions?q=1&api-version=1',
  );
  assert.equal(own.build('/embeddings', '', 'a b'), '/embed?x=a%20b&api-version=1');
  assert.equal(own.build('/completions', '', 'gpt-4o'), '/v1/completions?api-version=1');
});

test('a model cannot change the path of a template', () => {
  const own = paths('https://llm.example/v1', { paths: { chat: '/d/{model}/chat/{model}' } });
  const build = (model: string): string => own.build('/chat/completions', '', model);
  assert.equal(build('org/m:latest'), '/d/org%2Fm%3Alatest/chat/org%2Fm%3Alatest');
  assert.equal(build('a?b#c%2F'), '/d/a%3Fb%23c%252F/chat/a%3Fb%23c%252F');
  assert.equal(build('$&模型'), `/d/${encodeURIComponent('$&模型')}/chat/${encodeURIComponent('$&模型')}`);
  assert.equal(build('...'), '/d/.../chat/...');
  for (const model of ['.', '..', '\ud800', 'a\udc00']) {
    assert.throws(
      () => build(model),
      (error) => error instanceof FerryError && error.kind === 'invalid_request' && error.param === 'model',
    );
  }
});

test('paths named like members of Object are paths', () => {
  const own = paths('https://llm.example/v1');
  for (const path of ['/constructor', 'constructor', '__proto__', '/__proto__'])
    assert.equal(own.build(path, '', 'm'), `/v1${path}`);
});
