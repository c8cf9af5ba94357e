import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LearnedDrops } from '../../src/routing/upstream-state/learned-drops.ts';

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

test('a thousand models are remembered; one more begins anew and is remembered', () => {
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
