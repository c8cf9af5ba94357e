import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load, warningsOf } from './config-text.ts';

/** The example in openai-api-route's README, its comments in English. */
const README_SAMPLE = `authorization: woshimima

# default timeout, 120 seconds; of streams 10 seconds
timeout: 120
stream_timeout: 10 

# records in sqlite
dbtype: sqlite
dbaddr: ./db.sqlite

# dbtype: postgres
# dbaddr: "host=127.0.0.1 port=5432 user=postgres dbname=openai_api_route sslmode=disable password=woshimima"

upstreams:
  - sk: hahaha
    endpoint: "https://localhost:8888/v1"
    allow:
      - /v1/audio/transcriptions

  - sk: "secret_key_1"
    endpoint: "https://api.openai.com/v2"
    timeout: 120
    stream_timeout: 10
    allow:
      - gpt-3.5-trubo
      - gpt-3.5-trubo-0613

  - sk: "secret_key_2"
    endpoint: "https://api.openai.com/v1"
    timeout: 30
    deny: 
      - gpt-4

  - sk: "key_for_replicate"
    type: replicate
    allow:
      - mistralai/mixtral-8x7b-instruct-v0.1
`;

/** Its config.sample.yaml. */
const SAMPLE = `authorization: woshimima

lb_policy: order # order or random

dbtype: sqlite
dbaddr: ./db.sqlite

upstreams:
  - sk: "secret_key_1"
    endpoint: "https://api.openai.com/v2"
    allow: ["gpt-3.5-trubo"]
  - sk: "secret_key_2"
    endpoint: "https://api.openai.com/v1"
    timeout: 30
    allow: ["gpt-3.5-trubo"]
    deny: ["gpt-4"]
  - sk: "key_for_replicate"
    type: replicate
    allow: ["mistralai/mixtral-8x7b-instruct-v0.1"]
`;

test('the example of the README is read unchanged, with its four upstreams and nothing skipped', () => {
  const { config, warnings } = load(README_SAMPLE);
  assert.equal(warnings.length, 1, warnings.join('\n'));
  assert.match(warnings[0] ?? '', /treated as a file of openai-api-route/);
  assert.deepEqual(
    config.upstreams.map(({ endpoint }) => endpoint),
    [
      'https://localhost:8888/v1',
      'https://api.openai.com/v2',
      'https://api.openai.com/v1',
      'https://api.replicate.com/v1',
    ],
  );
  assert.deepEqual(config.upstreams[2]?.deny, ['gpt-4']);
  assert.equal(config.upstreams[2]?.timeout, 30_000);
  assert.equal(config.upstreams[3]?.type, 'replicate');
  assert.equal(config.timeout, 120_000);
  assert.equal(config.stream_timeout, 10_000);
});

test('config.sample.yaml is read unchanged', () => {
  const { config, warnings } = load(SAMPLE);
  assert.equal(warnings.length, 1, warnings.join('\n'));
  assert.equal(config.upstreams.length, 3);
  assert.equal(config.lb_policy, 'order');
});

test('the examples of its keys: several keys by comma, keys of an upstream, an upstream without keys', () => {
  const { config } = load(
    'authorization: woshimima,iampassword\nupstreams:\n  - { sk: key, endpoint: "http://a.example/v1", authorization: woshimima }\n',
  );
  assert.deepEqual(
    config.authorization.map((key) => key.reveal()),
    ['woshimima', 'iampassword'],
  );
  assert.equal(config.upstreams[0]?.authorization[0]?.reveal(), 'woshimima');
});

test('the larger example starts with what is complete, and names the upstream whose sk is empty', () => {
  const { config, warnings } = load(`authorization: woshimima
upstreams:
  - sk: xxx
    endpoint: http://localhost:5000/v1
    noauth: true
    allow:
      - /v1/audio/transcriptions
  - sk: 
    endpoint: https://api.xxx.local/v1
    authorization: guest
    allow:
      - gpt-3.5-turbo-0125
`);
  assert.equal(config.upstreams[0]?.noauth, true);
  assert.match(warnings.join('\n'), /upstreams\[1\]: invalid, skipped: no credentials/);
});

