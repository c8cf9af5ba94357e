import { Kysely, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from 'kysely';
import pg from 'pg';
import { valuesOf } from '../batch-values.ts';
import { COLUMNS, type ColumnValue, type RequestRow, requestOf, TABLE } from '../request-row.ts';
import { NO_DRIVER, newestStatement, pageOf, pageStatement, type Tables } from '../request-statements.ts';
import {
  type InsertResult,
  type PageRequest,
  type RequestFilter,
  type RequestPage,
  type RowBatch,
  type StoredRequest,
  StoreError,
} from '../request-store.ts';
import { readPostgresAddress } from './postgres-address.ts';
import { codeOf, postgresFaultOf } from './postgres-errors.ts';
import { migrate } from './postgres-migration.ts';
import { PostgresPartitions } from './postgres-partitions.ts';

export interface PostgresDatabaseOptions {
  /** A postgres:// URL or a libpq keyword string. */
  readonly address: string;
  /** Applied to both bodies of each row before anything is sent. */
  readonly redact: (body: string) => string;
  /** True: nothing is ever made or changed, so that a user who may only read suffices. */
  readonly isReader?: boolean;
}

/** One for inserts, one for questions meanwhile. */
const CONNECTIONS = 2;
const CONNECT_TIMEOUT_MS = 5_000;
/** Slower than this it is away; rows wait in the queue. */
const QUERY_TIMEOUT_MS = 15_000;
/** Rows of one INSERT: of 27 parameters each, of which the protocol allows 65,535. */
const ROWS_PER_STATEMENT = 100;

const INT8 = 20;
const NO_PARTITION = '23514';
const NO_TABLE = '42P01';

/** The table in PostgreSQL, for use inside the worker. Connects when first needed and again after every fault. */
export class PostgresDatabase {
  readonly #options: PostgresDatabaseOptions;
  readonly #place: string;
  readonly #pool: pg.Pool;
  readonly #partitions = new PostgresPartitions();
  readonly #builder = newBuilder();
  /** `dbaddr` cannot be read: every call says so. */
  readonly #isMisnamed: boolean;
  #isMigrated = false;

  constructor(options: PostgresDatabaseOptions) {
    const address = readPostgresAddress(options.address);
    this.#options = options;
    this.#place = address?.place ?? 'of dbaddr';
    this.#pool = new pg.Pool({
      ...address?.config,
      max: CONNECTIONS,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: QUERY_TIMEOUT_MS,
      keepAlive: true,
      application_name: 'tokenferry',
      types: { getTypeParser: typeParser },
    });
    // An idle connection that breaks is replaced by the next call; unheard, the event would end the worker.
    this.#pool.on('error', () => undefined);
    this.#isMisnamed = address === null;
  }

  /** Writes the batch in one transaction. */
  async insert(batch: RowBatch): Promise<InsertResult> {
    const values = valuesOf(batch, this.#options.redact);
    if (values === null) return { written: 0, refused: batch.rows };
    for (const [at, value] of values.entries()) if (typeof value === 'string') values[at] = storable(value);
    return this.#use(async (client) => {
      try {
        return await this.#insertAll(client, values);
      } catch (error) {
        // Another replica's retention dropped a day that we had made.
        if (codeOf(error) === NO_PARTITION) {
          this.#partitions.forget();
          return this.#insertAll(client, values);
        }
        if (postgresFaultOf(error, this.#place) !== null) throw error;
        return this.#insertEach(client, values);
      }
    });
  }

  /** Days that ended before go whole, uncounted; of the day in which `createdAtMs` lies, up to `limit` rows. */
  deleteBefore(createdAtMs: number, limit: number): Promise<number> {
    return this.#use(async (client) => {
      await this.#partitions.dropBefore(client, createdAtMs);
      const { rowCount } = await client.query(
        `DELETE FROM ${TABLE} WHERE (tableoid, ctid) IN
           (SELECT tableoid, ctid FROM ${TABLE} WHERE created_at < $1 ORDER BY created_at LIMIT $2)`,
        [createdAtMs, limit],
      );
      return rowCount ?? 0;
    });
  }

  async recent(filter: RequestFilter, page: PageRequest): Promise<RequestPage> {
    return pageOf(await this.#all(pageStatement(this.#builder, filter, page)), page);
  }

  async byId(id: string): Promise<StoredRequest | null> {
    const [row] = await this.#all(newestStatement(this.#builder, id));
    return row === undefined ? null : requestOf(row);
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  #all(statement: { readonly sql: string; readonly parameters: readonly unknown[] }): Promise<RequestRow[]> {
    return this.#use(async (client) => {
      const { rows } = await client.query<RequestRow>(statement.sql, [...statement.parameters]);
      return rows;
    });
  }

  async #insertAll(client: pg.PoolClient, values: readonly ColumnValue[]): Promise<InsertResult> {
    await this.#partitions.makeFor(client, values);
    return inTransaction(client, async () => {
      const some = COLUMNS.length * ROWS_PER_STATEMENT;
      for (let at = 0; at < values.length; at += some) await insertRows(client, values.slice(at, at + some));
      return { written: values.length / COLUMNS.length, refused: 0 };
    });
  }

  /** The slow way, for a batch with a row in it that the database refuses: the others are kept. */
  #insertEach(client: pg.PoolClient, values: readonly ColumnValue[]): Promise<InsertResult> {
    return inTransaction(client, async () => {
      let refused = 0;
      for (let at = 0; at < values.length; at += COLUMNS.length) {
        await client.query('SAVEPOINT one');
        try {
          await insertRows(client, values.slice(at, at + COLUMNS.length));
        } catch (error) {
          if (postgresFaultOf(error, this.#place) !== null) throw error;
          await client.query('ROLLBACK TO SAVEPOINT one');
          refused += 1;
        }
      }
      return { written: values.length / COLUMNS.length - refused, refused };
    });
  }

  #forgetTable(): void {
    if (this.#options.isReader === true) throw noTable(this.#place);
    this.#isMigrated = false;
    this.#partitions.forget();
  }

  async #use<T>(run: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    if (this.#isMisnamed) throw misnamed();
    let client: pg.PoolClient | null = null;
    try {
      client = await this.#pool.connect();
      if (!this.#isMigrated && this.#options.isReader !== true) await migrate(client, this.#place);
      this.#isMigrated = true;
      const result = await run(client);
      client.release();
      return result;
    } catch (error) {
      // A connection that failed is not worth finding out in which state it is.
      client?.release(true);
      if (codeOf(error) === NO_TABLE) this.#forgetTable();
      throw (
        postgresFaultOf(error, this.#place) ?? new StoreError('unavailable', 'REFUSED', String(error), error)
      );
    }
  }
}

function newBuilder(): Kysely<Tables> {
  return new Kysely<Tables>({
    dialect: {
      ...NO_DRIVER,
      createAdapter: () => new PostgresAdapter(),
      createIntrospector: (db) => new PostgresIntrospector(db),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  });
}

/** The driver gives 64-bit integers as text; ours are times and counts far below 2^53. */
function typeParser(oid: number, format?: 'text' | 'binary') {
  return oid === INT8 ? Number : pg.types.getTypeParser(oid, format as 'text');
}

/** PostgreSQL has no NUL in text. */
function storable(text: string): string {
  return text.includes('\u0000') ? text.replaceAll('\u0000', '\ufffd') : text;
}

async function insertRows(client: pg.PoolClient, values: ColumnValue[]): Promise<void> {
  await client.query(insertText(values.length / COLUMNS.length), values);
}

function insertText(rows: number): string {
  const tuples = Array.from({ length: rows }, (_, row) => {
    const first = row * COLUMNS.length + 1;
    return `(${COLUMNS.map((_column, at) => `$${first + at}`).join(',')})`;
  });
  return `INSERT INTO ${TABLE} (${COLUMNS.join(',')}) VALUES ${tuples.join(',')}`;
}

async function inTransaction<T>(client: pg.PoolClient, run: () => Promise<T>): Promise<T> {
  await client.query('BEGIN');
  try {
    const result = await run();
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

function noTable(place: string): StoreError {
  return new StoreError('unusable', 'NO_TABLE', `The database ${place} has no requests of tokenferry.`);
}

function misnamed(): StoreError {
  const text =
    'dbaddr is neither a postgres:// URL nor a libpq string such as "host=db user=app dbname=llm".';
  return new StoreError('unusable', 'DBADDR', text);
}
