import type { CompiledQuery } from 'kysely';
import {
  FAILED,
  isFailure,
  pageOf,
  pageSize,
  pageStatement,
  type RequestBuilder,
} from './request-queries.ts';
import type { RequestRow } from './request-row.ts';
import { HOUR, HOURS_KEPT_MS, MINUTE, MINUTES_KEPT_MS, OTHER_MODELS } from './request-stats.ts';
import type { PageRequest, RequestFilter, RequestPage } from './request-store.ts';

/** A database that requests are searched in. */
interface SearchedDatabase {
  readonly builder: RequestBuilder;
  /** `ilike` of PostgreSQL, `like` of SQLite, which ignores the case of ASCII letters by itself. */
  readonly like: 'like' | 'ilike';
  /** True: clients, models and upstreams have indexes, so that one statement finds them. */
  readonly hasNameIndexes: boolean;
  /** False: it was written by a version that kept no stats. */
  readonly hasStats: boolean;
  run<Row>(query: CompiledQuery<Row>): Promise<readonly Row[]>;
}

/** Rows that one statement may have to look at: about 5 ms. */
const ROWS_PER_STEP = 5_000;
const DAY_MS = 86_400_000;

/** A span of time, newest spans first; `untilMs` is exclusive. */
interface Span {
  readonly sinceMs: number;
  readonly untilMs: number;
  /** True: there are no older ones. */
  readonly isLast: boolean;
}

/**
 * One page of requests. The table has no index on client, model or upstream, which each insert would pay for: the stats say
 * in which hours and minutes there are any, and only those are looked through, in steps that are bounded in rows. When
 * `budgetMs` is over, the page has what was found so far, and its cursor continues there.
 */
export async function searchRequests(
  database: SearchedDatabase,
  filter: RequestFilter,
  page: PageRequest,
  nowMs: number,
): Promise<RequestPage> {
  const { builder } = database;
  const search = { like: database.like, isBrief: page.isBrief === true };
  if (isCheap(filter, database.hasNameIndexes)) {
    const rows = await database.run(pageStatement(builder, filter, page, search));
    return pageOf(rows, page);
  }
  const endMonoMs = performance.now() + (page.budgetMs ?? Number.POSITIVE_INFINITY);
  const size = pageSize(page);
  const rows: RequestRow[] = [];
  for await (const span of spansOf(database, filter, page, nowMs)) {
    let untilMs = span.untilMs;
    for (;;) {
      const sinceMs = (await stepBegin(database, filter, { ...span, untilMs })) ?? span.sinceMs;
      const missing = { ...page, limit: size - rows.length };
      const step = { ...filter, sinceMs, untilMs };
      rows.push(...(await database.run(pageStatement(builder, step, missing, search))));
      if (rows.length > size) return pageOf(rows, page);
      if (performance.now() >= endMonoMs && !(span.isLast && sinceMs <= span.sinceMs))
        return { ...pageOf(rows, page), next: { createdAtMs: sinceMs, id: '' }, searchedUntilMs: sinceMs };
      if (sinceMs <= span.sinceMs) break;
      untilMs = sinceMs;
    }
  }
  return pageOf(rows, page);
}

/** True: an index has exactly what is looked for, or nearly every row fits. */
function isCheap(filter: RequestFilter, hasNameIndexes: boolean): boolean {
  const { id, client, model, upstream, path, status, outcome, text } = filter;
  if (id !== undefined) return true;
  const conditions = [client, model, upstream, path, status, outcome, text].filter(
    (wanted) => wanted !== undefined,
  );
  if (conditions.length === 0) return true;
  const isName = client !== undefined || model !== undefined || upstream !== undefined;
  const isStatusOrOutcome = status !== undefined || outcome !== undefined;
  const isIndexed = isName ? hasNameIndexes : isStatusOrOutcome && isFailure(filter);
  return conditions.length === 1 && isIndexed;
}

/** Where a step of `ROWS_PER_STEP` rows below `untilMs` begins; null: the span has fewer. */
async function stepBegin(
  { builder, run }: SearchedDatabase,
  filter: RequestFilter,
  { sinceMs, untilMs }: Omit<Span, 'isLast'>,
): Promise<number | null> {
  let query = builder
    .selectFrom('tokenferry_requests')
    .select('created_at')
    .where('created_at', '<', untilMs)
    .where('created_at', '>=', sinceMs)
    .orderBy('created_at', 'desc')
    .limit(1)
    .offset(ROWS_PER_STEP);
  if (isFailure(filter)) query = query.where(FAILED);
  const [row] = await run(query.compile());
  // All rows of one millisecond belong to one step.
  return row === undefined ? null : Math.min(row.created_at, untilMs - 1);
}

