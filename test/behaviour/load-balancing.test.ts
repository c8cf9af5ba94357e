import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Gateway, until } from '../helpers/gateway.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { chat, withUpstreams } from './several-upstreams.ts';

async function withThree(
  config: object,
  use: (gateway: Gateway, models: readonly StandInModel[]) => Promise<void>,
  firstDelayMs = 0,
): Promise<void> {
  const models = [0, 1, 2].map(() => StandInModel.start({ firstDelayMs }));
  await withUpstreams(await Promise.all(models), () => ({ sk: 'key' }), config, use);
}

test('order: the first that can serve gets everything', async () => {
  await withThree({ lb_policy: 'order' }, async (gateway, models) => {
    for (let count = 0; count < 10; count++) await chat(gateway);
    assert.deepEqual(
      models.map(({ received }) => received.length),
      [10, 0, 0],
    );
  });
});

test('random: all get about the same share, and a failure of one is still served by the others', async () => {
  await withThree({ lb_policy: 'random' }, async (gateway, models) => {
    for (let count = 0; count < 90; count++) await chat(gateway);
    // 90 draws of 3: fewer than 12 of one happens once in about 100,000 runs.
    for (const { received } of models) assert.ok(received.length >= 12, String(received.length));
    await models[1]?.close();
    for (let count = 0; count < 20; count++) assert.notEqual(await chat(gateway), 'u1');
  });
});

test('random: paths with stored state always go to the same upstream', async () => {
  await withThree({ lb_policy: 'random' }, async (gateway, models) => {
    for (let count = 0; count < 12; count++) await (await fetch(`${gateway.url}/v1/files/file-1`)).text();
    assert.deepEqual(
      models.map(({ received }) => received.length),
      [12, 0, 0],
    );
  });
});

test('least_busy: a request goes to the upstream with the fewest running requests', async () => {
  await withThree(
    { lb_policy: 'least_busy' },
    async (gateway, models) => {
      const running: Promise<string | null>[] = [];
      for (let count = 1; count <= 6; count++) {
        running.push(chat(gateway));
        await until(() => models.reduce((sum, { open }) => sum + open, 0) === count, `${count} run`);
      }
      assert.deepEqual(
        models.map(({ open }) => open),
        [2, 2, 2],
      );
      assert.deepEqual((await Promise.all(running)).sort(), ['u0', 'u0', 'u1', 'u1', 'u2', 'u2']);
    },
    1_500,
  );
});
