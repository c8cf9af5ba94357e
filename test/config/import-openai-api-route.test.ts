import assert from 'node:assert/strict';
import { test } from 'node:test';
import { importConfiguration } from '../../src/config/import/import-configuration.ts';
import { load } from './config-text.ts';

function converted(text: string): string {
  return importConfiguration('old.yaml', text).yaml;
}

const OLD = `address: :9000
hostname: node-7
authorization: woshimima,iampassword
timeout: 60
stream_timeout: 5
lb_policy: random
dbtype: sqlite
dbaddr: ./old.sqlite
colour: blue
upstreams:
  - sk: 0123
    endpoint: https://a.example/v1
    allow: [gpt-4, /v1/audio/transcriptions]
    deny: [gpt-3]
    timeout: 30
    keep_header: yes
    authorization: guest
    weight: 3
  - sk:
    endpoint: https://b.example/v1
  - sk: r8_key
    type: replicate
    noauth: true
    allow: [mistralai/mixtral-8x7b-instruct-v0.1]
  - sk: 'a\${b'
`;

test('the file is loaded as ours, with every setting', () => {
  const { config, warnings } = load(converted(OLD));
  assert.ok(!warnings.some((warning) => /treated as a file of openai-api-route/.test(warning)));
  assert.equal(config.address, ':9000');
  assert.equal(config.hostname, 'node-7');
  assert.deepEqual(
    config.authorization.map((key) => key.reveal()),
    ['woshimima', 'iampassword'],
  );
  assert.equal(config.timeout, 60_000);
  assert.equal(config.stream_timeout, 5_000);
  assert.equal(config.lb_policy, 'random');
  assert.equal(config.dbaddr, './old.sqlite');
  assert.equal(config.record.content, 'none');
  const [first, second, third, fourth] = config.upstreams;
  assert.ok(first?.sk !== null && first?.sk !== undefined && first.sk !== 'asis');
  assert.equal(first.sk.reveal(), '0123');
  assert.deepEqual(first.allow, ['gpt-4', '/v1/audio/transcriptions']);
  assert.deepEqual(first.deny, ['gpt-3']);
  assert.equal(first.timeout, 30_000);
  assert.equal(first.keep_header, true);
  assert.equal(first.authorization[0]?.reveal(), 'guest');
  assert.equal(second?.endpoint, 'https://b.example/v1');
  assert.equal(third?.type, 'replicate');
  assert.equal(third.noauth, true);
  assert.ok(fourth?.sk !== null && fourth?.sk !== undefined && fourth.sk !== 'asis');
  assert.equal(fourth.sk.reveal(), 'a${b');
});

test('comments name what is not taken over, where it was', () => {
  const yaml = converted(OLD);
  assert.match(yaml, /^# From a configuration of openai-api-route/);
  assert.match(yaml, /# Not taken over: colour\./);
  assert.match(yaml, / {2}# Not taken over: weight\..*\n {2}- endpoint: https:\/\/a\.example\/v1/);
  assert.match(yaml, / {2}# Skipped until it has a key\..*\n {2}- endpoint: https:\/\/b\.example/);
  assert.match(yaml, / {2}# Skipped until it has an endpoint/);
  assert.match(yaml, /# openai-api-route recorded request and response bodies/);
});

test('an endpoint without a path gets /v1, and a comment', () => {
  const yaml = converted('authorization: k\nupstreams:\n  - { sk: a, endpoint: "http://localhost:5000" }\n');
  assert.equal(load(yaml).config.upstreams[0]?.endpoint, 'http://localhost:5000/v1');
  assert.match(yaml, /# Its endpoint had no path/);
});

test('a file of neither product, and one of ours, are refused with what they are', () => {
  assert.throws(
    () => converted('a: 1\n'),
    /no configuration of openai-api-route \(upstreams\) or of LiteLLM/,
  );
  assert.throws(() => converted('upstreams: []\ntokens: {}\n'), /is a configuration of tokenferry already/);
  assert.throws(() => converted('upstreams: [\n'), /YAML/);
});
