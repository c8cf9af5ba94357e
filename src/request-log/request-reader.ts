import { statSync } from 'node:fs';
import Database from 'better-sqlite3';
import { PageFollower, type RequestFollower } from './request-follower.ts';
import { RequestQueries } from './request-queries.ts';
import { StoreError } from './request-store.ts';
import { hasTable } from './sqlite/sqlite-database.ts';
import { openFaultOf } from './sqlite/sqlite-errors.ts';

/** A database opened for reading by another process than the gateway, such as the `log` command. */
interface RequestReader {
  readonly queries: RequestQueries;
  close(): void;
}

/** Opens the file read-only, beside a gateway that writes to it or alone. Throws `StoreError` with what to do. */
export function openRequestReader(path: string): RequestReader {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) {
    throw new StoreError(
      'unavailable',
      'NO_FILE',
      `There is no database ${path} yet: no request was recorded.`,
    );
  }
  try {
    const connection = new Database(path, { readonly: true, fileMustExist: true });
    try {
      // Reads the header and the table: a file that is no database of ours shows here.
      if (!hasTable(connection)) {
        throw new StoreError('unusable', 'NO_TABLE', `The database ${path} has no requests of tokenferry.`);
      }
      const queries = new RequestQueries(connection);
      return { queries, close: () => connection.close() };
    } catch (error) {
      connection.close();
      throw error;
    }
  } catch (error) {
    throw openFaultOf(error, path);
  }
}

const MOST_PER_LOOK = 1_000;

/** The requests of a SQLite file, followed in the order of writing. Throws `StoreError` as `openRequestReader` does. */
export function followSqlite(path: string): RequestFollower {
  const { queries, close } = openRequestReader(path);
  let position = 0;
  return {
    newest: async (filter, limit) => {
      // Before the page is read: what is written in between is shown twice rather than never.
      position = queries.lastPosition();
      return queries.recent(filter, { limit }).requests;
    },
    news: async () => {
      const found = queries.writtenAfter(position, MOST_PER_LOOK);
      position = found.position;
      return found.requests;
    },
    close: async () => close(),
  };
}

/** The requests in a PostgreSQL. Its calls reject with `StoreError`. */
export async function followPostgres(address: string, nowMs: () => number): Promise<RequestFollower> {
  const { PostgresDatabase } = await import('./postgres/postgres-database.ts');
  return new PageFollower(new PostgresDatabase({ address, redact: (body) => body, isReader: true }), nowMs);
}
