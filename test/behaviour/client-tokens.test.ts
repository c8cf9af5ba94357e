import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { errorIn, Gateway } from '../helpers/gateway.ts';
import { LoopbackServer } from '../helpers/loopback-server.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

type KeyPair = Awaited<ReturnType<typeof generateKeyPair>>;

/** An OpenID Connect issuer: a discovery document and keys that can be rotated. */
class KeyIssuer {
  readonly #pairs = new Map<string, KeyPair>();
  readonly #server: LoopbackServer<Server>;
  url = '';
  isDown = false;
  fetches = 0;

  private constructor() {
    this.#server = new LoopbackServer(
      createServer(async (request, response) => {
        this.fetches += 1;
        const jwks = await Promise.all(
          [...this.#pairs].map(async ([kid, pair]) => ({
            ...(await exportJWK(pair.publicKey)),
            kid,
            use: 'sig',
          })),
        );
        const body = request.url?.endsWith('openid-configuration')
          ? { issuer: this.url, jwks_uri: `${this.url}/keys` }
          : { keys: jwks };
        response.writeHead(this.isDown ? 503 : 200, { 'content-type': 'application/json' });
        response.end(JSON.stringify(body));
      }),
    );
  }

  static async start(): Promise<KeyIssuer> {
    const issuer = new KeyIssuer();
    await issuer.#server.listening();
    issuer.url = `http://127.0.0.1:${issuer.#server.port}`;
    await issuer.rotate('first');
    return issuer;
  }

  /** Another key signs; the previous ones are no longer published. */
  async rotate(kid: string): Promise<void> {
    this.#pairs.clear();
    this.#pairs.set(kid, await generateKeyPair('ES256'));
  }

  async sign(
    claims: Readonly<Record<string, unknown>> = {},
    { life = '5m', kid = '' } = {},
  ): Promise<string> {
    const [[name, pair] = []] = this.#pairs;
    assert.ok(pair !== undefined && name !== undefined);
    return new SignJWT({ iss: this.url, aud: 'llm', sub: 'alice', ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: kid || name })
      .setIssuedAt()
      .setExpirationTime(life)
      .sign(pair.privateKey);
  }

  close(): Promise<void> {
    return this.#server.close();
  }
}

let issuer: KeyIssuer;
let model: StandInModel;
let gateway: Gateway;

before(async () => {
  issuer = await KeyIssuer.start();
  model = await StandInModel.start();
  gateway = await Gateway.start({
    authorization: 'a-key',
    record: { content: 'all', keep_headers: ['authorization', 'user-agent'] },
    clients: [
      {
        name: 'staff',
        models: ['gpt-*', 'bge-*'],
        jwt: { issuer: issuer.url, audience: 'llm', name_claim: 'sub', models_claim: 'models', leeway: 1 },
      },
    ],
    upstreams: [{ name: 'up', endpoint: model.url, sk: 'asis', keep_header: true }],
  });
});
after(async () => {
  await gateway.close();
  await model.close();
  await issuer.close();
});

async function chat(token: string, name = 'gpt-4o', headers: Readonly<Record<string, string>> = {}) {
  const response = await gateway.post(
    '/v1/chat/completions',
    { model: name, messages: [{ role: 'user', content: 'hi' }] },
    { headers: { authorization: `Bearer ${token}`, ...headers } },
  );
  return { status: response.status, text: await response.text(), id: response.headers.get('x-request-id') };
}

test('a token of the company’s issuer is let in, named in the record, and nothing of it goes on', async () => {
  const token = await issuer.sign({ models: ['gpt-4o'] });
  const { status, text, id } = await chat(token);
  assert.equal(status, 200, text);
  const row = await gateway.rowOf(id);
  assert.equal(row.client, 'staff (alice)');
  assert.ok(!JSON.stringify(row).includes(token.slice(0, 40)));
  assert.equal(model.received.at(-1)?.headers.authorization, undefined);
  assert.ok(!JSON.stringify(model.received.at(-1)?.headers).includes(token.slice(0, 40)));
  assert.match(await gateway.metrics(), /requests_total\{[^}]*client="staff",/);
  assert.ok(!gateway.log.includes(token.slice(0, 40)));
});

