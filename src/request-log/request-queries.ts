import type Database from 'better-sqlite3';
import {
  type CompiledQuery,
  DummyDriver,
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  sql,
} from 'kysely';
import { type RequestRow, requestOf } from './request-row.ts';
import type { PageRequest, RequestFilter, RequestPage, StoredRequest } from './request-store.ts';

const MOST_PER_PAGE = 1_000;

interface Tables {
  tokenferry_requests: RequestRow;
}

/** Builds SQL and runs nothing: the connection is synchronous and belongs to whoever opened it. */
function newBuilder(): Kysely<Tables> {
  return new Kysely<Tables>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => new DummyDriver(),
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
    const limit = Math.max(1, Math.min(page.limit, MOST_PER_PAGE));
    // One more than asked tells whether there is a next page.
    const rows = this.#all(recentQuery(this.#builder, filter, { ...page, limit: limit + 1 }));
    const requests = rows.slice(0, limit).map(requestOf);
    const last = requests.at(-1);
    const hasMore = rows.length > limit && last !== undefined;
    return { requests, next: hasMore ? { createdAtMs: last.createdAtMs, id: last.id } : null };
  }

  byId(id: string): StoredRequest | null {
    const query = this.#builder
      .selectFrom('tokenferry_requests')
      .selectAll()
      .where('id', '=', id)
      .orderBy('created_at', 'desc')
      .limit(1);
    const row = this.#all(query.compile())[0];
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

/** Pure: the SELECT of one page, newest first. Ties in time are ordered by id, so that pages never overlap. */
function recentQuery(
  builder: Kysely<Tables>,
  filter: RequestFilter,
  page: PageRequest,
): CompiledQuery<RequestRow> {
  let query = builder
    .selectFrom('tokenferry_requests')
    .selectAll()
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(page.limit);
  if (filter.sinceMs !== undefined) query = query.where('created_at', '>=', filter.sinceMs);
  if (filter.untilMs !== undefined) query = query.where('created_at', '<', filter.untilMs);
  if (filter.onlyFailed === true) query = query.where('outcome', '<>', 'ok');
  for (const column of ['outcome', 'client', 'model', 'upstream', 'path', 'status'] as const) {
    const wanted = filter[column];
    if (wanted !== undefined) query = query.where(column, '=', wanted);
  }
  const after = page.after;
  if (after !== undefined) {
    query = query.where((where) =>
      where.or([
        where('created_at', '<', after.createdAtMs),
        where.and([where('created_at', '=', after.createdAtMs), where('id', '<', after.id)]),
      ]),
    );
  }
  return query.compile();
}
