import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorIn, Gateway, until } from '../helpers/gateway.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

const CHAT = { model: 'm', messages: [{ role: 'user', content: 'hello' }] };

test('beyond limits.concurrency requests get 503 and retry-after; probes and metrics are served', async () => {
  await using model = await StandInModel.start({ firstDelayMs: 600 });
  await using gateway = await Gateway.start({
    limits: { concurrency: 2 },
    upstreams: [{ name: 'only', endpoint: model.url, sk: 'key' }],
  });
  const running = [1, 2].map(() => gateway.post('/v1/chat/completions', CHAT));
  await until(() => model.open === 2, 'two run');
  const refused = await gateway.post('/v1/chat/completions', CHAT);
  const text = await refused.text();
  assert.equal(refused.status, 503, text);
  assert.equal(errorIn(text).code, 'overloaded');
  assert.equal(refused.headers.get('retry-after'), '1');
  assert.equal((await gateway.readiness()).status, 200);
  assert.match(await gateway.metrics(), /tokenferry_inflight/);
  for (const response of await Promise.all(running)) assert.equal(response.status, 200);
  assert.equal((await gateway.post('/v1/chat/completions', CHAT)).status, 200, 'there is room again');
});
