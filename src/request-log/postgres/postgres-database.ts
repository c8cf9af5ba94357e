import type { CompiledQuery } from 'kysely';
import pg from 'pg';
import { errorCodeOf } from '../../lib/errors/ferry-error.ts';
import { postgresBuilder } from '../request-queries.ts';
import { COLUMNS, type ColumnValue, TABLE, valuesOf } from '../request-row.ts';
import { searchRequests } from '../request-search.ts';
import {
  addNameStatsSql,
  addStatsSql,
  cleaningSql,
  NAME_STATS_COLUMNS,
  NAME_STATS_TABLE,
  RequestStats,
  STATS_COLUMNS,
  STATS_TABLE,
} from '../request-stats.ts';
import {
  type InsertResult,
  type PageRequest,
  type RequestFilter,
  type RequestPage,
  type RowBatch,
  type StatsQuery,
  type StatsSum,
  StoreError,
  type StoreFault,
} from '../request-store.ts';
import { statsStatement, statsSum } from '../stats-query.ts';
import { parsePostgresAddress } from './postgres-address.ts';
import { checkMigration, migrate } from './postgres-migrations.ts';
import { PostgresPartitions } from './postgres-partitions.ts';

export interface PostgresDatabaseOptions {
  /** A postgres:// URL or a libpq keyword string. */
  readonly address: string;
  /** Applied to both bodies of each row before it is sent. */
  readonly redact: (body: string) => string;
  /** True: nothing is created or changed, so that a user with read access suffices. */
  readonly isReader?: boolean;
}

/** One for inserts, one for queries meanwhile. */
const CONNECTIONS = 2;
const CONNECT_TIMEOUT_MS = 5_000;
/** A slower database counts as unavailable; rows wait in the queue. */
const QUERY_TIMEOUT_MS = 15_000;
/** Rows of one INSERT: of 27 parameters each, of which the protocol allows 65,535. */
const ROWS_PER_STATEMENT = 100;
const STATS_ROWS_PER_STATEMENT = 500;

const INT8 = 20;
const NO_PARTITION = '23514';
const NO_TABLE = '42P01';

/** The table in PostgreSQL, for use in the worker. Connects at the first use and again after every fault. */
export class PostgresDatabase {
  readonly #options: PostgresDatabaseOptions;
  readonly #place: string;
  readonly #connection: pg.ClientConfig;
  readonly #pool: pg.Pool;
  readonly #partitions = new PostgresPartitions();
  readonly #builder = postgresBuilder();
  /** `dbaddr` is invalid: every call rejects with that. */
  readonly #isInvalidAddress: boolean;
  #isMigrated = false;
  /** The migration in progress. */
  #migration: Promise<void> | null = null;
  /** Which tables of sums there are: a reader may find a database of an older version. */
  #found: { readonly hasNameIndexes: boolean; readonly hasStats: boolean } | null = null;
  readonly #stats = new RequestStats();
  /** The hour in which old stats were deleted last. */
  #cleanedHour = 0;

