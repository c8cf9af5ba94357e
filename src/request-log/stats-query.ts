import { type CompiledQuery, sql } from 'kysely';
import type { RequestBuilder } from './request-queries.ts';
import {
  HOUR,
  MINUTE,
  MINUTES_KEPT_MS,
  NAME_STATS_TABLE,
  type NameKind,
  STATS_TABLE,
} from './request-stats.ts';
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
  const { sinceMs, untilMs, stepMs, by } = query;
  const isHourly = stepMs % (HOUR * 1_000) === 0 || sinceMs < nowMs - MINUTES_KEPT_MS;
  const bucket = sql<number>`at - (at - ${sql.lit(sinceMs)}) % ${sql.lit(stepMs)}`;
  const wanted = (['client', 'model', 'upstream'] as const).filter((name) => query[name] !== undefined);
  const names = new Set<NameKind>([...wanted, ...(by === 'none' ? [] : [by])]);
  const [kind = 'all'] = names;
  // Of one name alone there are far fewer sums than of all names together.
  const isByName = names.size <= 1;
  const table = isByName ? NAME_STATS_TABLE : STATS_TABLE;
  const key = by === 'none' ? sql`''` : sql.ref(isByName ? 'name' : by);
  const conditions = [
    ...(isByName ? [sql`kind = ${kind}`] : []),
    sql`step = ${isHourly ? HOUR : MINUTE}`,
    sql`at >= ${sinceMs}`,
    sql`at < ${untilMs}`,
    ...wanted.map((name) => sql`${sql.ref(isByName ? 'name' : name)} = ${query[name]}`),
  ];
  return sql<SumRow>`SELECT ${bucket} AS bucket, ${key} AS key,
      sum(requests) AS requests, sum(errors) AS errors, sum(prompt_tokens) AS prompt_tokens,
      sum(completion_tokens) AS completion_tokens, sum(first_tokens) AS first_tokens,
      sum(first_token_ms) AS first_token_ms, sum(elapsed_ms) AS elapsed_ms
    FROM ${sql.table(table)} WHERE ${sql.join(conditions, sql` AND `)}
    GROUP BY 1, 2 ORDER BY 1, 2 LIMIT ${sql.lit(MAX_SUMS)}`.compile(builder);
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
