import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { ConfigError } from '../../src/config/config-error.ts';
import { loadConfig } from '../../src/config/load/load-config.ts';
import { Secret } from '../../src/lib/secret.ts';
import { cpuMsSince } from '../helpers/cpu-time.ts';
import { load, loadError, MINIMAL, problemsOf, warningsOf, withFiles } from './config-text.ts';

test('a minimal file gets every default in milliseconds and bytes', () => {
  const { config, warnings } = load(MINIMAL);
  assert.deepEqual(warnings, []);
  assert.equal(config.timeout, 120_000);
  assert.equal(config.retry.backoff, 200);
  assert.equal(config.record.retention, 30 * 86_400_000);
  assert.equal(config.limits.body, 64 * 1024 * 1024);
  assert.equal(config.retry.statuses.length, 16);
  assert.equal(config.hostname, hostname());
  assert.equal(config.upstreams[0]?.name, 'upstream-1');
  assert.equal(config.upstreams[0]?.timeout, 0);
  assert.equal(config.upstreams[0]?.profile.learn, true);
});

test('five mistakes are reported as five problems, in the order of the file', () => {
  const text = `authorization: key
wrkers: 2
timeout: soon
tokens:
  corp: { type: static, value: abcdef }
upstreams:
  - endpiont: https://llm.example/v1
    token: crop
  - endpoint: llm.example
    sk: key
`;
  assert.deepEqual(problemsOf(text), [
    '2 wrkers: unknown key; did you mean "workers"?',
    '3 timeout: must be a duration: seconds as a number, or 500ms, 30s, 5m, 2h, 30d',
    '7 upstreams[0].endpiont: unknown key; did you mean "endpoint"?',
    '8 upstreams[0].token: no source of this name in tokens; did you mean "corp"?',
    '9 upstreams[1].endpoint: must be a URL that starts with http:// or https://',
  ]);
});

test('the message of the error is a list with file, line and path', () => {
  withFiles({ 'config.yaml': `${MINIMAL}  - endpiont: x\n` }, (directory) => {
    const file = `${directory}/config.yaml`;
    assert.throws(() => loadConfig(file, {}), {
      name: 'ConfigError',
      message: `${file}:5 upstreams[1].endpiont: unknown key; did you mean "endpoint"?`,
    });
  });
});

test('a file that cannot be read is a ConfigError with the reason', () => {
  assert.throws(
    () => loadConfig('/nowhere/config.yaml', {}),
    (error) =>
      error instanceof ConfigError &&
      error.message === '/nowhere/config.yaml: cannot read the configuration: no such file',
  );
});

test('a file whose root is no mapping is refused', () => {
  assert.deepEqual(problemsOf('- a\n- b\n'), ['1 : must be a mapping of keys to values, is a list']);
  assert.deepEqual(problemsOf('just text'), ['1 : must be a mapping of keys to values, is text']);
});

test('an empty file is a configuration without upstreams', () => {
  const { config, warnings } = load('');
  assert.equal(config.address, '127.0.0.1:8888');
  assert.match(warnings[0] ?? '', /no upstreams/);
});

test('text keeps its source where it looks like a number, a boolean or a date', () => {
  const { config } = load(`record: {}
authorization: 0123
hostname: 1e3
upstreams:
  - { endpoint: "https://llm.example/v1", sk: 0x1F, name: 007, models: { yes: 1.0, 2026-11-21: true }, headers: { X-A: 010 } }
`);
  assert.equal(config.authorization[0]?.reveal(), '0123');
  assert.equal(config.hostname, '1e3');
  const [upstream] = config.upstreams;
  assert.ok(upstream?.sk instanceof Secret);
  assert.equal(upstream.sk.reveal(), '0x1F');
  assert.equal(upstream.name, '007');
  assert.deepEqual(upstream.models, { yes: '1.0', '2026-11-21': 'true' });
  assert.deepEqual(upstream.headers, { 'X-A': '010' });
});

test('lists of text keep the source of each item', () => {
  const { config } = load(MINIMAL.replace(' }', ', allow: [0123, 1.50, true, x] }'));
  assert.deepEqual(config.upstreams[0]?.allow, ['0123', '1.50', 'true', 'x']);
});

