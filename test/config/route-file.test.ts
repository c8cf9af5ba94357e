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

test('a file of openai-api-route works as it is, with bodies recorded as they were there', () => {
  const { config, warnings } = load(ROUTE_FILE);
  assert.equal(config.record.content, 'all');
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
  assert.match(warnings[0] ?? '', /read as a file of openai-api-route/);
  assert.match(warnings[1] ?? '', /upstreams\[3\]: invalid, skipped/);
});

test('its unknown keys are warnings', () => {
  assert.deepEqual(
    warningsOf(
      'authorization: k\nmystery: 1\nupstreams:\n  - { sk: k, endpoint: "https://a.example/v1", comment: x }\n',
    ).slice(1),
    ['2 mystery: unknown key (ignored)', '4 upstreams[0].comment: unknown key (ignored)'],
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

test('one key of ours, anywhere, makes it a file of ours', () => {
  const file = (top: string, inUpstream: string) =>
    `authorization: k\nmystery: 1\n${top}upstreams:\n  - { sk: k, endpoint: "https://a.example/v1"${inUpstream} }\n`;
  for (const [top, inUpstream] of [
    ['record: {}\n', ''],
    ['deadline: 60\n', ''],
    ['', ', name: a'],
    ['', ', models: {}'],
  ] as const) {
    assert.deepEqual(problemsOf(file(top, inUpstream)), ['2 mystery: unknown key']);
  }
  assert.equal(load('record: {}\nupstreams: []\n').config.record.content, 'none');
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
