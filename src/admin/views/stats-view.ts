import type { StatsQuery, StatsSum } from '../../request-log/request-store.ts';
import type { AdminStats, RequestTotals } from '../api-types.ts';

const MAX_SERIES = 50;
const OTHER = 'other';

/** The sums of one query as series, the largest first; small ones together are `other`. */
export function statsView(query: StatsQuery, sums: readonly StatsSum[]): AdminStats {
  const byKey = [...Map.groupBy(sums, ({ key }) => key)];
  const sorted = byKey.sort(([, left], [, right]) => requestsOf(right) - requestsOf(left));
  const large = sorted.slice(0, MAX_SERIES);
  const small = sorted.slice(MAX_SERIES).flatMap(([, some]) => some);
  const series = large.map(([key, some]) => seriesOf(key === '' ? null : key, some));
  if (small.length > 0) series.push(seriesOf(OTHER, small));
  const { sinceMs, untilMs, stepMs, by } = query;
  return { since_ms: sinceMs, until_ms: untilMs, step_ms: stepMs, by, total: totalsOf(sums), series };
}

function requestsOf(sums: readonly StatsSum[]): number {
  return sums.reduce((total, { requests }) => total + requests, 0);
}

function seriesOf(key: string | null, sums: readonly StatsSum[]): AdminStats['series'][number] {
  const steps = [...Map.groupBy(sums, ({ atMs }) => atMs)].sort(([left], [right]) => left - right);
  return {
    key,
    total: totalsOf(sums),
    points: steps.map(([at_ms, some]) => ({ at_ms, ...totalsOf(some) })),
  };
}

function totalsOf(sums: readonly StatsSum[]): RequestTotals {
  const sum = (member: keyof Omit<StatsSum, 'key' | 'atMs'>): number =>
    sums.reduce((total, one) => total + one[member], 0);
  const requests = sum('requests');
  const firstTokens = sum('firstTokens');
  return {
    requests,
    errors: sum('errors'),
    prompt_tokens: sum('promptTokens'),
    completion_tokens: sum('completionTokens'),
    first_token_ms: firstTokens === 0 ? null : Math.round(sum('firstTokenMs') / firstTokens),
    elapsed_ms: requests === 0 ? null : Math.round(sum('elapsedMs') / requests),
  };
}
