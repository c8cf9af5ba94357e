import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { Secret } from '../../../src/lib/secret.ts';
import type { OAuth2Settings } from '../../../src/tokens/sources/oauth2-request.ts';
import { type Certificates, makeCertificates } from '../../helpers/certificates.ts';
import { ConnectProxy } from '../../helpers/connect-proxy.ts';
import { freePort } from '../../helpers/free-port.ts';
import { ScriptedIssuer } from '../../helpers/scripted-issuer.ts';
import { makeSource } from '../../helpers/source-bench.ts';

let pki: Certificates;
before(async () => {
  pki = await makeCertificates();
});

async function tlsIssuer(t: TestContext, isMutual = false): Promise<ScriptedIssuer> {
  const mutual = isMutual ? { ca: pki.ca, requestCert: true, rejectUnauthorized: true } : {};
  const issuer = await ScriptedIssuer.start({ tls: { ...pki.server, ...mutual } });
  t.after(() => issuer.close());
  return issuer;
}

function source(t: TestContext, tokenUrl: string, more: Partial<OAuth2Settings>) {
  const made = makeSource({
    type: 'oauth2',
    tokenUrl,
    grant: 'client_credentials',
    clientId: 'llm-app',
    auth: 'none',
    ...more,
  });
  t.after(() => made.close());
  return made;
}

test('a private authority is trusted through tls.ca, as text or as a file', async (t) => {
  const issuer = await tlsIssuer(t);
  const folder = await mkdtemp(join(tmpdir(), 'tokenferry-tls-'));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'ca.pem'), pki.ca);
  await source(t, issuer.tokenUrl, { tls: { ca: pki.ca } }).acquire();
  await source(t, issuer.tokenUrl, { tls: { ca: join(folder, 'ca.pem'), min: 'TLSv1.3' } }).acquire();
  assert.equal(issuer.callCount, 2);
});

test('an unknown authority is refused, and the error names the setting', async (t) => {
  const issuer = await tlsIssuer(t);
  const error = await source(t, issuer.tokenUrl, {}).failure();
  assert.match(error.message, /^corp: token_url: TLS certificate of an unknown authority \(set tls\.ca\?\)/);
});

test('a certificate for another name is refused unless tls.servername names it', async (t) => {
  const issuer = await tlsIssuer(t);
  const url = `https://127.0.0.1:${issuer.port}/token`;
  const error = await source(t, url, { tls: { ca: pki.ca } }).failure();
  assert.match(error.message, /TLS certificate for another host name \(set tls\.servername\?\)/);
  await source(t, url, { tls: { ca: pki.ca, servername: 'localhost' } }).acquire();
});

test('auth: mtls shows the client certificate and sends only the client_id', async (t) => {
  const issuer = await tlsIssuer(t, true);
  const tls = { ca: pki.ca, cert: pki.client.cert, key: new Secret(pki.client.key) };
  await source(t, issuer.tokenUrl, { auth: 'mtls', tls }).acquire();
  assert.equal(issuer.lastCall.clientCertificate, 'llm-app');
  assert.deepEqual(Object.fromEntries(issuer.lastCall.form), {
    client_id: 'llm-app',
    grant_type: 'client_credentials',
  });
});

test('without the certificate an issuer that wants one is not reached', async (t) => {
  const issuer = await tlsIssuer(t, true);
  const error = await source(t, issuer.tokenUrl, { tls: { ca: pki.ca } }).failure();
  assert.match(error.message, /^corp: token_url: /);
  assert.equal(error.severity, 'transient');
  assert.equal(issuer.callCount, 0);
});

test('#42 a client certificate that was renewed in place is another key', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tokenferry-tls-'));
  t.after(() => rm(folder, { recursive: true }));
  const cert = join(folder, 'c.pem');
  const keyOf = async (text: string) => {
    await writeFile(cert, text);
    return source(t, 'https://sso/token', { tls: { cert, key: pki.client.key } }).source.key;
  };
  assert.notEqual(await keyOf(pki.client.cert), await keyOf(pki.server.cert));
});

test('a client certificate, its key and its passphrase that do not fit each other are named', async (t) => {
  const issuer = await tlsIssuer(t, true);
  const other = await pki.sign('another');
  const why = async (tls: OAuth2Settings['tls']) =>
    (await source(t, issuer.tokenUrl, { tls: { ca: pki.ca, ...tls } }).failure()).message;
  const { cert, key } = pki.client;
  assert.match(await why({ cert, key: other.key }), /token_url: tls\.key does not belong to tls\.cert/);
  const sealed = createPrivateKey(key).export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'open',
  });
  assert.match(
    await why({ cert, key: String(sealed), passphrase: new Secret('wrong') }),
    /token_url: tls\.passphrase does not decrypt tls\.key/,
  );
});

