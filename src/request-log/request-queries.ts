import {
  type CompiledQuery,
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { type RequestRow, requestOf } from './request-row.ts';
import type { PageRequest, RequestFilter, RequestPage } from './request-store.ts';

const MAX_PER_PAGE = 1_000;

/** The table for the query builder; the same in every store. */
interface Tables {
  tokenferry_requests: RequestRow;
}

/** Builds SQL and runs nothing: the connection belongs to the caller. */
type RequestBuilder = Kysely<Tables>;

/** The builder of SQL for SQLite. */
export function sqliteBuilder(): RequestBuilder {
  return new Kysely<Tables>({
    dialect: {
      createDriver: () => new DummyDriver(),
      createAdapter: () => new SqliteAdapter(),
      createIntrospector: (db) => new SqliteIntrospector(db),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  });
}

/** The builder of SQL for PostgreSQL. */
export function postgresBuilder(): RequestBuilder {
  return new Kysely<Tables>({
    dialect: {
      createDriver: () => new DummyDriver(),
      createAdapter: () => new PostgresAdapter(),
      createIntrospector: (db) => new PostgresIntrospector(db),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  });
}

/** The requested size of a page within its bounds. */
function pageSize(page: PageRequest): number {
  return Math.max(1, Math.min(page.limit, MAX_PER_PAGE));
}

/**
 * The SELECT of one page, newest first. Equal times are ordered by id, so that pages never overlap. Selects one request
 * more than the page has, to know whether there is a next page.
 */
export function pageStatement(
  builder: RequestBuilder,
  filter: RequestFilter,
  page: PageRequest,
): CompiledQuery<RequestRow> {
  let query = builder
    .selectFrom('tokenferry_requests')
    .selectAll()
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(pageSize(page) + 1);
  if (filter.sinceMs !== undefined) query = query.where('created_at', '>=', filter.sinceMs);
  if (filter.untilMs !== undefined) query = query.where('created_at', '<', filter.untilMs);
  if (filter.onlyFailed === true) query = query.where('outcome', '<>', 'ok');
  for (const column of ['id', 'outcome', 'client', 'model', 'upstream', 'path', 'status'] as const) {
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

/** The page of the rows of its statement. */
export function pageOf(rows: readonly RequestRow[], page: PageRequest): RequestPage {
  const size = pageSize(page);
  const requests = rows.slice(0, size).map(requestOf);
  const last = requests.at(-1);
  const hasMore = rows.length > size && last !== undefined;
  return { requests, next: hasMore ? { createdAtMs: last.createdAtMs, id: last.id } : null };
}
