import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { Secret } from '../../../src/lib/secret.ts';
import type { HttpSettings } from '../../../src/tokens/sources/http-request.ts';
import type { SourceDeps } from '../../../src/tokens/sources/token-source.ts';
import {
  type IssuedToken,
  ScriptedIssuer,
  type ScriptedIssuerOptions,
} from '../../helpers/scripted-issuer.ts';
import { chainedToken, makeSource } from '../../helpers/source-bench.ts';

async function bench(
  t: TestContext,
  answer: ScriptedIssuerOptions,
  settings: Partial<HttpSettings>,
  deps: Partial<SourceDeps> = {},
) {
  const issuer = await ScriptedIssuer.start(answer);
  t.after(() => issuer.close());
  const made = makeSource(
    { type: 'http', url: `${issuer.origin}/api/getToken`, tokenAt: '/token', ...settings },
    { name: 'home_grown', ...deps },
  );
  t.after(() => made.close());
  return { issuer, ...made };
}

const HOME_GROWN = {
  bodyJson: { appId: 'a1', ts: '{{now_s}}', sign: '{{hmac_sha256(secret, appId + ts)}}' },
  vars: { secret: new Secret('app-secret'), appId: 'a1' },
  success: { status: 200, json: { '/code': 0 } },
  tokenAt: '/data/accessToken',
  expiresAt: { pointer: '/data/expireTime', as: 'absolute', unit: 'ms' },
} as const satisfies Partial<HttpSettings>;

const homeGrown = {
  body: (token: IssuedToken) => ({
    code: 0,
    data: { accessToken: token.value, expireTime: token.expiresAtWallMs },
  }),
};

test('rejected credentials are no fault of the url: the message names the keys that hold them', async (t) => {
  const issuer = await ScriptedIssuer.start({ status: 401, body: { message: 'no such app' } });
  t.after(() => issuer.close());
  const { failure } = makeSource(
    { type: 'http', url: `${issuer.origin}/t`, bodyJson: { secret: 'geheim-9f3e' }, tokenAt: '/token' },
    { credentialKeysOf: () => ['tokens.corp.body_json.secret (CORP_APP_SECRET in .env)'] },
  );
  assert.match(
    (await failure()).message,
    /^corp: refused with status 401 .*"no such app".*\. Check the credentials: tokens\.corp\.body_json\.secret \(CORP_APP_SECRET in \.env\)\.$/,
  );
  issuer.script({ status: 200, body: { code: 40101, msg: 'app secret is wrong' } });
  const words = makeSource(
    {
      type: 'http',
      url: `${issuer.origin}/t`,
      success: { json: { '/code': 0 } },
      tokenAt: '/token',
    },
    { credentialKeysOf: () => ['tokens.corp.body_json.secret (CORP_APP_SECRET in .env)'] },
  );
  const error = await words.failure();
  assert.equal(error.severity, 'transient', 'words alone are no proof');
  assert.match(error.message, /Check the credentials if this is about them: tokens\.corp\.body_json\.secret/);
});

test('a connection that is refused names host and port beside the message, not in it', async (t) => {
  const { failure } = makeSource({ type: 'http', url: 'http://127.0.0.1:1/t', tokenAt: '/token' });
  const error = await failure();
  assert.equal(error.message, 'corp: url: connection refused (ECONNREFUSED)');
  assert.equal(error.target, '127.0.0.1:1');
  const proxied = makeSource({
    type: 'http',
    url: 'http://sso.corp.example/t',
    tokenAt: '/token',
    proxy: new Secret('http://user:geheim-9f3e@127.0.0.1:1'),
  });
  t.after(() => proxied.close());
  assert.equal((await proxied.failure()).target, '127.0.0.1:1', 'the proxy is what was called');
});

test('the home-grown issuer of the manual: signed body, code 0, nested token, absolute milliseconds', async (t) => {
  const { issuer, acquire } = await bench(t, homeGrown, { ...HOME_GROWN, headers: { 'X-App': 'llm' } });
  const token = await acquire();
  assert.equal(token.value, `token-1-of-${issuer.port}`);
  assert.ok(Math.abs((token.expiresAtWallMs ?? 0) - Date.now() - 300_000) < 2000);
  const { method, headers, body } = issuer.lastCall;
  const { appId, ts, sign } = JSON.parse(body) as { appId: string; ts: number; sign: string };
  assert.equal(method, 'POST');
  assert.equal(headers['content-type'], 'application/json');
  assert.equal(headers['x-app'], 'llm');
  assert.equal(typeof ts, 'number');
  assert.equal(
    sign,
    createHmac('sha256', 'app-secret')
      .update(appId + ts)
      .digest('hex'),
  );
});

