// biome-ignore-all lint/suspicious/noTemplateCurlyInString: what is written has them.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { mock, type TestContext, test } from 'node:test';
import { parse } from 'yaml';
import { check } from '../../src/cli/check.ts';
import { loadWithEnvironment } from '../../src/cli/environment-file.ts';
import { init, TerminalQuestions } from '../../src/cli/init.ts';
import { makeCertificates } from '../helpers/certificates.ts';
import { type IssuedToken, ScriptedIssuer, type ScriptedIssuerOptions } from '../helpers/scripted-issuer.ts';
import { type ReceivedRequest, StandInModel } from '../helpers/stand-in-model.ts';

const SECRET = 'Geheim-5d1e+7f/42';

interface Rig {
  readonly issuer: ScriptedIssuer;
  readonly model: StandInModel;
  readonly folder: string;
}

/** An issuer, a model that takes its tokens where `tokenOf` finds them, and an empty folder. */
async function rig(
  t: TestContext,
  answer: ScriptedIssuerOptions,
  tokenOf: (request: ReceivedRequest) => string = ({ token }) => token,
): Promise<Rig> {
  const issuer = await ScriptedIssuer.start({
    makeToken: (serial) => `tok-${serial}-Zx81kQ92mmQ0aL`,
    ...answer,
  });
  const model = await StandInModel.start({
    intercept: (request, response) => {
      if (issuer.isLive(tokenOf(request))) return false;
      response.writeHead(401, { 'content-type': 'application/json' });
      response.end('{"error":{"message":"unknown token"}}');
      return true;
    },
  });
  const folder = await mkdtemp(join(tmpdir(), 'tokenferry-init-test-'));
  t.after(async () => {
    await Promise.all([issuer.close(), model.close()]);
    await rm(folder, { recursive: true });
  });
  return { issuer, model, folder };
}

interface Ended {
  readonly code: number;
  readonly text: string;
}

/** Runs a command within this process; returns all that it prints. */
async function run(command: () => Promise<number>): Promise<Ended> {
  const lines: string[] = [];
  const keep = (...words: unknown[]): void => void lines.push(words.join(' '));
  const mocks = [mock.method(console, 'log', keep), mock.method(console, 'error', keep)];
  try {
    return { code: await command(), text: lines.join('\n') };
  } finally {
    for (const one of mocks) one.mock.restore();
  }
}

test('the key of applications: random, in the .env only, printed once with where to type it; the gateway takes it', async (t) => {
  const made = await rig(t, {});
  const line = `curl -u app:${SECRET} -d grant_type=client_credentials ${made.issuer.tokenUrl}`;
  const { code, text } = await initFrom(made, line, '--model', 'stand-in');
  assert.equal(code, 0, text);
  const { key } = await written(made);
  assert.match(key, /^sk-[\da-f]{48}$/);
  assert.equal(text.split(key).length, 2, text);
  assert.match(text, /base URL {2}http:\/\/\S+:8888\/v1/);
  assert.match(text, new RegExp(`API key {3}${key} .*TOKENFERRY_KEY in \\.env`));
  assert.match(text, /model {5}stand-in$/m);
  const file = join(made.folder, 'config.yaml');
  assert.ok(!(await readFile(file, 'utf8')).includes(key));
  assert.equal((await stat(join(made.folder, '.env'))).mode & 0o777, 0o600);
  assert.equal(loadWithEnvironment(file).config.address, ':8888');
  const again = await initFrom(made, line, '--force');
  assert.equal(again.code, 0, again.text);
  assert.equal((await written(made)).key, key, 'applications may have it already');
  assert.ok(!again.text.includes(key));
  process.env.TOKENFERRY_KEY = 'key-of-the-environment';
  t.after(() => delete process.env.TOKENFERRY_KEY);
  const other = await rig(t, {});
  const kept = await initFrom(
    other,
    `curl -u app:${SECRET} -d grant_type=client_credentials ${other.issuer.tokenUrl}`,
  );
  assert.match(kept.text, /API key {3}the TOKENFERRY_KEY that the environment has already/);
  assert.ok(!(await readFile(join(other.folder, '.env'), 'utf8')).includes('TOKENFERRY_KEY'));
  assert.deepEqual(
    loadWithEnvironment(join(other.folder, 'config.yaml')).config.authorization.map((one) => one.reveal()),
    ['key-of-the-environment'],
  );
});

test('the curl line comes from standard input or a file, so that no shell history and no banner of npm has it', async (t) => {
  const made = await rig(t, {});
  const line = `curl -u app:${SECRET} \\\n  -d grant_type=client_credentials ${made.issuer.tokenUrl}\n`;
  const file = join(made.folder, 'line.txt');
  await writeFile(file, line);
  const output = ['--output', join(made.folder, 'config.yaml'), '--endpoint', made.model.url];
  const fromFile = await run(() => init(['--from-curl', `@${file}`, ...output], null));
  assert.equal(fromFile.code, 0, fromFile.text);
  const input = new PassThrough();
  input.end(line);
  const fromInput = await run(() => init(['--from-curl', '-', '--force', ...output], null, input));
  assert.equal(fromInput.code, 0, fromInput.text);
  assert.equal((await written(made)).source.client_id, 'app');
  const missing = await run(() => init(['--from-curl', '@/nowhere', '--force', ...output], null));
  assert.equal(missing.code, 2);
  assert.match(missing.text, /^--from-curl: cannot read \/nowhere: .*$/);
});

