import type { PoolClient } from 'pg';
import { COLUMNS, TABLE } from '../request-row.ts';
import { StoreError } from '../request-store.ts';
import { POSTGRES_MIGRATIONS } from './postgres-migrations.ts';

/** Replicas that start together migrate one after the other; the number has no meaning. */
const LOCK = 7_046_028;

/** Brings the table to the newest step. The database may hold tables of others: they are left alone. */
export async function migrate(client: PoolClient, place: string): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query(`SELECT pg_advisory_xact_lock(${LOCK})`);
    await client.query(
      `CREATE TABLE IF NOT EXISTS tokenferry_migrations
         (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TIMESTAMPTZ NOT NULL DEFAULT now())`,
    );
    await migrateFrom(client, await stepOf(client), place);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** The newest step that was applied; null before the first. */
async function stepOf(client: PoolClient): Promise<number | null> {
  const { rows } = await client.query<{ step: number | null }>(
    'SELECT max(number) AS step FROM tokenferry_migrations',
  );
  return rows[0]?.step ?? null;
}

async function migrateFrom(client: PoolClient, done: number | null, place: string): Promise<void> {
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

/** Empty when there is no such table in the schema that we write to. */
async function columnsOf(client: PoolClient): Promise<ReadonlySet<string>> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT attname AS name FROM pg_attribute
     WHERE attrelid = to_regclass('${TABLE}') AND attnum > 0 AND NOT attisdropped`,
  );
  return new Set(rows.map(({ name }) => name));
}

function newerVersion(place: string): StoreError {
  const text = `The database ${place} was written by a newer tokenferry; use that version or name another one in dbaddr.`;
  return new StoreError('unusable', 'NEWER_VERSION', text);
}

function foreignTable(place: string): StoreError {
  const text = `The database ${place} has a table ${TABLE} that is not ours; name another one in dbaddr.`;
  return new StoreError('unusable', 'FOREIGN_TABLE', text);
}
