import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Gateway } from '../helpers/gateway.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { ask, checkGood, LIMITS } from './fault-rig.ts';

test('while another upstream can serve, a cooling one gets only one probe at a time', async () => {
  let isSick = true;
  await using sick = await StandInModel.start({
    reply: 'all is well',
    firstDelayMs: 60,
    intercept: (_request, response) => {
      if (!isSick) return false;
      setTimeout(() => {
        response.writeHead(500);
        response.end('{}');
      }, 60);
      return true;
    },
  });
  await using good = await StandInModel.start({ reply: 'all is well' });
  await using gateway = await Gateway.start({
    ...LIMITS,
    timeout: '5s',
    dbtype: 'none',
    cool_down: { failures: 2, first: '1200ms', max: '2400ms' },
    upstreams: [
      { name: 'sick', endpoint: sick.url, sk: 'key-of-sick', allow: ['m'] },
      { name: 'good', endpoint: good.url, sk: 'key-of-good', allow: ['m'] },
    ],
  });
  const ten = async (): Promise<void> => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask(gateway, 'chat', 'm')));
    for (const { response, text } of answers) assert.equal(response.status, 200, text);
  };
  await ask(gateway, 'chat', 'm');
  await ask(gateway, 'chat', 'm');
  assert.equal(sick.received.length, 2);
  await ten();
  assert.equal(sick.received.length, 2, 'cooling: nothing');
  await sleep(1_250);
  await ten();
  assert.equal(sick.received.length, 3, 'the pause is over: one probe for ten requests');
  await sleep(500);
  await ten();
  assert.equal(sick.received.length, 3, 'the second pause is twice as long');
  await sleep(2_000);
  isSick = false;
  await ten();
  assert.equal(sick.received.length, 4);
  await ten();
  assert.equal(sick.received.length, 14, 'the probe was good: it is back');
});

test('the only upstream is called by every request, however often it failed', async () => {
  await using model = await StandInModel.start({
    intercept: (_request, response) => {
      response.writeHead(500);
      response.end();
      return true;
    },
  });
  await using gateway = await Gateway.start({
    ...LIMITS,
    dbtype: 'none',
    retry: { same_upstream: 0 },
    upstreams: [{ name: 'lone', endpoint: model.url, sk: 'key-of-lone', allow: ['m'] }],
  });
  for (let asked = 0; asked < 8; asked++) await ask(gateway, 'chat', 'm');
  assert.equal(model.received.length, 8);
  model.set({ intercept: () => false, reply: 'all is well' });
  const { text } = await ask(gateway, 'chat', 'm');
  checkGood('chat', text);
  assert.deepEqual((await gateway.readiness()).degraded, [], 'and back with its first success');
});
