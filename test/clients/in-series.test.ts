import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { runService, type ServiceProcess } from '../helpers/run-service.ts';
import { CLIENT_KEY, closeFerry, type Ferry, startFerry } from './ferry.ts';
import type { Vector } from './vector.ts';
import { STREAM_VECTORS, WHOLE_VECTORS } from './vectors.ts';

let ferry: Ferry;
let second: ServiceProcess;

before(async () => {
  ferry = await startFerry();
  second = await runService({
    authorization: CLIENT_KEY,
    upstreams: [{ name: 'first', endpoint: `${ferry.gatewayUrl}/v1`, sk: CLIENT_KEY }],
    dbtype: 'none',
  });
});

after(async () => {
  if (second !== undefined) await second.stop();
  await closeFerry(ferry);
});

/** The reply without what differs in every answer: ids that are made here, and the time. */
async function ask(url: string, model: string, more: object): Promise<string> {
  const messages = [{ role: 'user', content: 'When does it leave?' }];
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${CLIENT_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages, ...more }),
  });
  const text = await response.text();
  assert.equal(response.status, 200, `${model}: ${text}`);
  return text.replaceAll(/"id":"[^"]*"/g, '"id":""').replaceAll(/"created":\d+/g, '"created":0');
}

/** The first estimate of a process comes before its tokenizer is loaded, so these may differ by a token or two. */
const withoutEstimates = (vectors: readonly Vector[]) => vectors.filter(({ ownUsage }) => ownUsage !== true);

test('S133 a gateway behind a gateway gives the same bytes for every vector', async () => {
  for (const { name } of withoutEstimates(STREAM_VECTORS)) {
    for (const options of [{}, { stream_options: { include_usage: true } }]) {
      const more = { stream: true, ...options };
      assert.equal(await ask(second.url, name, more), await ask(ferry.gatewayUrl, name, more), name);
    }
  }
  for (const { name } of withoutEstimates(WHOLE_VECTORS)) {
    assert.equal(await ask(second.url, name, {}), await ask(ferry.gatewayUrl, name, {}), name);
  }
});
