import { useEffect, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import type { AdminProbe, AdminTokens, AdminUpstream, AdminUpstreams } from '../../../src/admin/api-types.ts';
import { post } from '../api/client.ts';
import { useResource } from '../api/resource.ts';
import { ROOT } from '../api/root.ts';
import { ActionButton } from '../components/action-button.tsx';
import { Facts } from '../components/facts.tsx';
import { Empty, Loaded } from '../components/states.tsx';
import { Ago } from '../components/time.tsx';
import { canServe, lacksToken, UpstreamBadge, unusableTokens } from '../components/upstream-badge.tsx';
import { t } from '../i18n/language.ts';
import { repairText, upstreamErrorText, upstreamStateText } from '../i18n/server-messages.ts';
import {
  formatCount,
  formatDuration,
  formatNumber,
  formatPercent,
  formatPercentiles,
  formatWindow,
} from '../lib/format.ts';

const EVERY_MS = 5_000;
/** From so many on, a field to search them is worth its place. */
const MANY = 6;
/** Drawn at first; more are drawn on demand. */
const MAX_SHOWN = 50;

/** Each upstream: whether it is used, what it does wrong, and what can be done about it. */
export function UpstreamsView() {
  const upstreams = useResource<AdminUpstreams>('/admin/upstreams', EVERY_MS);
  const tokens = useResource<AdminTokens>('/admin/tokens', EVERY_MS);
  const withoutToken = unusableTokens(tokens.data);
  const { query } = useLocation();
  const [text, setText] = useState(query.text ?? '');
  useEffect(() => setText(query.text ?? ''), [query.text]);
  const [isTroubledOnly, setTroubledOnly] = useState(query.troubled === '1');
  const [limit, setLimit] = useState(MAX_SHOWN);
  return (
    <>
      <h1>{t('viewUpstreams')}</h1>
      <Loaded from={upstreams}>
        {({ upstreams: all }) => {
          const wanted = text.trim().toLowerCase();
          const found = all.filter(
            (upstream) =>
              !(isTroubledOnly && canServe(upstream, withoutToken)) &&
              [upstream.name, upstream.endpoint ?? '', ...upstream.models].some((value) =>
                value.toLowerCase().includes(wanted),
              ),
          );
          const shown = found.slice(0, limit);
          return (
            <>
              {(all.length >= MANY || text !== '' || isTroubledOnly) && (
                <div class="filters">
                  <label>
                    {t('search')}
                    <input
                      type="search"
                      value={text}
                      onInput={(event) => setText(event.currentTarget.value)}
                    />
                  </label>
                  <label class="check">
                    <input
                      type="checkbox"
                      checked={isTroubledOnly}
                      onChange={(event) => setTroubledOnly(event.currentTarget.checked)}
                    />
                    {t('troubledOnly')}
                  </label>
                  <span class="quiet">{t('shownOf', { shown: found.length, all: all.length })}</span>
                </div>
              )}
              {shown.length === 0 && <Empty>{all.length === 0 ? t('noUpstreams') : t('nothingFound')}</Empty>}
              {shown.map((upstream) => (
                <UpstreamCard
                  key={upstream.name}
                  upstream={upstream}
                  withoutToken={withoutToken}
                  onChange={upstreams.reload}
                />
              ))}
              {found.length > shown.length && (
                <button type="button" onClick={() => setLimit(Number.POSITIVE_INFINITY)}>
                  {t('more', { count: found.length - shown.length })}
                </button>
              )}
            </>
          );
        }}
      </Loaded>
    </>
  );
}

function UpstreamCard({
  upstream,
  withoutToken,
  onChange,
}: {
  readonly upstream: AdminUpstream;
  readonly withoutToken: ReadonlySet<string>;
  readonly onChange: () => void;
}) {
  const path = `/admin/upstreams/${encodeURIComponent(upstream.name)}`;
  const change = async (action: 'pause' | 'resume') => {
    await post(`${path}/${action}`);
    onChange();
    return {
      isOk: true,
      message: t(action === 'pause' ? 'pausedDone' : 'resumedDone', { name: upstream.name }),
    };
  };
  const probe = async () => {
    const result = await post<AdminProbe>(`${path}/probe`);
    onChange();
    return { isOk: result.is_ok, message: result.message };
  };
  const { recent } = upstream;
  const limit = upstream.max_concurrency === 0 ? '' : ` / ${formatNumber(upstream.max_concurrency)}`;
  const facts: readonly (readonly [string, string])[] = [
    [t('inFlight'), `${formatNumber(upstream.in_flight)}${limit}`],
    [t('waitingRequests'), formatNumber(upstream.waiting)],
    [t('requestsIn', { window: formatWindow(recent.window_ms) }), formatCount(recent.requests)],
    [t('errorShare'), recent.requests === 0 ? '–' : formatPercent(recent.errors / recent.requests)],
    [t('firstToken'), formatPercentiles(recent.first_token_p50_ms, recent.first_token_p95_ms)],
    [t('columnDuration'), formatPercentiles(recent.elapsed_p50_ms, recent.elapsed_p95_ms)],
    [
      t('learnedRate'),
      upstream.rates
        .map(({ model, per_second }) => `${model}: ${t('perSecond', { count: formatNumber(per_second, 2) })}`)
        .join(', ') || '–',
    ],
    [t('models'), [...upstream.models, ...(upstream.is_open_ended ? [t('anyModel')] : [])].join(', ') || '–'],
    [t('tokenSource'), upstream.token ?? t(CREDENTIAL_TEXTS[upstream.credentials])],
  ];
  const title = `upstream-${upstream.name}`;
  const isPaused = upstream.state === 'paused';
  const isWithoutToken = upstream.state === 'up' && lacksToken(upstream, withoutToken);
  return (
    <section class="card" aria-labelledby={title}>
      <div class="row">
        <h2 id={title} class="name">
          {upstream.name}
        </h2>
        <UpstreamBadge upstream={upstream} withoutToken={withoutToken} />
        <span class="quiet name">{upstream.endpoint}</span>
        <span class="push" />
        <ActionButton
          label={isPaused ? t('resume') : t('pause')}
          onAction={() => change(isPaused ? 'resume' : 'pause')}
          isDisabled={upstream.state === 'skipped'}
        />
        <ActionButton label={t('probe')} onAction={probe} isDisabled={upstream.state === 'skipped'} />
        <a href={`${ROOT}/ui/requests?upstream=${encodeURIComponent(upstream.name)}`}>{t('viewRequests')}</a>
      </div>
      {(upstream.state !== 'up' || upstream.failures_in_row > 0) && (
        <p class={upstream.state === 'up' || isPaused ? 'quiet' : 'problem'}>{upstreamStateText(upstream)}</p>
      )}
      {isWithoutToken && (
        <p class="problem">
          {t('withoutToken')} <a href={`${ROOT}/ui/tokens`}>{upstream.token}</a>
        </p>
      )}
      {upstream.last_error !== null && (
        <p class="quiet">
          {t('lastError')} (<Ago at={upstream.last_error.at_ms} />
          ): {upstreamErrorText(upstream.last_error)}
        </p>
      )}
      <Facts facts={facts} />
      {upstream.paused_models.length > 0 && (
        <ul>
          {upstream.paused_models.map((model) => (
            <li key={model.model}>
              {t('pausedModel', { model: model.model, time: formatDuration(model.remaining_ms) })}{' '}
              {upstreamErrorText({ kind: model.reason, message: model.message })}
            </li>
          ))}
        </ul>
      )}
      {upstream.repairs.length > 0 && (
        <details>
          <summary>{t('repairs', { count: upstream.repairs.length })}</summary>
          <p class="quiet">{t('repairsMeaning')}</p>
          <ul>
            {upstream.repairs.map((one) => (
              <li key={one.repair}>
                <code>{one.repair}</code> × {formatCount(one.responses)}: {repairText(one)}
              </li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}

const CREDENTIAL_TEXTS = {
  token: 'credentialToken',
  key: 'credentialKey',
  as_is: 'credentialAsIs',
  none: 'credentialNone',
} as const;
