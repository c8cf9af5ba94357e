import { statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RequestRecord } from '../../src/lib/request-record.ts';
import { PostgresDatabase } from '../../src/request-log/postgres/postgres-database.ts';
import { appendRow, type ColumnValue } from '../../src/request-log/request-row.ts';
import type { InsertResult, RowBatch } from '../../src/request-log/request-store.ts';
import { SqliteDatabase } from '../../src/request-log/sqlite/sqlite-database.ts';
import { TestPostgres } from '../../test/helpers/postgres.ts';

export type DatabaseType = 'sqlite' | 'postgres';

/** Rows of one insert, as the gateway writes them under load. */
const ROWS_PER_INSERT = 1_000;

/** Where the measured rows are: `dbtype` and `dbaddr`. */
export interface RecordDatabase {
  readonly type: DatabaseType;
  readonly address: string;
  /** Bytes on disk, indexes included. */
  size(): Promise<number>;
  close(): Promise<void>;
}

/** The database at `address`, which stays; without one a new one that is removed at the end. */
export async function openDatabase(type: DatabaseType, address: string | undefined): Promise<RecordDatabase> {
  if (type === 'sqlite') {
    const folder = address === undefined ? await mkdtemp(join(tmpdir(), 'tokenferry-rows-')) : null;
    const path = address ?? join(folder ?? '', 'db.sqlite');
    return {
      type,
      address: path,
      size: async () => statSync(path).size,
      close: async () => {
        if (folder !== null) await rm(folder, { recursive: true, force: true });
      },
    };
  }
  const server = address === undefined ? await TestPostgres.start() : null;
  const url = address ?? (await server?.createDatabase()) ?? '';
  return {
    type,
    address: url,
    size: async () => {
      const { default: pg } = await import('pg');
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      const { rows } = await client.query('SELECT pg_database_size(current_database())::float8 AS bytes');
      await client.end();
      return (rows[0] as { bytes: number }).bytes;
    },
    close: async () => server?.close(),
  };
}

/** The writer of the gateway's worker, in this process. */
export interface RowWriter {
  insert(batch: RowBatch): InsertResult | Promise<InsertResult>;
  close(): void | Promise<void>;
}

export function rowWriter({ type, address }: Pick<RecordDatabase, 'type' | 'address'>): RowWriter {
  const redact = (body: string): string => body;
  return type === 'sqlite'
    ? new SqliteDatabase({ path: address, redact })
    : new PostgresDatabase({ address, redact });
}

/** Writes the records in inserts of a thousand; resolves with the time that the inserts took, without that of the records. */
export async function writeRows(
  database: Pick<RecordDatabase, 'type' | 'address'>,
  records: Iterable<RequestRecord>,
): Promise<{ readonly rows: number; readonly insertMs: number }> {
  const writer = rowWriter(database);
  let rows = 0;
  let insertMs = 0;
  const write = async (batch: RowBatch): Promise<void> => {
    const startedMs = performance.now();
    const { written } = await writer.insert(batch);
    insertMs += performance.now() - startedMs;
    if (written !== batch.rows) throw new Error(`${batch.rows - written} rows were not written`);
    rows += written;
  };
  try {
    for (const batch of batchesOf(records)) await write(batch);
  } finally {
    await writer.close();
  }
  // A new writer deletes the sums by minute that are too old, as the gateway does each hour.
  const cleaner = rowWriter(database);
  await cleaner.insert({ rows: 0, values: '' });
  await cleaner.close();
  return { rows, insertMs };
}

export function* batchesOf(records: Iterable<RequestRecord>): Generator<RowBatch> {
  let values: ColumnValue[] = [];
  let rows = 0;
  for (const record of records) {
    appendRow(values, record);
    rows += 1;
    if (rows < ROWS_PER_INSERT) continue;
    yield { rows, values: JSON.stringify(values).slice(1, -1) };
    values = [];
    rows = 0;
  }
  if (rows > 0) yield { rows, values: JSON.stringify(values).slice(1, -1) };
}
