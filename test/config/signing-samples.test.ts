import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { requestSigner } from '../../src/gateway/request-signers.ts';
import { load, problemsOf } from './config-text.ts';

const manual = await readFile(new URL('../../docs/signing.md', import.meta.url), 'utf8');
const env = Object.fromEntries(
  [...manual.matchAll(/\$\{(\w+)\}/g)].map((match) => [match[1] ?? '', 'a-value']),
);

for (const [index, sample] of [...manual.matchAll(/```yaml\n(.*?)```/gs)].entries()) {
  test(`sample ${index + 1} of docs/signing.md is valid`, () => {
    const { config } = load(`authorization: k\n${sample[1]}`, env);
    for (const upstream of config.upstreams) {
      assert.ok(upstream.endpoint !== null);
      assert.ok(requestSigner(config, upstream, new URL(upstream.endpoint)) !== null, upstream.name);
    }
  });
}

const E = 'endpoint: "https://llm.example/v1"';
const problems = (upstream: string): string =>
  problemsOf(`authorization: k\nupstreams:\n  - { ${upstream} }\n`).join('\n');

test('a scheme of signing says what it needs', () => {
  assert.match(problems(`${E}, sign: aws_sigv4`), /sign: needs key_id and key, or a token source/);
  assert.match(
    problems(`${E}, sign: aws_sigv4`),
    /sign: needs region: the host llm\.example does not name it/,
  );
  assert.match(problems(`${E}, sign: tc3`), /sign: needs service: the host llm\.example does not name it/);
  assert.match(problems(`${E}, token: none, sign: {}`), /sign: needs headers or query, or a type/);
  assert.match(problems(`${E}, sign: sigv4`), /sign\.type: must be one of headers, aws_sigv4, tc3/);
  assert.match(
    problems(`${E}, sk: k, sign: { type: tc3, service: a, key_id: i, key: k }`),
    /sk and sign are both given/,
  );
  assert.match(problems(`${E}, sign: { headers: { "a b": x } }`), /is not a valid header name/);
});

test('an unknown name in a template is named with its upstream', () => {
  const { config } = load(
    `authorization: k\nupstreams:\n  - { name: app, ${E}, sign: { headers: { X-Sign: "{{md5(boddy)}}" } } }\n`,
  );
  const [upstream] = config.upstreams;
  assert.ok(upstream);
  assert.throws(
    () => requestSigner(config, upstream, new URL('https://llm.example/v1')),
    /upstream "app": sign: unknown name boddy/,
  );
});