/** The spans of time that can have requests of `filter`, newest first. */
async function* spansOf(
  database: SearchedDatabase,
  filter: RequestFilter,
  page: PageRequest,
  nowMs: number,
): AsyncGenerator<Span> {
  const [newest] = await database.run(edgeQuery(database.builder, 'max'));
  const [oldest] = await database.run(edgeQuery(database.builder, 'min'));
  if (newest?.edge == null || oldest?.edge == null) return;
  const afterMs = page.after === undefined ? Number.POSITIVE_INFINITY : page.after.createdAtMs + 1;
  const untilMs = Math.min(filter.untilMs ?? Number.POSITIVE_INFINITY, afterMs, newest.edge + 1);
  const sinceMs = Math.max(filter.sinceMs ?? 0, oldest.edge);
  if (untilMs <= sinceMs) return;
  const { client, model, upstream } = filter;
  const isNamed = client !== undefined || model !== undefined || upstream !== undefined;
  if (!isNamed || !database.hasStats) {
    yield { sinceMs, untilMs, isLast: true };
    return;
  }
  // Older stats are deleted.
  const statsSinceMs = Math.min(
    untilMs,
    Math.max(sinceMs, floorTo(nowMs - HOURS_KEPT_MS, HOUR) + HOUR * 1_000),
  );
  // Most searches end with the newest requests: the stats are read in growing blocks.
  let blockMs = DAY_MS;
  for (let blockEnd = untilMs; blockEnd > statsSinceMs; blockMs *= 4) {
    const blockBegin = Math.max(statsSinceMs, floorTo(blockEnd - blockMs, HOUR));
    const fineSinceMs = floorTo(nowMs - MINUTES_KEPT_MS, HOUR) + 2 * HOUR * 1_000;
    for (const hours of runsOf(
      await bucketsOf(database, filter, HOUR, { sinceMs: blockBegin, untilMs: blockEnd }),
      HOUR,
      { sinceMs: blockBegin, untilMs: blockEnd },
    )) {
      const fine = { sinceMs: Math.max(hours.sinceMs, fineSinceMs), untilMs: hours.untilMs };
      if (fine.sinceMs < fine.untilMs)
        yield* runsOf(await bucketsOf(database, filter, MINUTE, fine), MINUTE, fine);
      const coarseEnd = Math.min(hours.untilMs, fineSinceMs);
      if (hours.sinceMs < coarseEnd) yield { ...hours, untilMs: coarseEnd };
    }
    blockEnd = blockBegin;
  }
  if (statsSinceMs > sinceMs) yield { sinceMs, untilMs: statsSinceMs, isLast: true };
}

/** The spans of buckets that follow each other without a gap, newest first, within `bounds`. */
function* runsOf(buckets: readonly number[], step: number, bounds: Omit<Span, 'isLast'>): Generator<Span> {
  const ms = step * 1_000;
  for (let from = 0; from < buckets.length; ) {
    let to = from;
    while (buckets[to + 1] !== undefined && Number(buckets[to + 1]) === Number(buckets[to]) - ms) to += 1;
    yield {
      sinceMs: Math.max(Number(buckets[to]), bounds.sinceMs),
      untilMs: Math.min(Number(buckets[from]) + ms, bounds.untilMs),
      isLast: false,
    };
    from = to + 1;
  }
}

function floorTo(ms: number, step: number): number {
  return ms - (ms % (step * 1_000));
}

/** The begins of hours or minutes that have such requests, newest first. */
async function bucketsOf(
  { builder, run }: SearchedDatabase,
  filter: RequestFilter,
  step: number,
  { sinceMs, untilMs }: Omit<Span, 'isLast'>,
): Promise<number[]> {
  let query = builder
    .selectFrom('tokenferry_stats')
    .select('at')
    .distinct()
    .where('step', '=', step)
    .where('at', '>=', floorTo(sinceMs, step))
    .where('at', '<', untilMs)
    .orderBy('at', 'desc');
  if (filter.client !== undefined) query = query.where('client', '=', filter.client);
  if (filter.upstream !== undefined) query = query.where('upstream', '=', filter.upstream);
  if (filter.model !== undefined) query = query.where('model', 'in', [filter.model, OTHER_MODELS]);
  if (isFailure(filter)) query = query.where('errors', '>', 0);
  return (await run(query.compile())).map(({ at }) => Number(at));
}

function edgeQuery(builder: RequestBuilder, edge: 'min' | 'max') {
  return builder
    .selectFrom('tokenferry_requests')
    .select(({ fn }) => fn<number | null>(edge, ['created_at']).as('edge'))
    .compile();
}
