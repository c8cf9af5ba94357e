import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import type { SetupCall, SetupDraft } from '../../src/admin/api-types.ts';
import { tryConfiguration } from '../../src/cli/trial.ts';
import { errorIn, Gateway } from '../helpers/gateway.ts';
import { runService } from '../helpers/run-service.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { AdminClient } from './admin-client.ts';

const upstreams = [{ name: 'chat', endpoint: 'http://127.0.0.1:9/v1', sk: 'key-of-chat' }];

test('a curl line becomes a configuration that was tried, starts a gateway as it is, and no secret comes back', async (t) => {
  const tokens: string[] = [];
  const issuer = await ScriptedIssuer.start({
    body: ({ value }: { readonly value: string }) => {
      tokens.push(value);
      return { access_token: value, token_type: 'Bearer', expires_in: 300 };
    },
  });
  t.after(() => issuer.close());
  await using model = await StandInModel.start({ models: ['m'] });
  await using gateway = await Gateway.start({ upstreams }, {}, { tryConfiguration });
  const admin = new AdminClient(gateway.url);
  const { token_url: url } = issuer.source as { readonly token_url: string };
  const curl = `curl -s ${url} -u 'llm-app:very-secret-of-the-app' -d grant_type=client_credentials`;
  const called = await admin.post<SetupCall>('/admin/setup/call', { curl });
  assert.ok(called.is_ok, called.message);
  assert.deepEqual([called.status, called.token_at], [200, '/access_token']);
  assert.ok(called.values.some(({ at }) => at === '/access_token'));
  const choice = { curl, endpoint: `${model.url}/`, model: 'm', name: 'corp' };
  const drafted = await admin.post<SetupDraft>('/admin/setup/draft', choice);
  assert.ok(drafted.is_ok, JSON.stringify(drafted.findings));
  assert.match(drafted.yaml, /token_url: /);
  assert.match(drafted.yaml, /\$\{CORP_/);
  assert.ok(drafted.environment.length > 0);
  const saved = parse(drafted.yaml) as object;
  const env = Object.fromEntries(
    drafted.environment.map(({ name }) => [
      name,
      name === 'TOKENFERRY_KEY'
        ? 'key-of-ragflow'
        : name.endsWith('ID')
          ? 'llm-app'
          : 'very-secret-of-the-app',
    ]),
  );
  const service = await runService({ ...saved, dbtype: 'none' }, { env });
  t.after(() => service.stop());
  const chat = (key: string): Promise<Response> =>
    fetch(`${service.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
      body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hi' }] }),
    });
  const [served, refused] = [await chat('key-of-ragflow'), await chat('another')];
  await Promise.all([served.text(), refused.text()]);
  assert.deepEqual([served.status, refused.status], [200, 401], service.output);
  const text = JSON.stringify([called, drafted]);
  assert.ok(tokens.length > 1);
  for (const secret of ['very-secret-of-the-app', ...tokens]) assert.ok(!text.includes(secret), secret);
  await gateway.end();
  assert.ok(!gateway.log.includes('very-secret-of-the-app'));
  assert.match(gateway.log, /admin: set-up: call a token endpoint/);
});

test('the line of a browser reads no file and no variable of the gateway', async () => {
  await using gateway = await Gateway.start({ upstreams });
  const lines = [
    'curl http://127.0.0.1:9/token -d @/etc/passwd',
    'curl http://127.0.0.1:9/token --data-urlencode x@/etc/passwd',
    'curl http://127.0.0.1:9/token --cacert /etc/passwd',
    'curl http://127.0.0.1:9/token --cert /etc/passwd',
    'curl http://127.0.0.1:9/token -d "$PATH"',
    'curl file:///etc/passwd',
    '',
  ];
  for (const curl of lines) {
    const response = await gateway.post('/admin/setup/call', { curl });
    const text = await response.text();
    assert.equal(response.status, 400, `${curl}: ${text}`);
    assert.ok(!text.includes('root:') && !text.includes(process.env.PATH ?? '\u0000'), curl);
    assert.match(errorIn(text).message, /^Invalid curl/);
  }
});

test('an issuer that does not respond, or sends no token, is a result in words', async (t) => {
  const issuer = await ScriptedIssuer.start({ status: 401, body: { error: 'invalid_client' } });
  t.after(() => issuer.close());
  await using gateway = await Gateway.start({ upstreams });
  const admin = new AdminClient(gateway.url);
  const silent = await admin.post<SetupCall>('/admin/setup/call', { curl: 'curl http://127.0.0.1:9/token' });
  assert.deepEqual([silent.is_ok, silent.status], [false, null]);
  assert.match(silent.message, /refused/);
  const { token_url: url } = issuer.source as { readonly token_url: string };
  const refused = await admin.post<SetupCall>('/admin/setup/call', { curl: `curl -X POST ${url}` });
  assert.deepEqual([refused.is_ok, refused.status], [false, 401]);
  const draft = { curl: `curl -X POST ${url}`, endpoint: 'http://127.0.0.1:9/v1' };
  assert.equal((await gateway.post('/admin/setup/draft', draft)).status, 400);
  assert.equal((await gateway.post('/admin/setup/draft', { ...draft, endpoint: 'ftp://x' })).status, 400);
});