test('a lifetime is counted from the request and rounded, whatever part of a second the issuer is in', async (t) => {
  for (const offsetMs of [0, 400, 999]) {
    const made = await rig(t, {
      headers: { date: new Date(Math.floor(Date.now() / 1000) * 1000).toUTCString() },
      body: (token: IssuedToken) => ({ token: token.value, expiresAt: Date.now() + 300_000 + offsetMs }),
    });
    const { text } = await initFrom(made, `curl ${made.issuer.origin}/t`);
    assert.match(text, /^ok {4}the token is at \/token, it lives 300 s$/m);
  }
});

function initFrom({ model, folder }: Rig, line: string, ...more: string[]): Promise<Ended> {
  const output = join(folder, 'config.yaml');
  const args = ['--from-curl', line, '--endpoint', model.url, '--output', output, ...more];
  return run(() => init(args, null));
}

interface Written {
  readonly source: Record<string, unknown>;
  readonly upstream: Record<string, unknown>;
  /** Of the `.env`, the key of applications left out. */
  readonly variables: string;
  /** What applications send. */
  readonly key: string;
}

async function written({ folder }: Rig): Promise<Written> {
  const config = parse(await readFile(join(folder, 'config.yaml'), 'utf8'));
  assert.equal(config.authorization, '${TOKENFERRY_KEY}');
  const text = await readFile(join(folder, '.env'), 'utf8');
  const [line = '', key = ''] = /^TOKENFERRY_KEY=(.*)\n/m.exec(text) ?? [];
  return {
    source: config.tokens.corp,
    upstream: config.upstreams[0],
    variables: text.replace(line, ''),
    key,
  };
}

const oauth = (token: IssuedToken) => ({
  access_token: token.value,
  token_type: 'Bearer',
  expires_in: Math.round(token.remainingMs / 1000),
});
const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;