test('JSON keeps its types', () => {
  const { config } = load(`authorization: k
tokens:
  t: { type: http, url: "https://a.example/t", body_json: { n: 010, f: 1.5, b: true, s: "1", z: null, l: [1, {}] } }
upstreams: [{ endpoint: "https://llm.example/v1", token: t }]
`);
  const source = config.tokens.t;
  assert.ok(source?.type === 'http');
  assert.deepEqual(source.body_json, { n: 10, f: 1.5, b: true, s: '1', z: null, l: [1, {}] });
  assert.equal(source.method, 'POST');
});

test('an empty value counts as an absent one', () => {
  const { config } = load(
    `${MINIMAL}timeout:\nrecord:\ntls:\nadmin: { key: "" }\nretry: ~\n`.replace('record: {}\n', ''),
  );
  assert.equal(config.timeout, 120_000);
  assert.equal(config.tls, null);
  assert.equal(config.admin.key, null);
  assert.equal(config.record.content, 'none');
});

test('client keys come comma separated or as a list', () => {
  const keys = (text: string) =>
    load(`${MINIMAL}`.replace('client-key', text)).config.authorization.map((key) => key.reveal());
  assert.deepEqual(keys('a, b ,,c'), ['a', 'b', 'c']);
  assert.deepEqual(keys('[a, "b,c", 01]'), ['a', 'b', 'c', '01']);
});

test('a misspelt required key is one problem, not two', () => {
  assert.deepEqual(problemsOf(`${MINIMAL}clients: [{ nmae: a, key: secret-key }]\n`), [
    '5 clients[0].nmae: unknown key; did you mean "name"?',
  ]);
});

test('keys of other products are translated', () => {
  assert.deepEqual(problemsOf(`${MINIMAL}  - { api_base: "https://x.example", api_key: k }\n`), [
    '5 upstreams[1].api_base: unknown key; did you mean "endpoint"?',
    '5 upstreams[1].api_key: unknown key; did you mean "sk"?',
  ]);
});

test('for a key in the wrong place the error names the right one', () => {
  const text = `record: {}
authorization: client-key
upstreams:
  - endpoint: https://llm.example/v1
    sk: upstream-key
    base_path: /x
retention: 7d
endpoint: x
key: x
`;
  assert.deepEqual(problemsOf(text), [
    '6 upstreams[0].base_path: unknown key; it belongs at the top level',
    '7 retention: unknown key; it belongs below record',
    '8 endpoint: unknown key; it belongs below upstreams[]',
    '9 key: unknown key',
  ]);
});

test('unknown keys are found at every depth', () => {
  const text = `authorization: client-key
upstreams:
  - endpoint: https://llm.example/v1
    sk: upstream-key
    profile: { learm: true }
    tls: { Ca: x }
    paths: { chats: /x }
log: { levl: info }
record: { include: { modles: ["*"] } }
clients: [{ name: a, key: abcdef, modls: [] }]
tokens:
  t:
    type: static
    value: abcdef
    refresh: { leway: 3 }
    reject: { status: [401] }
`;
  assert.deepEqual(problemsOf(text), [
    '5 upstreams[0].profile.learm: unknown key; did you mean "learn"?',
    '6 upstreams[0].tls.Ca: unknown key; did you mean "ca"?',
    '7 upstreams[0].paths.chats: unknown key; did you mean "chat"?',
    '8 log.levl: unknown key; did you mean "level"?',
    '9 record.include.modles: unknown key; did you mean "models"?',
    '10 clients[0].modls: unknown key; did you mean "models"?',
    '15 tokens.t.refresh.leway: unknown key; did you mean "leeway"?',
    '16 tokens.t.reject.status: unknown key; did you mean "statuses"?',
  ]);
});

test('the error of a value of the wrong type does not contain the value', () => {
  assert.deepEqual(
    problemsOf(`${MINIMAL}workers: "1"\nnoauth: maybe\nclients: { a: 1 }\nlog: loud\nretry: 5\n`),
    [
      '5 workers: must be a number, is text; write it without quotes',
      '6 noauth: must be true or false, is text',
      '7 clients: must be a list, is a mapping',
      '8 log: must be a mapping, is text',
      '9 retry: must be a mapping, is a number',
    ],
  );
});

