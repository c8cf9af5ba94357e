import { type CompiledQuery, sql } from 'kysely';
import type { RequestBuilder } from './request-queries.ts';
import { HOUR, MINUTE, MINUTES_KEPT_MS } from './request-stats.ts';
import type { StatsQuery, StatsSum } from './request-store.ts';

interface SumRow {
  readonly bucket: number;
  readonly key: string;
  readonly requests: number;
  readonly errors: number;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly first_tokens: number;
  readonly first_token_ms: number;
  readonly elapsed_ms: number;
}

/** The most sums of one query, for the memory of who asks. */
const MAX_SUMS = 100_000;

/** Sums of the stats by steps of time, the largest within the bounds of one query. */
export function statsStatement(
  builder: RequestBuilder,
  query: StatsQuery,
  nowMs: number,
): CompiledQuery<SumRow> {
  const { sinceMs, untilMs, stepMs, by, client, model, upstream } = query;
  const isHourly = stepMs % (HOUR * 1_000) === 0 || sinceMs < nowMs - MINUTES_KEPT_MS;
  const bucket = sql<number>`at - (at - ${sql.lit(sinceMs)}) % ${sql.lit(stepMs)}`;
  const key = by === 'none' ? sql<string>`''` : sql<string>`${sql.ref(by)}`;
  let select = builder
    .selectFrom('tokenferry_stats')
    .select([bucket.as('bucket'), key.as('key')])
    .select(({ fn }) => [
      fn.sum<number>('requests').as('requests'),
      fn.sum<number>('errors').as('errors'),
      fn.sum<number>('prompt_tokens').as('prompt_tokens'),
      fn.sum<number>('completion_tokens').as('completion_tokens'),
      fn.sum<number>('first_tokens').as('first_tokens'),
      fn.sum<number>('first_token_ms').as('first_token_ms'),
      fn.sum<number>('elapsed_ms').as('elapsed_ms'),
    ])
    .where('step', '=', isHourly ? HOUR : MINUTE)
    .where('at', '>=', sinceMs)
    .where('at', '<', untilMs)
    .groupBy(sql`1, 2`)
    .orderBy(sql`1, 2`)
    .limit(MAX_SUMS);
  if (client !== undefined) select = select.where('client', '=', client);
  if (model !== undefined) select = select.where('model', '=', model);
  if (upstream !== undefined) select = select.where('upstream', '=', upstream);
  return select.compile();
}

/** A sum of a row. */
export function statsSum(row: SumRow): StatsSum {
  return {
    atMs: Number(row.bucket),
    key: row.key,
    requests: Number(row.requests),
    errors: Number(row.errors),
    promptTokens: Number(row.prompt_tokens),
    completionTokens: Number(row.completion_tokens),
    firstTokens: Number(row.first_tokens),
    firstTokenMs: Number(row.first_token_ms),
    elapsedMs: Number(row.elapsed_ms),
  };
}