test('every key that its code reads is known; the two that it reads and ignores are ignored', () => {
  const { config, warnings } = load(`address: :9999
hostname: node-7
dbtype: postgres
dbaddr: "host=127.0.0.1 port=5432 user=postgres dbname=openai_api_route sslmode=disable password=woshimima"
authorization: 0123
timeout: 60
stream_timeout: 5
lb_policy: random
cliconfig: { listmode: true }
upstreams:
  - sk: 0456
    endpoint: https://a.example/v1
    timeout: 30
    stream_timeout: 3
    allow: [a]
    deny: [b]
    type: openai
    keep_header: yes
    authorization: guest, friend
    noauth: off
    url: ignored
`);
  assert.equal(warnings.length, 1, warnings.join('\n'));
  assert.equal(config.address, ':9999');
  assert.equal(config.hostname, 'node-7');
  assert.equal(config.dbtype, 'postgres');
  assert.equal(config.authorization[0]?.reveal(), '0123');
  assert.equal(config.lb_policy, 'random');
  const [upstream] = config.upstreams;
  assert.ok(upstream !== undefined);
  assert.ok(upstream.sk !== null && upstream.sk !== 'asis' && upstream.sk.reveal() === '0456');
  assert.equal(upstream.timeout, 30_000);
  assert.equal(upstream.stream_timeout, 3_000);
  assert.equal(upstream.keep_header, true);
  assert.equal(upstream.noauth, false);
  assert.deepEqual(
    upstream.authorization.map((key) => key.reveal()),
    ['guest', 'friend'],
  );
});

test('what is left out has its documented default: port 8888, sqlite at ./db.sqlite, 120 and 10 seconds, in order', () => {
  const { config } = load('authorization: k\nupstreams:\n  - { sk: a, endpoint: "http://a.example/v1" }\n');
  assert.equal(config.address, ':8888');
  assert.equal(config.dbtype, 'sqlite');
  assert.equal(config.dbaddr, './db.sqlite');
  assert.equal(config.timeout, 120_000);
  assert.equal(config.stream_timeout, 10_000);
  assert.equal(config.lb_policy, 'order');
  assert.equal(
    load('dbtype: none\nauthorization: k\nupstreams:\n  - { sk: a, endpoint: "http://a.example/v1" }\n')
      .config.dbtype,
    'none',
  );
});

test('an upstream without an endpoint or a key is named, and the others are served', () => {
  const warnings = warningsOf(
    'authorization: k\nupstreams:\n  - { sk: "", endpoint: "http://a.example/v1" }\n  - { sk: b }\n  - { sk: c, endpoint: "http://c.example/v1" }\n',
  );
  assert.match(warnings.join('\n'), /upstreams\[0\]: invalid, skipped: no credentials/);
  assert.match(warnings.join('\n'), /upstreams\[1\]: invalid, skipped: no endpoint/);
});

test('an endpoint without a path is called with the /v1 of the request, as by its code', () => {
  const file = (endpoint: string, more = '') =>
    `authorization: k\n${more}upstreams:\n  - { sk: a, endpoint: "${endpoint}" }\n`;
  const endpointOf = (text: string) => load(text).config.upstreams[0]?.endpoint;
  for (const endpoint of ['http://localhost:5000', 'http://localhost:5000/'])
    assert.equal(endpointOf(file(endpoint)), 'http://localhost:5000/v1');
  assert.equal(endpointOf(file('http://localhost:5000/v2')), 'http://localhost:5000/v2');
  // A file of tokenferry means what it says.
  assert.equal(endpointOf(file('http://localhost:5000', 'record: {}\n')), 'http://localhost:5000');
});
