import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ModelPauses } from '../../../src/routing/upstream-state/model-pauses.ts';
import { VirtualClock } from '../../helpers/virtual-clock.ts';

function newPauses(): { pauses: ModelPauses; clock: VirtualClock } {
  const clock = new VirtualClock();
  return { pauses: new ModelPauses(clock), clock };
}

test('a pause is of one model, has a reason, and ends by itself', async () => {
  const { pauses, clock } = newPauses();
  assert.equal(pauses.get('a'), null);
  pauses.pause('a', 'rate_limited', 1_000, 'Slow down.');
  pauses.pause('b', 'model_not_found', 60_000);
  await clock.advance(400);
  assert.deepEqual(pauses.get('a'), { reason: 'rate_limited', remainingMs: 600, message: 'Slow down.' });
  assert.equal(pauses.get('c'), null);
  await clock.advance(600);
  assert.equal(pauses.get('a'), null);
  assert.equal(pauses.get('b')?.reason, 'model_not_found');
});

test('a later pause of the same model takes the place of the earlier, and a success ends it', () => {
  const { pauses } = newPauses();
  pauses.pause('a', 'model_not_found', 60_000);
  pauses.pause('a', 'quota_exhausted', 1_000);
  assert.deepEqual(pauses.get('a'), { reason: 'quota_exhausted', remainingMs: 1_000, message: '' });
  pauses.clear('a');
  assert.equal(pauses.get('a'), null);
  pauses.clear('never paused');
});

test('invented names cannot fill memory, and room is made by pauses that are over', async () => {
  const { pauses, clock } = newPauses();
  for (let count = 0; count < 1_000; count++) pauses.pause(`invented-${count}`, 'model_not_found', 1_000);
  pauses.pause('one too many', 'rate_limited', 1_000);
  assert.equal(pauses.get('one too many'), null);
  await clock.advance(1_000);
  pauses.pause('real', 'rate_limited', 1_000);
  assert.equal(pauses.get('real')?.reason, 'rate_limited');
});

test('names of Object’s own members are names like others', () => {
  const { pauses } = newPauses();
  for (const name of ['__proto__', 'constructor', 'toString']) {
    assert.equal(pauses.get(name), null);
    pauses.pause(name, 'rate_limited', 10);
    assert.equal(pauses.get(name)?.remainingMs, 10);
  }
});
