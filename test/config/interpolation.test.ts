// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are the subject.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig } from '../../src/config/load/load-config.ts';
import { Secret } from '../../src/lib/secret.ts';
import { load, MINIMAL, problemsOf, withFiles } from './config-text.ts';

const hostnameOf = (text: string, env: Record<string, string> = {}) =>
  load(`${MINIMAL}hostname: ${text}\n`, env).config.hostname;

test('variables, defaults and literals are replaced inside a scalar', () => {
  assert.equal(hostnameOf('"a-${X}-${Y:-why}-$${X}"', { X: '1' }), 'a-1-why-${X}');
  assert.equal(hostnameOf('${X:-}x'), 'x');
  assert.equal(hostnameOf('${X:-fallback}', { X: '' }), 'fallback');
  assert.equal(hostnameOf("'${X}'", { X: 'single' }), 'single');
  assert.equal(hostnameOf('>-\n  ${X}\n  b', { X: 'a' }), 'a b');
});

test('a replaced value is not parsed again, neither as a variable nor as YAML', () => {
  assert.equal(hostnameOf('${X}', { X: '${Y}', Y: 'no' }), '${Y}');
  assert.equal(hostnameOf('${X}', { X: 'a: [1, "2"]\n# b' }), 'a: [1, "2"]\n# b');
  assert.equal(hostnameOf('${X}', { X: '"quoted"' }), '"quoted"');
});

test('keys are never replaced', () => {
  const { config } = load(MINIMAL.replace(' }', ', models: { "${X}": b } }'), { X: 'a' });
  assert.deepEqual(config.upstreams[0]?.models, { '${X}': 'b' });
});

test('a replaced value is text, and a number or boolean where the field wants one', () => {
  const { config } = load(
    `${MINIMAL}hostname: "\${N}"\nnoauth: "\${B}"\nlimits: { concurrency: "\${N}", body: "\${S}" }\ntimeout: "\${N}"\nrecord: { include: { sample: "\${F}" } }\n`.replace(
      'record: {}\n',
      '',
    ),
    { N: '010', B: 'true', S: '1KiB', F: '0.5' },
  );
  assert.equal(config.hostname, '010');
  assert.equal(config.noauth, true);
  assert.equal(config.limits.concurrency, 10);
  assert.equal(config.limits.body, 1024);
  assert.equal(config.timeout, 10_000);
  assert.equal(config.record.include.sample, 0.5);
});

test('every missing variable is one problem that names it, and its key has no other', () => {
  const text = `authorization: "\${KEYS}"
upstreams:
  - { endpoint: "\${URL}", sk: "\${A}\${B}" }
tokens: { t: { type: static, value: "\${T}" } }
clients: [{ name: a, key: "\${K}" }]
`;
  assert.deepEqual(problemsOf(text, { A: 'x' }), [
    '1 authorization: environment variable KEYS is not set',
    '3 upstreams[0].endpoint: environment variable URL is not set',
    '3 upstreams[0].sk: environment variable B is not set',
    '4 tokens.t.value: environment variable T is not set',
    '5 clients[0].key: environment variable K is not set',
  ]);
});

test('an invalid variable is a problem that shows the valid forms', () => {
  assert.match(
    problemsOf(`${MINIMAL}hostname: "\${a b}"\n`)[0] ?? '',
    /^5 hostname: not a variable: write \$\{NAME\}/,
  );
});

test('a file gives its text less one newline, and is watched', () => {
  withFiles({ 'key.txt': 'from-file\n\n', 'crlf.txt': 'abcdef\r\n' }, (directory) => {
    const text = `record: {}\nauthorization: "\${file:crlf.txt}"\nhostname: "\${file:${join(directory, 'key.txt')}}"\nupstreams: []\n`;
    withFiles({ 'config.yaml': text }, (other) => {
      assert.throws(
        () => loadConfig(join(other, 'config.yaml'), {}),
        /authorization: cannot read .*crlf\.txt: no such file/,
      );
    });
    const loaded = load(text.replace('crlf.txt', join(directory, 'crlf.txt')));
    assert.equal(loaded.config.hostname, 'from-file\n');
    assert.equal(loaded.config.authorization[0]?.reveal(), 'abcdef');
    assert.deepEqual(loaded.files.slice(1), [join(directory, 'crlf.txt'), join(directory, 'key.txt')]);
  });
});

test('a relative file is found beside the configuration', () => {
  const { config } = load(`${MINIMAL}hostname: "\${file:name}"\n`, {}, { name: 'beside\n' });
  assert.equal(config.hostname, 'beside');
});

test('a replaced value below tokens, upstreams and the like becomes a secret, whole and in parts', () => {
  const { secrets } = load(
    `record: {}
authorization: "\${A}"
hostname: "\${H}"
clients: [{ name: "\${C}", key: k-123456 }]
upstreams: [{ endpoint: "https://llm.example/\${E}", sk: asis, headers: { X-Team: "t \${T}" } }]
`,
    { A: 'key-a', H: 'host-h', C: 'client-c', E: 'path-e', T: 'team-t' },
  );
  const values = new Set(secrets.map((secret) => secret.reveal()));
  for (const value of [
    'key-a',
    'client-c',
    'path-e',
    'https://llm.example/path-e',
    't team-t',
    'team-t',
    'k-123456',
  ])
    assert.ok(values.has(value), value);
  assert.ok(!values.has('host-h'));
});

test('a value that is completely replaced is no template', () => {
  const { config } = load(
    `authorization: k
tokens:
  t:
    type: http
    url: https://a.example/t
    vars: { secret: "\${S}", plain: abc, computed: "{{upper(plain)}}" }
    headers: { A: "\${S}", B: "{{secret}} \${S}" }
    body_json: { a: "\${S}", b: ["{{now_s}}"] }
upstreams: [{ endpoint: "https://llm.example/v1", token: t }]
`,
    { S: 'pass{{word}}' },
  );
  const source = config.tokens.t;
  assert.ok(source?.type === 'http');
  assert.ok(source.vars.secret instanceof Secret && source.vars.plain instanceof Secret);
  assert.equal(source.vars.computed, '{{upper(plain)}}');
  assert.ok(source.headers.A instanceof Secret);
  assert.equal(typeof source.headers.B, 'string');
  const body = source.body_json as { a: unknown; b: unknown };
  assert.ok(body.a instanceof Secret);
  assert.deepEqual(body.b, ['{{now_s}}']);
});