/** `2026-12-01 09:30:00`, without a zone. */
function localTime(wallMs: number): string {
  const date = new Date(wallMs);
  const two = (number: number) => String(number).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

const unsignedJwtFor = (seconds: number) => (serial: number) =>
  [{ alg: 'none' }, { exp: inSeconds(seconds), jti: String(serial) }]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .concat('c2lnbmF0dXJl')
    .join('.');

interface Issuer {
  readonly name: string;
  readonly answer: ScriptedIssuerOptions;
  readonly line: (origin: string) => string;
  /** Where the upstream takes the token. */
  readonly tokenOf?: (request: ReceivedRequest) => string;
  /** What is written of the source, its `url` left out. */
  readonly source: Record<string, unknown>;
  /** What is written into the `.env`. */
  readonly variables?: string;
}

const queryToken = ({ path }: ReceivedRequest) =>
  new URL(path, 'http://x').searchParams.get('access_token') ?? '';

let huaweiToken = '';

/** Every issuer of docs/tokens.md that is asked with one HTTP request without a computed signature. */
const ISSUERS: readonly Issuer[] = [
  {
    name: 'Feishu',
    answer: {
      body: (token: IssuedToken) => ({ code: 0, msg: 'ok', tenant_access_token: token.value, expire: 7200 }),
    },
    line: (origin) =>
      `curl -i -X POST '${origin}/open-apis/auth/v3/tenant_access_token/internal' \\
  -H 'Content-Type: application/json; charset=utf-8' \\
  -d '{ "app_id": "cli_a1b2", "app_secret": "${SECRET}" }'`,
    source: {
      type: 'http',
      body_json: { app_id: 'cli_a1b2', app_secret: '${CORP_APP_SECRET}' },
      success: { json: { '/code': 0 } },
      token_at: '/tenant_access_token',
    },
    variables: `CORP_APP_SECRET=${SECRET}\n`,
  },
  {
    name: 'WeChat',
    answer: { body: (token: IssuedToken) => ({ access_token: token.value, expires_in: 7200 }) },
    line: (origin) =>
      `curl "${origin}/cgi-bin/token?grant_type=client_credential&appid=wx1&secret=${encodeURIComponent(SECRET)}"`,
    tokenOf: queryToken,
    source: {
      type: 'http',
      query: { grant_type: 'client_credential', appid: 'wx1', secret: '${CORP_SECRET}' },
      token_at: '/access_token',
      place: { query: 'access_token' },
    },
    variables: `CORP_SECRET=${SECRET}\n`,
  },
  {
    name: 'WeChat stable_token',
    answer: { body: (token: IssuedToken) => ({ access_token: token.value, expires_in: 7200 }) },
    line: (origin) =>
      `curl -d '{"grant_type":"client_credential","appid":"wx1","secret":"${SECRET}"}' ${origin}/cgi-bin/stable_token`,
    tokenOf: queryToken,
    source: {
      type: 'http',
      body_json: { grant_type: 'client_credential', appid: 'wx1', secret: '${CORP_SECRET}' },
      token_at: '/access_token',
      place: { query: 'access_token' },
    },
  },
  {
    name: 'DingTalk',
    answer: {
      body: (token: IssuedToken) => ({
        errcode: 0,
        errmsg: 'ok',
        access_token: token.value,
        expires_in: 7200,
      }),
    },
    line: (origin) => `curl -G ${origin}/gettoken -d appkey=k1 --data-urlencode appsecret=${SECRET}`,
    source: {
      type: 'http',
      query: { appkey: 'k1', appsecret: '${CORP_APPSECRET}' },
      success: { json: { '/errcode': 0 } },
      token_at: '/access_token',
    },
  },
  {
    name: 'GigaChat',
    answer: {
      body: (token: IssuedToken) => ({ access_token: token.value, expires_at: Date.now() + 1_800_000 }),
    },
    line: (origin) =>
      `curl -L -X POST '${origin}/api/v2/oauth' -H 'Content-Type: application/x-www-form-urlencoded' \\
-H 'Accept: application/json' -H 'RqUID: 6f0b1291-c7f3-43c6-bb2e-9f3efb2dc98e' \\
-H 'Authorization: Basic ${Buffer.from(`id:${SECRET}`).toString('base64')}' --data-urlencode 'scope=GIGACHAT_API_CORP'`,
    source: {
      type: 'http',
      headers: { RqUID: '{{uuid}}' },
      body_form: { scope: 'GIGACHAT_API_CORP' },
      basic: { username: 'id', password: '${CORP_PASSWORD}' },
      token_at: '/access_token',
    },
  },
  {
    name: 'Yandex',
    answer: {
      body: (token: IssuedToken) => ({
        iamToken: token.value,
        expiresAt: new Date(Date.now() + 3_600_000).toISOString().replace('Z', '456789Z'),
      }),
    },
    line: (origin) =>
      `curl --request POST --data '{"yandexPassportOauthToken":"${SECRET}"}' ${origin}/iam/v1/tokens`,
    source: {
      type: 'http',
      body_json: { yandexPassportOauthToken: '${CORP_YANDEX_PASSPORT_OAUTH_TOKEN}' },
      token_at: '/iamToken',
    },
  },
  {
    name: 'IBM watsonx',
    answer: {
      body: (token: IssuedToken) => ({
        access_token: token.value,
        refresh_token: 'not_supported',
        expires_in: 3600,
        expiration: inSeconds(3600),
      }),
    },
    line: (origin) =>
      `curl -X POST "${origin}/identity/token" -H "Content-Type: application/x-www-form-urlencoded" \\
-d "grant_type=urn:ibm:params:oauth:grant-type:apikey&apikey=${encodeURIComponent(SECRET)}"`,
    source: {
      type: 'http',
      body_form: { grant_type: 'urn:ibm:params:oauth:grant-type:apikey', apikey: '${CORP_APIKEY}' },
      token_at: '/access_token',
    },
  },
  {
    name: 'Microsoft Entra',
    answer: { body: (token: IssuedToken) => ({ ...oauth(token), ext_expires_in: 7199 }) },
    line: (origin) =>
      `curl -X POST -d 'client_id=11111111-2222-3333-4444-555555555555' -d 'grant_type=client_credentials' \\
 -d 'scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default' --data-urlencode 'client_secret=${SECRET}' '${origin}/TENANT/oauth2/v2.0/token'`,
    source: {
      type: 'oauth2',
      client_id: '11111111-2222-3333-4444-555555555555',
      client_secret: '${CORP_CLIENT_SECRET}',
      auth: 'post',
      scope: 'https://cognitiveservices.azure.com/.default',
    },
    variables: `CORP_CLIENT_SECRET=${SECRET}\n`,
  },
  {
    name: 'Azure managed identity',
    answer: {
      body: (token: IssuedToken) => ({
        access_token: token.value,
        expires_in: '3599',
        expires_on: String(inSeconds(3599)),
      }),
    },
    line: (origin) =>
      `curl '${origin}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fcognitiveservices.azure.com' -H Metadata:true -s`,
    source: {
      type: 'http',
      headers: { Metadata: 'true' },
      query: { 'api-version': '2018-02-01', resource: 'https://cognitiveservices.azure.com' },
      token_at: '/access_token',
    },
    variables: '',
  },
  {
    name: 'Google Cloud',
    answer: { body: oauth },
    line: (origin) =>
      `curl "${origin}/computeMetadata/v1/instance/service-accounts/default/token" -H "Metadata-Flavor: Google"`,
    source: { type: 'http', headers: { 'Metadata-Flavor': 'Google' }, token_at: '/access_token' },
    variables: '',
  },
  {
    name: 'Keycloak',
    answer: {
      body: (token: IssuedToken) => ({ ...oauth(token), refresh_expires_in: 0, 'not-before-policy': 0 }),
    },
    line: (origin) =>
      `curl -s ${origin}/realms/llm/protocol/openid-connect/token -d grant_type=client_credentials -d client_id=llm-app --data-urlencode client_secret=${SECRET} | jq -r .access_token`,
    source: {
      type: 'oauth2',
      client_id: 'llm-app',
      client_secret: '${CORP_CLIENT_SECRET}',
      auth: 'post',
    },
  },
  {
    name: 'Huawei Cloud',
    answer: {
      status: 201,
      makeToken: (serial) => {
        huaweiToken = `MIIabcdefGHIJ${serial}klmnop0123456789`;
        return huaweiToken;
      },
      headers: {
        get 'X-Subject-Token'() {
          return huaweiToken;
        },
      },
      body: () => ({
        token: { expires_at: new Date(Date.now() + 86_400_000).toISOString(), methods: ['password'] },
      }),
    },
    line: (origin) => `curl -i -X POST ${origin}/v3/auth/tokens -H 'Content-Type: application/json' -d '{
  "auth": { "identity": { "methods": ["password"], "password": { "user": {
    "name": "svc-llm", "password": "${SECRET}", "domain": { "name": "corp" } } } },
    "scope": { "project": { "name": "cn-north-4" } } } }'`,
    tokenOf: ({ headers }) => String(headers['x-auth-token'] ?? ''),
    source: {
      type: 'http',
      body_json: {
        auth: {
          identity: {
            methods: ['password'],
            password: {
              user: { name: 'svc-llm', password: '${CORP_PASSWORD}', domain: { name: 'corp' } },
            },
          },
          scope: { project: { name: 'cn-north-4' } },
        },
      },
      token_at: 'header:x-subject-token',
      expires_at: { pointer: '/token/expires_at' },
      place: { header: 'X-Auth-Token' },
    },
  },
  {
    name: 'Baidu Qianfan',
    answer: {
      body: (token: IssuedToken) => ({
        refresh_token: '25.abc',
        expires_in: 2_592_000,
        session_key: 'x',
        access_token: token.value,
        scope: 'public',
      }),
    },
    line: (origin) =>
      `curl -X POST '${origin}/oauth/2.0/token?grant_type=client_credentials&client_id=ak&client_secret=${encodeURIComponent(SECRET)}' -H 'Content-Type: application/json' -H 'Accept: application/json'`,
    tokenOf: queryToken,
    source: {
      type: 'http',
      method: 'POST',
      query: { grant_type: 'client_credentials', client_id: 'ak', client_secret: '${CORP_CLIENT_SECRET}' },
      token_at: '/access_token',
      place: { query: 'access_token' },
    },
  },
  {
    name: 'Databricks and SAP AI Core',
    answer: { body: oauth },
    line: (origin) =>
      `curl --request POST --url ${origin}/oidc/v1/token --user "sb-1:${SECRET}" --data 'grant_type=client_credentials&scope=all-apis'`,
    source: {
      type: 'oauth2',
      client_id: 'sb-1',
      client_secret: '${CORP_CLIENT_SECRET}',
      auth: 'basic',
      auth_encoding: 'loose',
      scope: 'all-apis',
    },
  },
  {
    name: 'Feishu, the OAuth2 endpoint',
    answer: { body: (token: IssuedToken) => ({ code: 0, ...oauth(token), scope: 'tenant' }) },
    line: (origin) =>
      `curl -X POST '${origin}/oauth/v3/token' -H 'Content-Type: application/json' -d '{
  "grant_type": "client_credentials", "client_id": "cli_a1b2", "client_secret": "${SECRET}" }'`,
    source: {
      type: 'http',
      body_json: {
        grant_type: 'client_credentials',
        client_id: 'cli_a1b2',
        client_secret: '${CORP_CLIENT_SECRET}',
      },
      success: { json: { '/code': 0 } },
      token_at: '/access_token',
    },
  },
  {
    name: 'DingTalk v1.0',
    answer: { body: (token: IssuedToken) => ({ accessToken: token.value, expireIn: 7200 }) },
    line: (origin) =>
      `curl -X POST "${origin}/v1.0/oauth2/accessToken" -H "Content-Type:application/json" --data "{\\"appKey\\":\\"k1\\",\\"appSecret\\":\\"${SECRET}\\"}"`,
    source: {
      type: 'http',
      body_json: { appKey: 'k1', appSecret: '${CORP_APP_SECRET}' },
      token_at: '/accessToken',
    },
  },
  {
    name: 'GigaChat, second form',
    answer: {
      body: (token: IssuedToken) => ({ tok: token.value, exp: Math.floor(Date.now() / 1000) + 1800 }),
    },
    line: (origin) =>
      `curl -k -X POST ${origin}/v1/token -H "RqUID: $(uuidgen)" -u 'user:${SECRET}' -d scope=GIGACHAT_API_PERS`,
    source: {
      type: 'http',
      headers: { RqUID: '{{uuid}}' },
      body_form: { scope: 'GIGACHAT_API_PERS' },
      basic: { username: 'user', password: '${CORP_PASSWORD}' },
      token_at: '/tok',
    },
  },
  {
    name: 'IBM Cloud Pak for Data',
    answer: {
      body: (token: IssuedToken) => ({ _messageCode_: '200', message: 'Success', token: token.value }),
    },
    line: (origin) =>
      `curl -k -X POST ${origin}/icp4d-api/v1/authorize -H 'cache-control: no-cache' -H 'content-type: application/json' -d '{"username":"admin","api_key":"${SECRET}"}'`,
    source: {
      type: 'http',
      headers: { 'cache-control': 'no-cache' },
      body_json: { username: 'admin', api_key: '${CORP_API_KEY}' },
      token_at: '/token',
    },
  },
  {
    name: 'IBM Cloud Pak for Data with the token as it is',
    answer: {
      body: (token: IssuedToken) => ({ _messageCode_: '200', message: 'Success', token: token.value }),
    },
    line: (origin) => `curl ${origin}/v1/preauth/validateAuth -u admin:${SECRET}`,
    tokenOf: ({ headers }) => String(headers.authorization ?? ''),
    source: {
      type: 'http',
      basic: { username: 'admin', password: '${CORP_PASSWORD}' },
      token_at: '/token',
      place: { header: 'Authorization' },
    },
  },
  {
    name: 'Auth0',
    answer: { body: oauth },
    line: (origin) =>
      `curl --request POST --url '${origin}/oauth/token' --header 'content-type: application/json' --data '{"client_id":"cid","client_secret":"${SECRET}","audience":"https://llm.corp.example/","grant_type":"client_credentials"}'`,
    source: {
      type: 'oauth2',
      client_id: 'cid',
      client_secret: '${CORP_CLIENT_SECRET}',
      auth: 'post',
      params: { audience: 'https://llm.corp.example/' },
      encoding: 'json',
    },
  },
  {
    name: 'Keycloak with a user name and a password',
    answer: {
      body: (token: IssuedToken) => ({
        ...oauth(token),
        refresh_token: 'eyJhbGciOiJIUzI1NiJ9.eyJ0eXAiOiJSZWZyZXNoIn0.c2lnbmF0dXJl',
        refresh_expires_in: 1800,
      }),
    },
    line: (origin) =>
      `curl -s -X POST ${origin}/realms/corp/protocol/openid-connect/token -d 'grant_type=password' -d 'client_id=llm' -d 'username=svc' --data-urlencode 'password=${SECRET}'`,
    source: {
      type: 'http',
      body_form: { grant_type: 'password', client_id: 'llm', username: 'svc', password: '${CORP_PASSWORD}' },
      token_at: '/access_token',
    },
  },
  {
    name: 'SAP XSUAA with its grant in the query',
    answer: { body: (token: IssuedToken) => ({ ...oauth(token), scope: 'uaa.resource', jti: 'a1' }) },
    line: (origin) =>
      `curl -X POST '${origin}/oauth/token?grant_type=client_credentials' -u 'sb-1!b2|aicore:${SECRET}'`,
    source: {
      type: 'http',
      method: 'POST',
      query: { grant_type: 'client_credentials' },
      basic: { username: 'sb-1!b2|aicore', password: '${CORP_PASSWORD}' },
      token_at: '/access_token',
    },
  },
  {
    name: 'Azure App Service',
    answer: {
      body: (token: IssuedToken) => ({
        access_token: token.value,
        expires_on: String(inSeconds(3599)),
        resource: 'x',
        token_type: 'Bearer',
        client_id: '5E29463D-71DA-4FE0-8E69-999B57DB23B0',
      }),
    },
    line: (origin) =>
      `curl "${origin}/msi/token?api-version=2019-08-01&resource=https://cognitiveservices.azure.com" -H "X-IDENTITY-HEADER: ${SECRET}"`,
    source: {
      type: 'http',
      headers: { 'X-IDENTITY-HEADER': '${CORP_X_IDENTITY_HEADER}' },
      query: { 'api-version': '2019-08-01', resource: 'https://cognitiveservices.azure.com' },
      token_at: '/access_token',
    },
  },
  {
    name: 'Google Cloud with an identity token as the whole body',
    answer: { makeToken: unsignedJwtFor(3600), body: (token: IssuedToken) => token.value },
    line: (origin) =>
      `curl -H 'Metadata-Flavor: Google' '${origin}/computeMetadata/v1/instance/service-accounts/default/identity?audience=https://llm.corp.example&format=full'`,
    source: {
      type: 'http',
      headers: { 'Metadata-Flavor': 'Google' },
      query: { audience: 'https://llm.corp.example', format: 'full' },
      token_at: 'body',
    },
  },
  {
    name: 'Kubernetes TokenRequest',
    answer: {
      status: 201,
      body: (token: IssuedToken) => ({
        kind: 'TokenRequest',
        apiVersion: 'authentication.k8s.io/v1',
        metadata: { name: 'llm', creationTimestamp: new Date().toISOString() },
        spec: { audiences: ['llm'], expirationSeconds: 3600 },
        status: {
          token: token.value,
          expirationTimestamp: new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+Z/, 'Z'),
        },
      }),
    },
    line: (origin) =>
      `curl -sk -X POST -H "Authorization: Bearer ${SECRET}" -H 'Content-Type: application/json' -d '{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"audiences":["llm"],"expirationSeconds":3600}}' ${origin}/api/v1/namespaces/llm/serviceaccounts/llm/token`,
    source: {
      type: 'http',
      headers: { Authorization: '${CORP_AUTHORIZATION}' },
      body_json: {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { audiences: ['llm'], expirationSeconds: 3600 },
      },
      token_at: '/status/token',
      expires_at: { pointer: '/status/expirationTimestamp' },
    },
  },
  {
    name: 'HashiCorp Vault AppRole',
    answer: {
      body: (token: IssuedToken) => ({
        request_id: '6f0b1291-c7f3-43c6-bb2e-9f3efb2dc98e',
        lease_id: '',
        lease_duration: 0,
        data: null,
        auth: {
          client_token: token.value,
          accessor: 'hmac-8609694a-cdbc-db9b-d345-e782dbb562ed',
          policies: ['default'],
          lease_duration: 1200,
          renewable: true,
        },
      }),
    },
    line: (origin) =>
      `curl --request POST --data '{"role_id":"59d6d1ca-47bb-4e7e-a40b-8be3bc5a0ba8","secret_id":"${SECRET}"}' ${origin}/v1/auth/approle/login`,
    source: {
      type: 'http',
      body_json: { role_id: '59d6d1ca-47bb-4e7e-a40b-8be3bc5a0ba8', secret_id: '${CORP_SECRET_ID}' },
      token_at: '/auth/client_token',
      expires_at: { pointer: '/auth/lease_duration' },
    },
  },
  {
    name: 'WSO2 and Apigee with a Basic header',
    answer: { body: (token: IssuedToken) => ({ ...oauth(token), scope: 'default' }) },
    line: (origin) =>
      `curl -k -X POST ${origin}/token -d "grant_type=client_credentials" -H "Authorization: Basic ${Buffer.from(`id:${SECRET}`).toString('base64')}"`,
    source: {
      type: 'oauth2',
      client_id: 'id',
      client_secret: '${CORP_CLIENT_SECRET}',
      auth: 'basic',
      auth_encoding: 'loose',
    },
  },
  {
    name: 'Home-grown, nested camel case with milliseconds',
    answer: {
      body: (token: IssuedToken) => ({
        code: 0,
        msg: 'success',
        data: { accessToken: token.value, expireTime: Date.now() + 300_000 },
      }),
    },
    line: (origin) =>
      `curl --location --request POST '${origin}/auth/token' --header 'Content-Type: application/json' --data-raw '{"appKey":"a1","appSecret":"${SECRET}"}'`,
    source: {
      type: 'http',
      body_json: { appKey: 'a1', appSecret: '${CORP_APP_SECRET}' },
      success: { json: { '/code': 0 } },
      token_at: '/data/accessToken',
    },
  },
  {
    name: 'Home-grown, code 200 and a token that is the data itself',
    answer: { body: (token: IssuedToken) => ({ code: 200, success: true, msg: 'OK', data: token.value }) },
    line: (origin) =>
      `curl '${origin}/api/getToken' -H 'X-App-Id: llm' -H 'X-App-Key: ${SECRET}' --compressed -X 'POST' -d ''`,
    source: {
      type: 'http',
      method: 'POST',
      headers: { 'X-App-Id': 'llm', 'X-App-Key': '${CORP_X_APP_KEY}' },
      success: { json: { '/code': 200 } },
      token_at: '/data',
    },
  },
  {
    name: 'Home-grown, a local time as its end',
    answer: {
      body: (token: IssuedToken) => ({
        status: 'success',
        result: { jwtToken: token.value, expireDate: localTime(Date.now() + 1_800_000), userName: 'svc' },
      }),
    },
    line: (origin) =>
      `curl -H "Content-Type: application/json" -d '{"username":"svc","password":"${SECRET}"}' ${origin}/login`,
    source: {
      type: 'http',
      body_json: { username: 'svc', password: '${CORP_PASSWORD}' },
      token_at: '/result/jwtToken',
      expires_at: { pointer: '/result/expireDate' },
    },
  },
  {
    name: 'GitHub Copilot',
    answer: {
      body: (token: IssuedToken) => ({
        token: token.value,
        expires_at: inSeconds(1800),
        refresh_in: 1500,
        sku: 'x',
      }),
    },
    line: (origin) => `curl ${origin}/copilot_internal/v2/token -H "Authorization: token ${SECRET}"`,
    source: {
      type: 'http',
      headers: { Authorization: '${CORP_AUTHORIZATION}' },
      token_at: '/token',
      refresh_in_at: '/refresh_in',
    },
    variables: `CORP_AUTHORIZATION='token ${SECRET}'\n`,
  },
];