test('ranges are checked', () => {
  assert.deepEqual(
    problemsOf(
      `${MINIMAL}workers: 1.5\nlimits: { concurrency: 0 }\nretry: { statuses: [99, "529-520"] }\ntimeout: 30d\n`,
    ),
    [
      '5 workers: must be a whole number',
      '6 limits.concurrency: must be at least 1',
      '7 retry.statuses[0]: must be a status (503) or a range of them ("520-529")',
      '7 retry.statuses[1]: must be a status (503) or a range of them ("520-529")',
      '8 timeout: must be at most 24d',
    ],
  );
});

test('no secret of a broken file is in its error', () => {
  const secret = 'S3CR3T-value';
  const text = `authorization: { k: ${secret} }
admin: ${secret}
tokens:
  a: ${secret}
  b: { type: ${secret}, value: ${secret} }
  c: { type: http, url: ${secret}, vars: [${secret}], place: ${secret} }
  d: { type: static, value: [${secret}] }
upstreams:
  - { endpoint: "${secret}", sk: { x: ${secret} }, timeout: ${secret}, headers: ${secret} }
  - { endpoint: "https://user:${secret}@llm.example/v1", sk: k, token: ${secret} }
  - *${secret}
  - !${secret} x
record: { redact: ["(${secret}"] }
dbtype: ${secret}
`;
  const error = loadError(text, { X: secret });
  assert.ok(error.problems.length >= 10, error.message);
  assert.ok(!error.message.includes(secret), error.message);
  assert.ok(!inspect(error).includes(secret));
});

test('a loaded configuration prints no secret', () => {
  const { config, secrets } = load(`authorization: client-key-1
admin: {}
tokens:
  t: { type: oauth2, token_url: "https://a.example/t", client_id: id, client_secret: client-secret-1, proxy: "http://u:proxy-password-1@p.example:1" }
  h: { type: http, url: "https://a.example/t", vars: { s: variable-1 } }
upstreams:
  - { endpoint: "https://llm.example/v1", token: t }
  - { endpoint: "https://llm.example/v1", token: h }
  - { endpoint: "https://llm.example/v1", sk: upstream-key-1 }
`);
  const printed = JSON.stringify(config) + inspect(config, { depth: 20 });
  const values = secrets.map((secret) => secret.reveal());
  for (const value of [
    'client-key-1',
    'client-secret-1',
    'proxy-password-1',
    'variable-1',
    'upstream-key-1',
  ]) {
    assert.ok(!printed.includes(value), value);
    assert.ok(values.includes(value), value);
  }
});

test('passwords in addresses and credentials in headers are secrets too', () => {
  const { secrets } = load(
    `${MINIMAL}dbtype: none
dbaddr: "host=db user=u password=database-1"
clients: [{ name: a, key: named-key-1 }]
`.replace('sk: upstream-key', 'sk: asis, headers: { X-Api-Key: header-key-1, X-Team: blue }'),
  );
  const values = secrets.map((secret) => secret.reveal());
  assert.deepEqual(new Set(values), new Set(['client-key', 'named-key-1', 'database-1', 'header-key-1']));
});

test('sk: asis stays a word', () => {
  assert.equal(load(MINIMAL.replace('upstream-key', 'asis')).config.upstreams[0]?.sk, 'asis');
});

test('an upstream without endpoint or credentials is a warning', () => {
  assert.deepEqual(
    warningsOf(
      `${MINIMAL}  - { endpoint: "https://b.example/v1" }\n  - { sk: k }\n  - { endpoint: "https://c.example/v1", sk: "\${EMPTY:-}" }\n  - { endpoint: "https://d.example/v1", token: none }\n`,
    ),
    [
      '5 upstreams[1]: invalid, skipped: no credentials: set token, or sk, or `token: none` if none are needed',
      '6 upstreams[2]: invalid, skipped: no endpoint',
      '7 upstreams[3]: invalid, skipped: no credentials: set token, or sk, or `token: none` if none are needed',
    ],
  );
});

test('a small file is loaded in well under 50 ms', () => {
  load(MINIMAL);
  const started = process.cpuUsage();
  for (let round = 0; round < 10; round++) load(MINIMAL);
  const eachMs = cpuMsSince(started) / 10;
  assert.ok(eachMs < 50, `${eachMs} ms`);
});
