import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorIn, Gateway } from '../helpers/gateway.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { ask } from './fault-rig.ts';

test('a paused upstream gets no requests until it is resumed; when all are paused the error says so', async () => {
  await using first = await StandInModel.start();
  await using second = await StandInModel.start();
  await using gateway = await Gateway.start({
    upstreams: [
      { name: 'first', endpoint: first.url, sk: 'key-of-first' },
      { name: 'second', endpoint: second.url, sk: 'key-of-second' },
    ],
  });
  const act = async (name: string, action: string) => {
    const response = await gateway.post(`/admin/upstreams/${name}/${action}`, {});
    assert.equal(response.status, 200);
    return (await response.json()) as { state: string };
  };
  const servedBy = async () => {
    const { response, text } = await ask(gateway, 'chat', 'm');
    return response.status === 200 ? response.headers.get('x-tokenferry-upstream') : errorIn(text).code;
  };
  assert.equal(await servedBy(), 'first');
  assert.equal((await act('first', 'pause')).state, 'paused');
  assert.equal(await servedBy(), 'second');
  assert.deepEqual((await gateway.readiness()).degraded, ['upstream first: paused by an administrator']);
  await act('second', 'pause');
  assert.equal(await servedBy(), 'upstream_paused');
  await act('first', 'resume');
  assert.equal(await servedBy(), 'first');
});