const FAILURES: readonly [string, ScriptedIssuerOptions, RegExp][] = [
  [
    'another code',
    { body: { code: 99991663, msg: 'app not found' } },
    /^home_grown: success: \/code is 99991663, not 0 \(99991663: "app not found"\)$/,
  ],
  ['no code', { body: { message: 'x' } }, /success: \/code is nothing, not 0/],
  [
    'no token',
    { body: { code: 0, msg: 'ok' } },
    /^home_grown: token_at \/data\/accessToken: not found; the response has the keys code, msg/,
  ],
  [
    'the token elsewhere',
    { body: { code: 0, data: { token: 'abcdef' } } },
    /not found; \/data has the key token/,
  ],
  [
    'a token that is null',
    { body: { code: 0, data: { accessToken: null } } },
    /: null; the response has the keys code, data/,
  ],
  ['data that is text', { body: { code: 0, data: 'abcdef' } }, /not found; \/data is text of 6 characters/],
  [
    'HTML',
    { body: '<html>' },
    /^home_grown: url: unrecognised response: HTML \(login page\?\), status 200; expected JSON\. Check the URL\.$/,
  ],
  ['201', { ...homeGrown, status: 201 }, /success: unexpected status: .* status 201/],
  [
    '500',
    { status: 500, body: { message: 'boom' } },
    /^home_grown: url: refused with status 500 \("boom"\)$/,
  ],
];

for (const [name, answer, message] of FAILURES) {
  test(`#7 the error of a home-grown response with ${name} names the fault, without its values`, async (t) => {
    const { failure } = await bench(t, answer, HOME_GROWN);
    const error = await failure();
    assert.match(error.message, message);
    assert.equal(error.severity, 'transient');
  });
}

test('a code may be written as number or text, and be one of several', async (t) => {
  const { acquire } = await bench(
    t,
    { body: { code: '200', token: 'abcdef' } },
    { success: { json: { '/code': [0, 200] } } },
  );
  assert.equal((await acquire()).value, 'abcdef');
});

const LOCATIONS: readonly [string, ScriptedIssuerOptions][] = [
  ['/a~1b/0/t', { body: { 'a/b': [{ t: 'abcdef' }] } }],
  ['header:X-Subject-Token', { body: '{}', headers: { 'x-subject-token': 'abcdef' } }],
  ['cookie:SSO', { body: '', headers: { 'set-cookie': ['a=b', 'SSO=abcdef; Path=/; HttpOnly'] } }],
  ['regex:<token>(.*?)</token>', { body: '<xml>\n<token>abcdef</token></xml>' }],
  ['form:access_token', { body: 'scope=x&access_token=abcdef' }],
  ['body', { body: 'Bearer abcdef\n' }],
  ['body', { body: '"abcdef"' }],
];

for (const [tokenAt, answer] of LOCATIONS) {
  test(`the token is found at ${tokenAt} (${JSON.stringify(answer.body).slice(0, 16)})`, async (t) => {
    const { acquire } = await bench(t, answer, { tokenAt });
    assert.equal((await acquire()).value, 'abcdef');
  });
}

const MISSES: readonly [string, ScriptedIssuerOptions, RegExp][] = [
  [
    'header:X-Token',
    { body: '{}' },
    /token_at header:X-Token: not found; the response has the headers .*content-type/,
  ],
  [
    'cookie:SSO',
    { body: '', headers: { 'set-cookie': 'sid=secret-sid' } },
    /not found; the response sets sid$/,
  ],
  ['cookie:SSO', { body: '' }, /the response sets no cookies/],
  ['regex:t=(\\w+)', { body: 'nope' }, /token_at regex:...: not found; the response is text of 4 characters/],
  ['form:t', { body: 'a=b' }, /token_at form:t: not found/],
  ['body', { body: { a: 1 } }, /token_at body: not a token: JSON, an object with the key a/],
  ['body', { body: '' }, /empty body/],
];

for (const [tokenAt, answer, message] of MISSES) {
  test(`a token that is not at ${tokenAt} (${JSON.stringify(answer.body)}) is described by what is there`, async (t) => {
    const { failure } = await bench(t, answer, { tokenAt });
    assert.match((await failure()).message, message);
  });
}

