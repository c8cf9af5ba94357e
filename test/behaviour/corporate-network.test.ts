import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Certificates, makeCertificates } from '../helpers/certificates.ts';
import { ConnectProxy } from '../helpers/connect-proxy.ts';
import { errorIn, Gateway, until } from '../helpers/gateway.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { SecureModel } from '../helpers/secure-model.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { ask, LIMITS } from './fault-rig.ts';

let pki: Certificates;
let folder: string;
const file = (name: string): string => join(folder, name);

before(async () => {
  pki = await makeCertificates();
  folder = await mkdtemp(join(tmpdir(), 'tokenferry-network-'));
  await writeFile(file('ca.pem'), pki.ca);
  await writeFile(file('c.pem'), pki.client.cert);
  await writeFile(file('k.pem'), pki.client.key);
});
after(() => rm(folder, { recursive: true }));

const mutual = () => ({ ...pki.server, ca: pki.ca, requestCert: true, rejectUnauthorized: true });

/** A gateway whose one upstream is `endpoint`. */
const gatewayTo = (endpoint: string, upstream: object, config: object = {}): Promise<Gateway> =>
  Gateway.start({
    ...LIMITS,
    ...config,
    upstreams: [{ name: 'lone', endpoint, sk: 'key-of-lone', ...upstream }],
  });

test('an upstream with a private certificate authority is reached with tls.ca, and without it the error names tls.ca', async () => {
  await using model = await SecureModel.start(pki.server);
  await using trusting = await gatewayTo(model.url, { tls: { ca: file('ca.pem'), min: 'TLSv1.3' } });
  assert.equal((await ask(trusting, 'chat', 'm')).response.status, 200);
  await using strange = await gatewayTo(model.url, {});
  const { response, text } = await ask(strange, 'chat', 'm');
  assert.equal(response.status, 502);
  assert.equal(errorIn(text).code, 'upstream_unreachable');
  assert.match(errorIn(text).message, /tls\.ca/);
  assert.doesNotMatch(text, /localhost|127\.0\.0\.1/);
});

test('tls.servername is the name of SNI and of the certificate check; the default is the host', async () => {
  await using model = await SecureModel.start(pki.server);
  const byAddress = `https://127.0.0.1:${model.port}/v1`;
  const tls = { ca: file('ca.pem') };
  await using named = await gatewayTo(byAddress, { tls: { ...tls, servername: 'localhost' } });
  assert.equal((await ask(named, 'chat', 'm')).response.status, 200);
  assert.equal(model.received[0]?.servername, 'localhost');
  await using unnamed = await gatewayTo(byAddress, { tls });
  assert.equal((await ask(unnamed, 'chat', 'm')).response.status, 502);
});

test('tls.min refuses an upstream that only supports an older TLS version', async () => {
  await using model = await SecureModel.start({ ...pki.server, maxVersion: 'TLSv1.2' });
  const tls = { ca: file('ca.pem') };
  await using modern = await gatewayTo(model.url, { tls: { ...tls, min: 'TLSv1.3' } });
  assert.equal((await ask(modern, 'chat', 'm')).response.status, 502);
  await using patient = await gatewayTo(model.url, { tls });
  assert.equal((await ask(patient, 'chat', 'm')).response.status, 200);
});

test('#42 a renewed client certificate: issuer and upstream get the new one, old connections are closed, a running stream continues', async () => {
  const [cert, key] = [file('rotating-c.pem'), file('rotating-k.pem')];
  const write = async (pair: { cert: string; key: string }): Promise<void> => {
    await writeFile(key, pair.key);
    await writeFile(cert, pair.cert);
  };
  await write(pki.client);
  await using issuer = await ScriptedIssuer.start({ tls: mutual() });
  await using model = await SecureModel.start(mutual());
  const tls = { ca: file('ca.pem'), cert, key };
  await using gateway = await Gateway.start({
    ...LIMITS,
    idle_timeout: '3s',
    tokens: { corp: { type: 'oauth2', token_url: issuer.tokenUrl, client_id: 'llm-app', auth: 'mtls', tls } },
    upstreams: [{ name: 'lone', endpoint: model.url, token: 'corp', tls }],
  });
  assert.equal((await ask(gateway, 'chat', 'm')).response.status, 200);
  assert.equal(model.received[0]?.certificate, 'llm-app');
  model.wordDelayMs = 800;
  const streaming = ask(gateway, 'stream', 'm');
  await until(() => model.received.length === 2, 'the stream began');
  const old = new Set(model.open);

  await write(await pki.sign('llm-app-2027'));
  await until(() => issuer.callCount === 2, 'a token for the new certificate', 8_000);
  assert.equal(issuer.lastCall.clientCertificate, 'llm-app-2027');
  await until(() => gateway.log.includes('configuration'), 'the reload', 5_000);
  const { response, text } = await ask(gateway, 'chat', 'm');
  assert.equal(response.status, 200, text);
  const last = model.received.at(-1);
  assert.equal(last?.certificate, 'llm-app-2027');
  assert.equal(last?.token, issuer.liveTokens.at(-1));
  const streamed = await streaming;
  assert.equal(streamed.response.status, 200);
  assert.match(streamed.text, /four/);
  await until(() => [...old].every((socket) => socket.destroyed), 'the old connections are closed', 3_000);
});

