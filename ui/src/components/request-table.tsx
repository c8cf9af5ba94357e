import type { AdminOutcome, AdminRequest } from '../../../src/admin/api-types.ts';
import { keyOf } from '../api/live.ts';
import { ROOT } from '../api/root.ts';
import { type TextKey, t } from '../i18n/language.ts';
import { requestErrorText } from '../i18n/server-messages.ts';
import { formatCount, formatDuration } from '../lib/format.ts';
import { Badge } from './states.tsx';
import { type Column, Table } from './table.tsx';
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
  const columns: readonly Column[] = [
    { label: t('columnTime') },
    { label: t('columnOutcome') },
    { label: t('columnClient') },
    { label: t('columnModel') },
    { label: t('columnUpstream') },
    { label: t('firstToken'), isNumber: true },
    { label: t('columnDuration'), isNumber: true },
    { label: t('columnTokens'), isNumber: true },
    { label: t('columnError') },
  ];
  return (
    <Table caption={caption} columns={columns} class="requests">
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
              <span class="clamped">{request.model ?? request.path}</span>
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
            <td class="long error" title={request.error_message ?? ''}>
              {request.error_message !== null && <span class="clamped">{requestErrorText(request)}</span>}
            </td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}
