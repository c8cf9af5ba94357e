import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Secret } from '../../../src/lib/secret.ts';
import type { OAuth2Settings } from '../../../src/tokens/sources/oauth2-request.ts';
import { LoopbackServer } from '../../helpers/loopback-server.ts';
import { ScriptedIssuer, type ScriptedIssuerOptions } from '../../helpers/scripted-issuer.ts';
import { makeSource } from '../../helpers/source-bench.ts';

async function bench(
  t: TestContext,
  options: ScriptedIssuerOptions = {},
  more: Partial<OAuth2Settings> = {},
) {
  const issuer = await ScriptedIssuer.start(options);
  t.after(() => issuer.close());
  const { source, acquire, failure } = makeSource({
    type: 'oauth2',
    tokenUrl: issuer.tokenUrl,
    grant: 'client_credentials',
    clientId: 'llm-app',
    clientSecret: new Secret('s3cret+/ü&co'),
    auth: 'basic',
    ...more,
  });
  t.after(() => source.close?.());
  return { issuer, acquire, failure };
}

const basicOf = (header: unknown) => Buffer.from(String(header).replace('Basic ', ''), 'base64').toString();

test('client_credentials with Basic: id and secret are form-encoded first (RFC 6749)', async (t) => {
  const { issuer, acquire } = await bench(t, {}, { scope: 'llm.invoke', params: { audience: 'llm' } });
  const token = await acquire();
  assert.equal(token.value, `token-1-of-${issuer.port}`);
  assert.equal(token.lifetimeMs, 300_000);
  assert.ok(Math.abs((token.serverDateWallMs ?? 0) - Date.now()) < 2000);
  const call = issuer.lastCall;
  assert.equal(call.method, 'POST');
  assert.equal(basicOf(call.headers.authorization), 'llm-app:s3cret%2B%2F%C3%BC%26co');
  assert.deepEqual(Object.fromEntries(call.form), {
    grant_type: 'client_credentials',
    scope: 'llm.invoke',
    audience: 'llm',
  });
});

test('auth_encoding: loose sends id and secret in Basic without encoding', async (t) => {
  const { issuer, acquire } = await bench(t, {}, { authEncoding: 'loose' });
  await acquire();
  assert.equal(basicOf(issuer.lastCall.headers.authorization), 'llm-app:s3cret+/ü&co');
});

test('auth: post sends id and secret in the form', async (t) => {
  const { issuer, acquire } = await bench(t, {}, { auth: 'post' });
  await acquire();
  assert.equal(issuer.lastCall.headers.authorization, undefined);
  assert.equal(issuer.lastCall.form.get('client_id'), 'llm-app');
  assert.equal(issuer.lastCall.form.get('client_secret'), 's3cret+/ü&co');
});

test('body_format: json sends the parameters as an object, own headers beside it', async (t) => {
  const headers = { 'X-Tenant': 'a', Authorization: new Secret('ZenApiKey abcdef') };
  const { issuer, acquire } = await bench(t, {}, { auth: 'post', bodyFormat: 'json', headers });
  await acquire();
  assert.equal(issuer.lastCall.headers['content-type'], 'application/json');
  assert.equal(issuer.lastCall.headers['x-tenant'], 'a');
  assert.equal(issuer.lastCall.headers.authorization, 'ZenApiKey abcdef');
  assert.deepEqual(JSON.parse(issuer.lastCall.body), {
    grant_type: 'client_credentials',
    client_id: 'llm-app',
    client_secret: 's3cret+/ü&co',
  });
});

test('a parameter with a list is repeated', async (t) => {
  const { issuer, acquire } = await bench(t, {}, { params: { resource: ['urn:a', 'urn:b'] } });
  await acquire();
  assert.deepEqual(issuer.lastCall.form.getAll('resource'), ['urn:a', 'urn:b']);
});

