import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorIn, Gateway } from '../helpers/gateway.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { ask, bodyOf, KINDS, pathOf } from './fault-rig.ts';

test('a model whose upstreams lack an endpoint or credentials is a 500 that names them; others are served', async () => {
  await using model = await StandInModel.start();
  await using gateway = await Gateway.start({
    upstreams: [
      { name: 'no-endpoint', sk: 'key-of-no-endpoint', allow: ['broken', 'both'] },
      { name: 'no-credentials', endpoint: model.url, allow: ['broken'] },
      { name: 'good', endpoint: model.url, sk: 'key-of-good', allow: ['both'] },
    ],
  });
  for (const kind of KINDS) {
    const { response, text } = await ask(gateway, kind, 'broken');
    assert.equal(response.status, 500, text);
    const error = errorIn(text);
    assert.equal(error.code, 'upstream_misconfigured');
    assert.match(error.message, /"no-endpoint", "no-credentials"/);
    assert.doesNotMatch(text, /127\.0\.0\.1/);
    assert.equal(response.headers.get('x-should-retry'), 'false');
    assert.equal((await ask(gateway, kind, 'both')).response.status, 200);
    assert.equal((await ask(gateway, kind, 'unknown')).response.status, 404);
  }
  assert.ok(model.received.every(({ token }) => token === 'key-of-good'));
});

test('clients that may not use an upstream do not see its configuration errors', async () => {
  await using model = await StandInModel.start();
  await using gateway = await Gateway.start({
    clients: [
      { name: 'one', key: 'key-of-client-one' },
      { name: 'two', key: 'key-of-client-two' },
      { name: 'poor', key: 'key-of-client-poor', models: ['other'] },
    ],
    upstreams: [
      { name: 'no-endpoint', sk: 'key-of-no-endpoint', allow: ['broken'], clients: ['one', 'poor'] },
      { name: 'good', endpoint: model.url, sk: 'key-of-good', allow: ['other'] },
    ],
  });
  const statuses = ['one', 'two', 'poor'].map(async (client) => {
    const headers = { authorization: `Bearer key-of-client-${client}` };
    return (await gateway.post(pathOf('chat'), bodyOf('chat', 'broken'), { headers })).status;
  });
  assert.deepEqual(await Promise.all(statuses), [500, 404, 404]);
});