test('query, form and GET: fields are encoded, signatures see them unencoded', async (t) => {
  const query = { app: 'a b', nonce: '{{nonce}}', sign: '{{upper(md5(sorted_params + secret))}}' };
  const { issuer, acquire } = await bench(
    t,
    { body: { token: 'abcdef' } },
    { query, vars: { secret: new Secret('s3cr3t-key') } },
  );
  await acquire();
  const { method, query: sent, body } = issuer.lastCall;
  assert.equal(method, 'GET');
  assert.equal(body, '');
  assert.equal(sent.get('app'), 'a b');
  const text = `app=a b&nonce=${sent.get('nonce')}s3cr3t-key`;
  assert.equal(sent.get('sign'), createHash('md5').update(text).digest('hex').toUpperCase());
});

test('body_form is a form', async (t) => {
  const { issuer, acquire } = await bench(
    t,
    { body: { token: 'abcdef' } },
    { bodyForm: { scope: 'a b', ts: '{{now_s}}' } },
  );
  await acquire();
  assert.equal(issuer.lastCall.form.get('scope'), 'a b');
  assert.match(issuer.lastCall.form.get('ts') ?? '', /^\d{10}$/);
});

test('body_text is sent as rendered, with the content type that headers name; body_sha256 signs it', async (t) => {
  const { issuer, acquire } = await bench(
    t,
    { body: { token: 'abcdef' } },
    {
      bodyText: '<req id="{{uuid}}"/>',
      headers: { 'Content-Type': 'text/xml', 'X-Digest': '{{body_sha256}}' },
    },
  );
  await acquire();
  const { headers, body } = issuer.lastCall;
  assert.match(body, /^<req id="[0-9a-f-]{36}"\/>$/);
  assert.equal(headers['content-type'], 'text/xml');
  assert.equal(headers['x-digest'], createHash('sha256').update(body).digest('hex'));
});

test('basic, method and a template in the path', async (t) => {
  const { issuer, acquire } = await bench(t, { body: { token: 'abcdef' } }, {});
  const made = makeSource({
    type: 'http',
    url: `${issuer.origin}/v1/{{app}}/token`,
    method: 'put',
    vars: { app: 'a1' },
    basic: { username: 'u', password: new Secret('p:w') },
    tokenAt: '/token',
  });
  t.after(() => made.close());
  await acquire();
  await made.acquire();
  assert.equal(issuer.lastCall.method, 'PUT');
  assert.equal(issuer.lastCall.path, '/v1/a1/token');
  assert.equal(issuer.lastCall.headers.authorization, `Basic ${Buffer.from('u:p:w').toString('base64')}`);
});

test('#14 the force parameter is sent only when a fresh token is required', async (t) => {
  const answer = { body: { token: 'abcdef' } };
  const inBody = await bench(t, answer, {
    bodyJson: { a: 1 },
    force: { in: 'body', name: 'force_refresh', value: true },
  });
  await inBody.acquire();
  assert.deepEqual(JSON.parse(inBody.issuer.lastCall.body), { a: 1 });
  await inBody.acquire({ force: true });
  assert.deepEqual(JSON.parse(inBody.issuer.lastCall.body), { a: 1, force_refresh: true });
  const inQuery = await bench(t, answer, { force: { in: 'query', name: 'fresh', value: 1 } });
  await inQuery.acquire({ force: true });
  assert.equal(inQuery.issuer.lastCall.query.get('fresh'), '1');
});

test('a token of another source is a name in templates, and is asked for with the same urgency', async (t) => {
  const asked: string[] = [];
  const { issuer, acquire } = await bench(
    t,
    { body: { token: 'abcdef' } },
    { token: 'sso', headers: { Authorization: 'Bearer {{token}}' } },
    {
      tokenOf: async (name, { force }) => {
        asked.push(`${name} ${force}`);
        return chainedToken('outer-token');
      },
    },
  );
  await acquire({ force: true });
  assert.equal(issuer.lastCall.headers.authorization, 'Bearer outer-token');
  assert.deepEqual(asked, ['sso true']);
});

test('#37 a retried request is signed anew', async (t) => {
  const { issuer, acquire } = await bench(
    t,
    { body: { token: 'abcdef' } },
    { query: { nonce: '{{nonce}}' } },
  );
  issuer.script({ reset: 'before' });
  await acquire();
  const [first, second] = issuer.calls.map((call) => call.query.get('nonce'));
  assert.notEqual(first, second);
});

