import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gateway, until } from '../helpers/gateway.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { chat } from './several-upstreams.ts';

/** Two upstreams of which the first answers as `state` says; its pauses are longer than any test. */
async function withFlapping(
  every: string | number,
  use: (gateway: Gateway, state: State, models: readonly StandInModel[]) => Promise<void>,
): Promise<void> {
  const state: State = { hasModels: false, chats: false };
  await using first = await StandInModel.start({
    intercept: (request, response) => {
      const isWell = request.path.endsWith('/models') ? state.hasModels : state.chats;
      if (!isWell) response.writeHead(503).end();
      return !isWell;
    },
  });
  await using second = await StandInModel.start();
  await using gateway = await Gateway.start({
    cool_down: { failures: 1, first: '60s', max: '60s' },
    probe: { every },
    upstreams: [
      { name: 'u0', endpoint: first.url, sk: 'key' },
      { name: 'u1', endpoint: second.url, sk: 'key' },
    ],
  });
  await use(gateway, state, [first, second]);
}

interface State {
  hasModels: boolean;
  chats: boolean;
}

function probesOf(model: StandInModel | undefined): number {
  return model?.received.filter(({ method, path }) => method === 'GET' && path === '/v1/models').length ?? 0;
}

test('a cooling upstream is probed with GET /models, and recovers early when it responds', async () => {
  await withFlapping('20ms', async (gateway, state, [first, second]) => {
    assert.equal(await chat(gateway), 'u1');
    await until(() => probesOf(first) >= 2, 'it is asked');
    assert.equal(await chat(gateway), 'u1', 'no answer, no request');
    state.hasModels = true;
    state.chats = true;
    const asked = probesOf(first);
    await until(() => probesOf(first) > asked, 'it answers');
    const deadlineMs = performance.now() + 2_000;
    while ((await chat(gateway)) !== 'u0') assert.ok(performance.now() < deadlineMs, 'it never came back');
    assert.deepEqual((await gateway.readiness()).degraded, []);
    const afterwards = probesOf(first);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(probesOf(first), afterwards, 'a healthy one is not asked');
    assert.equal(probesOf(second), 0);
  });
});

test('an upstream that lists models but fails to generate costs one request, not one per probe', async () => {
  await withFlapping('20ms', async (gateway, state, [first]) => {
    assert.equal(await chat(gateway), 'u1');
    state.hasModels = true;
    await until(() => probesOf(first) >= 1, 'it answers the probe');
    await new Promise((resolve) => setTimeout(resolve, 40));
    assert.equal(await chat(gateway), 'u1', 'tried and failed over');
    const asked = probesOf(first);
    await until(() => probesOf(first) >= asked + 2, 'it goes on answering');
    for (let count = 0; count < 3; count++) assert.equal(await chat(gateway), 'u1');
    const chats = first?.received.filter(({ method }) => method === 'POST').length;
    assert.equal(chats, 2, 'once before the pause and once for the sign of life');
  });
});

test('without probe.every no probe is sent', async () => {
  await withFlapping(0, async (gateway, state, [first]) => {
    assert.equal(await chat(gateway), 'u1');
    state.hasModels = true;
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(probesOf(first), 0);
    assert.equal(await chat(gateway), 'u1');
  });
});
