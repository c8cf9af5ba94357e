import type Database from 'better-sqlite3';
import { COLUMNS, TABLE } from '../request-row.ts';
import { backfillSql, nameStatsSql, statsTableSql } from '../request-stats.ts';
import { StoreError } from '../request-store.ts';
import { searchIndexesSql } from '../search-indexes.ts';

/** One step of the schema. Steps are only added; one that was released never changes. */
export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly sql: string;
}

/**
 * The table has no declared primary key: SQLite's rowid has the order of writing, and clients may repeat an id. Failed
 * requests have their own partial indexes, which cost a successful request nothing. The index on the time has what requests
 * are filtered by, so that a search looks at rows that fit only: at the end of an index more columns cost an insert nothing
 * that could be measured, where an index for each of client, model and upstream costs a third more.
 */
export const SQLITE_MIGRATIONS: readonly Migration[] = [
  {
    number: 1,
    name: 'requests',
    sql: `
      CREATE TABLE tokenferry_requests (
        id TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        hostname TEXT NOT NULL,
        client TEXT,
        ip TEXT NOT NULL,
        user_agent TEXT,
        method TEXT NOT NULL,
        path TEXT NOT NULL,
        model TEXT,
        upstream_model TEXT,
        upstream TEXT,
        stream INTEGER NOT NULL,
        status INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        attempts TEXT NOT NULL,
        first_token_ms INTEGER,
        elapsed_ms INTEGER NOT NULL,
        prompt_tokens INTEGER,
        completion_tokens INTEGER,
        total_tokens INTEGER,
        request_bytes INTEGER NOT NULL,
        response_bytes INTEGER NOT NULL,
        error_code TEXT,
        error_message TEXT,
        headers TEXT,
        body TEXT,
        response TEXT
      );
      CREATE INDEX tokenferry_requests_created_at ON tokenferry_requests (created_at);
      CREATE INDEX tokenferry_requests_id ON tokenferry_requests (id);
      CREATE INDEX tokenferry_requests_failed ON tokenferry_requests (created_at) WHERE outcome <> 'ok';
    `,
  },
  {
    number: 2,
    name: 'stats',
    sql: `
      CREATE INDEX tokenferry_requests_status ON tokenferry_requests (status, created_at) WHERE outcome <> 'ok';
      CREATE INDEX tokenferry_requests_outcome ON tokenferry_requests (outcome, created_at) WHERE outcome <> 'ok';
      ${statsTableSql('INTEGER', ' WITHOUT ROWID')}
      ${backfillSql('INTEGER')}
    `,
  },
  {
    number: 3,
    name: 'adaptations',
    sql: `
      ALTER TABLE tokenferry_requests ADD COLUMN client_request_id TEXT;
      ALTER TABLE tokenferry_requests ADD COLUMN adaptations TEXT;
      CREATE INDEX tokenferry_requests_client_request_id ON tokenferry_requests (client_request_id)
        WHERE client_request_id IS NOT NULL;
    `,
  },
  {
    number: 4,
    name: 'traces',
    sql: `
      ALTER TABLE tokenferry_requests ADD COLUMN trace_id TEXT;
      CREATE INDEX tokenferry_requests_trace_id ON tokenferry_requests (trace_id) WHERE trace_id IS NOT NULL;
    `,
  },
  {
    number: 5,
    name: 'searches',
    sql: `
      ${searchIndexesSql()}
      ${nameStatsSql('INTEGER', ' WITHOUT ROWID')}
    `,
  },
];

/** Applies the steps that are missing. The file may have tables of other programs, which are not touched. */
export function migrate(connection: Database.Database, path: string): void {
  connection.transaction(() => applySteps(connection, path)).immediate();
}

/** Throws when `migrate` would; everything it does is rolled back. */
export function checkMigration(connection: Database.Database, path: string): void {
  connection.exec('BEGIN IMMEDIATE');
  try {
    applySteps(connection, path);
  } finally {
    if (connection.inTransaction) connection.exec('ROLLBACK');
  }
}

function applySteps(connection: Database.Database, path: string): void {
  connection.exec(
    `CREATE TABLE IF NOT EXISTS tokenferry_migrations
         (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL)`,
  );
  const done = connection.prepare('SELECT max(number) FROM tokenferry_migrations').pluck().get() as
    | number
    | null;
  const newest = SQLITE_MIGRATIONS.at(-1)?.number ?? 0;
  if (done !== null && done > newest) throw newerVersion(path);
  if (done === null && hasTable(connection)) throw foreignTable(path);
  const note = connection.prepare('INSERT INTO tokenferry_migrations VALUES (?, ?, ?)');
  for (const step of SQLITE_MIGRATIONS) {
    if (done !== null && step.number <= done) continue;
    connection.exec(step.sql);
    note.run(step.number, step.name, Date.now());
  }
  if (missingColumns(connection).length > 0) throw foreignTable(path);
}

/** Whether the database has a table of this name, ours or not. */
export function hasTable(connection: Database.Database, table = TABLE): boolean {
  return (
    connection.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?").get(table) !==
    undefined
  );
}

function missingColumns(connection: Database.Database): string[] {
  const found = new Set(connection.prepare('SELECT name FROM pragma_table_info(?)').pluck().all(TABLE));
  return COLUMNS.filter((column) => !found.has(column));
}

function newerVersion(path: string): StoreError {
  const text = `The database ${path} was written by a newer tokenferry. Use that version or name another file in dbaddr.`;
  return new StoreError('unusable', 'NEWER_VERSION', text);
}

function foreignTable(path: string): StoreError {
  const text = `The database ${path} has a table ${TABLE} that is not ours. Name another file in dbaddr.`;
  return new StoreError('unusable', 'FOREIGN_TABLE', text);
}
