import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Secret } from '../../src/secret.ts';
import { proxyOf } from '../../src/upstream/upstream-proxy.ts';

const ENVIRONMENT = new Secret('environment');
const ORIGIN = 'https://llm.corp.example:8443';

test('a proxy is the one that is configured, and without one there is none, whatever the environment says', () => {
  const env = { HTTPS_PROXY: 'http://other:1' };
  assert.equal(proxyOf(ORIGIN, new Secret('http://u:p@proxy:3128'), env), 'http://u:p@proxy:3128');
  assert.equal(proxyOf(ORIGIN, undefined, env), null);
});

test('environment: HTTPS_PROXY for https, HTTP_PROXY for both, small letters first', () => {
  const of = (origin: string, env: Record<string, string>) => proxyOf(origin, ENVIRONMENT, env);
  assert.equal(of(ORIGIN, {}), null);
  assert.equal(of(ORIGIN, { HTTPS_PROXY: 'http://s:1', HTTP_PROXY: 'http://h:1' }), 'http://s:1');
  assert.equal(of('http://llm', { HTTPS_PROXY: 'http://s:1', HTTP_PROXY: 'http://h:1' }), 'http://h:1');
  assert.equal(of('http://llm', { HTTPS_PROXY: 'http://s:1' }), null);
  assert.equal(of(ORIGIN, { HTTP_PROXY: 'http://h:1' }), 'http://h:1');
  assert.equal(of(ORIGIN, { HTTPS_PROXY: 'http://s:1', https_proxy: 'http://small:1' }), 'http://small:1');
});

test('environment: NO_PROXY exempts names, those below them, ports and everything', () => {
  const isExempt = (list: string, origin = ORIGIN): boolean =>
    proxyOf(origin, ENVIRONMENT, { HTTPS_PROXY: 'http://s:1', NO_PROXY: list }) === null;
  for (const list of [
    '*',
    'corp.example',
    '.corp.example',
    '*.corp.example',
    'a b,llm.corp.example',
    'LLM.corp.example:8443',
  ])
    assert.ok(isExempt(list), list);
  for (const list of ['', 'example.com', 'lm.corp.example', 'llm.corp.example:443', 'llm', ','])
    assert.ok(!isExempt(list), list);
  assert.ok(isExempt('127.0.0.1', 'https://127.0.0.1:9'));
  assert.ok(isExempt('llm.corp.example:443', 'https://llm.corp.example'));
});
