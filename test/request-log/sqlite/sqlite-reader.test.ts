import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { StoreError } from '../../../src/request-log/request-store.ts';
import { SqliteDatabase } from '../../../src/request-log/sqlite/sqlite-database.ts';
import { SQLITE_MIGRATIONS } from '../../../src/request-log/sqlite/sqlite-migrations.ts';
import { openSqliteReader } from '../../../src/request-log/sqlite/sqlite-reader.ts';
import { temporaryDirectory } from '../../helpers/temporary-directory.ts';
import { sampleRecord } from '../sample-record.ts';
import { batchOf } from '../store-contract.ts';

test('a reader follows what the gateway writes, in the order of writing', async (t) => {
  const path = join(temporaryDirectory(t), 'db.sqlite');
  const database = new SqliteDatabase({ path, redact: (body) => body });
  database.insert(batchOf([sampleRecord({ id: 'before' })]));
  const reader = openSqliteReader(path);
  t.after(() => {
    reader.close();
    database.close();
  });
  const start = reader.lastPosition();
  assert.deepEqual(reader.writtenAfter(start, 10), { requests: [], position: start });
  // A long request is written after shorter ones that began later.
  database.insert(
    batchOf([
      sampleRecord({ id: 'later', createdAtMs: 9_000 }),
      sampleRecord({ id: 'long', createdAtMs: 1_000 }),
    ]),
  );
  const first = reader.writtenAfter(start, 1);
  const second = reader.writtenAfter(first.position, 10);
  const ids = [...first.requests, ...second.requests].map((request) => request.id);
  assert.deepEqual(ids, ['later', 'long']);
  assert.deepEqual(reader.writtenAfter(second.position, 10).requests, []);
  assert.equal((await reader.recent({ id: 'before' }, { limit: 1 })).requests[0]?.id, 'before');
});

test('a file that is missing, not a database or without our table is reported', (t) => {
  const directory = temporaryDirectory(t);
  const fails = (path: string, text: RegExp) =>
    assert.throws(
      () => openSqliteReader(path),
      (error) => error instanceof StoreError && text.test(error.message),
    );
  fails(join(directory, 'none.sqlite'), /no database .* yet/);
  writeFileSync(join(directory, 'text.sqlite'), 'x'.repeat(5_000));
  fails(join(directory, 'text.sqlite'), /no SQLite database/);
  writeFileSync(join(directory, 'empty.sqlite'), '');
  fails(join(directory, 'empty.sqlite'), /has no requests of tokenferry/);
});

test('the file of an older version is listed, and what it lacks is said with what to do', async (t) => {
  const path = join(temporaryDirectory(t), 'db.sqlite');
  const older = new Database(path);
  for (const { sql } of SQLITE_MIGRATIONS.slice(0, 2)) older.exec(sql);
  older.close();
  const reader = openSqliteReader(path);
  t.after(() => reader.close());
  assert.deepEqual((await reader.recent({}, { limit: 1 })).requests, []);
  await assert.rejects(reader.recent({ id: 'one' }, { limit: 1 }), (error) => {
    assert.ok(error instanceof StoreError);
    assert.match(
      error.message,
      /db\.sqlite was last written by an older tokenferry: start the gateway of this version once/,
    );
    return true;
  });
});
