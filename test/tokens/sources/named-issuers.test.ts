import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { Secret } from '../../../src/lib/secret.ts';
import type { SourceSettings } from '../../../src/tokens/sources/source-factory.ts';
import {
  type IssuedToken,
  ScriptedIssuer,
  type ScriptedIssuerOptions,
} from '../../helpers/scripted-issuer.ts';
import { makeSource } from '../../helpers/source-bench.ts';

/** A stand-in that answers in an issuer's documented shape, and a source made for its URL. */
async function standIn(
  t: TestContext,
  answer: ScriptedIssuerOptions,
  settingsFor: (origin: string) => SourceSettings,
) {
  const issuer = await ScriptedIssuer.start({ makeToken: (serial) => `t-${serial}`, ...answer });
  t.after(() => issuer.close());
  const made = makeSource(settingsFor(issuer.origin));
  t.after(() => made.close());
  return { issuer, ...made };
}

const near = (actual: number | undefined, expected: number) =>
  assert.ok(Math.abs((actual ?? 0) - expected) < 2500, `${actual} is not near ${expected}`);
const inMs = (ms: number) => Date.now() + ms;
const seconds = (ms: number) => Math.round(ms / 1000);
const json = (body: string) => JSON.parse(body) as Record<string, unknown>;

const feishu = (origin: string): SourceSettings => ({
  type: 'http',
  url: `${origin}/open-apis/auth/v3/tenant_access_token/internal`,
  bodyJson: { app_id: 'cli_a', app_secret: new Secret('feishu-secret') },
  success: { json: { '/code': 0 } },
  denied: { json: { '/code': [10003, 10014] } },
  tokenAt: '/tenant_access_token',
  expiresAt: { pointer: '/expire', as: 'relative', unit: 's' },
});

test('Feishu: the same token comes again with less life left', async (t) => {
  const { issuer, acquire } = await standIn(
    t,
    {
      lifetimeMs: 7_200_000,
      sameToken: true,
      body: (token: IssuedToken) => ({
        code: 0,
        msg: 'ok',
        tenant_access_token: token.value,
        expire: seconds(token.remainingMs) - (token.remainingMs < 7_200_000 ? 4062 : 0),
      }),
    },
    feishu,
  );
  const first = await acquire();
  assert.equal(first.lifetimeMs, 7_200_000);
  await new Promise((resolve) => setTimeout(resolve, 5));
  const second = await acquire();
  assert.equal(second.value, first.value);
  assert.equal(second.lifetimeMs, 3_138_000);
  assert.deepEqual(json(issuer.lastCall.body), { app_id: 'cli_a', app_secret: 'feishu-secret' });
});

test('#7 #8 Feishu: an error under status 200 is an error, a wrong secret one of credentials', async (t) => {
  const { issuer, failure } = await standIn(
    t,
    { body: { code: 99991400, msg: 'request trigger frequency limit' } },
    feishu,
  );
  const error = await failure();
  assert.match(error.message, /success: \/code is 99991400, not 0 .*frequency limit/);
  assert.equal(error.severity, 'transient');
  issuer.script({ body: { code: 10014, msg: 'app secret invalid' } });
  const denied = await failure();
  assert.match(
    denied.message,
    /^corp: denied: credentials refused with status 200 \(10014: "app secret invalid"\)\. Check the credentials\.$/,
  );
  assert.equal(denied.severity, 'credentials');
});

test('WeChat: secret in the query, errors under status 200', async (t) => {
  const { issuer, acquire, failure } = await standIn(
    t,
    { body: (token: IssuedToken) => ({ access_token: token.value, expires_in: 7200 }), exclusive: true },
    (origin) => ({
      type: 'http',
      url: `${origin}/cgi-bin/token`,
      query: { grant_type: 'client_credential', appid: 'wx1', secret: new Secret('wechat-secret') },
      denied: { json: { '/errcode': [40001, 40013, 40125] } },
      tokenAt: '/access_token',
      expiresAt: { pointer: '/expires_in' },
    }),
  );
  const token = await acquire();
  assert.equal(token.lifetimeMs, 7_200_000);
  assert.equal(issuer.lastCall.query.get('secret'), 'wechat-secret');
  await acquire();
  assert.deepEqual(issuer.liveTokens, ['t-2']);
  issuer.script(
    { body: { errcode: 45009, errmsg: 'reach max api daily quota limit' } },
    { body: { errcode: 40125, errmsg: 'invalid appsecret' } },
  );
  assert.match(
    (await failure()).message,
    /token_at \/access_token: not found; .* \(45009: "reach max api daily quota limit"\)/,
  );
  assert.equal((await failure()).severity, 'credentials');
});

