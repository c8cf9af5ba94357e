import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BatchLimits, LearnedDrops } from '../../../src/routing/upstream-state/learned-refusals.ts';

test('what was refused is remembered for its model, each once, in the order of the refusals', () => {
  const drops = new LearnedDrops();
  assert.deepEqual(drops.get('a'), []);
  drops.add('a', 'seed');
  drops.add('a', 'user');
  drops.add('a', 'seed');
  assert.deepEqual(drops.get('a'), ['seed', 'user']);
  assert.deepEqual(drops.get('b'), []);
});

test('it is forgotten an hour after the last refusal', (context) => {
  context.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
  const drops = new LearnedDrops();
  drops.add('a', 'seed');
  context.mock.timers.tick(3_599_000);
  assert.deepEqual(drops.get('a'), ['seed']);
  context.mock.timers.tick(2_000);
  assert.deepEqual(drops.get('a'), []);
});

test('a thousand models are remembered; one more clears them and is remembered', () => {
  const drops = new LearnedDrops();
  for (let count = 0; count < 1_000; count++) drops.add(`model-${count}`, 'seed');
  assert.deepEqual(drops.get('model-0'), ['seed']);
  drops.add('model-999', 'user');
  assert.deepEqual(drops.get('model-0'), ['seed'], 'a known one needs no room');
  drops.add('model-1000', 'seed');
  assert.deepEqual(drops.get('model-1000'), ['seed']);
  assert.deepEqual(drops.get('model-0'), []);
});

test('a model called like a member of Object is a model', () => {
  const drops = new LearnedDrops();
  for (const name of ['__proto__', 'constructor', 'toString', '']) {
    assert.deepEqual(drops.get(name), []);
    drops.add(name, 'seed');
    assert.deepEqual(drops.get(name), ['seed']);
  }
});

test('Q158 a learned limit of one model does not apply to another, and the smaller of learned and configured wins', () => {
  const limits = new BatchLimits(16);
  limits.learn('a', 10);
  assert.deepEqual([limits.get('a'), limits.get('b')], [10, 16]);
  limits.learn('a', 12);
  assert.equal(limits.get('a'), 10, 'a request that began before');
  limits.learn('b', 32);
  assert.equal(limits.get('b'), 16);
});

test('Q158 without a configured limit the learned one holds for an hour', (context) => {
  context.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
  const limits = new BatchLimits(0);
  assert.equal(limits.get('a'), 0);
  limits.learn('a', 8);
  assert.equal(limits.get('a'), 8);
  context.mock.timers.tick(3_601_000);
  assert.equal(limits.get('a'), 0);
});