const NONSENSE: readonly [string, ScriptedIssuerOptions, RegExp][] = [
  [
    'an empty body',
    { body: '' },
    /^corp: token_url: unrecognised response: empty body, status 200; expected JSON\. Check the URL\.$/,
  ],
  [
    'an HTML login page',
    { body: '<!DOCTYPE html><html>Sign in', headers: { 'content-type': 'text/html' } },
    /^corp: token_url: unrecognised response: HTML \(login page\?\), status 200; expected JSON\. Check the URL\.$/,
  ],
  ['truncated JSON', { body: '{"access_token":"abc' }, /JSON that is malformed or cut off \(20 characters\)/],
  ['plain text', { body: 'OK' }, /unrecognised response: text of 2 characters \(text\/plain\)/],
  ['JSON nested too deep', { body: '['.repeat(40) + ']'.repeat(40) }, /nested deeper than 32/],
  [
    'an error under status 200',
    { body: { code: 10014, msg: 'app secret invalid' } },
    /no access_token in the response: JSON, an object with the keys code, msg, status 200 \(10014: "app secret invalid"\)/,
  ],
  ['null', { body: 'null' }, /no access_token in the response: JSON, null, status 200/],
  [
    'a token that is a number',
    { body: { access_token: 5 } },
    /token_url \(access_token\): a number where a token/,
  ],
  ['an empty token', { body: { access_token: '' } }, /token_url \(access_token\): empty token/],
  [
    'a token with a line break',
    { body: { access_token: 'abc\r\nX: 1' } },
    /text of 9 characters is not a token: it has a line break \(a banner before the token\?\) inside/,
  ],
  [
    'a token with letters no header carries',
    { body: { access_token: 'töken' } },
    /control or non-ASCII characters inside/,
  ],
];

for (const [name, answer, message] of NONSENSE) {
  test(`#7 #31 status 200 with ${name} is a transient failure with a clear message`, async (t) => {
    const { failure } = await bench(t, answer);
    const error = await failure();
    assert.match(error.message, message);
    assert.equal(error.severity, 'transient');
  });
}

test('rejected credentials: the message names the keys that hold them and where their values come from', async (t) => {
  const issuer = await ScriptedIssuer.start({ status: 401, body: { error: 'invalid_client' } });
  t.after(() => issuer.close());
  const { failure } = makeSource(
    {
      type: 'oauth2',
      tokenUrl: issuer.tokenUrl,
      grant: 'client_credentials',
      auth: 'basic',
      clientId: 'app',
      clientSecret: new Secret('geheim-9f3e'),
    },
    { credentialKeysOf: (name) => [`tokens.${name}.client_secret (CORP_SECRET in .env)`] },
  );
  assert.match(
    (await failure()).message,
    /\. Check client_id, client_secret and auth: tokens\.corp\.client_secret \(CORP_SECRET in \.env\)\.$/,
  );
});

const REFUSALS: readonly [string, ScriptedIssuerOptions, 'transient' | 'credentials', RegExp][] = [
  [
    '401 invalid_client',
    { status: 401, body: { error: 'invalid_client', error_description: 'unknown client' } },
    'credentials',
    /^corp: token_url: refused with status 401 \(invalid_client: "unknown client"\)\. Check client_id, client_secret and auth\.$/,
  ],
  ['400 invalid_grant', { status: 400, body: { error: 'invalid_grant' } }, 'credentials', /invalid_grant/],
  ['400 unauthorized_client', { status: 400, body: { error: 'unauthorized_client' } }, 'credentials', /400/],
  ['200 with invalid_client', { body: { error: 'invalid_client' } }, 'credentials', /invalid_client/],
  [
    '400 that is a rate limit',
    { status: 400, body: { error: 'invalid_request', error_description: 'too many tokens' } },
    'transient',
    /too many tokens/,
  ],
  ['401 without a body', { status: 401, body: '' }, 'credentials', /status 401: empty body/],
  [
    '403 of the issuer',
    { status: 403, body: { message: 'blocked' } },
    'credentials',
    /status 403 \("blocked"\)/,
  ],
  ['403 of something before the issuer', { status: 403, body: '' }, 'transient', /status 403: empty body/],
  ['404 of an ingress', { status: 404, body: '<html>' }, 'transient', /status 404: HTML/],
  ['429', { status: 429 }, 'transient', /429/],
  ['500', { status: 500, body: '<html>' }, 'transient', /status 500: HTML/],
  ['503 that names invalid_client', { status: 503, body: { error: 'invalid_client' } }, 'transient', /503/],
];

for (const [name, answer, severity, message] of REFUSALS) {
  test(`#8 ${name} counts as ${severity}`, async (t) => {
    const { failure } = await bench(t, answer);
    const error = await failure();
    assert.match(error.message, message);
    assert.equal(error.severity, severity);
  });
}

test('#32 a redirect is not followed and no other server gets the secret', async (t) => {
  const elsewhere = await ScriptedIssuer.start();
  t.after(() => elsewhere.close());
  const { failure } = await bench(t, { status: 302, headers: { location: elsewhere.tokenUrl }, body: '' });
  assert.match((await failure()).message, /token_url: redirect \(status 302\) not followed/);
  assert.equal(elsewhere.callCount, 0);
});

