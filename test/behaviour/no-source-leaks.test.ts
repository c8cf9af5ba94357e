import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Gateway } from '../helpers/gateway.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

/** Every secret of this file ends so: what is found of it anywhere has leaked, whoever it belongs to. */
const MARK = 'Zq7xK';
const secret = (name: string): string => `${name}-of-a-source-${MARK}`;
const SECRET = secret('client-secret');

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tokenferry-leaks-'));
  process.env.TOKENFERRY_TEST_TOKEN = secret('env-token');
  await writeFile(join(folder, 'token'), `${secret('file-token')}\n`);
  await writeFile(join(folder, 'cut.json'), `{"data": {"token": "${secret('cut-file')}`);
  await writeFile(
    join(folder, 'good.mjs'),
    `export default async () => ({ value: '${secret('function-token')}', lifetime_ms: 60000 });`,
  );
  await writeFile(
    join(folder, 'bad.mjs'),
    `export default async () => { throw new Error('cannot log in with ${secret('thrown')}'); };`,
  );
});
after(async () => {
  delete process.env.TOKENFERRY_TEST_TOKEN;
  await rm(folder, { recursive: true });
});

/** Sources that give a token, one of each kind and place. */
function goodSources(issuer: ScriptedIssuer): Record<string, object> {
  const pem = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
    type: 'pkcs8',
    format: 'pem',
  });
  const oauth2 = { type: 'oauth2', token_url: issuer.tokenUrl, client_id: 'app' };
  return {
    of_static: { type: 'static', value: secret('static-token'), place: { cookie: 'SSO' } },
    of_env: { type: 'env', name: 'TOKENFERRY_TEST_TOKEN', place: { header: 'X-Auth-Token' } },
    of_file: { type: 'file', path: join(folder, 'token'), place: { query: 'access_token' } },
    of_exec: {
      type: 'exec',
      command: [process.execPath, '-p', 'process.env.MADE_OF'],
      env: { MADE_OF: secret('exec-token') },
      place: { body: 'ticket' },
    },
    of_basic: { ...oauth2, client_secret: SECRET },
    of_post: { ...oauth2, auth: 'post', client_secret: SECRET, params: { api_key: secret('parameter') } },
    of_password: { ...oauth2, auth: 'none', grant: 'password', username: 'me', password: secret('password') },
    of_refresh: { ...oauth2, auth: 'none', grant: 'refresh_token', refresh_token: secret('refresh-token') },
    of_key: { ...oauth2, auth: 'private_key_jwt', client_assertion: { key: String(pem) } },
    of_http: {
      type: 'http',
      url: issuer.tokenUrl,
      headers: { 'X-Api-Key': '{{key}}' },
      query: { secret: '{{key}}' },
      body_json: { sign: "{{hmac_sha256(key, 'x')}}", password: '{{key}}' },
      vars: { key: secret('variable') },
    },
    of_jwt: { type: 'jwt', alg: 'HS256', key: secret('signing-key-long-enough'), claims: { sub: 'x' } },
    of_function: { type: 'function', module: join(folder, 'good.mjs') },
  };
}

/** Sources that fail, most of them with a secret in the words that they fail with. */
function badSources(refusing: ScriptedIssuer): Record<string, object> {
  const oauth2 = { type: 'oauth2', token_url: refusing.tokenUrl, client_id: 'app' };
  const all = {
    no_env: { type: 'env', name: 'TOKENFERRY_TEST_NO_TOKEN' },
    no_file: { type: 'file', path: join(folder, 'cut.json'), token_at: '/data/token' },
    no_exec: {
      type: 'exec',
      command: [process.execPath, '-e', "console.error('bad ' + process.env.MADE_OF); process.exit(3)"],
      env: { MADE_OF: secret('exec-environment') },
    },
    no_basic: { ...oauth2, client_secret: SECRET },
    no_post: { ...oauth2, auth: 'post', client_secret: SECRET },
    no_password: { ...oauth2, auth: 'none', grant: 'password', username: 'me', password: secret('password') },
    no_refresh: { ...oauth2, auth: 'none', grant: 'refresh_token', refresh_token: secret('refresh-token') },
    no_http: {
      type: 'http',
      url: refusing.tokenUrl,
      success: { json: { '/code': 0 } },
      body_form: { password: '{{key}}' },
      vars: { key: secret('variable') },
    },
    no_function: { type: 'function', module: join(folder, 'bad.mjs') },
  };
  return Object.fromEntries(
    Object.entries(all).map(([name, source]) => [name, { ...source, refresh: { max_wait: '200ms' } }]),
  );
}

