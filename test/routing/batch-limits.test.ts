import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BatchLimits } from '../../src/routing/upstream-state/batch-limits.ts';

test('Q158 what an upstream said of one model is no limit of another, and less than the configured one wins', () => {
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
