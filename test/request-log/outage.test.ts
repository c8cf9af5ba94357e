import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { SecretRegistry } from '../../src/lib/secret.ts';
import { type RequestLogEvent, retryDelayMs } from '../../src/request-log/record-writer.ts';
import {
  createRequestLog,
  type RequestLog,
  type RequestLogSettings,
} from '../../src/request-log/request-log.ts';
import { temporaryDirectory, tinyDisk } from '../helpers/temporary-directory.ts';
import { until } from '../helpers/until.ts';
import { VirtualClock } from '../helpers/virtual-clock.ts';
import { sampleRecord } from './sample-record.ts';

/** Past the pace of inserts, so that the next write goes to the store at once. */
const PACE_MS = 600;

interface Fixture {
  readonly log: RequestLog;
  readonly clock: VirtualClock;
  readonly events: RequestLogEvent[];
}

function openLog(t: TestContext, settings: Partial<RequestLogSettings> & { path: string }): Fixture {
  const clock = new VirtualClock();
  const events: RequestLogEvent[] = [];
  const log = createRequestLog(
    { type: 'sqlite', queueRows: 10_000, retentionMs: 0, maxBodyBytes: 65_536, ...settings },
    { clock, secrets: new SecretRegistry(), random: () => 0.5, onEvent: (event) => events.push(event) },
  );
  t.after(() => log.close());
  return { log, clock, events };
}

async function writeFirstRow({ log, clock }: Pick<Fixture, 'log' | 'clock'>): Promise<void> {
  log.acceptRecords([sampleRecord()]);
  await until(() => log.stats().written === 1, 'the first row is written');
  await clock.advance(PACE_MS);
}

/** A log with one row, whose next write meets the lock of another process. */
async function openLockedLog(
  t: TestContext,
  settings: Partial<RequestLogSettings> = {},
): Promise<Fixture & { readonly unlock: () => void }> {
  const path = join(temporaryDirectory(t), 'db.sqlite');
  const fixture = openLog(t, { path, ...settings });
  await writeFirstRow(fixture);
  const other = new Database(path);
  t.after(() => other.close());
  other.exec('BEGIN IMMEDIATE');
  return { ...fixture, unlock: () => void other.exec('COMMIT') };
}

test('rows wait while another process holds the lock, and are written after its release', async (t) => {
  const { log, clock, events, unlock } = await openLockedLog(t);
  log.acceptRecords([sampleRecord(), sampleRecord()]);
  await until(() => events.length === 1, 'the lock was met');
  assert.deepEqual(log.stats(), { written: 1, dropped: 0, queued: 2 });
  assert.equal(events[0]?.kind, 'unavailable');
  assert.match(events[0]?.kind === 'unavailable' ? events[0].message : '', /locked by another process/);
  log.acceptRecords([sampleRecord()]);
  unlock();
  await clock.advance(250);
  await until(() => log.stats().written === 4, 'all rows are written');
  assert.deepEqual(events[1], { kind: 'available', waitingRows: 0, droppedRows: 0 });
});

test('a full queue drops and counts, reports it once, and continues when the store is available again', async (t) => {
  const { log, clock, events, unlock } = await openLockedLog(t, { queueRows: 10 });
  log.acceptRecords(Array(7).fill(sampleRecord()));
  log.acceptRecords(Array(7).fill(sampleRecord()));
  log.acceptRecords(Array(7).fill(sampleRecord()));
  assert.deepEqual(log.stats(), { written: 1, dropped: 11, queued: 10 });
  await until(() => events.some((event) => event.kind === 'unavailable'), 'the lock was met');
  assert.equal(events.filter((event) => event.kind === 'dropping').length, 1);
  unlock();
  await clock.advance(250);
  await until(() => log.stats().queued === 0, 'the queue is empty');
  assert.deepEqual(log.stats(), { written: 11, dropped: 11, queued: 0 });
});

test('a disk that is full and then is not: nothing throws, what waited is written', async (t) => {
  const disk = tinyDisk(t, 512);
  if (disk === null) return t.skip('this user may not mount a small disk');
  const ballast = join(disk, 'ballast');
  const { log, clock, events } = openLog(t, { path: join(disk, 'db.sqlite') });
  await writeFirstRow({ log, clock });
  try {
    writeFileSync(ballast, Buffer.alloc(1024 * 1024));
  } catch {
    // It fills what there is and then fails: that is what it is for.
  }
  const sent = 1 + 500;
  log.acceptRecords(Array(500).fill(sampleRecord({ errorMessage: 'x'.repeat(200) })));
  await until(() => events.length === 1, 'the disk is full');
  assert.match(
    events[0]?.kind === 'unavailable' ? events[0].message : '',
    /the disk is full|reports an error/,
  );
  assert.equal(log.stats().dropped, 0);
  rmSync(ballast);
  await clock.advance(10_000);
  await until(() => log.stats().written === sent, 'everything is written');
  assert.equal(events.at(-1)?.kind, 'available');
});

test('a read-only disk that becomes writable is used from then on', async (t) => {
  const disk = tinyDisk(t, 512);
  if (disk === null) return t.skip('this user may not mount a small disk');
  const remount = (mode: string) => execFileSync('mount', ['-o', `remount,${mode}`, disk]);
  remount('ro');
  const { log, clock, events } = openLog(t, { path: join(disk, 'db.sqlite') });
  log.acceptRecords([sampleRecord()]);
  await until(() => events.length === 1, 'the fault was met');
  assert.match(events[0]?.kind === 'unavailable' ? events[0].message : '', /read-only/);
  remount('rw');
  await clock.advance(250);
  await until(() => log.stats().written === 1, 'the row is written');
});

test('a file that is no database is reported once with what to do, and rows are still queued', async (t) => {
  const path = join(temporaryDirectory(t), 'db.sqlite');
  writeFileSync(path, 'not a database '.repeat(1_000));
  const { log, clock, events } = openLog(t, { path });
  log.acceptRecords([sampleRecord()]);
  await until(() => events.length === 1, 'the fault was met');
  assert.deepEqual(
    events.map((event) => event.kind === 'unavailable' && event.fault),
    ['unusable'],
  );
  log.acceptRecords([sampleRecord()]);
  await clock.advance(29_000);
  assert.equal(log.stats().queued, 2);
  rmSync(path);
  await clock.advance(2_000);
  await until(() => log.stats().written === 2, 'the rows are written');
});

test('the reason why records cannot be written is kept until the store is available again, also without new records', async (t) => {
  const path = join(temporaryDirectory(t), 'db.sqlite');
  writeFileSync(path, 'not a database '.repeat(1_000));
  const { log, clock, events } = openLog(t, { path });
  await until(() => events.length === 1, 'the fault at the start');
  assert.match(log.problem ?? '', /no SQLite database/);
  rmSync(path);
  await clock.advance(30_000);
  await until(() => events.length === 2, 'the store is available again');
  assert.deepEqual(events[1], { kind: 'available', waitingRows: 0, droppedRows: 0 });
  assert.equal(log.problem, null);
});

test('close ends although the store is unavailable, and counts what is lost', async (t) => {
  const { log, unlock } = await openLockedLog(t);
  log.acceptRecords([sampleRecord(), sampleRecord()]);
  await log.close();
  assert.deepEqual(log.stats(), { written: 1, dropped: 2, queued: 0 });
  unlock();
});

test('the pause between retries grows to five seconds, and is 30 seconds where a person has to act', () => {
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 40].map((n) => retryDelayMs('unavailable', n)),
    [250, 500, 1000, 2000, 4000, 5000, 5000],
  );
  assert.equal(retryDelayMs('unusable', 1), 30_000);
});
