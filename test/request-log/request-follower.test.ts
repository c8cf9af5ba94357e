import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RequestRecord } from '../../src/lib/request-record.ts';
import { PageFollower } from '../../src/request-log/request-follower.ts';
import type { StoredRequest } from '../../src/request-log/request-store.ts';
import { sampleRecord } from './sample-record.ts';

/** Pages over a list that grows, as a store gives them. */
function storeOf(records: RequestRecord[]) {
  return {
    recent: async ({ sinceMs = 0 }: { sinceMs?: number | undefined }, { limit }: { limit: number }) => {
      const found = records.filter(({ createdAtMs }) => createdAtMs >= sinceMs);
      const requests = found.toSorted((left, right) => right.createdAtMs - left.createdAtMs).slice(0, limit);
      return { requests: requests as StoredRequest[], next: null };
    },
    close: async () => undefined,
  };
}

const ids = (requests: readonly StoredRequest[]): string[] => requests.map(({ id }) => id);

test('new records are shown once each, even if they began before others that were shown', async () => {
  const records = [sampleRecord({ id: 'a', createdAtMs: 1_000_000 })];
  const follower = new PageFollower(storeOf(records), () => 1_000_500);
  assert.deepEqual(ids(await follower.newest({}, 10)), ['a']);
  assert.deepEqual(ids(await follower.news()), []);
  records.push(
    sampleRecord({ id: 'b', createdAtMs: 1_000_200 }),
    sampleRecord({ id: 'long', createdAtMs: 500_000 }),
  );
  assert.deepEqual(ids(await follower.news()), ['long', 'b']);
  assert.deepEqual(ids(await follower.news()), []);
});

test('earlier records are not new, shown or not', async () => {
  const records = ['a', 'b', 'c'].map((id, index) => sampleRecord({ id, createdAtMs: 1_000 + index }));
  const follower = new PageFollower(storeOf(records), () => 2_000);
  assert.deepEqual(ids(await follower.newest({}, 1)), ['c']);
  assert.deepEqual(ids(await follower.news()), []);
});
