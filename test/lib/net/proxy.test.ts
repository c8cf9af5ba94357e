import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proxyFor } from '../../../src/lib/net/proxy.ts';
import { Secret } from '../../../src/lib/secret.ts';

const environmentProxy = (url: string, env: Readonly<Record<string, string>>) =>
  proxyFor(url, 'environment', env);

function isExempt(list: string, url: string): boolean {
  const env = { HTTP_PROXY: 'http://h:1', HTTPS_PROXY: 'http://s:1', NO_PROXY: list };
  return environmentProxy(url, env) === null;
}

function check(rows: readonly (readonly [list: string, url: string, exempt: boolean])[]): void {
  for (const [list, url, expected] of rows)
    assert.equal(isExempt(list, url), expected, `"${list}" for ${url}`);
}

test('HTTPS_PROXY for https, HTTP_PROXY for both, small letters first, empty ones as if absent', () => {
  const [secure, plain] = ['https://llm.corp.example:8443', 'http://llm'];
  const both = { HTTPS_PROXY: 'http://s:1', HTTP_PROXY: 'http://h:1' };
  assert.equal(environmentProxy(secure, {}), null);
  assert.equal(environmentProxy(secure, both), 'http://s:1');
  assert.equal(environmentProxy(plain, both), 'http://h:1');
  assert.equal(environmentProxy(plain, { HTTPS_PROXY: 'http://s:1' }), null);
  assert.equal(environmentProxy(secure, { HTTP_PROXY: 'http://h:1' }), 'http://h:1');
  assert.equal(environmentProxy(secure, { ...both, https_proxy: 'http://small:1' }), 'http://small:1');
  assert.equal(environmentProxy(secure, { ...both, https_proxy: '' }), 'http://s:1');
  assert.equal(environmentProxy(plain, { HTTP_PROXY: 'proxy.corp:3128' }), 'http://proxy.corp:3128');
  assert.equal(environmentProxy(plain, { HTTP_PROXY: 'u:p@proxy.corp:3128' }), 'http://u:p@proxy.corp:3128');
});

test('an invalid proxy variable is reported by its name, without its value', () => {
  for (const value of ['socks5://u:secret@proxy:1080', 'http://u:secret@', 'u:secret@proxy:port'])
    assert.throws(
      () => environmentProxy('http://llm', { HTTP_PROXY: value }),
      (error: Error) =>
        /variable HTTP_PROXY is no URL/.test(error.message) && !/secret/.test(String(error.stack)),
      value,
    );
});

test('NO_PROXY: a host, all below it, and with a port only that port', () => {
  check([
    ['', 'https://llm.corp.example', false],
    [',', 'https://llm.corp.example', false],
    ['.', 'https://llm.corp.example', false],
    ['llm.corp.example', 'https://llm.corp.example', true],
    ['lm.corp.example', 'https://llm.corp.example', false],
    ['llm', 'https://llm.corp.example', false],
    ['corp.example', 'https://llm.corp.example', true],
    ['corp.example', 'https://corp.example', true],
    ['.corp.example', 'https://llm.corp.example', true],
    ['.corp.example', 'https://corp.example', true],
    ['.corp.example', 'https://xcorp.example', false],
    ['*.corp.example', 'https://llm.corp.example', true],
    ['*.corp.example', 'https://corp.example', false],
    ['*.corp.example', 'https://xcorp.example', false],
    ['llm.corp.example:8443', 'https://llm.corp.example:8443', true],
    ['llm.corp.example:8443', 'https://llm.corp.example', false],
    ['llm.corp.example:443', 'https://llm.corp.example', true],
    ['llm.corp.example:80', 'http://llm.corp.example', true],
    ['.corp.example:443', 'https://llm.corp.example', true],
    ['corp.example.', 'https://llm.corp.example', true],
    ['corp.example', 'https://llm.corp.example.', true],
  ]);
});

test('NO_PROXY: everything, several entries, blanks and capitals', () => {
  check([
    ['*', 'https://llm.corp.example', true],
    ['*', 'https://[::1]', true],
    ['*:443', 'https://llm.corp.example', true],
    ['*:443', 'https://llm.corp.example:8443', false],
    ['a, *', 'https://llm.corp.example', true],
    ['a b,llm.corp.example', 'https://llm.corp.example', true],
    ['  a ,\tLLM.Corp.example  ', 'https://llm.corp.example', true],
    ['llm.corp.example', 'https://LLM.corp.Example', true],
  ]);
});

test('NO_PROXY: IPv4 addresses and networks', () => {
  check([
    ['127.0.0.1', 'https://127.0.0.1:9', true],
    ['127.0.0.1:9', 'https://127.0.0.1:9', true],
    ['127.0.0.1:8', 'https://127.0.0.1:9', false],
    ['0.0.1', 'https://127.0.0.1', false],
    ['10.0.0.0/8', 'http://10.20.30.40', true],
    ['10.0.0.0/8', 'http://11.0.0.1', false],
    ['10.1.2.3/8', 'http://10.20.30.40', true],
    ['10.0.0.0/8:80', 'http://10.20.30.40', true],
    ['10.0.0.0/8:81', 'http://10.20.30.40', false],
    ['10.0.0.0/33', 'http://10.0.0.0', false],
    ['10.0.0.0/x', 'http://10.0.0.0', false],
    ['10.0.0.0/8', 'http://llm.corp.example', false],
    ['0.0.0.0/0', 'http://llm.corp.example', false],
    ['10.0.0.0/8', 'http://[::ffff:10.1.2.3]', true],
  ]);
});

test('NO_PROXY: IPv6 addresses and networks, with and without brackets', () => {
  check([
    ['::1', 'http://[::1]:8080', true],
    ['[::1]', 'http://[::1]:8080', true],
    ['[::1]:8080', 'http://[::1]:8080', true],
    ['[::1]:81', 'http://[::1]:8080', false],
    ['0:0:0:0:0:0:0:1', 'http://[::1]', true],
    ['FD00::1', 'http://[fd00:0::1]', true],
    ['fd00::1', 'http://[fd00::2]', false],
    ['fd00::443', 'https://[fd00::]', false],
    ['fd00::/8', 'http://[fd12::9]', true],
    ['[fd00::]/8', 'http://[fd12::9]', true],
    ['fd00::/8', 'http://[fe80::9]', false],
    ['fd00::/129', 'http://[fd00::]', false],
  ]);
});

const ORIGIN = 'https://llm.corp.example:8443';

test('only a configured proxy is used, whatever is in the environment', () => {
  const env = { HTTPS_PROXY: 'http://other:1' };
  assert.equal(proxyFor(ORIGIN, new Secret('http://u:p@proxy:3128'), env), 'http://u:p@proxy:3128');
  assert.equal(proxyFor(ORIGIN, 'http://proxy:3128', env), 'http://proxy:3128');
  assert.equal(proxyFor(ORIGIN, undefined, env), null);
  assert.equal(proxyFor(ORIGIN, '', env), null);
});

test('with `environment` the variables are used', () => {
  const env = { HTTPS_PROXY: 'http://s:1', NO_PROXY: '[fd00::]/8' };
  assert.equal(proxyFor(ORIGIN, new Secret('environment'), env), 'http://s:1');
  assert.equal(proxyFor('https://[fd00::1]:8443', new Secret('environment'), env), null);
});
