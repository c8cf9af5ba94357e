import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Retention, roundMs } from '../../src/request-log/retention.ts';
import { WorkerStore } from '../../src/request-log/worker-store.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';
import { until } from '../helpers/until.ts';
import { VirtualClock } from '../helpers/virtual-clock.ts';
import { sampleRecord } from './sample-record.ts';
import { batchOf } from './store-contract.ts';

const HOUR_MS = 3_600_000;

test('requests older than the retention are deleted in steps, younger ones stay', async (t) => {
  const store = new WorkerStore({
    type: 'sqlite',
    path: join(temporaryDirectory(t), 'db.sqlite'),
    maxBodyBytes: 1,
    redact: [],
  });
  const clock = new VirtualClock(Date.UTC(2026, 0, 1));
  const retention = new Retention({ store, clock, retentionMs: 24 * HOUR_MS });
  t.after(() => {
    retention.stop();
    return store.close();
  });
  const old = Array(1_200).fill(sampleRecord({ id: 'old', createdAtMs: clock.wallMs() - 25 * HOUR_MS }));
  const young = sampleRecord({ id: 'young', createdAtMs: clock.wallMs() - 23 * HOUR_MS });
  await store.insert(batchOf([...old, young]));
  const count = async () => (await store.recent({}, { limit: 1_000 })).requests.length;
  const stepAfter = async (ms: number) => {
    await clock.advance(ms);
    await until(() => clock.pending > 0, 'the next step is planned');
  };
  retention.start();
  await stepAfter(50);
  assert.equal(await count(), 701);
  await stepAfter(50);
  await stepAfter(50);
  assert.equal(await count(), 1);
  for (let round = 0; round < 7; round++) await stepAfter(HOUR_MS / 6);
  assert.equal(await count(), 0);
});

test('a step deletes at most 500 rows, and the next one begins a pause after its end', async (t) => {
  const clock = new VirtualClock(Date.UTC(2026, 0, 1));
  const limits: number[] = [];
  const running: (() => void)[] = [];
  const deleteBefore = (_createdAtMs: number, limit: number): Promise<number> => {
    limits.push(limit);
    return new Promise((resolve) => running.push(() => resolve(limit)));
  };
  const retention = new Retention({ store: { deleteBefore }, clock, retentionMs: 24 * HOUR_MS });
  t.after(() => retention.stop());
  retention.start();
  for (let step = 1; step <= 3; step++) {
    await clock.advance(50);
    await clock.advance(10_000);
    assert.equal(limits.length, step, 'none begins while one runs');
    running.pop()?.();
    await until(() => clock.pending > 0, 'the next step is planned');
  }
  assert.ok(limits.every((limit) => limit === 500));
});

test('an unavailable store is tried again in the next round', async (t) => {
  const clock = new VirtualClock();
  let asked = 0;
  const deleteBefore = () => {
    asked += 1;
    return Promise.reject(new Error('away'));
  };
  const retention = new Retention({ store: { deleteBefore }, clock, retentionMs: HOUR_MS });
  t.after(() => retention.stop());
  retention.start();
  await clock.advance(3 * roundMs(HOUR_MS));
  assert.equal(asked, 3);
});

test('nothing is deleted without a retention, nor after stop', async () => {
  const clock = new VirtualClock();
  const store = { deleteBefore: () => assert.fail('asked') };
  new Retention({ store, clock, retentionMs: 0 }).start();
  const retention = new Retention({ store, clock, retentionMs: HOUR_MS });
  retention.start();
  retention.stop();
  await clock.advance(HOUR_MS);
});

test('a round comes after a hundredth of the retention, within a second and ten minutes', () => {
  assert.deepEqual([1, 500_000, HOUR_MS * 1e6].map(roundMs), [1_000, 5_000, 600_000]);
});
