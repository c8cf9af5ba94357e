import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type JWTPayload, jwtVerify } from 'jose';
import { Secret } from '../../../src/lib/secret.ts';
import type { OAuth2Settings } from '../../../src/tokens/sources/oauth2-request.ts';
import type { SourceDeps } from '../../../src/tokens/sources/token-source.ts';
import {
  type IssuedToken,
  type IssuerCall,
  ScriptedIssuer,
  type ScriptedIssuerOptions,
} from '../../helpers/scripted-issuer.ts';
import { chainedToken, makeSource } from '../../helpers/source-bench.ts';

async function bench(
  t: TestContext,
  settings: Partial<OAuth2Settings>,
  options: ScriptedIssuerOptions = {},
  deps: Partial<SourceDeps> = {},
) {
  const issuer = await ScriptedIssuer.start(options);
  t.after(() => issuer.close());
  const make = () => {
    const made = makeSource(
      {
        type: 'oauth2',
        tokenUrl: issuer.tokenUrl,
        grant: 'client_credentials',
        clientId: 'llm-app',
        auth: 'none',
        ...settings,
      },
      deps,
    );
    t.after(() => made.close());
    return made;
  };
  return { issuer, make, ...make() };
}

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const rsaPem = new Secret(rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());

async function verified(jwt: string | null, key: KeyObject | Uint8Array, skewMs = 0) {
  const currentDate = new Date(Date.now() + skewMs);
  return jwtVerify(jwt ?? '', key, { currentDate });
}

const lifeOf = ({ exp = 0, iat = 0 }: JWTPayload) => exp - iat;