test('an unreachable proxy is named in the error', async (t) => {
  const proxy = `http://127.0.0.1:${await freePort()}`;
  const { message } = await source(t, 'https://sso.corp.example/token', { proxy }).failure();
  assert.equal(message, 'corp: token_url: the proxy is not reachable: connection refused (ECONNREFUSED)');
});

test('https:// where plain HTTP is served, and the other way round, is reported', async (t) => {
  const secure = await tlsIssuer(t);
  const plain = await ScriptedIssuer.start();
  t.after(() => plain.close());
  const wrong = await source(t, plain.tokenUrl.replace('http:', 'https:'), {}).failure();
  assert.match(wrong.message, /no TLS/);
  const other = await source(t, secure.tokenUrl.replace('https:', 'http:'), {}).failure();
  assert.match(other.message, /^corp: token_url: /);
});

async function startProxy(t: TestContext, isClosed = true): Promise<ConnectProxy> {
  const proxy = await ConnectProxy.start(isClosed ? 'user:p@ss' : null);
  t.after(() => proxy.close());
  return proxy;
}

test('an issuer behind a CONNECT proxy with credentials is reached, with its own TLS', async (t) => {
  const issuer = await tlsIssuer(t, true);
  const proxy = await startProxy(t);
  const tls = { ca: pki.ca, cert: pki.client.cert, key: pki.client.key };
  const uri = new Secret(proxy.url.replace('//', '//user:p%40ss@'));
  await source(t, issuer.tokenUrl, { auth: 'mtls', tls, proxy: uri }).acquire();
  assert.deepEqual(proxy.seen, [`CONNECT localhost:${issuer.port}`]);
  assert.equal(issuer.lastCall.clientCertificate, 'llm-app');
});

test('a plain issuer behind a proxy is reached', async (t) => {
  const issuer = await ScriptedIssuer.start();
  t.after(() => issuer.close());
  const proxy = await startProxy(t);
  await source(t, issuer.tokenUrl, { proxy: proxy.url.replace('//', '//user:p%40ss@') }).acquire();
  assert.equal(proxy.seen.length, 1);
});

test('a proxy that wants other credentials is named in the error, without them', async (t) => {
  const issuer = await tlsIssuer(t);
  const proxy = await startProxy(t);
  const uri = new Secret(proxy.url.replace('//', '//user:wrong-password@'));
  const { message } = await source(t, issuer.tokenUrl, { tls: { ca: pki.ca }, proxy: uri }).failure();
  assert.match(message, /the proxy responded to CONNECT with 407 \(credentials in the proxy URL\?\)/);
});

function environment(t: TestContext, variables: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(variables)) {
    const saved = process.env[name];
    process.env[name] = value;
    t.after(() => {
      if (saved === undefined) delete process.env[name];
      else process.env[name] = saved;
    });
  }
}

test('proxy: environment obeys HTTPS_PROXY and NO_PROXY, and nothing else does', async (t) => {
  const issuer = await tlsIssuer(t);
  const proxy = await startProxy(t, false);
  environment(t, { HTTPS_PROXY: proxy.url, NO_PROXY: '' });
  const tls = { ca: pki.ca };
  await source(t, issuer.tokenUrl, { tls }).acquire();
  assert.equal(proxy.seen.length, 0);
  await source(t, issuer.tokenUrl, { tls, proxy: 'environment' }).acquire();
  assert.equal(proxy.seen.length, 1);
  process.env.NO_PROXY = 'localhost';
  await source(t, issuer.tokenUrl, { tls, proxy: 'environment' }).acquire();
  assert.equal(proxy.seen.length, 1);
});

test('NO_PROXY exempts an issuer by its network, as it does an upstream', async (t) => {
  const issuer = await ScriptedIssuer.start();
  t.after(() => issuer.close());
  const proxy = await startProxy(t, false);
  environment(t, { HTTP_PROXY: proxy.url.replace('http://', ''), NO_PROXY: '10.0.0.0/8' });
  const url = `http://127.0.0.1:${issuer.port}/token`;
  await source(t, url, { proxy: 'environment' }).acquire();
  assert.equal(proxy.seen.length, 1);
  process.env.NO_PROXY = '10.0.0.0/8 127.0.0.0/8';
  await source(t, url, { proxy: 'environment' }).acquire();
  assert.equal(proxy.seen.length, 1);
});

test('a variable that is no URL of a proxy is what the error names, without its password', async (t) => {
  environment(t, { HTTP_PROXY: 'http://user:wrong-password@', NO_PROXY: '' });
  const { message } = await source(t, 'http://127.0.0.1:1/token', { proxy: 'environment' }).failure();
  assert.match(message, /invalid HTTPS_PROXY or HTTP_PROXY, it must be a URL such as/);
  assert.ok(!message.includes('wrong-password'));
});
