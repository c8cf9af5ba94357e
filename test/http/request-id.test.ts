import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newRequestId } from '../../src/http/middleware/request-context.ts';

test('request ids are unique within a millisecond', () => {
  const ids = new Set(Array.from({ length: 100_000 }, () => newRequestId(1_763_720_000_000)));
  assert.equal(ids.size, 100_000);
});

test('an id of a later millisecond sorts after every earlier one, for the next thousand years', () => {
  const times = [0, 1, 999_999_999_999, 1_763_720_000_000, 1_763_720_000_001, 33_000_000_000_000];
  const ids = times.map(newRequestId);
  assert.deepEqual(ids.toSorted(), ids);
  assert.ok(ids.every((id) => /^req_[0-9a-z]{23}$/.test(id)));
});
