import type { AdminOutcome, AdminRequest } from '../../../src/admin/api-types.ts';
import { keyOf } from '../api/live.ts';
import { ROOT } from '../api/root.ts';
import { type TextKey, t } from '../i18n/language.ts';
import { requestErrorText } from '../i18n/server-messages.ts';
import { formatCount, formatDuration } from '../lib/format.ts';
import { Badge } from './states.tsx';
import { Time } from './time.tsx';

const KINDS: Record<AdminOutcome, 'ok' | 'warn' | 'fail' | 'info'> = {
  ok: 'ok',
  client_error: 'warn',
  upstream_error: 'fail',
  stream_broken: 'fail',
  client_gone: 'info',
  rate_limited: 'warn',
};

const TEXTS: Record<AdminOutcome, TextKey> = {
  ok: 'outcomeOk',
  client_error: 'outcomeClientError',
  upstream_error: 'outcomeUpstreamError',
  stream_broken: 'outcomeStreamBroken',
  client_gone: 'outcomeClientGone',
  rate_limited: 'outcomeRateLimited',
};

/** In the order in which they are offered as a filter. */
export const OUTCOMES = Object.keys(TEXTS) as readonly AdminOutcome[];

export function outcomeText(outcome: AdminOutcome): string {
  return t(TEXTS[outcome]);
}

export function OutcomeBadge({ outcome, status }: Pick<AdminRequest, 'outcome' | 'status'>) {
  return (
    <Badge kind={KINDS[outcome]}>
      {status} {outcomeText(outcome)}
    </Badge>
  );
}

/** Requests, one a row; the time links to its details. */
export function RequestTable({
  requests,
  caption,
}: {
  readonly requests: readonly AdminRequest[];
  readonly caption: string;
}) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls sideways, so that the keyboard must reach it.
    <div class="table requests" tabIndex={0} role="region" aria-label={caption}>
      <table>
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            <th scope="col">{t('columnTime')}</th>
            <th scope="col">{t('columnOutcome')}</th>
            <th scope="col">{t('columnClient')}</th>
            <th scope="col">{t('columnModel')}</th>
            <th scope="col">{t('columnUpstream')}</th>
            <th scope="col" class="number">
              {t('firstToken')}
            </th>
            <th scope="col" class="number">
              {t('columnDuration')}
            </th>
            <th scope="col" class="number">
              {t('columnTokens')}
            </th>
            <th scope="col">{t('columnError')}</th>
          </tr>
        </thead>
        <tbody>
          {requests.map((request) => (
            <tr key={keyOf(request)}>
              <td>
                <a href={`${ROOT}/ui/requests/${encodeURIComponent(request.id)}`}>
                  <Time at={request.created_at_ms} />
                </a>
              </td>
              <td>
                <OutcomeBadge outcome={request.outcome} status={request.status} />
              </td>
              <td class="long">{request.client ?? '–'}</td>
              <td class="long" title={request.path}>
                {request.model ?? request.path}
              </td>
              <td class="long">
                {request.upstream ?? '–'}
                {request.attempts > 1 && (
                  <span class="quiet"> {t('attemptCount', { count: request.attempts })}</span>
                )}
              </td>
              <td class="number" data-name={t('firstToken')}>
                {formatDuration(request.first_token_ms)}
              </td>
              <td class="number" data-name={t('columnDuration')}>
                {formatDuration(request.elapsed_ms)}
              </td>
              <td class="number" data-name={t('columnTokens')}>
                {request.total_tokens === null ? '–' : formatCount(request.total_tokens)}
              </td>
              <td class="long error">{requestErrorText(request)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