for (const { name, answer, line, tokenOf, source, variables } of ISSUERS) {
  test(`${name}: from the curl line to a configuration that check accepts, without a secret in sight`, async (t) => {
    const made = await rig(t, answer, tokenOf);
    const { code, text } = await initFrom(made, line(made.issuer.origin));
    assert.equal(code, 0, text);
    assert.match(text, /^ok {4}token corp: obtained, \d+ s left$/m);
    assert.match(text, /^ok {4}upstream llm: a chat with stand-in works$/m);
    assert.match(text, /^Next: {4}tokenferry --config .*config\.yaml {3}starts the gateway$/m);
    const found = await written(made);
    const { url, token_url: tokenUrl, ...rest } = found.source;
    assert.ok(String(url ?? tokenUrl).startsWith(made.issuer.origin));
    assert.deepEqual(rest, source);
    if (variables !== undefined) assert.equal(found.variables, variables);
    assert.equal(/^warn .*local time without a zone/m.test(text), name.includes('local time'));
    for (const secret of [SECRET, encodeURIComponent(SECRET), Buffer.from(`id:${SECRET}`).toString('base64')])
      assert.ok(!text.includes(secret), text);
    for (const token of made.issuer.liveTokens) assert.ok(!text.includes(token), text);
    const file = join(made.folder, 'config.yaml');
    assert.ok(!(await readFile(file, 'utf8')).includes(SECRET));
    const checked = await run(() => check(['--config', file, '--chat']));
    assert.equal(checked.code, 0, checked.text);
  });
}

