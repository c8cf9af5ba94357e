import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCommand } from '../helpers/run-command.ts';

test('upstreams are listed with their names, credentials by kind and models, and no secret', async () => {
  const { code, stdout } = await runCommand(
    'list',
    {
      tokens: { corp: { type: 'static', value: 'secret-token-1' } },
      upstreams: [
        {
          name: 'chat',
          endpoint: `https://llm.corp.example/v1?api_key=\${KEY}&api-version=1`,
          token: 'corp',
          allow: ['gpt-*'],
          models: { 'gpt-4o': 'deployment-7' },
          headers: { 'x-secret': 'secret-header-1' },
        },
        { endpoint: 'https://other.example/v1', sk: 'secret-key-1', deny: ['bge-*'] },
        { name: 'incomplete', endpoint: 'https://third.example/v1' },
      ],
    },
    { env: { KEY: 'secret-query-1' } },
  );
  assert.equal(code, 0);
  assert.ok(!stdout.includes('secret'), stdout);
  assert.equal(
    stdout,
    `chat
  endpoint  https://llm.corp.example/v1?api_key=…&api-version=…
  token     corp
  allow     gpt-*
  alias     gpt-4o -> deployment-7
upstream-2
  endpoint  https://other.example/v1
  token     a fixed key (sk)
  allow     every model
  deny      bge-*
incomplete  (skipped: no credentials: set token, or sk, or \`token: none\` if none are needed)
  endpoint  https://third.example/v1
  token     -
  allow     every model
`,
  );
});

test('secrets that are not set here are not needed', async () => {
  const { code, stdout, stderr } = await runCommand('list', {
    authorization: `\${NOT_SET_ANYWHERE}`,
    upstreams: [{ name: 'chat', endpoint: 'https://llm.corp.example/v1', sk: `\${NOT_SET_ANYWHERE}` }],
  });
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^chat\n {2}endpoint {2}https:\/\/llm\.corp\.example\/v1\n/);
});
