import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { COLUMNS } from '../../../src/request-log/request-row.ts';
import { SQLITE_MIGRATIONS } from '../../../src/request-log/sqlite/sqlite-migrations.ts';
import { temporaryDirectory } from '../../helpers/temporary-directory.ts';
import { sampleRecord } from '../sample-record.ts';
import { batchOf } from '../store-contract.ts';
import { databaseAt, fails } from './database-at.ts';

test('the table has exactly the columns of the record, in order', (t) => {
  const path = join(temporaryDirectory(t), 'db.sqlite');
  databaseAt(t, path).insert(batchOf([sampleRecord()]));
  const reader = new Database(path, { readonly: true });
  t.after(() => reader.close());
  const found = reader.prepare("SELECT name FROM pragma_table_info('tokenferry_requests')").pluck().all();
  assert.deepEqual(found, [...COLUMNS]);
});

test('the migrations are numbered without gaps and each is applied once', (t) => {
  assert.deepEqual(
    SQLITE_MIGRATIONS.map((step) => step.number),
    SQLITE_MIGRATIONS.map((_, index) => index + 1),
  );
  const path = join(temporaryDirectory(t), 'db.sqlite');
  for (let start = 0; start < 3; start++) {
    const database = databaseAt(t, path);
    database.insert(batchOf([sampleRecord()]));
    database.close();
  }
  const reader = new Database(path, { readonly: true });
  t.after(() => reader.close());
  assert.equal(
    reader.prepare('SELECT count(*) FROM tokenferry_migrations').pluck().get(),
    SQLITE_MIGRATIONS.length,
  );
  assert.equal(reader.prepare('SELECT count(*) FROM tokenferry_requests').pluck().get(), 3);
});

test('a database with tables of another program is shared, and those are not changed', (t) => {
  const path = join(temporaryDirectory(t), 'db.sqlite');
  const other = new Database(path);
  other.exec(
    "CREATE TABLE open_ai_requests (id INTEGER, body TEXT); INSERT INTO open_ai_requests VALUES (1, 'x')",
  );
  databaseAt(t, path).insert(batchOf([sampleRecord()]));
  assert.equal(other.prepare('SELECT body FROM open_ai_requests').pluck().get(), 'x');
  other.close();
});

test('a table of our name that is not ours is rejected with what to do', (t) => {
  const path = join(temporaryDirectory(t), 'db.sqlite');
  const other = new Database(path);
  other.exec('CREATE TABLE tokenferry_requests (something TEXT)');
  other.close();
  fails(
    () => databaseAt(t, path).insert(batchOf([sampleRecord()])),
    'unusable',
    /not ours. Name another file in dbaddr/,
  );
});

test('a database of a newer version is rejected and not changed', (t) => {
  const path = join(temporaryDirectory(t), 'db.sqlite');
  databaseAt(t, path).insert(batchOf([sampleRecord()]));
  const newer = new Database(path);
  newer.exec("INSERT INTO tokenferry_migrations VALUES (999, 'future', 0)");
  newer.close();
  fails(() => databaseAt(t, path).insert(batchOf([sampleRecord()])), 'unusable', /newer tokenferry/);
});