test('#14 WeChat stable_token: force_refresh only when the last token was rejected', async (t) => {
  const { issuer, acquire } = await standIn(
    t,
    { body: (token: IssuedToken) => ({ access_token: token.value, expires_in: 7200 }) },
    (origin) => ({
      type: 'http',
      url: `${origin}/cgi-bin/stable_token`,
      bodyJson: { grant_type: 'client_credential', appid: 'wx1', secret: new Secret('wechat-secret') },
      tokenAt: '/access_token',
      expiresAt: { pointer: '/expires_in' },
      force: { in: 'body', name: 'force_refresh', value: true },
    }),
  );
  await acquire();
  assert.equal(json(issuer.lastCall.body).force_refresh, undefined);
  await acquire({ force: true });
  assert.equal(json(issuer.lastCall.body).force_refresh, true);
});

test('DingTalk: GET, the same token with its life renewed', async (t) => {
  const { acquire } = await standIn(
    t,
    { body: { errcode: 0, errmsg: 'ok', access_token: 'abcdef', expires_in: 7200 } },
    (origin) => ({
      type: 'http',
      url: `${origin}/gettoken`,
      query: { appkey: 'k', appsecret: new Secret('ding-secret') },
      success: { json: { '/errcode': 0 } },
      tokenAt: '/access_token',
      expiresAt: { pointer: '/expires_in' },
    }),
  );
  for (let turn = 0; turn < 2; turn++) assert.equal((await acquire()).lifetimeMs, 7_200_000);
});

test('GigaChat: RqUID of each request, epoch milliseconds', async (t) => {
  const end = inMs(1_800_000);
  const { issuer, acquire } = await standIn(
    t,
    { body: { access_token: 'abcdef', expires_at: end } },
    (origin) => ({
      type: 'http',
      url: `${origin}/api/v2/oauth`,
      headers: { RqUID: '{{uuid}}', Authorization: new Secret('Basic Z2lnYTpjaGF0') },
      bodyForm: { scope: 'GIGACHAT_API_CORP' },
      tokenAt: '/access_token',
      expiresAt: { pointer: '/expires_at' },
    }),
  );
  assert.equal((await acquire()).expiresAtWallMs, end);
  await acquire();
  const [first, second] = issuer.calls.map((call) => call.headers.rquid);
  assert.match(String(first), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-/);
  assert.notEqual(first, second);
});

test('Yandex: an exchange of JSON, RFC 3339 with nanoseconds', async (t) => {
  const end = new Date(inMs(3_600_000));
  const expiresAt = end.toISOString().replace('Z', '456789Z');
  const { acquire } = await standIn(t, { body: { iamToken: 'abcdef', expiresAt } }, (origin) => ({
    type: 'http',
    url: `${origin}/iam/v1/tokens`,
    bodyJson: { yandexPassportOauthToken: new Secret('y0_oauth') },
    tokenAt: '/iamToken',
    expiresAt: { pointer: '/expiresAt', as: 'absolute', unit: 'iso' },
  }));
  assert.equal((await acquire()).expiresAtWallMs, end.getTime());
});

test('IBM: an API key as a grant, both forms of expiry', async (t) => {
  const { issuer, acquire } = await standIn(
    t,
    {
      body: () => ({
        access_token: 'abcdef',
        refresh_token: 'not_supported',
        expires_in: 3600,
        expiration: seconds(inMs(3_600_000)),
      }),
    },
    (origin) => ({
      type: 'http',
      url: `${origin}/identity/token`,
      bodyForm: { grant_type: 'urn:ibm:params:oauth:grant-type:apikey', apikey: new Secret('ibm-api-key') },
      tokenAt: '/access_token',
      expiresAt: { pointer: '/expiration' },
    }),
  );
  near((await acquire()).expiresAtWallMs, inMs(3_600_000));
  assert.equal(issuer.lastCall.form.get('apikey'), 'ibm-api-key');
});

