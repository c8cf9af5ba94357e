import { useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import type { AdminStats, StatsGroup } from '../../../src/admin/api-types.ts';
import { useResource } from '../api/resource.ts';
import { ROOT } from '../api/root.ts';
import { Chart } from '../components/chart.tsx';
import { Empty, Loaded } from '../components/states.tsx';
import { type Column, Table } from '../components/table.tsx';
import { type TextKey, t } from '../i18n/language.ts';
import { formatCount, formatDuration, formatPercent } from '../lib/format.ts';

interface Range {
  readonly name: TextKey;
  /** Back from now; `today` and `yesterday` are whole days of the browser's time zone. */
  readonly ms: number | 'today' | 'yesterday';
  /** Of whole hours there are sums of their own, which are found sooner. */
  readonly stepSeconds: number;
}

const HOUR_MS = 3_600_000;
const RANGES: Readonly<Record<string, Range>> = {
  hour: { name: 'lastHour', ms: HOUR_MS, stepSeconds: 60 },
  today: { name: 'today', ms: 'today', stepSeconds: 900 },
  yesterday: { name: 'yesterday', ms: 'yesterday', stepSeconds: 3600 },
  day: { name: 'lastDay', ms: 24 * HOUR_MS, stepSeconds: 3600 },
  week: { name: 'lastWeek', ms: 7 * 24 * HOUR_MS, stepSeconds: 14_400 },
  month: { name: 'lastMonth', ms: 30 * 24 * HOUR_MS, stepSeconds: 86_400 },
};
const DAY_RANGE: Range = { name: 'lastDay', ms: 24 * HOUR_MS, stepSeconds: 3600 };

const GROUPS: Record<StatsGroup, TextKey> = {
  model: 'columnModel',
  client: 'columnClient',
  upstream: 'columnUpstream',
  none: 'allTogether',
};

/** Lines in one chart; more cannot be told apart. */
const MAX_LINES = 6;

type Series = AdminStats['series'][number];

/** Requests and tokens over time, by model, client or upstream. */
export function UsageView() {
  const { query, route } = useLocation();
  const rangeName = query.range !== undefined && Object.hasOwn(RANGES, query.range) ? query.range : 'day';
  const by = query.by !== undefined && Object.hasOwn(GROUPS, query.by) ? (query.by as StatsGroup) : 'model';
  const range = RANGES[rangeName] ?? DAY_RANGE;
  const { since, until } = spanOf(range);
  const stats = useResource<AdminStats>(
    `/admin/stats?since=${since}&until=${until}&step=${range.stepSeconds}&by=${by}`,
    30_000,
  );
  const go = (change: Record<string, string>): void => {
    route(`${ROOT}/ui/usage?${new URLSearchParams({ range: rangeName, by, ...change })}`);
  };
  return (
    <>
      <h1>{t('viewUsage')}</h1>
      <div class="filters">
        <label>
          {t('range')}
          <select value={rangeName} onChange={(event) => go({ range: event.currentTarget.value })}>
            {Object.entries(RANGES).map(([name, one]) => (
              <option key={name} value={name}>
                {t(one.name)}
              </option>
            ))}
          </select>
        </label>
        <label>
          {t('groupBy')}
          <select value={by} onChange={(event) => go({ by: event.currentTarget.value })}>
            {Object.entries(GROUPS).map(([name, key]) => (
              <option key={name} value={name}>
                {t(key)}
              </option>
            ))}
          </select>
        </label>
      </div>
      <Loaded from={stats}>
        {(data) => (data.series.length === 0 ? <Empty>{t('noUsage')}</Empty> : <Usage stats={data} />)}
      </Loaded>
    </>
  );
}

function spanOf({ ms, stepSeconds }: Range): { readonly since: number; readonly until: number } {
  const midnight = new Date().setHours(0, 0, 0, 0);
  // A day of the clock may have 23 or 25 hours.
  if (ms === 'yesterday')
    return { since: new Date(midnight - HOUR_MS).setHours(0, 0, 0, 0), until: midnight };
  // To the whole step, so that the address of the data does not change with every render.
  const until = Math.ceil(Date.now() / stepSeconds / 1000) * stepSeconds * 1000;
  return { since: ms === 'today' ? midnight : until - ms, until };
}

function Usage({ stats }: { readonly stats: AdminStats }) {
  const times: number[] = [];
  for (let at = stats.since_ms; at < stats.until_ms; at += stats.step_ms) times.push(at);
  const lines = (value: (point: Series['total']) => number) =>
    stats.series.slice(0, MAX_LINES).map((series) => {
      const byTime = new Map(series.points.map((point) => [point.at_ms, value(point)]));
      return { label: nameOf(series, stats.by), values: times.map((at) => byTime.get(at) ?? 0) };
    });
  const [sortedBy, sortBy] = useState<TextKey>('allTokens');
  const columns: readonly Column[] = [
    { label: t(GROUPS[stats.by]) },
    ...Object.keys(SORTS).map((name) => ({
      label: t(name as TextKey),
      isNumber: true,
      isSorted: sortedBy === name,
      onSort: () => sortBy(name as TextKey),
    })),
  ];
  const worth = SORTS[sortedBy] ?? allTokens;
  const sorted = stats.series.toSorted((left, right) => worth(right.total) - worth(left.total));
  return (
    <>
      <div class="columns">
        <section aria-labelledby="usage-requests">
          <h2 id="usage-requests">{t('requests')}</h2>
          <Chart
            label={t('requests')}
            times={times}
            series={lines((one) => one.requests)}
            format={formatCount}
          />
        </section>
        <section aria-labelledby="usage-tokens">
          <h2 id="usage-tokens">{t('columnTokens')}</h2>
          <Chart
            label={t('columnTokens')}
            times={times}
            series={lines((one) => one.prompt_tokens + one.completion_tokens)}
            format={formatCount}
          />
        </section>
      </div>
      <section aria-label={t('viewUsage')}>
        <Table caption={t('viewUsage')} columns={columns}>
          <tbody>
            {sorted.map((series) => (
              <Totals key={series.key} name={nameOf(series, stats.by)} of={series.total} />
            ))}
          </tbody>
          {stats.series.length > 1 && (
            <tfoot>
              <Totals name={t('total')} of={stats.total} />
            </tfoot>
          )}
        </Table>
        <button type="button" onClick={() => download(csvOf(stats), 'tokenferry-usage.csv')}>
          {t('exportCsv')}
        </button>{' '}
        <span class="quiet">{t('csvMeaning', { step: formatDuration(stats.step_ms) })}</span>
      </section>
    </>
  );
}

const allTokens = (of: Series['total']): number => of.prompt_tokens + of.completion_tokens;

/** The columns of numbers, in their order, each with what its rows are sorted by. */
const SORTS: Partial<Record<TextKey, (of: Series['total']) => number>> = {
  requests: (of) => of.requests,
  errorShare: (of) => of.errors / Math.max(1, of.requests),
  promptTokens: (of) => of.prompt_tokens,
  completionTokens: (of) => of.completion_tokens,
  allTokens,
  meanFirstToken: (of) => of.first_token_ms ?? -1,
  meanDuration: (of) => of.elapsed_ms ?? -1,
};

function Totals({ name, of }: { readonly name: string; readonly of: Series['total'] }) {
  return (
    <tr>
      <th scope="row" class="long">
        {name}
      </th>
      <td class="number">{formatCount(of.requests)}</td>
      <td class="number">{of.requests === 0 ? '–' : formatPercent(of.errors / of.requests)}</td>
      <td class="number">{formatCount(of.prompt_tokens)}</td>
      <td class="number">{formatCount(of.completion_tokens)}</td>
      <td class="number">{formatCount(of.prompt_tokens + of.completion_tokens)}</td>
      <td class="number">{formatDuration(of.first_token_ms)}</td>
      <td class="number">{formatDuration(of.elapsed_ms)}</td>
    </tr>
  );
}

function nameOf(series: Series, by: StatsGroup): string {
  return series.key ?? t(by === 'none' ? 'allTogether' : 'notNamed');
}

const COLUMNS = [
  'requests',
  'errors',
  'prompt_tokens',
  'completion_tokens',
  'first_token_ms',
  'elapsed_ms',
] as const;

/** One line for each time step and key (RFC 4180). */
function csvOf(stats: AdminStats): string {
  const head = ['time', stats.by, ...COLUMNS].join(',');
  const lines = stats.series.flatMap((series) =>
    series.points.map((point) =>
      [
        new Date(point.at_ms).toISOString(),
        cell(series.key ?? ''),
        ...COLUMNS.map((name) => point[name] ?? ''),
      ].join(','),
    ),
  );
  return `${[head, ...lines].join('\r\n')}\r\n`;
}

/** Quoted where needed; a leading `=`, `+`, `-` or `@` would be a formula in a spreadsheet. */
function cell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function download(text: string, name: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'text/csv' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
