import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Gateway } from '../helpers/gateway.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

const CLIENT_KEY = 'client-key-8c1d5f';
const NAMED_KEY = 'named-key-4e77a0';
const STATIC_KEY = 'static-upstream-key-91b2';
const SECRET = 'issuer-secret-d03f';
const HEADER_VALUE = 'fixed-header-value-77c1';

test('no configured secret and no token is in the log, the database, the metrics, the probes or any response', async () => {
  await using issuer = await ScriptedIssuer.start({ makeToken: (serial) => `issued-token-${serial}-af93e1` });
  // An upstream that repeats every credential it was given, in errors and in answers.
  await using echoing = await StandInModel.start({
    intercept: ({ headers, body }, response) => {
      const status = Number(body.user ?? 400);
      response.writeHead(status, {
        'content-type': 'application/json',
        'x-echo': String(headers.authorization),
      });
      response.end(
        JSON.stringify({
          error: { message: `bad request with ${headers.authorization} and ${headers['x-fixed']}` },
        }),
      );
      return true;
    },
  });
  await using refusing = await ScriptedIssuer.start({
    status: 401,
    body: { error: 'invalid_client', error_description: `client secret ${SECRET} is wrong` },
  });
  await using gateway = await Gateway.start({
    authorization: CLIENT_KEY,
    clients: [{ name: 'ragflow', key: NAMED_KEY }],
    record: { content: 'all', keep_headers: ['user-agent', 'authorization'] },
    tokens: {
      good: { type: 'oauth2', token_url: issuer.tokenUrl, client_id: 'app', client_secret: SECRET },
      bad: {
        type: 'oauth2',
        token_url: refusing.tokenUrl,
        client_id: 'app',
        client_secret: SECRET,
        refresh: { max_wait: '300ms' },
      },
    },
    upstreams: [
      {
        name: 'token',
        endpoint: echoing.url,
        token: 'good',
        pace: 'off',
        allow: ['with-token'],
        headers: { 'X-Fixed': HEADER_VALUE },
      },
      {
        name: 'static',
        endpoint: echoing.url,
        sk: STATIC_KEY,
        allow: ['with-key'],
        pace: { max_wait: '300ms' },
      },
      { name: 'broken', endpoint: echoing.url, token: 'bad', allow: ['without'] },
    ],
  });
  const seen: string[] = [];
  for (const key of [CLIENT_KEY, NAMED_KEY, 'wrong-key-of-somebody']) {
    for (const model of ['with-token', 'with-key', 'without', 'nobody']) {
      for (const user of ['400', '401', '429', '500']) {
        const response = await gateway.post(
          '/v1/chat/completions',
          { model, user, messages: [] },
          { headers: { authorization: `Bearer ${key}` } },
        );
        seen.push(JSON.stringify([...response.headers]), await response.text());
      }
    }
  }
  seen.push(await gateway.metrics(), (await gateway.readiness()).text);
  await gateway.end();
  for (const name of await readdir(gateway.folder)) {
    if (name !== 'config.yaml') seen.push(readFileSync(join(gateway.folder, name), 'latin1'));
  }
  const everything = seen.join('\n');
  assert.ok(everything.length > 10_000, 'there is something to search');
  const tokens = Array.from({ length: issuer.issuedCount }, (_, index) => `issued-token-${index + 1}-af93e1`);
  for (const secret of [CLIENT_KEY, NAMED_KEY, STATIC_KEY, SECRET, ...tokens]) {
    const at = everything.indexOf(secret);
    assert.equal(at, -1, `${secret} in …${everything.slice(Math.max(0, at - 200), at + 60)}…`);
  }
});
