import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DurationCounts } from '../../src/admin/live/duration-counts.ts';

test('percentiles are exact to 5 %, of one part and of several together', () => {
  const [odd, even] = [new DurationCounts(), new DurationCounts()];
  for (let ms = 1; ms <= 10_000; ms += 1) (ms % 2 === 0 ? even : odd).add(ms);
  odd.merge(even);
  assert.equal(odd.count, 10_000);
  for (const [share, exact] of [
    [0.5, 5_000],
    [0.95, 9_500],
    [1, 10_000],
  ] as const) {
    const found = odd.percentile(share);
    assert.ok(found !== null && Math.abs(found - exact) <= exact * 0.05, `${share}: ${found}`);
  }
});

test('without a duration there is no percentile, and what took no time counts as the shortest', () => {
  const counts = new DurationCounts();
  assert.equal(counts.percentile(0.5), null);
  counts.add(0);
  counts.add(0.4);
  assert.equal(counts.percentile(0.95), 1);
});
