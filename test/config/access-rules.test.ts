import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLoopback, parseAddress } from '../../src/config/types/address.ts';
import { load, problemsOf, warningsOf } from './config-text.ts';

const UPSTREAMS = 'record: {}\nupstreams:\n  - { endpoint: "https://llm.example/v1", sk: k }\n';
const DIGEST = 'a'.repeat(64);

test('the default address is open when every request needs a key, and loopback otherwise', () => {
  const addressOf = (text: string) => load(`${UPSTREAMS}${text}`).config.address;
  assert.equal(addressOf(''), '127.0.0.1:8888');
  assert.equal(addressOf('authorization: k\n'), ':8888');
  assert.equal(addressOf(`clients: [{ name: a, key_sha256: ${DIGEST} }]\n`), ':8888');
  assert.equal(addressOf('authorization: k\nnoauth: true\n'), '127.0.0.1:8888');
  assert.equal(addressOf('  - { endpoint: "https://b.example/v1", sk: k, authorization: other }\n'), ':8888');
  assert.equal(
    addressOf('  - { endpoint: "https://b.example/v1", sk: k, noauth: true }\nauthorization: k\n'),
    '127.0.0.1:8888',
  );
});

test('an address for other machines needs keys, or noauth', () => {
  const problem =
    /^4 address: other machines can reach this address and no key is required: set authorization/;
  for (const address of [':8888', '0.0.0.0:80', '10.0.0.1:80', '[::]:80', 'llm.corp.example:80']) {
    assert.match(problemsOf(`${UPSTREAMS}address: "${address}"\n`).join(), problem, address);
    load(`${UPSTREAMS}address: "${address}"\nauthorization: k\n`);
    load(`${UPSTREAMS}address: "${address}"\nnoauth: true\n`);
  }
  for (const address of ['127.0.0.1:0', '127.8.8.8:80', 'localhost:80', '[::1]:80'])
    load(`${UPSTREAMS}address: "${address}"\n`);
});

test('an invalid key is not treated as no key', () => {
  const text = `${UPSTREAMS}address: ":80"\nauthorization: "\${KEYS}"\n`;
  assert.deepEqual(problemsOf(text), ['5 authorization: environment variable KEYS is not set']);
});

test('an address is host and port', () => {
  for (const address of ['8888', 'a b:1', ':99999', '::1:80', '[1.2.3.4]:1', 'http://x:1'])
    assert.match(
      problemsOf(`${UPSTREAMS}authorization: k\naddress: "${address}"\n`).join(),
      /^5 address: must be host:port/,
      address,
    );
  assert.deepEqual(parseAddress('[::1]:8888'), { host: '::1', port: 8888 });
  assert.deepEqual(parseAddress(':0'), { host: '', port: 0 });
  assert.equal(isLoopback(''), false);
});

test('keys that are not required are a warning', () => {
  assert.deepEqual(warningsOf(`${UPSTREAMS}authorization: k\nnoauth: true\n`), [
    '5 noauth: keys are configured but not required, because noauth is true',
  ]);
});

test('a named client has exactly one key, and no other client has it', () => {
  const text = `${UPSTREAMS}clients:
  - { name: a }
  - { name: b, key: one, key_sha256: ${DIGEST} }
  - { name: c, key_sha256: nonsense }
  - { name: d, key: same }
  - { name: e, key: same }
  - { name: d, key: other }
`;
  assert.deepEqual(problemsOf(text), [
    '5 clients[0]: has no key: set key, key_sha256, certificate or jwt',
    '6 clients[1].key_sha256: key and key_sha256 are both given; remove one',
    '7 clients[2].key_sha256: must be 64 hex digits',
    '9 clients[4].key: is the key of clients[3] as well',
    '10 clients[5].name: this client has the same name as clients[3]',
  ]);
});

test('trusted proxies are addresses, networks and the names that Express knows', () => {
  load(
    `${UPSTREAMS}trusted_proxies: [10.0.0.0/8, 192.168.1.1, "fd00::/8", loopback, linklocal, uniquelocal]\n`,
  );
  const problems = problemsOf(`${UPSTREAMS}trusted_proxies: [10.0.0.0/33, proxy.example, 1.2.3, toString]\n`);
  assert.equal(problems.length, 4);
  for (const problem of problems)
    assert.match(
      problem,
      /must be an address, a network such as 10.0.0.0\/8 or fd00::\/8, or one of loopback, /,
    );
});

test('path patterns begin with a slash, with or without a method', () => {
  load(`${UPSTREAMS}pass_through: { deny: ["/v1/files/**", "DELETE /v1/models/*"] }\n`);
  assert.deepEqual(
    problemsOf(`${UPSTREAMS}pass_through: { deny: ["v1/files", "delete /v1/x", ""] }\n`).length,
    3,
  );
});

test('the first cool down is not longer than the maximum', () => {
  assert.deepEqual(problemsOf(`${UPSTREAMS}cool_down: { first: 2m, max: 60 }\n`), [
    '4 cool_down.first: must not be longer than cool_down.max',
  ]);
});

test('base_path is a path and ends without a slash', () => {
  assert.equal(load(`${UPSTREAMS}base_path: /agent/api/\n`).config.base_path, '/agent/api');
  assert.equal(load(`${UPSTREAMS}base_path: /\n`).config.base_path, '');
  assert.equal(problemsOf(`${UPSTREAMS}base_path: agent\n`).length, 1);
});