test('no secret of any type of source is in the log, the database, the metrics, the probes or any response', async () => {
  await using issuer = await ScriptedIssuer.start({ makeToken: (serial) => `${secret('issued')}-${serial}` });
  // An issuer that quotes the whole request in its refusal, its Basic header included.
  await using refusing = await ScriptedIssuer.start({
    status: 401,
    body: (_: unknown, call: { body: string; headers: object }) => ({
      error: 'invalid_client',
      error_description: `no such client: ${call.body} ${JSON.stringify(call.headers)}`,
      code: 7,
    }),
  });
  // An upstream that quotes every request whole, in errors and in answers.
  await using echoing = await StandInModel.start({
    intercept: ({ headers, path, text, body }, response) => {
      const status = Number(body.user ?? 400);
      const quote = `${path} ${JSON.stringify(headers)} ${text}`;
      response.writeHead(status, { 'content-type': 'application/json', 'x-echo': encodeURIComponent(quote) });
      response.end(JSON.stringify({ error: { message: `I do not like ${quote}` } }));
      return true;
    },
  });
  const tokens = { ...goodSources(issuer), ...badSources(refusing) };
  await using gateway = await Gateway.start({
    noauth: true,
    log: { level: 'debug' },
    record: { content: 'all', keep_headers: ['user-agent', 'x-echo'] },
    tokens,
    upstreams: Object.keys(tokens).map((token) => ({
      name: token,
      endpoint: echoing.url,
      token,
      allow: [token],
    })),
  });
  const seen: string[] = [];
  const asked = Object.keys(tokens).flatMap((model) =>
    ['400', '401', '500'].map((user) => ({ model, user })),
  );
  await Promise.all(
    asked.map(async ({ model, user }) => {
      const response = await gateway.post('/v1/chat/completions', { model, user, messages: [] });
      seen.push(JSON.stringify([...response.headers]), await response.text());
      assert.notEqual(response.status, 200);
    }),
  );
  const used = new Set(echoing.received.map(({ body }) => body.model));
  assert.deepEqual(used, new Set(Object.keys(goodSources(issuer))), 'every good source was used');
  const { text } = await gateway.readiness();
  for (const name of Object.keys(badSources(refusing)))
    assert.ok(text.includes(name), `${name} is in /readyz`);
  seen.push(await gateway.metrics(), text);
  await gateway.end();
  for (const name of await readdir(gateway.folder)) {
    if (name !== 'config.yaml') seen.push(readFileSync(join(gateway.folder, name), 'latin1'));
  }
  const everything = seen.join('\n');
  assert.ok(everything.length > 30_000, 'there is something to search');
  assert.ok(everything.split('[redacted]').length > 50, 'and much of it was a secret');
  const basic = Buffer.from(`app:${SECRET}`).toString('base64');
  const signed = echoing.received.map(({ token }) => token).filter((token) => token.startsWith('ey'));
  assert.ok(signed.length > 0);
  for (const value of [MARK, basic, ...signed]) {
    const at = everything.indexOf(value);
    assert.equal(at, -1, `${value} in …${everything.slice(Math.max(0, at - 300), at + 60)}…`);
  }
});