  constructor(options: PostgresDatabaseOptions) {
    const address = parsePostgresAddress(options.address);
    this.#options = options;
    this.#place = address?.place ?? 'of dbaddr';
    this.#connection = {
      ...address?.config,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      application_name: 'tokenferry',
      types: { getTypeParser: typeParser },
    };
    this.#pool = new pg.Pool({ ...this.#connection, max: CONNECTIONS, query_timeout: QUERY_TIMEOUT_MS });
    // An idle connection that breaks is replaced by the next call; without a listener the event would end the worker.
    this.#pool.on('error', () => undefined);
    this.#isInvalidAddress = address === null;
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
        // The retention of another replica dropped a partition that was known to exist.
        if (errorCodeOf(error) === NO_PARTITION) {
          this.#partitions.forget();
          return this.#insertAll(client, values);
        }
        if (postgresFaultOf(error, this.#place) !== null) throw error;
        return this.#insertEach(client, values);
      }
    });
  }

  /** Drops a whole day before `createdAtMs`, which counts as `limit` rows, or deletes up to `limit` rows of its day. */
  deleteBefore(createdAtMs: number, limit: number): Promise<number> {
    return this.#use((client) => this.#partitions.deleteBefore(client, createdAtMs, limit));
  }

  /** Rejects when records could not be written; changes nothing. */
  check(): Promise<void> {
    return this.#use((client) => checkMigration(client, this.#place));
  }

  recent(filter: RequestFilter, page: PageRequest): Promise<RequestPage> {
    return this.#use(async (client) => {
      this.#found ??= await tablesOf(client);
      const database = {
        builder: this.#builder,
        like: 'ilike',
        ...this.#found,
        run: async <Row>({ sql, parameters }: CompiledQuery<Row>) =>
          (await client.query(sql, [...parameters])).rows as Row[],
      } as const;
      return searchRequests(database, filter, page, Date.now());
    });
  }

  series(query: StatsQuery): Promise<StatsSum[]> {
    const { sql, parameters } = statsStatement(this.#builder, query, Date.now());
    return this.#use(async (client) => (await client.query(sql, [...parameters])).rows.map(statsSum));
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  async #insertAll(client: pg.PoolClient, values: readonly ColumnValue[]): Promise<InsertResult> {
    await this.#partitions.createFor(client, values);
    return inTransaction(client, async () => {
      const some = COLUMNS.length * ROWS_PER_STATEMENT;
      for (let at = 0; at < values.length; at += some) await insertRows(client, values.slice(at, at + some));
      await this.#count(client, values);
      return { written: values.length / COLUMNS.length, refused: 0 };
    });
  }

  /** Row by row, for a batch with a row that the database rejects: the others are written. */
  #insertEach(client: pg.PoolClient, values: readonly ColumnValue[]): Promise<InsertResult> {
    return inTransaction(client, async () => {
      let refused = 0;
      for (let at = 0; at < values.length; at += COLUMNS.length) {
        await client.query('SAVEPOINT one');
        try {
          await insertRows(client, values.slice(at, at + COLUMNS.length));
          await this.#count(client, values.slice(at, at + COLUMNS.length));
        } catch (error) {
          if (postgresFaultOf(error, this.#place) !== null) throw error;
          await client.query('ROLLBACK TO SAVEPOINT one');
          refused += 1;
        }
      }
      return { written: values.length / COLUMNS.length - refused, refused };
    });
  }

  async #count(client: pg.PoolClient, values: readonly ColumnValue[]): Promise<void> {
    const { stats, nameStats } = this.#stats.of(values);
    await addRows(client, stats, STATS_COLUMNS.length, addStatsSql);
    await addRows(client, nameStats, NAME_STATS_COLUMNS.length, addNameStatsSql);
    const nowMs = Date.now();
    const hour = Math.floor(nowMs / 3_600_000);
    if (hour === this.#cleanedHour) return;
    let deleted = 0;
    for (const sql of cleaningSql(nowMs)) deleted += (await client.query(sql)).rowCount ?? 0;
    if (deleted === 0) this.#cleanedHour = hour;
  }

  /** On a connection of its own without the limit of a query: an index of millions of rows takes minutes. */
  async #migrate(): Promise<void> {
    this.#migration ??= (async () => {
      const client = new pg.Client(this.#connection);
      // Rejects the query in progress too.
      client.on('error', () => undefined);
      try {
        await client.connect();
        await migrate(client, this.#place);
        this.#isMigrated = true;
      } finally {
        this.#migration = null;
        await client.end().catch(() => undefined);
      }
    })();
    await this.#migration;
  }

  #forgetTable(): void {
    if (this.#options.isReader === true) throw noTable(this.#place);
    this.#isMigrated = false;
    this.#partitions.forget();
  }

  async #use<T>(run: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    if (this.#isInvalidAddress) throw invalidAddress();
    let client: pg.PoolClient | null = null;
    try {
      if (!this.#isMigrated && this.#options.isReader !== true) await this.#migrate();
      client = await this.#pool.connect();
      const result = await run(client);
      client.release();
      return result;
    } catch (error) {
      // The state of the connection is unknown: it is not used again.
      client?.release(true);
      if (errorCodeOf(error) === NO_TABLE) this.#forgetTable();
      throw (
        postgresFaultOf(error, this.#place) ?? new StoreError('unavailable', 'REJECTED', String(error), error)
      );
    }
  }
}

/** The driver gives 64-bit integers as text; ours are times and counts far below 2^53. */
function typeParser(oid: number, format?: 'text' | 'binary') {
  return oid === INT8 ? Number : pg.types.getTypeParser(oid, format as 'text');
}

/** PostgreSQL has no NUL in text. */
function storable(text: string): string {
  return text.includes('\u0000') ? text.replaceAll('\u0000', '\ufffd') : text;
}

/** Adds sums in statements of bounded size. */
async function addRows(
  client: pg.PoolClient,
  rows: readonly (readonly ColumnValue[])[],
  columns: number,
  sqlOf: (tuples: string) => string,
): Promise<void> {
  for (let at = 0; at < rows.length; at += STATS_ROWS_PER_STATEMENT) {
    const some = rows.slice(at, at + STATS_ROWS_PER_STATEMENT);
    await client.query(sqlOf(tuplesOf(some.length, columns)), some.flat());
  }
}

async function insertRows(client: pg.PoolClient, values: ColumnValue[]): Promise<void> {
  await client.query(insertText(values.length / COLUMNS.length), values);
}

function insertText(rows: number): string {
  return `INSERT INTO ${TABLE} (${COLUMNS.join(',')}) VALUES ${tuplesOf(rows, COLUMNS.length)}`;
}

/** `($1,$2),($3,$4)` for 2 rows of 2 columns. */
function tuplesOf(rows: number, columns: number): string {
  const tuples = Array.from({ length: rows }, (_, row) => {
    const names = Array.from({ length: columns }, (_column, at) => `$${row * columns + at + 1}`);
    return `(${names.join(',')})`;
  });
  return tuples.join(',');
}

/** The indexes on names and the sums by steps were made together; the sums by name came later. */
async function tablesOf(client: pg.PoolClient): Promise<{ hasNameIndexes: boolean; hasStats: boolean }> {
  const { rows } = await client.query<{ hasNameIndexes: boolean; hasStats: boolean }>(
    `SELECT to_regclass($1) IS NOT NULL AS "hasNameIndexes", to_regclass($2) IS NOT NULL AS "hasStats"`,
    [STATS_TABLE, NAME_STATS_TABLE],
  );
  return rows[0] ?? { hasNameIndexes: false, hasStats: false };
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

function invalidAddress(): StoreError {
  const text =
    'dbaddr is neither a postgres:// URL nor a libpq string such as "host=db user=app dbname=llm".';
  return new StoreError('unusable', 'DBADDR', text);
}

/** SQLSTATE classes and codes (PostgreSQL, appendix A) for faults of the database rather than of a row. */
const FAULTS: readonly { readonly state: RegExp; readonly fault: StoreFault; readonly text: string }[] = [
  { state: /^28/, fault: 'unusable', text: 'rejects the user or password of dbaddr' },
  { state: /^3D000$/, fault: 'unusable', text: 'does not exist: create it or name another one in dbaddr' },
  { state: /^42501$/, fault: 'unusable', text: 'does not permit this user to create and write its table' },
  {
    state: /^42P01$/,
    fault: 'unavailable',
    text: 'lost the table tokenferry_requests, which is created again',
  },
  {
    state: /^42703$/,
    fault: 'unusable',
    text: 'was last written by an older tokenferry: start the gateway of this version once, which adds what is missing',
  },
  { state: /^25006$/, fault: 'unavailable', text: 'is read-only, as a standby is' },
  { state: /^53/, fault: 'unavailable', text: 'is out of connections, memory or disk' },
  { state: /^57/, fault: 'unavailable', text: 'is starting or shutting down' },
  { state: /^(?:08|58|XX|40)/, fault: 'unavailable', text: 'failed' },
];

/** The fault of the database behind `error`; null when it rejects the row (a value too large, an invalid byte). */
function postgresFaultOf(error: unknown, place: string): StoreError | null {
  if (error instanceof StoreError) return error;
  const code = errorCodeOf(error);
  if (code !== null && /^(?:22|23|54)/.test(code) && code.length === 5) return null;
  const known = FAULTS.find(({ state }) => code !== null && state.test(code));
  const reason = error instanceof Error ? error.message : String(error);
  const text = known?.text ?? `cannot be used: ${reason}`;
  const suffix = code === null ? '' : ` (${code})`;
  return new StoreError(
    known?.fault ?? 'unavailable',
    code ?? 'UNKNOWN',
    `The database ${place} ${text}${suffix}.`,
    error,
  );
}