test('refresh_in, extra values and the expiry of a header are read', async (t) => {
  const { acquire } = await bench(
    t,
    { body: { token: 'abcdef', refresh_in: 120, group: 'default' }, headers: { 'x-expires': '240' } },
    {
      refreshIn: '/refresh_in',
      extra: { group: '/group' },
      expiresAt: { header: 'X-Expires', as: 'relative', unit: 's' },
    },
  );
  const token = await acquire();
  assert.equal(token.refreshInMs, 120_000);
  assert.equal(token.lifetimeMs, 240_000);
  assert.deepEqual(token.extra, { group: 'default' });
});

test('settings that cannot work are refused when the source is made', () => {
  const make = (more: Partial<HttpSettings>) => () =>
    makeSource({ type: 'http', url: 'https://a.example/t', tokenAt: '/t', ...more }, { name: 'home_grown' });
  assert.throws(make({ url: 'auth/token' }), /home_grown: url: must be an http/);
  assert.throws(
    make({ url: 'https://{{host}}/t', vars: { host: 'x' } }),
    /home_grown: url: must be .* with templates behind the host only/,
  );
  assert.throws(make({ tokenAt: 'token' }), /home_grown: token_at: must be /);
  assert.throws(make({ tokenAt: 'regex:(' }), /token_at: invalid regular expression/);
  assert.throws(make({ bodyText: 'a', bodyJson: {} }), /exclude each other/);
  assert.throws(
    make({ bodyJson: { a: '{{appid}}' }, vars: { appId: '1' } }),
    /unknown name appid; known are .*appId/,
  );
  assert.throws(make({ headers: { a: '{{token}}' } }), /unknown name token/);
  assert.throws(make({ headers: { a: '{{md5(}}' } }), /home_grown: template: "md5\(": ends too early/);
});

const inAnHour = Math.round(Date.now() / 1000) + 3600;
const USUAL: readonly [string, object, string][] = [
  ['expires_in beside the token', { token: 'abcdef', expires_in: 3600 }, '/token'],
  [
    'expireTime in milliseconds, in the object of the token',
    { data: { token: 'abcdef', expireTime: inAnHour * 1000 } },
    '/data/token',
  ],
  ['expires_at as text', { token: 'abcdef', expires_at: new Date(inAnHour * 1000).toISOString() }, '/token'],
];

for (const [name, body, tokenAt] of USUAL) {
  test(`without expires_at the usual members are parsed: ${name}`, async (t) => {
    const { acquire } = await bench(t, { body }, { tokenAt });
    const { lifetimeMs = 0, expiresAtWallMs = 0 } = await acquire();
    assert.ok(lifetimeMs === 3_600_000 || expiresAtWallMs === inAnHour * 1000);
  });
}

