import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Secret } from '../../src/lib/secret.ts';
import { proxyOf } from '../../src/upstream/transport/upstream-proxy.ts';

const ENVIRONMENT = new Secret('environment');
const ORIGIN = 'https://llm.corp.example:8443';

test('a proxy is the one that is configured, and without one there is none, whatever the environment says', () => {
  const env = { HTTPS_PROXY: 'http://other:1' };
  assert.equal(proxyOf(ORIGIN, new Secret('http://u:p@proxy:3128'), env), 'http://u:p@proxy:3128');
  assert.equal(proxyOf(ORIGIN, undefined, env), null);
});

test('environment: the variables decide', () => {
  const env = { HTTPS_PROXY: 'http://s:1', NO_PROXY: '[fd00::]/8' };
  assert.equal(proxyOf(ORIGIN, ENVIRONMENT, env), 'http://s:1');
  assert.equal(proxyOf('https://[fd00::1]:8443', ENVIRONMENT, env), null);
});