test('a CONNECT proxy with credentials: issuer and upstream behind it are reached, each with its own TLS', async () => {
  await using issuer = await ScriptedIssuer.start({ tls: mutual() });
  await using model = await SecureModel.start(mutual());
  await using proxy = await ConnectProxy.start('user:p@ss/word');
  const tls = { ca: file('ca.pem'), cert: file('c.pem'), key: file('k.pem') };
  const way = { tls, proxy: proxy.urlWith('user', 'p@ss/word') };
  await using gateway = await Gateway.start({
    ...LIMITS,
    tokens: {
      corp: { type: 'oauth2', token_url: issuer.tokenUrl, client_id: 'llm-app', auth: 'mtls', ...way },
    },
    upstreams: [{ name: 'lone', endpoint: model.url, token: 'corp', ...way }],
  });
  for (const kind of ['chat', 'stream', 'chat'] as const)
    assert.equal((await ask(gateway, kind, 'm')).response.status, 200, kind);
  assert.deepEqual(
    new Set(proxy.seen),
    new Set([`CONNECT localhost:${issuer.port}`, `CONNECT localhost:${model.port}`]),
  );
  assert.equal(model.received[0]?.certificate, 'llm-app');
  assert.equal(new Set(model.received.map(({ connection }) => connection)).size, 1, 'tunnels are pooled');

  // The other side closes the pooled tunnel: that costs the next request nothing.
  model.dropConnections();
  const { response, text } = await ask(gateway, 'chat', 'm');
  assert.equal(response.status, 200, text);
  assert.equal(response.headers.get('x-tokenferry-attempts'), '1');
});

test('a plain http upstream behind a proxy is reached through a tunnel', async () => {
  await using model = await StandInModel.start({ reply: 'all is well' });
  await using proxy = await ConnectProxy.start();
  await using gateway = await gatewayTo(model.url, { proxy: proxy.url });
  const { response, text } = await ask(gateway, 'chat', 'm');
  assert.equal(response.status, 200, text);
  assert.deepEqual(proxy.seen, [`CONNECT 127.0.0.1:${model.port}`]);
});

test('a proxy that rejects the credentials or is down is named in the error, without the credentials', async () => {
  await using model = await SecureModel.start(pki.server);
  await using proxy = await ConnectProxy.start('user:right');
  await using gateway = await gatewayTo(model.url, {
    tls: { ca: file('ca.pem') },
    proxy: proxy.urlWith('user', 'wrong-password'),
  });
  const { response, text } = await ask(gateway, 'chat', 'm');
  assert.equal(response.status, 502, text);
  assert.match(errorIn(text).message, /the proxy responded to CONNECT with 407.*credentials/);
  assert.equal(model.received.length, 0);
  await gateway.end();
  assert.ok(!`${text}${gateway.log}`.includes('wrong-password'));
});

test('proxy: environment obeys HTTPS_PROXY and NO_PROXY when the connections are made', async () => {
  await using model = await SecureModel.start(pki.server);
  await using proxy = await ConnectProxy.start();
  const saved = { HTTPS_PROXY: process.env.HTTPS_PROXY, NO_PROXY: process.env.NO_PROXY };
  const tls = { ca: file('ca.pem') };
  try {
    for (const [noProxy, tunnels] of [
      ['', 1],
      ['localhost', 1],
      // No name is looked up to see whether its address is exempt.
      ['127.0.0.0/8', 2],
    ] as const) {
      process.env.HTTPS_PROXY = proxy.url;
      process.env.NO_PROXY = noProxy;
      await using gateway = await gatewayTo(model.url, { tls, proxy: 'environment' });
      assert.equal((await ask(gateway, 'chat', 'm')).response.status, 200);
      assert.equal(proxy.seen.length, tunnels);
    }
  } finally {
    for (const [name, value] of Object.entries(saved)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
});
