import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { COLUMNS } from '../../../src/request-log/request-row.ts';
import { SQLITE_MIGRATIONS } from '../../../src/request-log/sqlite/sqlite-migrations.ts';
import { openSqliteReader } from '../../../src/request-log/sqlite/sqlite-reader.ts';
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

test('a database of an older version gets the sums by name of what it has', async (t) => {
  const path = join(temporaryDirectory(t), 'db.sqlite');
  const older = new Database(path);
  older.exec(
    'CREATE TABLE tokenferry_migrations (number INTEGER PRIMARY KEY, name TEXT, applied_at INTEGER)',
  );
  const steps = SQLITE_MIGRATIONS.filter(({ number }) => number < 5);
  for (const { number, name, sql } of steps) {
    older.exec(sql);
    older.prepare('INSERT INTO tokenferry_migrations VALUES (?, ?, 0)').run(number, name);
  }
  const hourMs = 3_600_000;
  const beginMs = Math.floor(Date.now() / hourMs) * hourMs;
  const insert = older.prepare(
    `INSERT INTO tokenferry_stats VALUES (3600, ?, ?, 'gpt-4o', 'chat', ?, 1, 10, 5, 1, 100, 900)`,
  );
  insert.run(beginMs, 'ragflow', 3);
  insert.run(beginMs, 'dify', 4);
  older.close();
  databaseAt(t, path).insert(batchOf([sampleRecord({ createdAtMs: beginMs, client: 'dify' })]));
  const reader = openSqliteReader(path);
  t.after(() => reader.close());
  const times = { sinceMs: beginMs, untilMs: beginMs + hourMs, stepMs: hourMs };
  const requestsOf = (by: 'none' | 'client' | 'model') =>
    reader.series({ ...times, by }).map(({ key, requests }) => [key, requests]);
  assert.deepEqual(requestsOf('none'), [['', 8]]);
  assert.deepEqual(requestsOf('client'), [
    ['dify', 5],
    ['ragflow', 3],
  ]);
  assert.deepEqual(requestsOf('model'), [['gpt-4o', 8]]);
});

test('sums that are too old are deleted in bounded spans, and no insert deletes all of them', (t) => {
  const path = join(temporaryDirectory(t), 'db.sqlite');
  const database = databaseAt(t, path);
  const minuteMs = 60_000;
  const nowMs = Math.floor(Date.now() / minuteMs) * minuteMs;
  const old = Array.from({ length: 5 * 60 }, (_, minute) =>
    sampleRecord({ createdAtMs: nowMs - 4 * 86_400_000 + minute * minuteMs }),
  );
  database.insert(batchOf([sampleRecord({ createdAtMs: nowMs }), ...old]));
  database.close();
  const counter = new Database(path, { readonly: true });
  t.after(() => counter.close());
  const minutes = () =>
    (['tokenferry_stats', 'tokenferry_name_stats'] as const).map((table) =>
      counter.prepare(`SELECT count(DISTINCT at) FROM ${table} WHERE step = 60`).pluck().get(),
    );
  assert.deepEqual(minutes(), [241, 241]);
  const next = databaseAt(t, path);
  const left: unknown[] = [];
  for (let insert = 0; insert < 5; insert++) {
    next.insert(batchOf([sampleRecord({ createdAtMs: nowMs })]));
    left.push(minutes()[1]);
  }
  assert.deepEqual(left, [181, 121, 61, 1, 1]);
  assert.deepEqual(minutes(), [1, 1]);
});
