import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Agent, request } from 'undici';
import { type Certificates, makeCertificates } from '../helpers/certificates.ts';
import { errorIn, Gateway, until } from '../helpers/gateway.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';

interface Stage {
  readonly gateway: Gateway;
  readonly certificates: Certificates;
  readonly folder: string;
  /** A chat, as a client with this certificate and key. */
  chat(client?: {
    readonly pair?: { readonly cert: string; readonly key: string };
    readonly headers?: Readonly<Record<string, string>>;
    readonly ca?: string;
  }): Promise<{ status: number; text: string }>;
}

async function stage(context: TestContext, config: object): Promise<Stage> {
  const certificates = await makeCertificates();
  const folder = await temporaryDirectory(context);
  await writeFile(join(folder, 'cert.pem'), certificates.server.cert);
  await writeFile(join(folder, 'key.pem'), certificates.server.key);
  await writeFile(join(folder, 'ca.pem'), certificates.ca);
  const model = await StandInModel.start();
  context.after(() => model.close());
  const gateway = await Gateway.start({
    tls: { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem'), client_ca: join(folder, 'ca.pem') },
    upstreams: [{ name: 'up', endpoint: model.url, token: 'none' }],
    ...config,
  });
  context.after(() => gateway.close());
  const chat: Stage['chat'] = async ({ pair, headers = {}, ca = certificates.ca } = {}) => {
    const dispatcher = new Agent({ connect: { ca, servername: 'localhost', ...pair } });
    try {
      const response = await request(`${gateway.url}/v1/chat/completions`, {
        dispatcher,
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: '{"model":"m","messages":[{"role":"user","content":"hi"}]}',
      });
      return { status: response.statusCode, text: await response.body.text() };
    } finally {
      await dispatcher.close();
    }
  };
  return { gateway, certificates, folder, chat };
}

test('with tls everything is served over HTTPS, and the log says so', async (context) => {
  const { gateway, chat } = await stage(context, { authorization: 'a-key' });
  assert.match(gateway.url, /^https:/);
  const { status } = await chat({ headers: { authorization: 'Bearer a-key' } });
  assert.equal(status, 200);
  assert.equal((await chat()).status, 401);
  assert.match(gateway.log, /listening on https:/);
});

test('a client certificate identifies its client, in place of a key', async (context) => {
  const { gateway, certificates, chat } = await stage(context, {
    authorization: 'a-key',
    clients: [{ name: 'batch', certificate: 'llm-*', models: ['m'] }],
  });
  const { status, text } = await chat({ pair: certificates.client });
  assert.equal(status, 200, text);
  await until(() => gateway.rows().length === 1, 'the record is written');
  assert.equal(gateway.rows()[0]?.client, 'batch (llm-app)');
  assert.match(await metricsOf(gateway, certificates), /requests_total\{[^}]*client="batch",/);

  const nobody = await chat({ pair: await certificates.sign('other.example') });
  assert.equal(nobody.status, 401);
  const foreign = await makeCertificates();
  const refused = await chat({ pair: foreign.client });
  assert.equal(refused.status, 401, 'an authority that nobody configured');
  assert.equal(errorIn(refused.text).code, 'invalid_api_key');
  assert.equal((await chat({ headers: { 'x-api-key': 'a-key' } })).status, 200);
});

test('a certificate that was replaced is used by new connections without a restart', async (context) => {
  const { gateway, folder, chat } = await stage(context, { noauth: true });
  const next = await makeCertificates();
  assert.equal((await chat()).status, 200);
  await writeFile(join(folder, 'key.pem'), next.server.key);
  assert.equal(await gateway.service.reload(), false, 'the certificate is still the old one');
  assert.equal((await chat()).status, 200);
  await writeFile(join(folder, 'cert.pem'), next.server.cert);
  assert.equal(await gateway.service.reload(), true);
  assert.equal((await chat({ ca: next.ca })).status, 200);
  await assert.rejects(chat(), /certificate|signature/i);
  await until(() => gateway.log.includes('certificate was replaced'), 'the log says so');
});

async function metricsOf(gateway: Gateway, { ca }: Certificates): Promise<string> {
  const dispatcher = new Agent({ connect: { ca, servername: 'localhost' } });
  const response = await request(`${gateway.url}/metrics`, { dispatcher });
  const text = await response.body.text();
  await dispatcher.close();
  return text;
}
