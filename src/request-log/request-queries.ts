import {
  type CompiledQuery,
  DummyDriver,
  type Expression,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type SqlBool,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  sql,
} from 'kysely';
import { COLUMNS, type RequestRow, requestOf } from './request-row.ts';
import type { NameKind } from './request-stats.ts';
import type { PageRequest, RequestFilter, RequestPage } from './request-store.ts';
import { COMMON_STATUS } from './search-indexes.ts';

const MAX_PER_PAGE = 1_000;

/** The table for the query builder; the same in every store. */
interface Tables {
  tokenferry_requests: RequestRow;
  tokenferry_stats: StatsRow;
  tokenferry_name_stats: NameStatsRow;
}

/** One row of `tokenferry_stats`: see `request-stats.ts`. PostgreSQL gives sums of 64-bit integers as texts. */
interface StatsRow {
  step: number;
  at: number;
  client: string;
  model: string;
  upstream: string;
  requests: number;
  errors: number;
  prompt_tokens: number;
  completion_tokens: number;
  first_tokens: number;
  first_token_ms: number;
  elapsed_ms: number;
}

/** One row of `tokenferry_name_stats`. */
interface NameStatsRow extends Omit<StatsRow, 'client' | 'model' | 'upstream'> {
  kind: NameKind;
  name: string;
}

/** Builds SQL and runs nothing: the connection belongs to the caller. */
export type RequestBuilder = Kysely<Tables>;

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
export function pageSize(page: PageRequest): number {
  return Math.max(1, Math.min(page.limit, MAX_PER_PAGE));
}

/** As the partial indexes are declared: literals, so that a database sees that an index has all that is looked for. */
const FAILED = sql<boolean>`outcome <> 'ok'`;
const UNCOMMON = sql<boolean>`status <> ${sql.lit(COMMON_STATUS)}`;

/** The partial index that has all requests which can fit; null: none. */
export function partialIndexOf({ onlyFailed, outcome, status }: RequestFilter): 'status' | 'failed' | null {
  if (status !== undefined && status !== COMMON_STATUS) return 'status';
  return onlyFailed === true || (outcome !== undefined && outcome !== 'ok') ? 'failed' : null;
}

/** The conditions that have a database use it. */
export function partialConditions(filter: RequestFilter): Expression<SqlBool>[] {
  const index = partialIndexOf(filter);
  if (index === null) return [];
  return index === 'failed' ? [FAILED] : [UNCOMMON, sql<boolean>`status = ${filter.status}`];
}

/** How a page is selected. */
interface PageSelection {
  /** What compares texts without regard to case. */
  readonly like: 'like' | 'ilike';
  /** True: without headers and bodies. */
  readonly isBrief: boolean;
}

/** The columns that `RequestFilter.text` is looked for in. */
const TEXT_COLUMNS = [
  'id',
  'path',
  'model',
  'client',
  'upstream',
  'error_code',
  'error_message',
  'user_agent',
] as const;

const LARGE_COLUMNS: ReadonlySet<string> = new Set(['headers', 'body', 'response']);
const BRIEF_COLUMNS = COLUMNS.filter((column) => !LARGE_COLUMNS.has(column));

/**
 * The SELECT of one page, newest first. Equal times are ordered by id, so that pages never overlap. Selects one request
 * more than the page has, to know whether there is a next page.
 */
export function pageStatement(
  builder: RequestBuilder,
  filter: RequestFilter,
  page: PageRequest,
  { like, isBrief }: PageSelection,
): CompiledQuery<RequestRow> {
  let query = builder
    .selectFrom('tokenferry_requests')
    // An id has few requests: a sum has no index, so that a database takes those on ids and not all requests in order.
    .orderBy(filter.id === undefined ? 'created_at' : sql`created_at + 0`, 'desc')
    .orderBy('id', 'desc')
    .limit(pageSize(page) + 1);
  if (filter.sinceMs !== undefined) query = query.where('created_at', '>=', filter.sinceMs);
  if (filter.untilMs !== undefined) query = query.where('created_at', '<', filter.untilMs);
  for (const condition of partialConditions(filter)) query = query.where(condition);
  const isByStatus = partialIndexOf(filter) === 'status';
  if (isByStatus && filter.onlyFailed === true) query = query.where(FAILED);
  if (filter.id !== undefined) {
    const { id } = filter;
    query = query.where((where) =>
      where.or([where('id', '=', id), where('client_request_id', '=', id), where('trace_id', '=', id)]),
    );
  }
  for (const column of ['outcome', 'client', 'model', 'upstream', 'path', 'status'] as const) {
    const wanted = filter[column];
    if (wanted !== undefined && !(isByStatus && column === 'status'))
      query = query.where(column, '=', wanted);
  }
  const { text } = filter;
  if (text !== undefined) {
    const pattern = `%${text.replace(/[\\%_]/g, '\\$&')}%`;
    const contains = sql.raw(like);
    query = query.where((where) =>
      where.or(
        TEXT_COLUMNS.map((column) => sql<boolean>`${sql.ref(column)} ${contains} ${pattern} escape '\\'`),
      ),
    );
  }
  const after = page.after;
  if (after !== undefined) {
    query = query.where((where) =>
      where.or([
        where('created_at', '<', after.createdAtMs),
        where.and([where('created_at', '=', after.createdAtMs), where('id', '<', after.id)]),
      ]),
    );
    // Bounds the scan of the index, which the alternatives above do not.
    query = query.where('created_at', '<=', after.createdAtMs);
  }
  if (!isBrief) return query.selectAll().compile();
  const none = (column: 'headers' | 'body' | 'response') => sql<null>`null`.as(column);
  return query
    .select(BRIEF_COLUMNS)
    .select([none('headers'), none('body'), none('response')])
    .compile() as CompiledQuery<RequestRow>;
}

/** The page of the rows of its statement. */
export function pageOf(rows: readonly RequestRow[], page: PageRequest): RequestPage {
  const size = pageSize(page);
  const requests = rows.slice(0, size).map(requestOf);
  const last = requests.at(-1);
  const hasMore = rows.length > size && last !== undefined;
  return { requests, next: hasMore ? { createdAtMs: last.createdAtMs, id: last.id } : null };
}
