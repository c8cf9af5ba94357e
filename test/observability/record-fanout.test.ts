import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RequestRecord } from '../../src/lib/request-record.ts';
import { RecordFanout } from '../../src/observability/record-fanout.ts';
import { VirtualClock } from '../helpers/virtual-clock.ts';
import { sampleRecord } from '../request-log/sample-record.ts';

function collector() {
  const batches: (readonly RequestRecord[])[] = [];
  return { batches, acceptRecords: (records: readonly RequestRecord[]) => void batches.push(records) };
}

test('records reach every sink together, 100 ms after the first of them', async () => {
  const clock = new VirtualClock();
  const [first, second] = [collector(), collector()];
  const fanout = new RecordFanout({ sinks: { first, second }, clock });
  fanout.add(sampleRecord({ id: 'a' }));
  await clock.advance(60);
  fanout.add(sampleRecord({ id: 'b' }));
  await clock.advance(39);
  assert.equal(first.batches.length, 0);
  await clock.advance(1);
  for (const sink of [first, second])
    assert.deepEqual(
      sink.batches.map((batch) => batch.map((r) => r.id)),
      [['a', 'b']],
    );
  assert.equal(clock.pending, 0, 'an idle service has no timer');
});

test('64 records do not wait for the time to pass, and not inside the request that brought the last', async () => {
  const clock = new VirtualClock();
  const sink = collector();
  const fanout = new RecordFanout({ sinks: { sink }, clock });
  for (let count = 0; count < 64; count++) fanout.add(sampleRecord());
  assert.equal(sink.batches.length, 0);
  await clock.advance(0);
  assert.deepEqual(
    sink.batches.map((batch) => batch.length),
    [64],
  );
});

test('flush passes on waiting records at once, and nothing when there are none', async () => {
  const clock = new VirtualClock();
  const sink = collector();
  const fanout = new RecordFanout({ sinks: { sink }, clock });
  fanout.add(sampleRecord());
  fanout.flush();
  fanout.flush();
  await clock.advance(1_000);
  assert.deepEqual(
    sink.batches.map((batch) => batch.length),
    [1],
  );
  assert.equal(clock.pending, 0);
});

test('a sink that throws affects neither the others nor the request, and is reported once a minute', async () => {
  const clock = new VirtualClock();
  const sink = collector();
  const faults: string[] = [];
  const broken = {
    acceptRecords() {
      throw new Error('no');
    },
  };
  const onFault = (name: string) => {
    faults.push(name);
    throw new Error('the reporter is broken too');
  };
  const fanout = new RecordFanout({ sinks: { broken, sink }, clock, onFault });
  for (let second = 0; second < 70; second++) {
    fanout.add(sampleRecord());
    await clock.advance(1_000);
  }
  assert.equal(sink.batches.length, 70);
  assert.deepEqual(faults, ['broken', 'broken']);
});

test('a record that a sink adds while it accepts waits for the next batch', async () => {
  const clock = new VirtualClock();
  const seen: number[] = [];
  const fanout: RecordFanout = new RecordFanout({
    clock,
    sinks: {
      again: {
        acceptRecords(records) {
          seen.push(records.length);
          if (seen.length < 3) fanout.add(sampleRecord());
        },
      },
    },
  });
  fanout.add(sampleRecord());
  await clock.advance(1_000);
  assert.deepEqual(seen, [1, 1, 1]);
});