test('a home-grown interface: nested token, milliseconds, a time and a nonce of each request, a signature that is named', async (t) => {
  const made = await rig(t, {
    body: (token: IssuedToken) => ({
      code: 0,
      data: { accessToken: token.value, expireTime: Date.now() + 300_000 },
    }),
  });
  const line = `curl ${made.issuer.origin}/api/getToken -H 'Content-Type: application/json' -d '{
    "appId": "a1", "ts": ${Math.floor(Date.now() / 1000)}, "nonce": "6f0b1291-c7f3-43c6-bb2e-9f3efb2dc98e",
    "sign": "aabbccddeeff00112233", "device": { "api_key": "${SECRET}" } }'`;
  const { code, text } = await initFrom(made, line);
  assert.equal(code, 0, text);
  assert.match(text, /^ {6}\/data\/accessToken {2}text of \d+ characters {3}<- the token$/m);
  assert.match(text, /^ok {4}the token is at \/data\/accessToken, it lives 300 s$/m);
  assert.match(text, /^warn {2}sign looks computed from the other values/m);
  const { source } = await written(made);
  assert.deepEqual(source.body_json, {
    appId: 'a1',
    ts: '{{now_s}}',
    nonce: '{{uuid}}',
    sign: '${CORP_SIGN}',
    device: { api_key: '${CORP_API_KEY}' },
  });
  assert.deepEqual(source.success, { json: { '/code': 0 } });
  const [, sent] = made.issuer.calls;
  assert.match(sent?.body ?? '', /"ts":\d{10},/);
});

