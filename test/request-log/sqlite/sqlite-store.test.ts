import assert from 'node:assert/strict';
import { chmodSync, existsSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { StoreError } from '../../../src/request-log/request-store.ts';
import { WorkerStore } from '../../../src/request-log/worker-store.ts';
import { temporaryDirectory } from '../../helpers/temporary-directory.ts';
import { failedRecord, requestById, sampleRecord } from '../sample-record.ts';
import { batchOf, storeContract } from '../store-contract.ts';
import { databaseAt, fails } from './database-at.ts';

storeContract('SQLite', async (t) => storeAt(join(temporaryDirectory(t), 'db.sqlite')));

function storeAt(path: string): WorkerStore {
  return new WorkerStore({ type: 'sqlite', path, maxBodyBytes: 65_536, redact: [] });
}

test('another process reads with plain SQL while the gateway writes', (t) => {
  const path = join(temporaryDirectory(t), 'db.sqlite');
  const database = databaseAt(t, path);
  database.insert(batchOf([failedRecord()]));
  const reader = new Database(path, { readonly: true });
  t.after(() => reader.close());
  reader.prepare('BEGIN').run();
  const read = () =>
    reader.prepare("SELECT count(*) FROM tokenferry_requests WHERE attempts ->> 1 ->> 'token_renewed'");
  assert.equal(read().pluck().get(), 1);
  assert.deepEqual(database.insert(batchOf([failedRecord()])), { written: 1, refused: 0 });
});

test('a new database and its directory are made, for this user only', (t) => {
  const path = join(temporaryDirectory(t), 'data', 'deep', 'db.sqlite');
  databaseAt(t, path).insert(batchOf([sampleRecord()]));
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(`${path}-wal`).mode & 0o777, 0o600);
});

test('a file that is no database is rejected with what to do, and not overwritten', (t) => {
  const path = join(temporaryDirectory(t), 'db.sqlite');
  writeFileSync(path, 'address: ":8888"\n'.repeat(100));
  const before = statSync(path).size;
  fails(
    () => databaseAt(t, path).insert(batchOf([sampleRecord()])),
    'unusable',
    /no SQLite database: move the file away/,
  );
  assert.equal(statSync(path).size, before);
});

test('a corrupt database is rejected, and a new one is used after it was moved', (t) => {
  const path = join(temporaryDirectory(t), 'db.sqlite');
  const first = databaseAt(t, path);
  for (let round = 0; round < 20; round++) first.insert(batchOf(Array(20).fill(sampleRecord())));
  first.close();
  const size = statSync(path).size;
  // The header stays, so that it still looks like a database.
  const torn = Buffer.alloc(size - 200, 0xab);
  const database = new Database(path);
  const header = Buffer.from(database.serialize().subarray(0, 100));
  database.close();
  writeFileSync(path, Buffer.concat([header, torn]));
  const second = databaseAt(t, path);
  fails(() => second.insert(batchOf([sampleRecord()])), 'unusable', /is corrupt|no SQLite database/);
  renameSync(path, `${path}.broken`);
  assert.deepEqual(second.insert(batchOf([sampleRecord()])), { written: 1, refused: 0 });
});

test('one row that SQLite rejects is lost without its batch', (t) => {
  const database = databaseAt(t, join(temporaryDirectory(t), 'db.sqlite'));
  const bad = { ...sampleRecord({ id: 'bad' }), hostname: null as unknown as string };
  const records = [sampleRecord({ id: 'a' }), bad, sampleRecord({ id: 'b' })];
  assert.deepEqual(database.insert(batchOf(records)), { written: 2, refused: 1 });
});

test('rows go to a new file after the open one was moved', async (t) => {
  const path = join(temporaryDirectory(t), 'db.sqlite');
  let nowMs = 0;
  t.mock.method(performance, 'now', () => nowMs);
  const database = databaseAt(t, path);
  database.insert(batchOf([sampleRecord()]));
  renameSync(path, `${path}.old`);
  nowMs += 10_000;
  database.insert(batchOf([sampleRecord()]));
  assert.ok(existsSync(path));
});

test('a path whose directory is a file is a temporary fault', async (t) => {
  const directory = join(temporaryDirectory(t), 'closed');
  writeFileSync(directory, '');
  const store = storeAt(join(directory, 'db.sqlite'));
  t.after(() => store.close());
  await assert.rejects(store.insert(batchOf([sampleRecord()])), /cannot be opened/);
  renameSync(directory, `${directory}-away`);
  assert.deepEqual(await store.insert(batchOf([sampleRecord()])), { written: 1, refused: 0 });
});

test('a directory that cannot be created is a temporary fault', {
  skip: process.platform !== 'linux',
}, (t) => {
  fails(
    () => databaseAt(t, '/proc/tokenferry/db.sqlite').insert(batchOf([sampleRecord()])),
    'unavailable',
    /\/proc\/tokenferry\/db\.sqlite cannot be opened/,
  );
});

test('a read-only directory is a temporary fault', { skip: process.getuid?.() === 0 }, (t) => {
  const directory = temporaryDirectory(t);
  const database = databaseAt(t, join(directory, 'db.sqlite'));
  chmodSync(directory, 0o500);
  try {
    fails(() => database.insert(batchOf([sampleRecord()])), 'unavailable', /read-only/);
  } finally {
    chmodSync(directory, 0o700);
  }
  assert.deepEqual(database.insert(batchOf([sampleRecord()])), { written: 1, refused: 0 });
});

test('a worker that exits rejects its calls, and the next call starts another', async (t) => {
  const path = join(temporaryDirectory(t), 'db.sqlite');
  // Its own start is the one thing that can be made to fail from outside.
  const store = new WorkerStore({ type: 'sqlite', path, maxBodyBytes: 1, redact: ['('] });
  t.after(() => store.close());
  const died = (error: unknown) =>
    error instanceof StoreError && error.code === 'WORKER' && error.fault === 'unavailable';
  await assert.rejects(store.insert(batchOf([sampleRecord()])), died);
  await assert.rejects(requestById(store, 'req_sample'), died);
});

test('a batch that cannot be parsed is rejected completely, and does not block the next', (t) => {
  const database = databaseAt(t, join(temporaryDirectory(t), 'db.sqlite'));
  assert.deepEqual(database.insert({ rows: 2, values: '"a",[redacted]' }), { written: 0, refused: 2 });
  assert.deepEqual(database.insert({ rows: 2, values: '1,2,3' }), { written: 0, refused: 2 });
  assert.deepEqual(database.insert({ rows: 0, values: '' }), { written: 0, refused: 0 });
});
