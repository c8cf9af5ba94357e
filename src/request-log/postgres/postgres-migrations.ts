import type { ClientBase } from 'pg';
import { COLUMNS, TABLE } from '../request-row.ts';
import { backfillSql, nameStatsSql, statsTableSql } from '../request-stats.ts';
import { StoreError } from '../request-store.ts';
import { searchIndexesSql } from '../search-indexes.ts';
import type { Migration } from '../sqlite/sqlite-migrations.ts';

/**
 * The table of `sqlite-migrations.ts`, in one partition a day (UTC) by `created_at`, which is in milliseconds since
 * 1970 here too. Ids are compared by their bytes, so that pages have the same order in every locale. A partitioned table
 * can have no key without `created_at`; none is declared, as clients may repeat an id. Clients, models, upstreams and
 * statuses have indexes here, which cost another machine than the gateway's.
 */
const POSTGRES_MIGRATIONS: readonly Migration[] = [
  {
    number: 1,
    name: 'requests',
    sql: `
      CREATE TABLE tokenferry_requests (
        id TEXT COLLATE "C" NOT NULL,
        created_at BIGINT NOT NULL,
        hostname TEXT NOT NULL,
        client TEXT,
        ip TEXT NOT NULL,
        user_agent TEXT,
        method TEXT NOT NULL,
        path TEXT NOT NULL,
        model TEXT,
        upstream_model TEXT,
        upstream TEXT,
        stream SMALLINT NOT NULL,
        status INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        attempts TEXT NOT NULL,
        first_token_ms BIGINT,
        elapsed_ms BIGINT NOT NULL,
        prompt_tokens BIGINT,
        completion_tokens BIGINT,
        total_tokens BIGINT,
        request_bytes BIGINT NOT NULL,
        response_bytes BIGINT NOT NULL,
        error_code TEXT,
        error_message TEXT,
        headers TEXT,
        body TEXT,
        response TEXT
      ) PARTITION BY RANGE (created_at);
      CREATE INDEX tokenferry_requests_created_at ON tokenferry_requests (created_at);
      CREATE INDEX tokenferry_requests_id ON tokenferry_requests (id);
      CREATE INDEX tokenferry_requests_failed ON tokenferry_requests (created_at) WHERE outcome <> 'ok';
    `,
  },
  {
    number: 2,
    name: 'stats',
    sql: `
      CREATE INDEX tokenferry_requests_client ON tokenferry_requests (client, created_at);
      CREATE INDEX tokenferry_requests_model ON tokenferry_requests (model, created_at);
      CREATE INDEX tokenferry_requests_upstream ON tokenferry_requests (upstream, created_at);
      CREATE INDEX tokenferry_requests_status ON tokenferry_requests (status, created_at) WHERE outcome <> 'ok';
      CREATE INDEX tokenferry_requests_outcome ON tokenferry_requests (outcome, created_at) WHERE outcome <> 'ok';
      ${statsTableSql('BIGINT', '')}
      ${backfillSql('BIGINT')}
    `,
  },
  {
    number: 3,
    name: 'adaptations',
    sql: `
      ALTER TABLE tokenferry_requests ADD COLUMN client_request_id TEXT COLLATE "C";
      ALTER TABLE tokenferry_requests ADD COLUMN adaptations TEXT;
      CREATE INDEX tokenferry_requests_client_request_id ON tokenferry_requests (client_request_id)
        WHERE client_request_id IS NOT NULL;
    `,
  },
  {
    number: 4,
    name: 'traces',
    sql: `
      ALTER TABLE tokenferry_requests ADD COLUMN trace_id TEXT COLLATE "C";
      CREATE INDEX tokenferry_requests_trace_id ON tokenferry_requests (trace_id) WHERE trace_id IS NOT NULL;
    `,
  },
  {
    number: 5,
    name: 'searches',
    sql: `
      ${searchIndexesSql()}
      ${nameStatsSql('BIGINT', '')}
    `,
  },
];

/** Makes replicas that start together migrate one after the other; the number is arbitrary. */
const LOCK = 7_046_028;

/** Applies the steps that are missing. The database may have tables of other programs, which are not touched. */
export function migrate(client: ClientBase, place: string): Promise<void> {
  return inMigration(client, place, 'COMMIT');
}

/** Rejects when `migrate` or an insert would; everything is rolled back. */
export function checkMigration(client: ClientBase, place: string): Promise<void> {
  return inMigration(client, place, 'ROLLBACK');
}

async function inMigration(client: ClientBase, place: string, end: 'COMMIT' | 'ROLLBACK'): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query(`SELECT pg_advisory_xact_lock(${LOCK})`);
    await client.query(
      `CREATE TABLE IF NOT EXISTS tokenferry_migrations
         (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TIMESTAMPTZ NOT NULL DEFAULT now())`,
    );
    await migrateFrom(client, await stepOf(client), place);
    // Inserts nothing, and fails without the permission to insert.
    if (end === 'ROLLBACK') await client.query(`INSERT INTO ${TABLE} SELECT * FROM ${TABLE} WHERE false`);
    await client.query(end);
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** The newest step that was applied; null: none. */
async function stepOf(client: ClientBase): Promise<number | null> {
  const { rows } = await client.query<{ step: number | null }>(
    'SELECT max(number) AS step FROM tokenferry_migrations',
  );
  return rows[0]?.step ?? null;
}

async function migrateFrom(client: ClientBase, done: number | null, place: string): Promise<void> {
  const newest = POSTGRES_MIGRATIONS.at(-1)?.number ?? 0;
  if (done !== null && done > newest) throw newerVersion(place);
  const columns = await columnsOf(client);
  const isLost = done !== null && columns.size === 0;
  if (done === null && columns.size > 0) throw foreignTable(place);
  if (isLost) await client.query('DELETE FROM tokenferry_migrations');
  for (const step of POSTGRES_MIGRATIONS) {
    if (!isLost && done !== null && step.number <= done) continue;
    await client.query(step.sql);
    await client.query('INSERT INTO tokenferry_migrations (number, name) VALUES ($1, $2)', [
      step.number,
      step.name,
    ]);
  }
  const found = await columnsOf(client);
  if (COLUMNS.some((column) => !found.has(column))) throw foreignTable(place);
}

/** Empty: there is no such table in the current schema. */
async function columnsOf(client: ClientBase): Promise<ReadonlySet<string>> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT attname AS name FROM pg_attribute
     WHERE attrelid = to_regclass('${TABLE}') AND attnum > 0 AND NOT attisdropped`,
  );
  return new Set(rows.map(({ name }) => name));
}

function newerVersion(place: string): StoreError {
  const text = `The database ${place} was written by a newer tokenferry. Use that version or name another database in dbaddr.`;
  return new StoreError('unusable', 'NEWER_VERSION', text);
}

function foreignTable(place: string): StoreError {
  const text = `The database ${place} has a table ${TABLE} that is not ours. Name another database in dbaddr.`;
  return new StoreError('unusable', 'FOREIGN_TABLE', text);
}