test('Entra: client secret in the form, ext_expires_in ignored, refresh_in obeyed', async (t) => {
  const { issuer, acquire } = await standIn(
    t,
    {
      body: {
        token_type: 'Bearer',
        expires_in: 3599,
        ext_expires_in: 7199,
        refresh_in: 1800,
        access_token: 'abcdef',
      },
    },
    (origin) => ({
      type: 'oauth2',
      tokenUrl: `${origin}/tenant/oauth2/v2.0/token`,
      grant: 'client_credentials',
      auth: 'post',
      clientId: 'app',
      clientSecret: new Secret('entra-secret'),
      scope: 'api://llm/.default',
    }),
  );
  const token = await acquire();
  assert.equal(token.lifetimeMs, 3_599_000);
  assert.equal(token.refreshInMs, 1_800_000);
  assert.equal(token.notes, undefined);
  assert.equal(issuer.lastCall.form.get('scope'), 'api://llm/.default');
});

const imds = (origin: string): SourceSettings => ({
  type: 'http',
  url: `${origin}/metadata/identity/oauth2/token`,
  query: { 'api-version': '2018-02-01', resource: 'https://cognitiveservices.azure.com' },
  headers: { Metadata: 'true' },
  tokenAt: '/access_token',
  expiresAt: { pointer: '/expires_on', as: 'absolute' },
});

test('Azure IMDS: expiry as text of seconds', async (t) => {
  const body = () => ({
    access_token: 'abcdef',
    expires_in: '3599',
    expires_on: String(seconds(inMs(3_599_000))),
  });
  const { issuer, acquire } = await standIn(t, { body }, imds);
  near((await acquire()).expiresAtWallMs, inMs(3_599_000));
  assert.equal(issuer.lastCall.headers.metadata, 'true');
});

test('Azure App Service of old: expiry as an American date', async (t) => {
  const date = new Date(inMs(3_600_000));
  const [, day, month, year, time = ''] = /^\w+, (\d+) (\w+) (\d+) ([\d:]+)/.exec(date.toUTCString()) ?? [];
  const number = String(new Date(`${month} 1 2000`).getMonth() + 1);
  const hour = Number(time.slice(0, 2));
  const text = `${number}/${day}/${year} ${hour % 12 === 0 ? 12 : hour % 12}${time.slice(2)} ${hour < 12 ? 'AM' : 'PM'} +00:00`;
  const { acquire } = await standIn(t, { body: { access_token: 'abcdef', expires_on: text } }, imds);
  near((await acquire()).expiresAtWallMs, inMs(3_600_000));
});

test('GCP metadata: the Metadata-Flavor header is required', async (t) => {
  const { issuer, acquire } = await standIn(
    t,
    { body: { access_token: 'abcdef', expires_in: 3274, token_type: 'Bearer' } },
    (origin) => ({
      type: 'http',
      url: `${origin}/computeMetadata/v1/instance/service-accounts/default/token`,
      headers: { 'Metadata-Flavor': 'Google' },
      tokenAt: '/access_token',
      expiresAt: { pointer: '/expires_in' },
    }),
  );
  assert.equal((await acquire()).lifetimeMs, 3_274_000);
  assert.equal(issuer.lastCall.headers['metadata-flavor'], 'Google');
});

test('Huawei: status 201, the token in a header, its end in the body', async (t) => {
  const end = new Date(inMs(86_400_000)).toISOString().replace('Z', '000Z');
  const { acquire } = await standIn(
    t,
    {
      status: 201,
      headers: { 'X-Subject-Token': 'MIIabcdef' },
      body: { token: { expires_at: end, methods: ['password'] } },
    },
    (origin) => ({
      type: 'http',
      url: `${origin}/v3/auth/tokens`,
      bodyJson: {
        auth: {
          identity: {
            methods: ['password'],
            password: { user: { name: 'u', password: new Secret('huawei-pass'), domain: { name: 'd' } } },
          },
          scope: { project: { name: 'cn-north-4' } },
        },
      },
      success: { status: 201 },
      tokenAt: 'header:X-Subject-Token',
      expiresAt: { pointer: '/token/expires_at', as: 'absolute', unit: 'iso' },
    }),
  );
  const token = await acquire();
  assert.equal(token.value, 'MIIabcdef');
  near(token.expiresAtWallMs, inMs(86_400_000));
});