const PAUSES: readonly [string, string, number | undefined][] = [
  ['seconds', '7', 7000],
  ['an hour', '3600', 3_600_000],
  ['negative', '-5', undefined],
  ['nonsense', 'soon', undefined],
];

for (const [name, header, expected] of PAUSES) {
  test(`#9 Retry-After is read: ${name}`, async (t) => {
    const { failure } = await bench(t, { status: 503, headers: { 'retry-after': header } });
    assert.equal((await failure()).retryAfterMs, expected);
  });
}

test("#9 Retry-After as a date is read against the issuer's own clock", async (t) => {
  const offset = 3_600_000;
  const date = new Date(Date.now() + offset + 30_000).toUTCString();
  const { failure } = await bench(t, {
    status: 429,
    clockOffsetMs: offset,
    headers: { 'retry-after': date },
  });
  const { retryAfterMs = 0 } = await failure();
  assert.ok(retryAfterMs > 25_000 && retryAfterMs < 35_000, String(retryAfterMs));
});

test('a secret that an issuer echoes is not in the error', async (t) => {
  const { failure } = await bench(
    t,
    {
      status: 400,
      body: { error: 'invalid_request', error_description: 'bad tops3cret in AbCdEfGh0123456789AbCdEfGh' },
    },
    { clientSecret: new Secret('tops3cret') },
  );
  assert.match((await failure()).message, /"bad \[redacted\] in \[\.\.\.\]"/);
});

test('#4 a request to an issuer that hangs is aborted by the signal', async (t) => {
  const { issuer, failure } = await bench(t, { hang: true });
  const started = performance.now();
  const error = await failure({ signal: AbortSignal.timeout(40) });
  assert.ok(performance.now() - started < 10_000);
  assert.equal(error.message, 'corp: token_url: no complete response before the attempt was aborted');
  assert.equal(issuer.callCount, 1);
});

test('#5 reading a slow body is aborted by the signal', async (t) => {
  const { failure } = await bench(t, { drip: { bytes: 1, everyMs: 20 } });
  assert.match((await failure({ signal: AbortSignal.timeout(45) })).message, /no complete response/);
});

test('#5 a giant body is cut off at 256 KiB and its connection destroyed', async (t) => {
  const { issuer, failure } = await bench(t, { body: 'x'.repeat(10_000_000) });
  assert.equal((await failure()).message, 'corp: token_url: response body larger than 256 KiB');
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(issuer.concurrent, 0);
});

test('#37 a reset before the response is retried once on a fresh connection', async (t) => {
  const { issuer, acquire } = await bench(t);
  await acquire();
  issuer.script({ reset: 'before' });
  assert.match((await acquire()).value, /^token-2/);
  assert.equal(issuer.callCount, 3);
  assert.notEqual(issuer.calls[1]?.connection, issuer.calls[2]?.connection);
});

test('#37 a second reset is an error, and so is a cut within the response', async (t) => {
  const { issuer, failure } = await bench(t);
  issuer.script({ reset: 'before' }, { reset: 'before' }, { reset: 'within' });
  assert.match((await failure()).message, /^corp: token_url: connection \w+ before a response/);
  assert.match((await failure()).message, /connection broken in the middle of the response/);
  assert.equal(issuer.callCount, 3);
});

test('#3 a refused connection is transient and names no host', async (t) => {
  const { issuer, failure } = await bench(t);
  await issuer.close();
  const error = await failure();
  assert.equal(error.message, 'corp: token_url: connection refused (ECONNREFUSED)');
  assert.equal(error.severity, 'transient');
});

test('#20 the Date header is the time of the issuer', async (t) => {
  const { acquire } = await bench(t, {
    clockOffsetMs: 600_000,
    body: (token: { value: string; expiresAtWallMs: number }) => ({
      access_token: token.value,
      expires_at: Math.round(token.expiresAtWallMs / 1000),
    }),
  });
  const token = await acquire();
  const lifeMs = (token.expiresAtWallMs ?? 0) - (token.serverDateWallMs ?? 0);
  assert.ok(Math.abs(lifeMs - 300_000) < 2000, String(lifeMs));
});

