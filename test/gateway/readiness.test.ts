import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gateway } from '../helpers/gateway.ts';
import { refusingUrl } from '../helpers/raw-upstream.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';

test('what does not work is said in words, one failure in the singular', async (t) => {
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
