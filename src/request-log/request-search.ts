import type { CompiledQuery } from 'kysely';
import {
  pageOf,
  pageSize,
  pageStatement,
  partialConditions,
  partialIndexOf,
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
  /** False: it was written by a version that kept no sums by name. */
  readonly hasStats: boolean;
  run<Row>(query: CompiledQuery<Row>): Promise<readonly Row[]>;
}

/** Entries of an index that one statement may have to look at: about 5 ms. */
const ENTRIES_PER_STEP = 20_000;
/** The same where each entry's row has to be read and its texts compared. */
const ROWS_PER_STEP = 2_000;
const DAY_MS = 86_400_000;

/** A span of time, newest spans first; `untilMs` is exclusive. */
interface Span {
  readonly sinceMs: number;
  readonly untilMs: number;
  /** True: there are no older ones. */
  readonly isLast: boolean;
}

/**
 * One page of requests. SQLite's table has no index that begins with client, model or upstream, which each insert would pay
 * for: the stats say in which hours and minutes there are any, and only those are looked through, in steps that are bounded.
 * When `budgetMs` is over, the page has what was found so far, and its cursor continues there.
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
      const isOneStep = isSmall(database, filter, span);
      const begin = isOneStep ? null : await stepBegin(database, filter, { ...span, untilMs });
      const sinceMs = begin ?? span.sinceMs;
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
  const isIndexed = isName ? hasNameIndexes : isStatusOrOutcome && partialIndexOf(filter) !== null;
  return conditions.length === 1 && isIndexed && !(isName && filter.onlyFailed === true);
}

/** True: the index of a name has only a part of an hour, for which another statement would cost as much as it saves. */
function isSmall(database: SearchedDatabase, filter: RequestFilter, span: Span): boolean {
  const isHour = span.untilMs - span.sinceMs <= HOUR * 1_000;
  return database.hasNameIndexes && isHour && filter.text === undefined && namesOf(filter).length > 0;
}

/** Where a step of bounded size below `untilMs` begins; null: the span has less. */
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
    .offset(filter.text === undefined ? ENTRIES_PER_STEP : ROWS_PER_STEP);
  for (const condition of partialConditions(filter)) query = query.where(condition);
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
  // The stats have neither statuses nor outcomes: where an index has those alone, all of it is looked through.
  const isExact = filter.onlyFailed === true || partialIndexOf(filter) === null;
  if (namesOf(filter).length === 0 || !isExact || !database.hasStats) {
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
      const fine = { sinceMs: Math.max(hours.sinceMs, fineSinceMs), untilMs: hours.untilMs, isLast: false };
      if (fine.sinceMs < fine.untilMs) {
        if ((await stepBegin(database, filter, fine)) === null) yield fine;
        else yield* runsOf(await bucketsOf(database, filter, MINUTE, fine), MINUTE, fine);
      }
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

/** The names that `filter` has, each with the names of the stats that can have its requests. */
function namesOf(filter: RequestFilter): { kind: 'client' | 'model' | 'upstream'; names: string[] }[] {
  return (['client', 'model', 'upstream'] as const).flatMap((kind) => {
    const name = filter[kind];
    if (name === undefined) return [];
    return [{ kind, names: kind === 'model' ? [name, OTHER_MODELS] : [name] }];
  });
}

/**
 * The begins of hours or minutes that have such requests, newest first. The sums of the first name are looked up in its
 * index; those of all names together only in the hours that it has.
 */
async function bucketsOf(
  { builder, run }: SearchedDatabase,
  filter: RequestFilter,
  step: number,
  { sinceMs, untilMs }: Pick<Span, 'sinceMs' | 'untilMs'>,
): Promise<number[]> {
  const [first, ...others] = namesOf(filter);
  if (first === undefined) return [];
  const isOnlyFailed = filter.onlyFailed === true;
  let ofFirst = builder
    .selectFrom('tokenferry_name_stats')
    .select('at')
    .distinct()
    .where('kind', '=', first.kind)
    .where('step', '=', step)
    .where('name', 'in', first.names)
    .where('at', '>=', floorTo(sinceMs, step))
    .where('at', '<', untilMs);
  if (isOnlyFailed) ofFirst = ofFirst.where('errors', '>', 0);
  if (others.length === 0) return timesOf(await run(ofFirst.orderBy('at', 'desc').compile()));
  let ofAll = builder
    .selectFrom('tokenferry_stats')
    .select('at')
    .distinct()
    .where('step', '=', step)
    .where('at', 'in', ofFirst)
    .orderBy('at', 'desc');
  for (const { kind, names } of [first, ...others]) ofAll = ofAll.where(kind, 'in', names);
  if (isOnlyFailed) ofAll = ofAll.where('errors', '>', 0);
  return timesOf(await run(ofAll.compile()));
}

function timesOf(rows: readonly { at: number }[]): number[] {
  return rows.map(({ at }) => Number(at));
}

function edgeQuery(builder: RequestBuilder, edge: 'min' | 'max') {
  return builder
    .selectFrom('tokenferry_requests')
    .select(({ fn }) => fn<number | null>(edge, ['created_at']).as('edge'))
    .compile();
}
