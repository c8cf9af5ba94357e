import { statSync } from 'node:fs';
import Database from 'better-sqlite3';
import { type CompiledQuery, sql } from 'kysely';
import { sqliteBuilder } from '../request-queries.ts';
import { type RequestRow, requestOf } from '../request-row.ts';
import { searchRequests } from '../request-search.ts';
import { NAME_STATS_TABLE } from '../request-stats.ts';
import {
  type PageRequest,
  type RequestFilter,
  type RequestPage,
  type StatsQuery,
  type StatsSum,
  type StoredRequest,
  StoreError,
} from '../request-store.ts';
import { statsStatement, statsSum } from '../stats-query.ts';
import { olderVersionOf, openFaultOf } from './sqlite-errors.ts';
import { hasTable } from './sqlite-migrations.ts';

/** Queries over any open SQLite connection. */
export class SqliteReader {
  readonly #connection: Database.Database;
  readonly #builder = sqliteBuilder();
  /** Null: not known yet. */
  #hasStats: boolean | null = null;

  constructor(connection: Database.Database) {
    this.#connection = connection;
  }

  recent(filter: RequestFilter, page: PageRequest): Promise<RequestPage> {
    this.#hasStats ??= hasTable(this.#connection, NAME_STATS_TABLE);
    const database = {
      builder: this.#builder,
      like: 'like',
      hasNameIndexes: false,
      hasStats: this.#hasStats,
      run: async <Row>(query: CompiledQuery<Row>) => this.#all(query),
    } as const;
    return searchRequests(database, filter, page, Date.now());
  }

  series(query: StatsQuery): StatsSum[] {
    return this.#all(statsStatement(this.#builder, query, Date.now())).map(statsSum);
  }

  /** Up to `limit` requests written after `position`, in the order of writing, and the position to continue from. */
  writtenAfter(position: number, limit: number): { requests: StoredRequest[]; position: number } {
    const query = this.#builder
      .selectFrom('tokenferry_requests')
      .select(sql.ref<number>('rowid').as('position'))
      .selectAll()
      .where(sql.ref<number>('rowid'), '>', position)
      .orderBy(sql.ref('rowid'))
      .limit(limit);
    const rows = this.#all(query.compile()) as (RequestRow & { position: number })[];
    return { requests: rows.map(requestOf), position: rows.at(-1)?.position ?? position };
  }

  /** The position of the newest request; 0 when there is none. */
  lastPosition(): number {
    const query = this.#builder
      .selectFrom('tokenferry_requests')
      .select((row) => row.fn.max(sql.ref<number>('rowid')).as('position'))
      .compile();
    const found = this.#connection.prepare(query.sql).get() as { position: number | null };
    return found.position ?? 0;
  }

  close(): void {
    this.#connection.close();
  }

  #all<Row>(query: CompiledQuery<Row>): Row[] {
    try {
      return this.#connection.prepare(query.sql).all(...query.parameters) as Row[];
    } catch (error) {
      throw olderVersionOf(error, this.#connection.name) ?? error;
    }
  }
}

/** Opens the file read-only, while a gateway writes to it or not. Throws `StoreError` with what to do. */
export function openSqliteReader(path: string): SqliteReader {
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
      // Reads the header and the schema, and so detects a file that is no database of ours.
      if (hasTable(connection)) return new SqliteReader(connection);
      throw new StoreError('unusable', 'NO_TABLE', `The database ${path} has no requests of tokenferry.`);
    } catch (error) {
      connection.close();
      throw error;
    }
  } catch (error) {
    throw openFaultOf(error, path);
  }
}