test("#20 a clock that is off is named beside the issuer's error, by minutes and direction", async (t) => {
  const body = { code: 10005, msg: 'timestamp out of range' };
  const success = { json: { '/code': 0 } };
  for (const [clockOffsetMs, words] of [
    [
      -720_000,
      /^home_grown: success: \/code is 10005.*out of range"\)\. This machine's clock is 12 min ahead of the issuer's: check both clocks$/,
    ],
    [400_000, /\. This machine's clock is \d{3} s behind the issuer's: check both clocks$/],
    [5_000, /out of range"\)$/],
  ] as const) {
    const { failure } = await bench(t, { body, clockOffsetMs }, { success });
    assert.match((await failure()).message, words);
    const refused = await bench(t, { body, clockOffsetMs, status: 400 }, {});
    assert.equal(/clock/.test((await refused.failure()).message), Math.abs(clockOffsetMs) > 30_000);
  }
});

test('#23 expires_at.zone holds for the pointer and, without one, for the usual members', async (t) => {
  const inShanghai = new Date(inAnHour * 1000 + 8 * 3_600_000).toISOString().slice(0, 19).replace('T', ' ');
  const { acquire } = await bench(
    t,
    { body: { token: 'abcdef', expireTime: inShanghai } },
    { tokenAt: '/token', expiresAt: { zone: 'Asia/Shanghai' } },
  );
  const token = await acquire();
  assert.equal(token.expiresAtWallMs, inAnHour * 1000);
  assert.equal(token.notes, undefined);
  const { acquire: acquireAt } = await bench(
    t,
    { body: { token: 'abcdef', until: inShanghai } },
    { tokenAt: '/token', expiresAt: { pointer: '/until', zone: '+08:00' } },
  );
  assert.equal((await acquireAt()).expiresAtWallMs, inAnHour * 1000);
});

test('an empty extra asks for nothing, a missing value is an error', async (t) => {
  const { acquire } = await bench(t, { body: 'abcdef' }, { tokenAt: 'body', extra: {} });
  assert.equal((await acquire()).value, 'abcdef');
  const { failure } = await bench(t, { body: { token: 'abcdef' } }, { extra: { group: '/group' } });
  assert.match(
    (await failure()).message,
    /home_grown: extra group \/group: not found; the response has the key token/,
  );
});

test('#22 a token in a cookie expires with the cookie', async (t) => {
  const lifeOf = async (attributes: string) => {
    const cookies = ['A=1; Max-Age=9', `SSO=abcdef${attributes}`];
    const { acquire } = await bench(t, { headers: { 'set-cookie': cookies } }, { tokenAt: 'cookie:SSO' });
    const { lifetimeMs, expiresAtWallMs } = await acquire();
    return lifetimeMs ?? expiresAtWallMs;
  };
  const expires = new Date(Date.now() + 3_600_000).toUTCString();
  assert.equal(await lifeOf(`; Path=/; Expires=${expires}; max-age=300; HttpOnly`), 300_000);
  assert.equal(await lifeOf(`; Expires=${expires}`), Date.parse(expires));
  assert.equal(await lifeOf('; Path=/'), undefined);
});

/** A chain whose first source tells how it was asked, and has `first-token` unless `refusesForce` and it is forced. */
async function chain(t: TestContext, refusesForce = false) {
  const asked: string[] = [];
  const { issuer, acquire } = await bench(
    t,
    { body: { token: 'abcdef' } },
    { token: 'sso', headers: { Authorization: 'Bearer {{token}}' } },
    {
      tokenOf: async (_, { force }) => {
        asked.push(force ? 'forced' : 'asked');
        if (force && refusesForce) throw new Error('refused');
        return chainedToken('first-token');
      },
    },
  );
  return { asked, issuer, acquire };
}

test('#14 a chained source is renewed once for each rejected token, however often the attempt is repeated', async (t) => {
  const { asked, acquire } = await chain(t);
  const refused = { force: true, previousFingerprint: 'one' };
  for (let attempt = 0; attempt < 3; attempt++) await acquire(refused);
  await acquire();
  await acquire({ force: true, previousFingerprint: 'two' });
  assert.deepEqual(asked, ['forced', 'asked', 'asked', 'asked', 'forced']);
  await acquire({ force: true, previousFingerprint: 'two', reason: 'manual' });
  assert.equal(asked.at(-1), 'forced');
});

test('#14 where a chained source gets no new token, the one that it has is given', async (t) => {
  const { asked, acquire, issuer } = await chain(t, true);
  await acquire({ force: true, previousFingerprint: 'one' });
  assert.deepEqual(asked, ['forced', 'asked']);
  assert.equal(issuer.lastCall.headers.authorization, 'Bearer first-token');
});

test('a chained source without a token is named, and the issuer is not called', async (t) => {
  const deps = { tokenOf: () => Promise.reject(new Error('down')) };
  const { issuer, failure } = await bench(t, {}, { token: 'sso', headers: { a: '{{token}}' } }, deps);
  assert.equal((await failure()).message, 'home_grown: token: source sso has no token. See its own error.');
  assert.equal(issuer.callCount, 0);
});

test('a value that no header can carry is described, not quoted', async (t) => {
  const { failure } = await bench(t, {}, { headers: { 'X-Key': new Secret('inner\nline-break') } });
  assert.match((await failure()).message, /^home_grown: url: invalid request, a header, /);
});

test('a pattern behind a place takes a part of what is there', async (t) => {
  const { issuer, acquire, failure } = await bench(
    t,
    {
      headers: { location: '/tickets/TGT-1?x=1', 'set-cookie': ['SID=a.b.c; Max-Age=60'] },
      body: { url: 'https://sso.corp.example/?token=abc123&x=1' },
    },
    {
      tokenAt: '/url regex:token=([^&]+)',
      extra: { tgt: 'header:Location regex:[^/?]+(?=\\?)', part: 'cookie:SID regex:b' },
    },
  );
  const token = await acquire();
  assert.equal(token.value, 'abc123');
  assert.deepEqual(token.extra, { tgt: 'TGT-1', part: 'b' });
  issuer.defaults({ body: { url: 'https://sso.corp.example/' } });
  assert.equal((await failure()).message, 'home_grown: token_at /url: the value does not match regex:...');
});

test('a place that cannot be parsed names its setting', async (t) => {
  await assert.rejects(bench(t, {}, { tokenAt: '/a regex:(' }), /token_at: invalid regular expression/);
  await assert.rejects(bench(t, {}, { extra: { csrf: 'heder:x' } }), /extra csrf: must be \/json\/pointer/);
});