test('a fixed key is still a key', async () => {
  assert.equal((await chat('a-key')).status, 200);
  const { status, text } = await chat('no-key');
  assert.equal(status, 401);
  assert.match(errorIn(text).message, /^Invalid API key/);
});

test('the models are those of the claim that the configuration permits; without the claim none', async () => {
  const token = await issuer.sign({ models: 'gpt-4o secret-model' });
  assert.equal((await chat(token, 'gpt-4o')).status, 200);
  for (const name of ['gpt-4', 'secret-model']) assert.equal((await chat(token, name)).status, 403, name);
  assert.equal((await chat(await issuer.sign(), 'gpt-4o')).status, 403);
});

for (const [title, make, reason] of [
  ['expired', () => issuer.sign({}, { life: '-1m' }), /expired/],
  ['for another audience', () => issuer.sign({ aud: 'wiki' }), /"aud"/],
  ['not valid yet', () => issuer.sign({ nbf: Math.floor(Date.now() / 1000) + 600 }), /"nbf"/],
  ['of an unknown key', () => issuer.sign({}, { kid: 'unknown' }), /no key of its key id/],
  ['unsigned', async () => unsigned(await issuer.sign(), { alg: 'none' }), /algorithm|form/],
  [
    'signed with the public key as a shared secret',
    async () => unsigned(await issuer.sign(), { alg: 'HS256', kid: 'first' }),
    /algorithm/,
  ],
  ['changed', async () => `${(await issuer.sign()).slice(0, -4)}AAAA`, /signature/],
] as const) {
  test(`a token that is ${title} is refused with its reason, and the error does not repeat it`, async () => {
    const token = await make();
    const { status, text } = await chat(token);
    assert.equal(status, 401, text);
    const { message, code } = errorIn(text);
    assert.equal(code, 'invalid_api_key');
    assert.match(message, reason);
    assert.ok(!text.includes(token.slice(0, 40)));
  });
}

test('a token of an issuer that nobody configured is an invalid key', async () => {
  const { status, text } = await chat(await issuer.sign({ iss: 'https://evil.example' }));
  assert.equal(status, 401);
  assert.match(errorIn(text).message, /^Invalid API key/);
});

test('a verified token is not verified by each request, and keys are not fetched by each', async () => {
  const before = issuer.fetches;
  const token = await issuer.sign({ models: ['gpt-4o'] });
  for (let count = 0; count < 20; count++) assert.equal((await chat(token)).status, 200);
  assert.equal(issuer.fetches, before);
});

test('while the issuer’s keys cannot be fetched a token gets a 503, and keys are still keys', async (context) => {
  const other = await KeyIssuer.start();
  context.after(() => other.close());
  other.isDown = true;
  const second = await Gateway.start({
    authorization: 'a-key',
    clients: [{ name: 'staff', jwt: { issuer: other.url, audience: ['llm'] } }],
    upstreams: [{ name: 'up', endpoint: model.url, token: 'none' }],
  });
  context.after(() => second.close());
  const ask = (key: string): Promise<Response> =>
    second.post(
      '/v1/chat/completions',
      { model: 'm', messages: [{ role: 'user', content: 'hi' }] },
      { headers: { authorization: `Bearer ${key}` } },
    );
  const refused = await ask(await other.sign());
  const text = await refused.text();
  assert.equal(refused.status, 503, text);
  assert.match(errorIn(text).message, /keys of the issuer of clients "staff"/);
  assert.ok(refused.headers.get('retry-after'));
  const keyed = await ask('a-key');
  assert.equal(keyed.status, 200);
  await keyed.text();
  other.isDown = false;
  let status = 0;
  while (status !== 200) {
    const again = await ask(await other.sign());
    await again.text();
    status = again.status;
    // A failed discovery is tried again after three seconds.
    await sleep(50);
  }
  assert.equal(status, 200, 'the keys are fetched again');
});

/** The claims of a token under another header, without a signature. */
function unsigned(token: string, header: object): string {
  const [, claims = ''] = token.split('.');
  return `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${claims}.AAAA`;
}