test('a token that is the whole body, a cookie, or known by its shape only', async (t) => {
  const jwt = (serial: number) =>
    [{ alg: 'none' }, { exp: inSeconds(600), jti: String(serial) }]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .concat('c2lnbmF0dXJl')
      .join('.');
  const bare = await rig(t, { body: (token: IssuedToken) => `${token.value}\n` });
  assert.equal((await initFrom(bare, `curl -u app:${SECRET} ${bare.issuer.origin}/t`)).code, 0);
  assert.equal((await written(bare)).source.token_at, 'body');
  const shaped = await rig(t, {
    makeToken: jwt,
    body: (token: IssuedToken) => ({ result: { credential: token.value, user: 'svc' } }),
  });
  const { code, text } = await initFrom(shaped, `curl ${shaped.issuer.origin}/t -H 'X-Key: ${SECRET}'`);
  assert.equal(code, 0, text);
  assert.match(text, /it lives (598|599|600) s/);
  assert.match(text, /\/result\/credential {2}a JWT of \d+ characters {3}<- the token/);
  assert.equal((await written(shaped)).source.token_at, '/result/credential');
  let cookie = '';
  const baked = await rig(t, {
    makeToken: (serial) => {
      cookie = `session_token=st-${serial}-8Xk2mQ9vLw3Rz7; Path=/; Max-Age=300`;
      return cookie.slice('session_token='.length, cookie.indexOf(';'));
    },
    headers: {
      get 'set-cookie'() {
        return cookie;
      },
    },
    body: () => ({ ok: true }),
  });
  assert.equal(
    (await initFrom(baked, `curl -F user=svc -F pwd=${SECRET} ${baked.issuer.origin}/login`)).code,
    0,
  );
  const { source } = await written(baked);
  assert.equal(source.token_at, 'cookie:session_token');
  assert.deepEqual(source.body_form, { user: 'svc', pwd: '${CORP_PWD}' });
});