test('#24 Baidu: secret in the query, thirty days of life', async (t) => {
  const { issuer, acquire, failure } = await standIn(
    t,
    { body: { access_token: '24.abcdef', expires_in: 2_592_000, refresh_token: '25.abc', scope: 'public' } },
    (origin) => ({
      type: 'http',
      method: 'POST',
      url: `${origin}/oauth/2.0/token`,
      query: { grant_type: 'client_credentials', client_id: 'ak', client_secret: new Secret('baidu-secret') },
      tokenAt: '/access_token',
      expiresAt: { pointer: '/expires_in' },
    }),
  );
  assert.equal((await acquire()).lifetimeMs, 2_592_000_000);
  assert.equal(issuer.lastCall.method, 'POST');
  issuer.script({ status: 401, body: { error: 'invalid_client', error_description: 'unknown client id' } });
  assert.equal((await failure()).severity, 'credentials');
});

test('Databricks and SAP AI Core: client_credentials with Basic', async (t) => {
  const { issuer, acquire } = await standIn(t, { lifetimeMs: 3_600_000 }, (origin) => ({
    type: 'oauth2',
    tokenUrl: `${origin}/oidc/v1/token`,
    grant: 'client_credentials',
    auth: 'basic',
    clientId: 'sb-1!b2|aicore!b3',
    clientSecret: new Secret('db-secret='),
    scope: 'all-apis',
  }));
  assert.equal((await acquire()).lifetimeMs, 3_600_000);
  const basic = Buffer.from(String(issuer.lastCall.headers.authorization).slice(6), 'base64').toString();
  const [id = '', secret = ''] = basic.split(':').map((part) => decodeURIComponent(part));
  assert.deepEqual([id, secret], ['sb-1!b2|aicore!b3', 'db-secret=']);
});

test('GitHub Copilot: a token for a token, with refresh_in', async (t) => {
  const { issuer, acquire } = await standIn(
    t,
    {
      body: () => ({
        token: 'tid=1;exp=2;sku=x:abcdef',
        expires_at: seconds(inMs(1_800_000)),
        refresh_in: 1500,
      }),
    },
    (origin) => ({
      type: 'http',
      url: `${origin}/copilot_internal/v2/token`,
      headers: { Authorization: 'token {{github}}', 'editor-version': 'vscode/1.99' },
      vars: { github: new Secret('gho_abcdef') },
      tokenAt: '/token',
      expiresAt: { pointer: '/expires_at' },
      refreshIn: '/refresh_in',
    }),
  );
  const token = await acquire();
  near(token.expiresAtWallMs, inMs(1_800_000));
  assert.equal(token.refreshInMs, 1_500_000);
  assert.equal(issuer.lastCall.headers.authorization, 'token gho_abcdef');
});

test('Alibaba NLS: CreateToken, signed over the sorted query', async (t) => {
  const { issuer, acquire } = await standIn(
    t,
    { body: () => ({ Token: { Id: 'abcdef', ExpireTime: seconds(inMs(86_400_000)), UserId: '1' } }) },
    (origin) => ({
      type: 'http',
      url: `${origin}/`,
      vars: { secret: new Secret('ali-secret'), now: '{{now_iso}}' },
      query: {
        AccessKeyId: 'ak',
        Action: 'CreateToken',
        Format: 'JSON',
        RegionId: 'cn-shanghai',
        SignatureMethod: 'HMAC-SHA1',
        SignatureNonce: '{{uuid}}',
        SignatureVersion: '1.0',
        Timestamp: '{{now}}',
        Version: '2019-02-28',
        Signature: "{{hmac_sha1(secret + '&', 'GET&%2F&' + urlencode(sorted_query), 'base64')}}",
      },
      tokenAt: '/Token/Id',
      expiresAt: { pointer: '/Token/ExpireTime', as: 'absolute', unit: 's' },
    }),
  );
  near((await acquire()).expiresAtWallMs, inMs(86_400_000));
  const signed = [...issuer.lastCall.query].filter(([name]) => name !== 'Signature').sort();
  const text = signed.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&');
  const expected = createHmac('sha1', 'ali-secret&')
    .update(`GET&%2F&${encodeURIComponent(text)}`)
    .digest('base64');
  assert.equal(issuer.lastCall.query.get('Signature'), expected);
});
