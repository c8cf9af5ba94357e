import { Fragment } from 'preact';
import { useRef } from 'preact/hooks';
import type {
  AdminStats,
  AdminStatus,
  AdminTokens,
  AdminUpstreams,
  Degradation,
} from '../../../src/admin/api-types.ts';
import { isLatestLoaded, latestRequests, tick } from '../api/live.ts';
import { useResource } from '../api/resource.ts';
import { ROOT } from '../api/root.ts';
import { useStatus } from '../api/status.ts';
import { Chart } from '../components/chart.tsx';
import { RequestTable } from '../components/request-table.tsx';
import { Empty, Loaded } from '../components/states.tsx';
import { clock } from '../components/time.tsx';
import { TokenBar, tokenStateText } from '../components/token-bar.tsx';
import { canServe, UpstreamBadge, unusableTokens } from '../components/upstream-badge.tsx';
import { t } from '../i18n/language.ts';
import {
  adviceText,
  degradationText,
  upstreamErrorText,
  upstreamStateText,
} from '../i18n/server-messages.ts';
import { formatCount, formatDuration, formatNumber, formatPercent, formatWindow } from '../lib/format.ts';

const EVERY_MS = 5_000;
/** More are on their own views. */
const MAX_SHOWN = 12;
const MAX_REQUESTS = 15;

/** Is it well? Tokens, upstreams and traffic at a glance. */
export function NowView() {
  const status = useStatus();
  const tokens = useResource<AdminTokens>('/admin/tokens', EVERY_MS);
  const upstreams = useResource<AdminUpstreams>('/admin/upstreams', EVERY_MS);
  const withoutToken = unusableTokens(tokens.data);
  return (
    <>
      <h1 class="hidden">{t('viewNow')}</h1>
      <Loaded from={status}>
        {(data) => (
          <>
            <Verdict status={data} />
            <Traffic status={data} />
          </>
        )}
      </Loaded>
      <div class="columns">
        <section aria-labelledby="now-tokens">
          <h2 id="now-tokens">{t('viewTokens')}</h2>
          <Loaded from={tokens}>
            {({ tokens: all, now_ms }) =>
              all.length === 0 ? (
                <Empty>{t('noTokens')}</Empty>
              ) : (
                <ul class="plain">
                  {worstFirst(all, (token) => token.is_usable)
                    .slice(0, MAX_SHOWN)
                    .map((token) => (
                      <li key={token.name}>
                        <div class="row">
                          <strong class="name">
                            <a href={`${ROOT}/ui/tokens`}>{token.name}</a>
                          </strong>
                          <span class="quiet">{tokenStateText(token)}</span>
                        </div>
                        <TokenBar token={token} loadedAtMs={now_ms} />
                        {token.last_error !== null && token.consecutive_failures > 0 && (
                          <p class="problem">{token.last_error}</p>
                        )}
                      </li>
                    ))}
                  <More count={all.length - MAX_SHOWN} href={`${ROOT}/ui/tokens`} />
                </ul>
              )
            }
          </Loaded>
        </section>
        <section aria-labelledby="now-upstreams">
          <h2 id="now-upstreams">{t('viewUpstreams')}</h2>
          <Loaded from={upstreams}>
            {({ upstreams: all }) =>
              all.length === 0 ? (
                <Empty>{t('noUpstreams')}</Empty>
              ) : (
                <ul class="plain">
                  {worstFirst(all, (upstream) => canServe(upstream, withoutToken))
                    .slice(0, MAX_SHOWN)
                    .map((upstream) => (
                      <li key={upstream.name}>
                        <div class="row">
                          <strong class="name">
                            <a href={`${ROOT}/ui/upstreams?text=${encodeURIComponent(upstream.name)}`}>
                              {upstream.name}
                            </a>
                          </strong>
                          <UpstreamBadge upstream={upstream} withoutToken={withoutToken} />
                          {upstream.recent.window_ms >= EVERY_MS && (
                            <span class="quiet">
                              {t('requestsLately', {
                                count: formatCount(upstream.recent.requests),
                                window: formatWindow(upstream.recent.window_ms),
                              })}
                            </span>
                          )}
                        </div>
                        {upstream.state !== 'up' && (
                          <p class={upstream.state === 'paused' ? 'remark' : 'problem'}>
                            {upstreamStateText(upstream)}
                          </p>
                        )}
                        {upstream.last_error !== null &&
                          (upstream.state === 'cooling' || upstream.recent.errors > 0) && (
                            <p class="remark">
                              {t('lastError')}: {upstreamErrorText(upstream.last_error)}
                            </p>
                          )}
                      </li>
                    ))}
                  <More count={all.length - MAX_SHOWN} href={`${ROOT}/ui/upstreams`} />
                </ul>
              )
            }
          </Loaded>
        </section>
      </div>
      <section aria-labelledby="now-requests">
        <h2 id="now-requests">{t('lastRequests')}</h2>
        {latestRequests.value.length === 0 ? (
          isLatestLoaded.value ? (
            <Empty>{t('noRequestsYet')}</Empty>
          ) : (
            <p class="quiet loading">{t('loading')}</p>
          )
        ) : (
          <RequestTable requests={latestRequests.value.slice(0, MAX_REQUESTS)} caption={t('lastRequests')} />
        )}
      </section>
    </>
  );
}

