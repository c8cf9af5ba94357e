import type Database from 'better-sqlite3';
import {
  type CompiledQuery,
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  sql,
} from 'kysely';
import { type RequestRow, requestOf } from './request-row.ts';
import { NO_DRIVER, newestStatement, pageOf, pageStatement, type Tables } from './request-statements.ts';
import type { PageRequest, RequestFilter, RequestPage, StoredRequest } from './request-store.ts';

function newBuilder(): Kysely<Tables> {
  return new Kysely<Tables>({
    dialect: {
      ...NO_DRIVER,
      createAdapter: () => new SqliteAdapter(),
      createIntrospector: (db) => new SqliteIntrospector(db),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  });
}

/** The questions that the log command and the admin API ask, over any open SQLite connection. */
export class RequestQueries {
  readonly #connection: Database.Database;
  readonly #builder = newBuilder();

  constructor(connection: Database.Database) {
    this.#connection = connection;
  }

  recent(filter: RequestFilter, page: PageRequest): RequestPage {
    return pageOf(this.#all(pageStatement(this.#builder, filter, page)), page);
  }

  byId(id: string): StoredRequest | null {
    const row = this.#all(newestStatement(this.#builder, id))[0];
    return row === undefined ? null : requestOf(row);
  }

  /** Up to `limit` requests written after `position`, in the order of writing, and the position to go on from. */
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

  #all(query: CompiledQuery<RequestRow>): RequestRow[] {
    return this.#connection.prepare(query.sql).all(...query.parameters) as RequestRow[];
  }
}
