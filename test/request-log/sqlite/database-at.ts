import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { StoreError } from '../../../src/request-log/request-store.ts';
import { SqliteDatabase } from '../../../src/request-log/sqlite/sqlite-database.ts';

/** The database of a file, closed after the test. */
export function databaseAt(t: TestContext, path: string): SqliteDatabase {
  const database = new SqliteDatabase({ path, redact: (body) => body });
  t.after(() => database.close());
  return database;
}

/** Fails unless `run` throws a `StoreError` of this fault with this message. */
export function fails(run: () => unknown, fault: string, text: RegExp): void {
  assert.throws(run, (error) => {
    assert.ok(error instanceof StoreError);
    assert.equal(error.fault, fault);
    assert.match(error.message, text);
    return true;
  });
}
