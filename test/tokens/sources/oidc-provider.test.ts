import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import type { JWK } from 'jose';
import { Secret } from '../../../src/lib/secret.ts';
import type { OAuth2Settings } from '../../../src/tokens/sources/oauth2-request.ts';
import { makeCertificates } from '../../helpers/certificates.ts';
import { type RegisteredClient, startOidcIssuer } from '../../helpers/oidc-issuer.ts';
import { makeSource } from '../../helpers/source-bench.ts';

// What is asked for here is answered by a certified OpenID Connect server, not by a stand-in of ours.

const CLIENT_ID = 'llm-app';
const CLIENT_SECRET = 'a secret: with +/=&% and enough length for HS256';

async function bench(
  t: TestContext,
  client: Omit<RegisteredClient, 'client_id'>,
  settings: Partial<OAuth2Settings>,
) {
  const oidc = await startOidcIssuer([{ client_id: CLIENT_ID, ...client }]);
  t.after(() => oidc.close());
  const made = makeSource({
    type: 'oauth2',
    tokenUrl: oidc.tokenUrl,
    grant: 'client_credentials',
    clientId: CLIENT_ID,
    auth: 'basic',
    scope: 'llm.invoke',
    ...settings,
  });
  t.after(() => made.close());
  return { oidc, ...made };
}

const BY_SECRET = [
  ['basic', 'client_secret_basic'],
  ['post', 'client_secret_post'],
  ['client_secret_jwt', 'client_secret_jwt'],
] as const;

for (const [auth, method] of BY_SECRET) {
  test(`a real OpenID Connect server accepts auth: ${auth}`, async (t) => {
    const { oidc, acquire } = await bench(
      t,
      { token_endpoint_auth_method: method, client_secret: CLIENT_SECRET },
      { auth, clientSecret: new Secret(CLIENT_SECRET), clientAssertion: {} },
    );
    const token = await acquire();
    assert.equal(token.lifetimeMs, 300_000);
    const known = await oidc.provider.ClientCredentials.find(token.value);
    assert.equal(known?.clientId, CLIENT_ID);
    assert.equal(known?.scope, 'llm.invoke');
  });
}

test('#8 a real OpenID Connect server refuses a wrong secret, and we count it as credentials', async (t) => {
  const { failure } = await bench(
    t,
    { token_endpoint_auth_method: 'client_secret_basic', client_secret: CLIENT_SECRET },
    { clientSecret: new Secret('not the secret') },
  );
  const error = await failure();
  assert.match(error.message, /^corp: token_url: refused with status 401 \(invalid_client: /);
  assert.equal(error.severity, 'credentials');
});

function jwk(publicKey: KeyObject, more: object): JWK {
  return { ...publicKey.export({ format: 'jwk' }), ...more } as JWK;
}

const KEY_PAIRS = {
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  PS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: () => generateKeyPairSync('ed25519'),
} as const;

for (const [alg, makePair] of Object.entries(KEY_PAIRS)) {
  test(`a real OpenID Connect server accepts private_key_jwt with ${alg}, again and again`, async (t) => {
    const { privateKey, publicKey } = makePair();
    const { oidc, acquire } = await bench(
      t,
      {
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: alg,
        jwks: { keys: [jwk(publicKey, { kid: 'k1', use: 'sig', alg })] },
      },
      {
        auth: 'private_key_jwt',
        clientAssertion: {
          alg,
          key: new Secret(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()),
          header: { kid: 'k1' },
        },
      },
    );
    // The server remembers jti: a second use of one assertion would be refused.
    for (let turn = 0; turn < 2; turn++) {
      const { value } = await acquire();
      assert.equal((await oidc.provider.ClientCredentials.find(value))?.clientId, CLIENT_ID);
    }
  });
}

test('a real OpenID Connect server accepts auth: mtls', async (t) => {
  const pki = await makeCertificates();
  const oidc = await startOidcIssuer(
    [
      {
        client_id: CLIENT_ID,
        token_endpoint_auth_method: 'tls_client_auth',
        tls_client_auth_subject_dn: 'CN=llm-app',
      },
    ],
    { ...pki.server, ca: pki.ca, requestCert: true, rejectUnauthorized: false },
  );
  t.after(() => oidc.close());
  const settings = {
    type: 'oauth2',
    tokenUrl: oidc.tokenUrl,
    grant: 'client_credentials',
    clientId: CLIENT_ID,
  } as const;
  const made = makeSource({
    ...settings,
    auth: 'mtls',
    tls: { ca: pki.ca, cert: pki.client.cert, key: new Secret(pki.client.key) },
  });
  t.after(() => made.close());
  const { value } = await made.acquire();
  assert.equal((await oidc.provider.ClientCredentials.find(value))?.clientId, CLIENT_ID);
});

test('#41 a real OpenID Connect server rotates the refresh token at each use, and we follow', async (t) => {
  const oidc = await startOidcIssuer([
    {
      client_id: CLIENT_ID,
      client_secret: CLIENT_SECRET,
      token_endpoint_auth_method: 'client_secret_basic',
      grant_types: ['refresh_token', 'authorization_code'],
    },
  ]);
  t.after(() => oidc.close());
  const { provider } = oidc;
  const grant = new provider.Grant({ clientId: CLIENT_ID, accountId: 'me' });
  grant.addOIDCScope('openid offline_access');
  const first = await new provider.RefreshToken({
    client: await provider.Client.find(CLIENT_ID),
    accountId: 'me',
    grantId: await grant.save(),
    gty: 'authorization_code',
    scope: 'openid offline_access',
  }).save();
  const made = makeSource({
    type: 'oauth2',
    tokenUrl: oidc.tokenUrl,
    grant: 'refresh_token',
    clientId: CLIENT_ID,
    clientSecret: new Secret(CLIENT_SECRET),
    auth: 'basic',
    refreshToken: new Secret(first),
  });
  t.after(() => made.close());
  for (let turn = 0; turn < 3; turn++) {
    const { value } = await made.acquire();
    assert.equal((await provider.AccessToken.find(value))?.accountId, 'me');
  }
});