function Verdict({ status }: { readonly status: AdminStatus }) {
  const { degraded, phase } = status;
  const phaseText = phase === 'serving' ? null : t(phase);
  if (degraded.length === 0) {
    return (
      <div class={`verdict ${phaseText === null ? 'verdict-ok' : 'verdict-warn'}`}>
        {phaseText ?? t('allWell')}
      </div>
    );
  }
  return (
    <div class="verdict verdict-fail" role="alert">
      <p>{t('notWell', { count: degraded.length })}</p>
      {phaseText !== null && <p>{phaseText}</p>}
      <ul class="problems">
        {degraded.slice(0, MAX_SHOWN).map((one) => (
          <li key={`${one.part} ${one.name} ${one.code}`}>
            <strong>{degradationText(one)}</strong>
            <br />
            {adviceText(one)} <PartLink part={one.part} name={one.name} />
          </li>
        ))}
        <MoreDegraded all={degraded} />
      </ul>
    </div>
  );
}

/** Links to the rest, by the views where they are listed. */
function MoreDegraded({ all }: { readonly all: readonly Degradation[] }) {
  const rest = all.slice(MAX_SHOWN);
  if (rest.length === 0) return null;
  const parts = [...new Set(rest.map(({ part }) => part))];
  return (
    <li>
      {t('more', { count: rest.length })}:{' '}
      {parts.map((part, at) => (
        <Fragment key={part}>
          {at > 0 && ' · '}
          <PartLink part={part} name={null} />
        </Fragment>
      ))}
    </li>
  );
}

/** To the view where something can be done about it. */
function PartLink({ part, name }: Pick<Degradation, 'part' | 'name'>) {
  if (part === 'token') return <a href={`${ROOT}/ui/tokens`}>{t('viewTokens')}</a>;
  if (part === 'configuration') return <a href={`${ROOT}/ui/configuration`}>{t('viewConfiguration')}</a>;
  if (part !== 'upstream') return null;
  const search = name === null ? '?troubled=1' : `?text=${encodeURIComponent(name)}`;
  return <a href={`${ROOT}/ui/upstreams${search}`}>{t('viewUpstreams')}</a>;
}

function Traffic({ status }: { readonly status: AdminStatus }) {
  const { recent, in_flight } = tick.value ?? { recent: status.recent, in_flight: status.counts.in_flight };
  const perMinute = 60_000 / Math.max(1, recent.window_ms);
  const tokens = recent.prompt_tokens + recent.completion_tokens;
  const p95 = (ms: number | null): string => (ms === null ? '' : `p95 ${formatDuration(ms)}`);
  const figures: readonly (readonly [name: string, value: string, detail: string])[] = [
    [t('requestsAMinute'), formatNumber(recent.requests * perMinute, recent.requests > 100 ? 0 : 1), ''],
    [t('errorShare'), recent.requests === 0 ? '–' : formatPercent(recent.errors / recent.requests), ''],
    [t('firstToken'), formatDuration(recent.first_token_p50_ms), p95(recent.first_token_p95_ms)],
    [t('columnDuration'), formatDuration(recent.elapsed_p50_ms), p95(recent.elapsed_p95_ms)],
    [t('tokensAMinute'), formatCount(Math.round(tokens * perMinute)), ''],
    [t('inFlight'), formatNumber(in_flight), ''],
  ];
  return (
    <section aria-label={t('traffic')}>
      <dl class="figures">
        {figures.map(([name, value, detail]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              {value}
              {detail !== '' && <small>{detail}</small>}
            </dd>
          </div>
        ))}
      </dl>
      {status.request_log.type !== 'none' && <LastHour />}
    </section>
  );
}

const HOUR_MS = 3_600_000;
const STEP_MS = 60_000;
const HISTORY_EVERY_MS = 30_000;

/** Requests and errors of each minute of the last hour. */
function LastHour() {
  // The minute that has begun would look like a fall.
  const until = Math.floor(clock.value / STEP_MS) * STEP_MS;
  const history = useResource<AdminStats>(
    `/admin/stats?since=${until - HOUR_MS}&until=${until}&step=${STEP_MS / 1000}`,
    HISTORY_EVERY_MS,
  );
  const known = useRef<AdminStats | null>(null);
  known.current = history.data ?? known.current;
  const stats = known.current;
  if (stats === null) return <div class="chart-place" />;
  const points = new Map(
    stats.series.flatMap((series) => series.points).map((point) => [point.at_ms, point]),
  );
  const times: number[] = [];
  for (let at = stats.since_ms; at < stats.until_ms; at += stats.step_ms) times.push(at);
  return (
    <Chart
      label={t('requestsLastHour')}
      times={times}
      series={[
        { label: t('requestsAMinute'), values: times.map((at) => points.get(at)?.requests ?? 0) },
        { label: t('errorsAMinute'), values: times.map((at) => points.get(at)?.errors ?? 0), isBad: true },
      ]}
      format={formatCount}
      height={130}
    />
  );
}

function More({ count, href }: { readonly count: number; readonly href: string }) {
  if (count <= 0) return null;
  return (
    <li>
      <a href={href}>{t('more', { count })}</a>
    </li>
  );
}

function worstFirst<Item>(items: readonly Item[], isGood: (item: Item) => boolean): Item[] {
  return [...items].sort((left, right) => Number(isGood(left)) - Number(isGood(right)));
}
