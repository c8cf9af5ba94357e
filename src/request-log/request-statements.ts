import { type CompiledQuery, DummyDriver, type Kysely } from 'kysely';
import { type RequestRow, requestOf } from './request-row.ts';
import type { PageRequest, RequestFilter, RequestPage } from './request-store.ts';

const MOST_PER_PAGE = 1_000;

/** The tables as the query builder knows them; the same in every store. */
export interface Tables {
  tokenferry_requests: RequestRow;
}

type RequestBuilder = Kysely<Tables>;

/** A driver for builders that build SQL and run nothing: the connection belongs to whoever opened it. */
export const NO_DRIVER = { createDriver: () => new DummyDriver() };

/** How many requests a page has: what was asked, within bounds. */
function pageSize(page: PageRequest): number {
  return Math.max(1, Math.min(page.limit, MOST_PER_PAGE));
}

/**
 * The SELECT of one page, newest first. Ties in time are ordered by id, so that pages never overlap. It asks for one
 * request more than the page has, which tells whether there is a next page.
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

/** The page out of what its statement gave. */
export function pageOf(rows: readonly RequestRow[], page: PageRequest): RequestPage {
  const size = pageSize(page);
  const requests = rows.slice(0, size).map(requestOf);
  const last = requests.at(-1);
  const hasMore = rows.length > size && last !== undefined;
  return { requests, next: hasMore ? { createdAtMs: last.createdAtMs, id: last.id } : null };
}

/** The newest request of an id. */
export function newestStatement(builder: RequestBuilder, id: string): CompiledQuery<RequestRow> {
  return builder
    .selectFrom('tokenferry_requests')
    .selectAll()
    .where('id', '=', id)
    .orderBy('created_at', 'desc')
    .limit(1)
    .compile();
}