test('#23 a token that has expired by the clock of the issuer is an error that names the clock', async (t) => {
  const { failure } = await bench(t, { body: { access_token: 'abcdef', expires_at: 1_700_000_000 } });
  assert.match((await failure()).message, /token expired \d+ s ago by the issuer's clock/);
});

test('#20 a Date header by which a new token has expired is ignored if it is valid by our clock', async (t) => {
  const { acquire } = await bench(t, {
    clockOffsetMs: 365 * 86_400_000,
    body: { access_token: 'abcdef', expires_at: Math.round(Date.now() / 1000) + 300 },
  });
  const token = await acquire();
  assert.equal(token.serverDateWallMs, undefined);
  assert.ok(Math.abs((token.expiresAtWallMs ?? 0) - Date.now() - 300_000) < 10_000);
  assert.match(
    token.notes?.join('\n') ?? '',
    /Date header the new token has expired already: the clock of this machine/,
  );
});

test('#22 without expires_in nothing is guessed', async (t) => {
  const { acquire } = await bench(t, { body: { access_token: 'abcdef' } });
  const token = await acquire();
  assert.equal(token.lifetimeMs, undefined);
  assert.equal(token.expiresAtWallMs, undefined);
});

test('#23 hints that disagree are noted with the name of the source', async (t) => {
  const { acquire } = await bench(t, {
    body: { access_token: 'abcdef', expires_in: '3600', expires_at: Math.round(Date.now() / 1000) + 300 },
  });
  assert.match((await acquire()).notes?.[0] ?? '', /^corp: expires_at and expires_in disagree/);
});

test('a compressed response is decompressed although none was requested', async (t) => {
  const { gzipSync } = await import('node:zlib');
  const { createServer } = await import('node:http');
  const server = createServer((_request, response) => {
    response.setHeader('content-encoding', 'gzip');
    response.end(gzipSync('\ufeff{"access_token":"abcdef","expires_in":60}'));
  });
  const loopback = await new LoopbackServer(server).listening();
  const { acquire, source } = makeSource({
    type: 'oauth2',
    tokenUrl: loopback.url,
    grant: 'client_credentials',
    auth: 'none',
  });
  t.after(async () => {
    await source.close?.();
    await loopback.close();
  });
  assert.equal((await acquire()).value, 'abcdef');
});

test('a form-encoded response is parsed, a missing token_type is no error', async (t) => {
  const { acquire } = await bench(t, {
    body: 'access_token=abcdef&expires_in=60',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
  const token = await acquire();
  assert.equal(token.value, 'abcdef');
  assert.equal(token.lifetimeMs, 60_000);
});

test('#28 the key changes with the secret and with nothing that is equal', () => {
  const keyOf = (secret: string, params: Record<string, string>) =>
    makeSource({
      type: 'oauth2',
      tokenUrl: 'https://sso/token',
      grant: 'client_credentials',
      clientId: 'a',
      clientSecret: new Secret(secret),
      auth: 'post',
      params,
    }).source.key;
  assert.equal(keyOf('one-secret', { a: '1', b: '2' }), keyOf('one-secret', { b: '2', a: '1' }));
  assert.notEqual(keyOf('one-secret', {}), keyOf('two-secret', {}));
  assert.notEqual(keyOf('one-secret', {}), keyOf('one-secret', { a: '1' }));
});

test('settings that cannot work are refused when the source is made', () => {
  const base = { type: 'oauth2', tokenUrl: 'https://sso/token', clientId: 'a', auth: 'none' } as const;
  const make = (more: Partial<OAuth2Settings>) => () =>
    makeSource({ ...base, grant: 'client_credentials', ...more });
  assert.throws(make({ auth: 'basic' }), /corp: client_secret: required with auth: basic/);
  assert.throws(make({ tokenUrl: 'sso/token' }), /corp: token_url: must be an http:\/\/ or https:\/\/ URL/);
  assert.throws(make({ auth: 'post', clientSecret: new Secret('') }), /corp: client_secret: required/);
  assert.throws(make({ tls: { ca: '/no/such.pem' } }), /corp: tls: cannot read a file \(ENOENT\)/);
  assert.throws(
    make({ proxy: new Secret('user:pass@proxy') }),
    /^TokenSourceError: corp: proxy: must be a URL such as/,
  );
  assert.throws(make({ auth: 'mtls' }), /corp: tls: cert and key are required/);
  assert.throws(make({ grant: 'password' }), /corp: username: required with grant: password/);
  assert.throws(make({ grant: 'refresh_token' }), /corp: refresh_token: required/);
  assert.throws(make({ grant: 'jwt_bearer' }), /corp: assertion: needs a key, or assertion_token/);
  assert.throws(make({ grant: 'token_exchange' }), /corp: subject_token: required/);
  assert.throws(make({ auth: 'private_key_jwt' }), /corp: client_assertion: needs a key/);
});
