import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { StoreError } from '../../src/request-log/request-store.ts';
import { SqliteDatabase } from '../../src/request-log/sqlite/sqlite-database.ts';
import { checkStore } from '../../src/request-log/store-check.ts';
import { TestPostgres } from '../helpers/postgres.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';
import { sampleRecord } from './sample-record.ts';
import { batchOf } from './store-contract.ts';

const checkFile = (path: string) => checkStore({ type: 'sqlite', path });

function rejects(run: Promise<void>, message: RegExp): Promise<void> {
  return assert.rejects(run, (error) => error instanceof StoreError && message.test(error.message));
}

function databaseWithOneRow(t: TestContext): string {
  const path = join(temporaryDirectory(t), 'db.sqlite');
  const database = new SqliteDatabase({ path, redact: (body) => body });
  database.insert(batchOf([sampleRecord()]));
  database.close();
  return path;
}

test('a file that can be created is not created by the check', async (t) => {
  const path = join(temporaryDirectory(t), 'data', 'db.sqlite');
  await checkFile(path);
  assert.ok(!existsSync(path));
});

test('a path below a file is reported', async (t) => {
  const file = join(temporaryDirectory(t), 'file');
  writeFileSync(file, '');
  await rejects(checkFile(join(file, 'db.sqlite')), /cannot be created|cannot be opened/);
});

test('an existing database is checked while it is open, and another program’s tables get none of ours', async (t) => {
  await checkFile(databaseWithOneRow(t));
  const path = join(temporaryDirectory(t), 'other.sqlite');
  const other = new Database(path);
  t.after(() => other.close());
  other.exec('CREATE TABLE notes (text TEXT)');
  await checkFile(path);
  assert.deepEqual(other.prepare('SELECT name FROM sqlite_master').pluck().all(), ['notes']);
});

test('what the gateway could not write is rejected: no database, a newer version', async (t) => {
  const text = join(temporaryDirectory(t), 'text.sqlite');
  writeFileSync(text, 'x'.repeat(5_000));
  await rejects(checkFile(text), /no SQLite database/);
  const path = databaseWithOneRow(t);
  const newer = new Database(path);
  newer.exec("INSERT INTO tokenferry_migrations VALUES (999, 'future', 0)");
  newer.close();
  await rejects(checkFile(path), /newer tokenferry/);
});

test('PostgreSQL: the tables could be created and are not; a user who may not create them is reported', async (t) => {
  const postgres = await TestPostgres.start();
  t.after(() => postgres.close());
  const url = await postgres.createDatabase();
  await checkStore({ type: 'postgres', path: url });
  const { rows } = await postgres.query("SELECT 1 FROM pg_class WHERE relname LIKE 'tokenferry%'", url);
  assert.deepEqual(rows, []);
  await postgres.query('CREATE USER reader', url);
  const asReader = url.replace('postgres@', 'reader@');
  await rejects(checkStore({ type: 'postgres', path: asReader }), /does not permit this user to create/);
  await rejects(checkStore({ type: 'postgres', path: 'nonsense' }), /dbaddr is neither/);
});