test('an endpoint without its /v1 is corrected, and said to be', async (t) => {
  const made = await rig(t, {});
  const { issuer, model, folder } = made;
  model.set({
    intercept: (request, response) => {
      if (request.path.startsWith('/v1/')) return false;
      response.writeHead(404);
      response.end();
      return true;
    },
  });
  const line = `curl -u app:${SECRET} -d grant_type=client_credentials ${issuer.tokenUrl}`;
  const output = join(folder, 'config.yaml');
  const { origin } = new URL(model.url);
  const { code, text } = await run(() =>
    init(['--from-curl', line, '--endpoint', origin, '--output', output], null),
  );
  assert.equal(code, 0, text);
  assert.match(text, /^warn {2}upstream llm: no chat at its endpoint, but a chat works below another path/m);
  assert.equal((await written(made)).upstream.endpoint, `${origin}/v1`);
});

test('an issuer that refuses: its reason without the secret that it repeats, exit code 1, nothing written', async (t) => {
  const made = await rig(t, {
    status: 401,
    body: { error: 'invalid_client', error_description: `the secret ${SECRET} is wrong` },
  });
  const line = `curl -u 'app:${SECRET}' -d grant_type=client_credentials ${made.issuer.tokenUrl}`;
  const { code, text } = await initFrom(made, line);
  assert.equal(code, 1, text);
  assert.match(text, /status 401/);
  assert.match(text, /invalid_client.*Nothing was written\.$/s);
  assert.ok(!text.includes(SECRET), text);
  await assert.rejects(stat(join(made.folder, 'config.yaml')));
});

test('a response without anything like a token says what it has; a redirect, where to', async (t) => {
  const made = await rig(t, { body: { status: 'pending', id: 7 } });
  const none = await initFrom(made, `curl ${made.issuer.origin}/t`);
  assert.equal(none.code, 1);
  assert.match(none.text, /no token was found in the response: JSON, an object with the keys status, id/);
  made.issuer.script({
    status: 302,
    headers: { location: 'https://sso.corp.example/login?next=1' },
    body: '',
  });
  const moved = await initFrom(made, `curl -L ${made.issuer.origin}/t`);
  assert.match(moved.text, /redirects to https:\/\/sso\.corp\.example\/login, which is not followed/);
});

