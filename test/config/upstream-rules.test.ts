import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { upstreamDefect } from '../../src/config/config.ts';
import { load, problemsOf, warningsOf } from './config-text.ts';

const upstreams = (...lines: string[]) =>
  `authorization: k\nupstreams:\n${lines.map((line) => `  - ${line}\n`).join('')}`;
const E = 'endpoint: "https://llm.example/v1"';

test('a token source or a key, not both', () => {
  const text = `${upstreams(`{ ${E}, sk: k, token: t }`)}tokens: { t: { type: env, name: T } }\n`;
  assert.deepEqual(problemsOf(text), ['3 upstreams[0].sk: sk and token are both given; remove one']);
});

test('the token source exists, and a broken one exists too', () => {
  const text = `${upstreams(`{ ${E}, token: corp }`, `{ ${E}, token: cor }`)}tokens: { corp: { type: http } }\n`;
  assert.deepEqual(problemsOf(text), [
    '4 upstreams[1].token: no source of this name in tokens; did you mean "corp"?',
    '5 tokens.corp.url: is required',
  ]);
});

test('an alias is the name of one model, and a glob behind one for every name is never used', () => {
  const text = upstreams(
    `{ ${E}, sk: k, models: { "claude-*": "corp-*", "*": corp, "gpt-*": corp, gpt-4o: corp-4 } }`,
    `{ ${E}, sk: k, models: { "claude-*-haiku": small, "claude-*": corp, "*": other } }`,
  );
  assert.deepEqual(problemsOf(text), [
    '3 upstreams[0].models["claude-*"]: must be the name of one model; wildcards are for the names that clients use',
  ]);
  assert.deepEqual(warningsOf(text.replace('"corp-*"', 'corp')), [
    '3 upstreams[0].models["gpt-*"]: is never used: "*" before it matches every name',
  ]);
});

test('no second Authorization is sent beside sk', () => {
  const text = upstreams(
    `{ ${E}, sk: k, forward_headers: [x-end-user, AUTHORIZATION] }`,
    `{ ${E}, sk: asis, headers: { authorization: "Basic x" } }`,
    `{ ${E}, token: none, forward_headers: [authorization] }`,
    `{ ${E}, sk: k, headers: { x-authorization: a } }`,
  );
  assert.deepEqual(problemsOf(text), [
    '3 upstreams[0].forward_headers[1]: is the header that sk is sent in; remove one',
    '4 upstreams[1].headers.authorization: is the header that sk is sent in; remove one',
  ]);
});

test('the clients of an upstream exist', () => {
  const text = `${upstreams(`{ ${E}, sk: k, clients: [ragflow, dify] }`)}clients: [{ name: ragflow2, key: abc }, { name: dify, key: def }]\n`;
  assert.deepEqual(problemsOf(text), [
    '3 upstreams[0].clients[0]: no client of this name in clients; did you mean "ragflow2"?',
  ]);
});

test('names are unique, also against the default ones, and fit into a header', () => {
  assert.deepEqual(
    problemsOf(
      upstreams(
        `{ ${E}, sk: k, name: a }`,
        `{ ${E}, sk: k, name: a }`,
        `{ ${E}, sk: k, name: upstream-4 }`,
        `{ ${E}, sk: k }`,
        `{ ${E}, sk: k, name: "a b" }`,
      ),
    ),
    [
      '4 upstreams[1].name: this upstream has the same name as upstreams[0]',
      '6 upstreams[3].name: this upstream has the same name as upstreams[2]',
      '7 upstreams[4].name: must be 1 to 64 printable ASCII characters without blanks',
    ],
  );
});

test('an endpoint is a base URL without credentials or fragment', () => {
  assert.deepEqual(
    problemsOf(
      upstreams(
        '{ endpoint: "https://u:p@llm.example/v1", sk: k }',
        '{ endpoint: "https://llm.example/v1#x", sk: k }',
        '{ endpoint: "ftp://llm.example", sk: k }',
      ),
    ),
    [
      '3 upstreams[0].endpoint: must not contain credentials; use token, sk or headers',
      '4 upstreams[1].endpoint: must not contain a fragment (#)',
      '5 upstreams[2].endpoint: must be a URL that starts with http:// or https://',
    ],
  );
  assert.match(
    warningsOf(
      upstreams(
        '{ endpoint: "https://llm.example/v1/chat/completions", sk: k, name: a }',
        '{ sk: asis, endpoint: "https://x.example" }',
      ),
    ).join(),
    /3 upstreams\[0\]\.endpoint: looks like one path of the API/,
  );
});

test('headers can be sent', () => {
  assert.deepEqual(
    problemsOf(
      upstreams(`{ ${E}, sk: k, headers: { "a b": c, X-Good: fine, X-Bad: "a\\nb", X-Wide: "日" } }`),
    ),
    [
      '3 upstreams[0].headers["a b"]: is not a valid header name',
      '3 upstreams[0].headers.X-Bad: contains a character that is not allowed in a header',
      '3 upstreams[0].headers.X-Wide: contains a character that is not allowed in a header',
    ],
  );
});

test('files of certificates are found from the directory of the configuration', () => {
  const text = upstreams(`{ ${E}, sk: k, tls: { ca: ca.pem, cert: c.pem, key: k.pem } }`);
  const loaded = load(text, {}, { 'ca.pem': '', 'c.pem': '', 'k.pem': '' });
  const directory = loaded.directory;
  assert.equal(loaded.config.upstreams[0]?.tls?.ca, join(directory, 'ca.pem'));
  assert.deepEqual(
    loaded.files,
    ['config.yaml', 'ca.pem', 'c.pem', 'k.pem'].map((name) => join(directory, name)),
  );
  assert.deepEqual(problemsOf(text, {}, { 'ca.pem': '', 'c.pem': '' }), [
    '3 upstreams[0].tls.key: cannot read this file: no such file',
  ]);
});

test('a certificate comes with its key, and the other way round', () => {
  const text = upstreams(`{ ${E}, sk: k, tls: { cert: c.pem } }`, `{ ${E}, sk: k, tls: { key: c.pem } }`);
  assert.deepEqual(problemsOf(text, {}, { 'c.pem': '' }), [
    '3 upstreams[0].tls.cert: needs its private key in key',
    '4 upstreams[1].tls.key: needs its certificate in cert',
  ]);
});

test('the content of a key is not treated as the name of a file', () => {
  const text = upstreams(`{ ${E}, sk: k, tls: { ca: "-----BEGIN CERTIFICATE-----" } }`);
  assert.deepEqual(problemsOf(text), ['3 upstreams[0].tls.ca: must be the name of a file, not its content']);
});

test('missing settings of an upstream are named', () => {
  const {
    upstreams: [one],
  } = load(upstreams(`{ ${E}, token: none }`)).config;
  assert.ok(one);
  assert.equal(upstreamDefect(one), null);
  assert.equal(
    upstreamDefect({ ...one, endpoint: null, token: null }),
    'no endpoint and no credentials (token or sk)',
  );
});

test('paths of a Replicate upstream have no effect, which is said', () => {
  const file = (type: string) =>
    `record: {}\nauthorization: k\nupstreams:\n  - { type: ${type}, endpoint: "https://a.example/v1", sk: k, paths: { chat: /chat } }\n`;
  assert.match(warningsOf(file('replicate'))[0] ?? '', /paths: has no effect with type: replicate/);
  assert.deepEqual(warningsOf(file('openai')), []);
});
