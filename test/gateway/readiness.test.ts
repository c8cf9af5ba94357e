import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gateway } from '../helpers/gateway.ts';
import { refusingUrl } from '../helpers/raw-upstream.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { until } from '../helpers/until.ts';

test('what is degraded is described, one failure in the singular', async (t) => {
  const issuer = await ScriptedIssuer.start({ status: 401, body: { error: 'invalid_client' } });
  t.after(() => issuer.close());
  await using gateway = await Gateway.start({
    tokens: { corp: { ...issuer.source, refresh: { max_wait: '300ms' } } },
    upstreams: [
      { name: 'lone', endpoint: await refusingUrl(), sk: 'key-of-lone', allow: ['m'] },
      { name: 'corp', endpoint: await refusingUrl(), token: 'corp', allow: ['n'] },
    ],
  });
  for (const model of ['m', 'n'])
    await gateway
      .post('/v1/chat/completions', { model, messages: [{ role: 'user', content: 'hi' }] })
      .then((response) => response.text());
  const { degraded } = await gateway.readiness();
  assert.match(degraded.join('\n'), /^token corp: missing, 1 failure: /m);
  assert.ok(degraded.includes('upstream lone: cooling down after 1 failure'), degraded.join('\n'));
});

test('not ready until every source that an upstream uses has had a token', async (t) => {
  const issuer = await ScriptedIssuer.start({ status: 401, body: { error: 'invalid_client' } });
  t.after(() => issuer.close());
  await using gateway = await Gateway.start({
    tokens: {
      corp: { ...issuer.source, refresh: { max_wait: '300ms' } },
      unused: { type: 'env', name: 'NOT_SET_ANYWHERE' },
    },
    upstreams: [
      { name: 'corp', endpoint: await refusingUrl(), token: 'corp', allow: ['n'] },
      { name: 'lone', endpoint: await refusingUrl(), sk: 'key-of-lone', allow: ['m'] },
    ],
  });
  const before = await gateway.readiness();
  assert.equal(before.status, 503);
  assert.match(before.degraded.join('\n'), /token corp: /);
  assert.equal((await fetch(`${gateway.url}/livez`)).status, 200);
});

test('a database that cannot be written is in /readyz and in the log at once, and records lost at shutdown are counted', async () => {
  await using gateway = await Gateway.start({
    upstreams: [{ name: 'lone', endpoint: await refusingUrl(), sk: 'key-of-lone', allow: ['m'] }],
    // A directory of that name cannot be opened as a file.
    dbaddr: '/proc/self/fd',
  });
  await until(() => gateway.log.includes('request log: '), 'the log line');
  const { status, degraded } = await gateway.readiness();
  assert.equal(status, 200);
  assert.match(
    degraded.join('\n'),
    /^request log: The database \/proc\/self\/fd .*\. 0 records waiting, 0 lost$/m,
  );
  await (await gateway.post('/v1/chat/completions', { model: 'm', messages: [] })).text();
  await gateway.end();
  assert.match(gateway.log, /request log: 1 record lost at shutdown\. The database \/proc\/self\/fd /);
});