test('an upstream that does not work: the files are written for repair, exit code 1', async (t) => {
  const made = await rig(t, {});
  made.model.set({
    intercept: (_request, response) => {
      response.writeHead(503);
      response.end();
      return true;
    },
  });
  const line = `curl -u app:${SECRET} -d grant_type=client_credentials ${made.issuer.tokenUrl}`;
  const { code, text } = await initFrom(made, line);
  assert.equal(code, 1, text);
  assert.match(text, /^Next: {4}correct the lines that say FAIL, then tokenferry check --chat --config /m);
  assert.equal((await written(made)).source.type, 'oauth2');
});

test('no file is overwritten without --force; with it, other variables of the .env stay; mode 600', async (t) => {
  const made = await rig(t, {});
  const { folder, issuer } = made;
  await writeFile(join(folder, '.env'), 'OTHER=1\nCORP_CLIENT_SECRET=old\n', { mode: 0o644 });
  const line = `curl -u app:${SECRET} -d grant_type=client_credentials ${issuer.tokenUrl}`;
  const refused = await initFrom(made, line);
  assert.equal(refused.code, 2);
  assert.match(refused.text, /^\S+\.env exists\. Name another file with --output, or use --force\.$/);
  assert.equal(issuer.callCount, 0);
  assert.equal((await initFrom(made, line, '--force')).code, 0);
  assert.equal((await written(made)).variables, `OTHER=1\nCORP_CLIENT_SECRET=${SECRET}\n`);
  assert.equal((await stat(join(folder, '.env'))).mode & 0o777, 0o600);
  assert.match((await initFrom(made, line)).text, /config\.yaml exists\./);
});

test('a secret that came from a variable keeps the name of it; one with quotes survives the .env', async (t) => {
  const made = await rig(t, {});
  process.env.FERRY_INIT_SECRET = `it's "quoted" #1`;
  t.after(() => delete process.env.FERRY_INIT_SECRET);
  const line = `curl -d grant_type=client_credentials -d client_id=app --data-urlencode "client_secret=$FERRY_INIT_SECRET" ${made.issuer.tokenUrl}`;
  const { code, text } = await initFrom(made, line);
  assert.equal(code, 0, text);
  const { source, variables } = await written(made);
  assert.equal(source.client_secret, '${FERRY_INIT_SECRET}');
  assert.equal(variables, `FERRY_INIT_SECRET=\`it's "quoted" #1\`\n`);
  delete process.env.FERRY_INIT_SECRET;
  const checked = await run(() => check(['--config', join(made.folder, 'config.yaml')]));
  assert.equal(checked.code, 0, checked.text);
  assert.equal(made.issuer.lastCall.form.get('client_secret'), `it's "quoted" #1`);
});

test('an issuer behind TLS of an own authority: --cacert becomes tls.ca', async (t) => {
  const { ca, server } = await makeCertificates();
  const made = await rig(t, { tls: { cert: server.cert, key: server.key } });
  const file = join(made.folder, 'ca.pem');
  await writeFile(file, ca);
  const line = `curl -k --cacert ${file} -u app:${SECRET} -d grant_type=client_credentials ${made.issuer.tokenUrl}`;
  const { code, text } = await initFrom(made, line);
  assert.equal(code, 0, text);
  assert.match(text, /^warn {2}-k was left out: certificates are always checked/m);
  assert.deepEqual((await written(made)).source.tls, { ca: file });
});

test('what is missing is named where nobody can be asked, and asked for in a terminal', async (t) => {
  const made = await rig(t, {});
  const { issuer, model, folder } = made;
  const output = join(folder, 'config.yaml');
  const silent = await run(() => init(['--output', output], null));
  assert.equal(silent.code, 2);
  assert.match(silent.text, /--from-curl is missing/);
  const half = await run(() => init(['--output', output, '--from-curl', 'curl x'], null));
  assert.equal(half.code, 2);
  assert.match(half.text, /--endpoint is missing/);
  const wrong = await run(() =>
    init(['--output', output, '--from-curl', 'curl --nope x', '--endpoint', 'http://x'], null),
  );
  assert.equal(wrong.code, 2);
  assert.match(wrong.text, /options that are not known here: --nope/);
  const [input, screen] = [new PassThrough(), new PassThrough()];
  // Pasted at once.
  input.write(
    `curl -u app:${SECRET} \\\n-d grant_type=client_credentials ${issuer.tokenUrl}\n${model.url}\n`,
  );
  const asked = await run(() => init(['--output', output], new TerminalQuestions(input, screen)));
  assert.equal(asked.code, 0, asked.text);
  const shown = String(screen.read());
  assert.match(shown, /The curl line with which you get a token:\n/);
  assert.match(shown, /The base URL of the upstream/);
});

test('a terminal that is closed before the answer: cancelled, nothing written', async (t) => {
  const { folder } = await rig(t, {});
  const input = new PassThrough();
  input.end('curl \\\n');
  const output = join(folder, 'config.yaml');
  const { code, text } = await run(() =>
    init(['--output', output], new TerminalQuestions(input, new PassThrough())),
  );
  assert.equal(code, 2);
  assert.match(text, /cancelled: nothing was written/);
});
