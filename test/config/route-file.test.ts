import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load, problemsOf, warningsOf } from './config-text.ts';

/** The example of openai-api-route's own README, less what is not built yet. */
const ROUTE_FILE = `authorization: woshimima,iampassword

# 默认超时时间，默认 120 秒，流式请求是 10 秒
timeout: 120
stream_timeout: 10

dbtype: sqlite
dbaddr: ./db.sqlite
lb_policy: order

upstreams:
  - sk: hahaha
    endpoint: "https://localhost:8888/v1"
    allow:
      # whisper 等非 JSON API 识别不到 model，则使用 URL 路径作为模型名称
      - /v1/audio/transcriptions

  - sk: "secret_key_1"
    endpoint: "https://api.openai.com/v2"
    timeout: 120
    stream_timeout: 10
    allow: [gpt-3.5-trubo, gpt-3.5-trubo-0613]

  - sk: "secret_key_2"
    endpoint: "https://api.openai.com/v1"
    timeout: 30
    deny: [gpt-4]
    keep_header: true
    authorization: guest
  - sk:
    endpoint: https://api.xxx.local/v1
    noauth: true
  - sk: asis
    endpoint: https://api.openai.com/v1
`;

test('a file of openai-api-route works unchanged; bodies are not stored, and the start logs how to store them', () => {
  const { config, warnings } = load(ROUTE_FILE);
  assert.equal(config.record.content, 'none');
  assert.deepEqual(
    config.authorization.map((key) => key.reveal()),
    ['woshimima', 'iampassword'],
  );
  assert.equal(config.timeout, 120_000);
  assert.equal(config.stream_timeout, 10_000);
  const [, , third, fourth, fifth] = config.upstreams;
  assert.equal(third?.timeout, 30_000);
  assert.equal(third.keep_header, true);
  assert.equal(third.authorization[0]?.reveal(), 'guest');
  assert.equal(fourth?.sk, null);
  assert.equal(fifth?.sk, 'asis');
  assert.match(warnings[0] ?? '', /treated as a file of openai-api-route.*add record: \{ content: all \}/);
  assert.match(warnings[1] ?? '', /upstreams\[3\]: invalid, skipped/);
});

test('an unknown key is an error with the nearest name: a typing error does not change the type of the file', () => {
  assert.deepEqual(
    problemsOf(
      'authorization: k\nupstreams:\n  - { sk: k, endpoint: "https://a.example/v1", tokn: corp, base_url: x }\ndeadlne: 60\n',
    ),
    [
      '3 upstreams[0].tokn: unknown key; did you mean "token"?',
      '3 upstreams[0].base_url: unknown key; did you mean "endpoint"?',
      '4 deadlne: unknown key; did you mean "deadline"?',
    ],
  );
});

test('there 0 and the empty text mean the default', () => {
  const { config } = load(
    'authorization: k\ntimeout: 0\ndbtype: ""\nlb_policy: ""\naddress: ""\nupstreams:\n  - { sk: k, endpoint: "https://a.example/v1", timeout: 0 }\n',
  );
  assert.equal(config.timeout, 120_000);
  assert.equal(config.dbtype, 'sqlite');
  assert.equal(config.lb_policy, 'order');
  assert.equal(config.address, ':8888');
});

test('one key that openai-api-route does not have makes it a file of tokenferry', () => {
  const file = (top: string, inUpstream: string) =>
    `authorization: k\n${top}upstreams:\n  - { sk: k, endpoint: "https://a.example/v1"${inUpstream} }\n`;
  assert.match(warningsOf(file('', ''))[0] ?? '', /openai-api-route/);
  for (const [top, inUpstream] of [
    ['record: {}\n', ''],
    ['deadline: 60\n', ''],
    ['', ', name: a'],
    ['', ', models: {}'],
  ] as const) {
    assert.deepEqual(warningsOf(file(top, inUpstream)), []);
  }
});

test('wrong values are errors there too', () => {
  assert.deepEqual(
    problemsOf('authorization: k\ntimeout: soon\nupstreams:\n  - { sk: k, endpoint: nowhere }\n'),
    [
      '2 timeout: must be a duration: seconds as a number, or 500ms, 30s, 5m, 2h, 30d',
      '4 upstreams[0].endpoint: must be a URL that starts with http:// or https://',
    ],
  );
});
