import { useState } from 'preact/hooks';
import type { AdminProbe, AdminUpstream, AdminUpstreams } from '../../../src/admin/api-types.ts';
import { post } from '../api/client.ts';
import { useResource } from '../api/resource.ts';
import { ROOT } from '../api/root.ts';
import { ActionButton } from '../components/action-button.tsx';
import { Empty, Loaded } from '../components/states.tsx';
import { Ago } from '../components/time.tsx';
import { UpstreamBadge } from '../components/upstream-badge.tsx';
import { t } from '../i18n/language.ts';
import { formatCount, formatDuration, formatNumber, formatPercent } from '../lib/format.ts';

const EVERY_MS = 5_000;
/** From so many on, a field to search them is worth its place. */
const MANY = 6;

/** Each upstream: whether it is used, what it does wrong, and what can be done about it. */
export function UpstreamsView() {
  const upstreams = useResource<AdminUpstreams>('/admin/upstreams', EVERY_MS);
  const [text, setText] = useState('');
  return (
    <>
      <h1>{t('viewUpstreams')}</h1>
      <Loaded from={upstreams}>
        {({ upstreams: all }) => {
          const wanted = text.trim().toLowerCase();
          const shown = all.filter((upstream) =>
            [upstream.name, upstream.endpoint ?? '', ...upstream.models].some((value) =>
              value.toLowerCase().includes(wanted),
            ),
          );
          return (
            <>
              {all.length >= MANY && (
                <p>
                  <label>
                    {t('search')}{' '}
                    <input
                      type="search"
                      value={text}
                      onInput={(event) => setText(event.currentTarget.value)}
                    />
                  </label>{' '}
                  <span class="quiet">{t('shownOf', { shown: shown.length, all: all.length })}</span>
                </p>
              )}
              {shown.length === 0 && <Empty>{all.length === 0 ? t('noUpstreams') : t('nothingFound')}</Empty>}
              {shown.map((upstream) => (
                <UpstreamCard key={upstream.name} upstream={upstream} onChange={upstreams.reload} />
              ))}
            </>
          );
        }}
      </Loaded>
    </>
  );
}

function UpstreamCard({
  upstream,
  onChange,
}: {
  readonly upstream: AdminUpstream;
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
    [t('endpoint'), upstream.endpoint ?? '–'],
    [t('inFlight'), `${formatNumber(upstream.in_flight)}${limit}`],
    [t('waitingRequests'), formatNumber(upstream.waiting)],
    [t('requestsIn', { window: formatDuration(recent.window_ms) }), formatCount(recent.requests)],
    [t('errorShare'), recent.requests === 0 ? '–' : formatPercent(recent.errors / recent.requests)],
    [t('firstToken'), formatDuration(recent.first_token_ms)],
    [t('columnDuration'), formatDuration(recent.elapsed_ms)],
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
  return (
    <section class="card" aria-labelledby={title}>
      <div class="row">
        <h2 id={title} class="name">
          {upstream.name}
        </h2>
        <UpstreamBadge state={upstream.state} />
        <ActionButton
          label={isPaused ? t('resume') : t('pause')}
          onAction={() => change(isPaused ? 'resume' : 'pause')}
          isDisabled={upstream.state === 'skipped'}
        />
        <ActionButton label={t('probe')} onAction={probe} isDisabled={upstream.state === 'skipped'} />
        <a href={`${ROOT}/ui/requests?upstream=${encodeURIComponent(upstream.name)}`}>{t('viewRequests')}</a>
      </div>
      <p class={upstream.state === 'up' ? 'quiet' : 'problem'}>{upstream.defect ?? upstream.description}</p>
      {upstream.last_error !== null && (
        <p class="quiet">
          {t('lastError')} (<Ago at={upstream.last_error.at_ms} />
          ): {upstream.last_error.message}
        </p>
      )}
      <dl class="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {upstream.paused_models.length > 0 && (
        <ul>
          {upstream.paused_models.map((model) => (
            <li key={model.model}>
              {t('pausedModel', { model: model.model, time: formatDuration(model.remaining_ms) })}{' '}
              {model.message}
            </li>
          ))}
        </ul>
      )}
      {upstream.repairs.length > 0 && (
        <details>
          <summary>{t('repairs', { count: upstream.repairs.length })}</summary>
          <p class="quiet">{t('repairsMeaning')}</p>
          <ul>
            {upstream.repairs.map(({ repair, meaning, responses }) => (
              <li key={repair}>
                <code>{repair}</code> × {formatCount(responses)}: {meaning}
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
