import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { errorCodeOf } from '../lib/errors/ferry-error.ts';
import { StoreError } from './request-store.ts';

interface StoreAddress {
  readonly type: 'sqlite' | 'postgres';
  /** The database file; for PostgreSQL a URL or a libpq keyword string. */
  readonly path: string;
}

/**
 * Rejects with `StoreError` when records could not be written there. Changes nothing: tables are created in a transaction
 * that is rolled back, and a file that does not exist is not created.
 */
export async function checkStore({ type, path }: StoreAddress): Promise<void> {
  if (type === 'postgres') {
    const { PostgresDatabase } = await import('./postgres/postgres-database.ts');
    const database = new PostgresDatabase({ address: path, redact: (body) => body, isReader: true });
    await database.check().finally(() => database.close());
    return;
  }
  const { checkSqliteFile } = await import('./sqlite/sqlite-database.ts');
  if (!checkSqliteFile(path)) await checkCreatable(path);
}

/** The database file does not exist: its directory, or the nearest one that exists, must be writable. */
async function checkCreatable(path: string): Promise<void> {
  for (let directory = dirname(resolve(path)); ; directory = dirname(directory)) {
    try {
      return await access(directory, constants.W_OK | constants.X_OK);
    } catch (error) {
      const code = errorCodeOf(error) ?? 'UNKNOWN';
      if (code === 'ENOENT' && directory !== dirname(directory)) continue;
      const text = `The database ${path} cannot be created: ${directory} is not writable (${code}). Give this user write access to it.`;
      throw new StoreError('unavailable', code, text, error);
    }
  }
}
