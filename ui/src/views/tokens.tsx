import { useState } from 'preact/hooks';
import type {
  AdminToken,
  AdminTokenEvent,
  AdminTokenHistory,
  AdminTokenRefresh,
  AdminTokens,
} from '../../../src/admin/api-types.ts';
import { post } from '../api/client.ts';
import { useResource } from '../api/resource.ts';
import { ActionButton } from '../components/action-button.tsx';
import { Facts } from '../components/facts.tsx';
import { Badge, Empty, Loaded } from '../components/states.tsx';
import { Ago, Time } from '../components/time.tsx';
import { TokenBar, tokenStateText } from '../components/token-bar.tsx';
import { type TextKey, t } from '../i18n/language.ts';
import { tokenEventText } from '../i18n/server-messages.ts';
import { formatDuration, formatNumber } from '../lib/format.ts';

const EVERY_MS = 5_000;
/** The newest, in words. */
const MAX_EVENTS = 20;
const DAY_MS = 86_400_000;
/** So many histories are shown without a click. */
const FEW = 3;
/** A token may serve hundreds of upstreams. */
const MAX_USERS = 12;

const EVENT_TEXTS: Record<AdminTokenEvent['kind'], TextKey> = {
  acquired: 'eventAcquired',
  failed: 'eventFailed',
  rejected: 'eventRejected',
  starving: 'eventStarving',
  recovered: 'eventRecovered',
  breaker_open: 'eventBreaker',
  dormant: 'eventDormant',
  note: 'eventNote',
};

const EVENT_KINDS: Record<AdminTokenEvent['kind'], 'ok' | 'warn' | 'fail' | 'info'> = {
  acquired: 'ok',
  failed: 'fail',
  rejected: 'warn',
  starving: 'fail',
  recovered: 'ok',
  breaker_open: 'fail',
  dormant: 'info',
  note: 'info',
};

/** Each token source: its life, its renewals and why, its issuer. */
export function TokensView() {
  const tokens = useResource<AdminTokens>('/admin/tokens', EVERY_MS);
  return (
    <>
      <h1>{t('viewTokens')}</h1>
      <Loaded from={tokens}>
        {({ tokens: all, now_ms }) =>
          all.length === 0 ? (
            <Empty>{t('noTokens')}</Empty>
          ) : (
            all.map((token) => (
              <TokenCard
                key={token.name}
                token={token}
                loadedAtMs={now_ms}
                isOpenAtFirst={all.length <= FEW}
                onChange={tokens.reload}
              />
            ))
          )
        }
      </Loaded>
    </>
  );
}

function TokenCard({
  token,
  loadedAtMs,
  isOpenAtFirst,
  onChange,
}: {
  readonly token: AdminToken;
  readonly loadedAtMs: number;
  readonly isOpenAtFirst: boolean;
  readonly onChange: () => void;
}) {
  const [isOpen, setOpen] = useState(isOpenAtFirst);
  const refresh = async (): Promise<{ isOk: boolean; message: string }> => {
    const result = await post<AdminTokenRefresh>(`/admin/tokens/${encodeURIComponent(token.name)}/refresh`);
    onChange();
    return { isOk: result.is_ok, message: result.message };
  };
  const latency = token.issuer_latency;
  const facts: readonly (readonly [string, string])[] = [
    [t('tokenKind'), token.kind],
    [t('tokenRenewals'), formatNumber(token.counters.acquired)],
    [t('tokenFailures'), formatNumber(token.counters.failed)],
    [t('tokenRejected'), formatNumber(token.counters.rejected)],
    [
      t('issuerLatency'),
      latency === null
        ? '–'
        : t('latencyFacts', {
            last: formatDuration(latency.last_ms),
            mean: formatDuration(latency.mean_ms),
            max: formatDuration(latency.max_ms),
          }),
    ],
    [t('waitingRequests'), formatNumber(token.waiting_requests)],
    [t('tokenUsedBy'), usersOf(token)],
    [t('tokenFingerprint'), token.fingerprint ?? '–'],
  ];
  const lastRenewal = token.last_events.find(({ kind }) => kind === 'acquired');
  const title = `token-${token.name}`;
  return (
    <section class="card" aria-labelledby={title}>
      <div class="row">
        <h2 id={title} class="name">
          {token.name}
        </h2>
        <Badge kind={badgeKindOf(token)}>{tokenStateText(token)}</Badge>
        <span class="push" />
        <ActionButton label={t('renewNow')} onAction={refresh} />
      </div>
      <TokenBar token={token} loadedAtMs={loadedAtMs} />
      {lastRenewal !== undefined && (
        <p class="last-renewal">
          {t('lastRenewal')} <Time at={lastRenewal.at_ms} />: {tokenEventText(lastRenewal)}
        </p>
      )}
      {token.last_error !== null && token.consecutive_failures > 0 && (
        <p class="problem">
          <Ago at={token.last_error_at_ms} />: {token.last_error}
        </p>
      )}
      {token.is_breaker_open && <p class="problem">{t('breakerOpen')}</p>}
      <Facts facts={facts} />
      <details open={isOpenAtFirst} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>{t('tokenHistory')}</summary>
        {isOpen && <History name={token.name} />}
      </details>
    </section>
  );
}

function badgeKindOf(token: AdminToken): 'ok' | 'warn' | 'fail' | 'info' {
  if (token.state === 'dormant') return 'info';
  if (!token.is_usable) return 'fail';
  return token.consecutive_failures > 0 ? 'warn' : 'ok';
}

function usersOf({ used_by: users }: AdminToken): string {
  const shown = users.slice(0, MAX_USERS);
  if (users.length > shown.length) shown.push(t('more', { count: users.length - shown.length }));
  return shown.join(', ') || '–';
}

/** Every renewal of the last day on a line, then in words. */
function History({ name }: { readonly name: string }) {
  const history = useResource<AdminTokenHistory>(
    `/admin/tokens/${encodeURIComponent(name)}/history`,
    EVERY_MS * 2,
  );
  return (
    <Loaded from={history}>
      {({ events, since_ms, now_ms }) => {
        const start = Math.max(since_ms, now_ms - DAY_MS);
        const span = Math.max(60_000, now_ms - start);
        return (
          <>
            <div class="day-line" role="img" aria-label={t('historySince', { count: events.length })}>
              {events.map((event) => (
                <i
                  key={`${event.at_ms} ${event.kind}`}
                  class={`mark mark-${EVENT_KINDS[event.kind]}`}
                  style={{ left: `${(100 * Math.max(0, event.at_ms - start)) / span}%` }}
                  title={tokenEventText(event)}
                />
              ))}
            </div>
            <div class="row quiet">
              <Time at={start} />
              <span class="push" />
              <Time at={now_ms} />
            </div>
            <ol class="plain events">
              {events
                .slice(-MAX_EVENTS)
                .toReversed()
                .map((event) => (
                  <li key={`${event.at_ms} ${event.kind} ${event.message}`}>
                    <Time at={event.at_ms} />{' '}
                    <Badge kind={EVENT_KINDS[event.kind]}>{t(EVENT_TEXTS[event.kind])}</Badge>{' '}
                    {tokenEventText(event)}
                    {event.kind === 'failed' && event.duration_ms !== null && (
                      <span class="quiet">
                        {' '}
                        ({t('issuerTook', { time: formatDuration(event.duration_ms) })})
                      </span>
                    )}
                  </li>
                ))}
            </ol>
          </>
        );
      }}
    </Loaded>
  );
}