test('private_key_jwt signs a one-minute assertion for the token URL, anew each time', async (t) => {
  const { issuer, acquire } = await bench(t, {
    auth: 'private_key_jwt',
    clientAssertion: { key: rsaPem, alg: 'PS256', header: { 'x5t#S256': 'thumb' } },
  });
  await acquire();
  await acquire();
  const [first, second] = issuer.calls.map((call) => call.form);
  assert.equal(first?.get('client_assertion_type'), 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
  assert.equal(first?.get('client_id'), 'llm-app');
  const one = await verified(first?.get('client_assertion') ?? null, rsa.publicKey);
  const two = await verified(second?.get('client_assertion') ?? null, rsa.publicKey);
  assert.equal(one.protectedHeader.alg, 'PS256');
  assert.equal(one.protectedHeader['x5t#S256'], 'thumb');
  assert.deepEqual(
    [one.payload.iss, one.payload.sub, one.payload.aud],
    ['llm-app', 'llm-app', issuer.tokenUrl],
  );
  assert.equal(lifeOf(one.payload), 60);
  assert.notEqual(one.payload.jti, two.payload.jti);
});

test('#37 a retry after a reset carries another assertion, for servers remember jti', async (t) => {
  const { issuer, acquire } = await bench(t, { auth: 'private_key_jwt', clientAssertion: { key: rsaPem } });
  issuer.script({ reset: 'before' });
  await acquire();
  const [first, second] = issuer.calls.map((call) => call.form.get('client_assertion'));
  assert.notEqual(first, second);
});

test('client_secret_jwt signs with the secret; the audience can be set', async (t) => {
  const { issuer, acquire } = await bench(t, {
    auth: 'client_secret_jwt',
    clientSecret: new Secret('a-shared-secret'),
    clientAssertion: { audience: 'https://issuer.example' },
  });
  await acquire();
  const key = Buffer.from('a-shared-secret');
  const { payload } = await verified(issuer.lastCall.form.get('client_assertion'), key);
  assert.equal(payload.aud, 'https://issuer.example');
  assert.equal(payload.iss, 'llm-app');
});

for (const auth of ['private_key_jwt', 'client_secret_jwt'] as const) {
  test(`#18 on a machine whose clock is wrong, ${auth} follows the clock of the issuer after its first response`, async (t) => {
    const skewMs = -3_600_000;
    const { issuer, acquire, failure } = await bench(
      t,
      { auth, clientSecret: new Secret('a-shared-secret'), clientAssertion: { key: rsaPem } },
      { clockOffsetMs: skewMs },
    );
    issuer.script({
      status: 400,
      body: { error: 'invalid_request', error_description: 'assertion from the future' },
    });
    await failure();
    await acquire();
    const key = auth === 'private_key_jwt' ? rsa.publicKey : Buffer.from('a-shared-secret');
    const { payload } = await verified(issuer.lastCall.form.get('client_assertion'), key, skewMs);
    assert.ok(Math.abs((payload.iat ?? 0) * 1000 - Date.now() - skewMs) < 5000);
  });
}

test('the token of another source may be the client assertion (federated identity)', async (t) => {
  const deps = { tokenOf: async (name: string) => chainedToken(`token-of-${name}`) };
  const { issuer, acquire } = await bench(
    t,
    { auth: 'private_key_jwt', clientAssertionToken: 'pod' },
    {},
    deps,
  );
  await acquire();
  assert.equal(issuer.lastCall.form.get('client_assertion'), 'token-of-pod');
});

test('jwt_bearer signs the claims of a service account', async (t) => {
  const { clientId: _, ...settings } = {
    clientId: undefined,
    grant: 'jwt_bearer',
    assertion: { key: rsaPem, claims: { iss: 'sa@project', scope: 'cloud' }, ttlMs: 3_600_000 },
  } as const;
  const { issuer, acquire } = await bench(t, settings);
  await acquire();
  const { form } = issuer.lastCall;
  assert.equal(form.get('grant_type'), 'urn:ietf:params:oauth:grant-type:jwt-bearer');
  const { payload } = await verified(form.get('assertion'), rsa.publicKey);
  assert.deepEqual([payload.iss, payload.scope, payload.aud], ['sa@project', 'cloud', issuer.tokenUrl]);
  assert.equal(lifeOf(payload), 3600);
});

test('token_exchange sends the tokens of other sources and what they are', async (t) => {
  const deps = { tokenOf: async (name: string) => chainedToken(`token-of-${name}`) };
  const { issuer, acquire } = await bench(
    t,
    {
      grant: 'token_exchange',
      subjectToken: 'pod',
      subjectTokenType: 'urn:ietf:params:oauth:token-type:jwt',
      actorToken: 'me',
      bodyFormat: 'json',
    },
    {},
    deps,
  );
  await acquire();
  assert.deepEqual(JSON.parse(issuer.lastCall.body), {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    client_id: 'llm-app',
    subject_token: 'token-of-pod',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    actor_token: 'token-of-me',
    actor_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  });
});

test('id_token and further values can be taken from the response', async (t) => {
  const { acquire } = await bench(
    t,
    { tokenField: 'id_token', extra: { tenant: '/tenant/id' } },
    { body: { access_token: 'other', id_token: 'abcdef', tenant: { id: 7 } } },
  );
  const token = await acquire();
  assert.equal(token.value, 'abcdef');
  assert.deepEqual(token.extra, { tenant: '7' });
});

/** An issuer whose refresh tokens are good once: `r1`, `r2`, ...; a wrong one is invalid_grant. */
function rotating(): ScriptedIssuerOptions {
  return {
    body: (token: IssuedToken, call: IssuerCall) => {
      const given = call.form.get('refresh_token');
      const isGood = given === null || given === `refresh-${token.serial - 1}` || given === 'first-one';
      return isGood
        ? { access_token: token.value, expires_in: 300, refresh_token: `refresh-${token.serial}` }
        : { error: 'invalid_grant' };
    },
  };
}

const PASSWORD = { grant: 'password', username: 'me', password: new Secret('pass-word') } as const;
const grantsOf = (issuer: ScriptedIssuer) =>
  issuer.calls.map((call) => call.form.get('refresh_token') ?? call.form.get('grant_type'));

test('password logs in once and renews with the refresh token it got, each rotated', async (t) => {
  const { issuer, acquire } = await bench(t, PASSWORD, rotating());
  for (let turn = 0; turn < 3; turn++) await acquire();
  assert.equal(issuer.calls[0]?.form.get('username'), 'me');
  assert.deepEqual(grantsOf(issuer), ['password', 'refresh-1', 'refresh-2']);
});

test('#41 a rejected refresh token leads to one new login in the same acquisition', async (t) => {
  const { issuer, acquire } = await bench(t, PASSWORD, rotating());
  await acquire();
  issuer.script({ status: 400, body: { error: 'invalid_grant' } });
  await acquire();
  assert.deepEqual(grantsOf(issuer), ['password', 'refresh-1', 'password']);
});

test('#41 an issuer that is down does not use up the refresh token', async (t) => {
  const { issuer, acquire, failure } = await bench(t, PASSWORD, rotating());
  await acquire();
  issuer.script({ status: 503, body: '' });
  assert.match((await failure()).message, /status 503/);
  await acquire();
  assert.deepEqual(grantsOf(issuer), ['password', 'refresh-1', 'refresh-1']);
});

const STORED = {
  grant: 'refresh_token',
  refreshToken: new Secret('first-one'),
  refreshTokenFile: 'r.json',
} as const;

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tokenferry-refresh-'));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

test('#41 a rotated refresh token is stored, for our eyes only, and outlives the process', async (t) => {
  const baseDir = await folderOf(t);
  const { issuer, make, acquire } = await bench(t, STORED, rotating(), { baseDir });
  await acquire();
  const path = join(baseDir, 'r.json');
  assert.equal(JSON.parse(await readFile(path, 'utf8')).refresh_token, 'refresh-1');
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  await make().acquire();
  assert.deepEqual(grantsOf(issuer), ['first-one', 'refresh-1']);
});

test('#43 a stored refresh token is not sent for another issuer or client', async (t) => {
  const baseDir = await folderOf(t);
  const one = await bench(t, STORED, rotating(), { baseDir });
  await one.acquire();
  const other = await bench(t, STORED, rotating(), { baseDir });
  await other.acquire();
  assert.deepEqual(grantsOf(other.issuer), ['first-one']);
});

test('#41 when the stored token is rejected the configured one is tried, then the error is reported', async (t) => {
  const { issuer, acquire, failure } = await bench(
    t,
    { grant: 'refresh_token', refreshToken: new Secret('first-one') },
    rotating(),
  );
  await acquire();
  issuer.script(
    { status: 400, body: { error: 'invalid_grant' } },
    { status: 400, body: { error: 'invalid_grant' } },
  );
  const error = await failure();
  assert.equal(
    error.message,
    'corp: refresh_token: refused with status 400 (invalid_grant). Check the user name and password, the refresh token or the assertion.',
  );
  assert.equal(error.severity, 'credentials');
  assert.deepEqual(grantsOf(issuer), ['first-one', 'refresh-1', 'first-one']);
  assert.match((await acquire()).value, /^token/, 'an issuer that was only confused gets another chance');
});

test('a refresh token that cannot be stored is used all the same, with a note', async (t) => {
  const { acquire } = await bench(t, { ...STORED, refreshTokenFile: '/no/such/folder/r' }, rotating());
  assert.match((await acquire()).notes?.[0] ?? '', /refresh_token_file: cannot be written \(ENOENT\)/);
});

test('a damaged file of refresh tokens is no obstacle', async (t) => {
  const baseDir = await folderOf(t);
  await writeFile(join(baseDir, 'r.json'), '{"pin":');
  const { issuer, acquire } = await bench(t, STORED, rotating(), { baseDir });
  await acquire();
  assert.deepEqual(grantsOf(issuer), ['first-one']);
});
