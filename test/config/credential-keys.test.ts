// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the configurations have them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './config-text.ts';

test('the keys that hold the credentials of a source, with variables and files, and without values', () => {
  const { credentialKeys } = load(
    `
tokens:
  corp:
    type: oauth2
    token_url: "https://\${HOST}/token"
    client_id: app
    client_secret: "\${CORP_SECRET}"
  home:
    type: http
    url: https://auth.corp.example/t
    headers: { X-App: llm, X-Token: written-here }
    body_json: { app: { key: "\${APP_KEY:-none}" }, sign: "{{md5(secret)}}" }
    vars: { secret: "\${file:secret.txt}" }
  plain: { type: http, url: "https://auth.corp.example/t" }
`,
    { HOST: 'sso.corp.example', CORP_SECRET: 'geheim-1', APP_KEY: 'geheim-2' },
    { 'secret.txt': 'geheim-3\n' },
  );
  assert.deepEqual(Object.fromEntries(credentialKeys), {
    corp: ['tokens.corp.client_secret (CORP_SECRET in the environment)'],
    home: [
      'tokens.home.headers.X-Token',
      'tokens.home.body_json.app.key (APP_KEY in the environment)',
      'tokens.home.vars.secret (file secret.txt)',
    ],
    plain: [],
  });
});
