import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gateway, until } from '../helpers/gateway.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

const QUESTION = { model: 'm', messages: [{ role: 'user', content: 'hi' }] };

test('#13 an upstream that refuses every token is one warning a token and an entry of degraded, not a line a request', async () => {
  await using issuer = await ScriptedIssuer.start();
  await using model = await StandInModel.start({ isLive: () => false });
  await using gateway = await Gateway.start({
    tokens: { corp: issuer.source },
    upstreams: [{ name: 'lone', endpoint: model.url, token: 'corp' }],
  });
  for (let request = 0; request < 30; request++) {
    const response = await gateway.post('/v1/chat/completions', QUESTION);
    assert.equal(response.status, 502);
    await response.text();
  }
  const { degraded } = await gateway.readiness();
  assert.match(
    degraded.join('\n'),
    /^token corp: upstreams reject new tokens too\. Check the scope, the audience/m,
  );
  assert.equal(issuer.callCount, 2);
  await gateway.end();
  const warnings = gateway.log.split('\n').filter((line) => /"level":"warn".*"event":"rejected"/.test(line));
  assert.equal(warnings.length, 2, warnings.join('\n'));
});

test('what a source says of itself is told behind its name, which stands there once', async () => {
  await using issuer = await ScriptedIssuer.start({ status: 503, body: 'away' });
  await using gateway = await Gateway.start({
    tokens: { corp: { ...issuer.source, refresh: { max_wait: '100ms' } } },
    upstreams: [{ name: 'lone', endpoint: 'http://127.0.0.1:9', token: 'corp' }],
  });
  await until(() => gateway.log.includes('issuer has failed'), 'the first failure');
  const { degraded } = await gateway.readiness();
  assert.match(
    degraded.join('\n'),
    /^token corp: missing, \d failures?: token_url: refused with status 503: text of 4/m,
  );
  await gateway.end();
  assert.match(gateway.log, /corp: issuer has failed once \(token_url: refused with status 503: text of 4/);
});

test('#17 working tokens that die early make degraded ask who else uses the credentials', async () => {
  await using issuer = await ScriptedIssuer.start();
  await using model = await StandInModel.start({ isLive: (token) => issuer.isLive(token) });
  await using gateway = await Gateway.start({
    tokens: { corp: issuer.source },
    upstreams: [{ name: 'lone', endpoint: model.url, token: 'corp' }],
  });
  const ask = async () => {
    const response = await gateway.post('/v1/chat/completions', QUESTION);
    await response.text();
    return response.status;
  };
  assert.equal(await ask(), 200);
  assert.deepEqual((await gateway.readiness()).degraded, []);
  for (let round = 0; round < 2; round++) {
    issuer.revokeAll();
    assert.equal(await ask(), 200);
  }
  assert.match(
    (await gateway.readiness()).degraded.join('\n'),
    /^token corp: 2 working tokens were rejected long before they expire: does another client use the same/m,
  );
});
