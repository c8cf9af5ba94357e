import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gateway } from '../helpers/gateway.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

const CHAT = { model: 'm', stream: true, messages: [{ role: 'user', content: 'hello' }] };

test('repairs are counted for each response, and each kind is logged once for an upstream', async () => {
  await using model = await StandInModel.start({ quirks: { noDone: true } });
  await using gateway = await Gateway.start({
    dbtype: 'none',
    log: { level: 'debug' },
    upstreams: [{ name: 'lone', endpoint: model.url, sk: 'key-of-lone', allow: ['m'] }],
  });
  for (let round = 0; round < 3; round++) await (await gateway.post('/v1/chat/completions', CHAT)).text();
  const counts = (await gateway.metrics())
    .split('\n')
    .filter((line) => line.startsWith('tokenferry_repairs_total'));
  assert.deepEqual(counts, ['tokenferry_repairs_total{upstream="lone",repair="done_missing"} 3']);
  await gateway.end();
  const lines = gateway.log.split('\n').filter((line) => line.includes('done_missing'));
  assert.equal(lines.length, 1, gateway.log);
  assert.match(lines[0] as string, /"level":"debug"|debug/);
});

test('a canonical response needs no repair', async () => {
  await using model = await StandInModel.start();
  await using gateway = await Gateway.start({
    dbtype: 'none',
    upstreams: [{ name: 'lone', endpoint: model.url, sk: 'key-of-lone', allow: ['m'] }],
  });
  await (await gateway.post('/v1/chat/completions', CHAT)).text();
  assert.doesNotMatch(await gateway.metrics(), /^tokenferry_repairs_total\{/m);
});
