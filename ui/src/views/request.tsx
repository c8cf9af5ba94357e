import { useRoute } from 'preact-iso';
import type { AdminAttempt, AdminRequestDetail } from '../../../src/admin/api-types.ts';
import { useResource } from '../api/resource.ts';
import { ROOT } from '../api/root.ts';
import { CodeBlock, CopyButton } from '../components/copy.tsx';
import { Facts } from '../components/facts.tsx';
import { OutcomeBadge } from '../components/request-table.tsx';
import { Badge, Loaded } from '../components/states.tsx';
import { Time } from '../components/time.tsx';
import { failureText } from '../i18n/failures.ts';
import { t } from '../i18n/language.ts';
import { repairText, requestErrorText } from '../i18n/server-messages.ts';
import { formatBytes, formatDuration, formatNumber } from '../lib/format.ts';
import { keepForPlayground } from '../lib/replay.ts';

/** One request: what happened, attempt by attempt. */
export function RequestView() {
  const { params } = useRoute();
  const id = params.id ?? '';
  const detail = useResource<AdminRequestDetail>(`/admin/requests/${encodeURIComponent(id)}`);
  return (
    <>
      <p>
        <a href={`${ROOT}/ui/requests`}>← {t('viewRequests')}</a>
      </p>
      <h1 class="name">{t('requestTitle', { id })}</h1>
      <Loaded from={detail}>{(data) => <Detail detail={data} />}</Loaded>
    </>
  );
}

function Detail({ detail }: { readonly detail: AdminRequestDetail }) {
  const { request } = detail;
  const tokens =
    request.total_tokens === null
      ? '–'
      : t('tokenSplit', {
          prompt: formatNumber(request.prompt_tokens ?? 0),
          completion: formatNumber(request.completion_tokens ?? 0),
        });
  const facts: readonly (readonly [string, string])[] = [
    [t('columnClient'), request.client ?? '–'],
    ['IP', detail.ip],
    [t('userAgent'), detail.user_agent ?? '–'],
    [t('call'), `${request.method} ${request.path}${request.is_stream ? ` (${t('stream')})` : ''}`],
    [t('columnModel'), request.model ?? '–'],
    [t('upstreamModel'), request.upstream_model ?? '–'],
    [t('columnUpstream'), request.upstream ?? '–'],
    [t('firstToken'), formatDuration(request.first_token_ms)],
    [t('columnDuration'), formatDuration(request.elapsed_ms)],
    [t('columnTokens'), tokens],
    [t('sizes'), `${formatBytes(detail.request_bytes)} → ${formatBytes(detail.response_bytes)}`],
    [t('host'), request.hostname],
    ...(detail.trace_id === null ? [] : [[t('traceId'), detail.trace_id] as const]),
  ];
  return (
    <>
      <p class="row">
        <OutcomeBadge outcome={request.outcome} status={request.status} />
        <Time at={request.created_at_ms} />
        {detail.same_id > 1 && <span class="quiet">{t('sameId', { count: detail.same_id })}</span>}
      </p>
      {request.error_message !== null && (
        <div class="notice notice-fail">
          {request.error_code !== null && <code>{request.error_code}</code>} {requestErrorText(request)}
        </div>
      )}
      <section aria-labelledby="attempts">
        <h2 id="attempts">{t('attempts')}</h2>
        <TimeLine detail={detail} />
      </section>
      {detail.adaptations.length > 0 && (
        <section aria-labelledby="adaptations">
          <h2 id="adaptations">{t('adaptations')}</h2>
          <ul class="plain">
            {detail.adaptations.map(({ upstream, change, reason }) => (
              <li key={`${upstream} ${change}`}>
                <strong>{upstream}</strong> <code>{change}</code>{' '}
                <span class="quiet">{reason ?? t('adaptationByRule')}</span>
              </li>
            ))}
          </ul>
        </section>
      )}
      <section aria-label={t('call')}>
        <Facts facts={facts} />
      </section>
      <section aria-labelledby="bodies">
        <h2 id="bodies">{t('bodies')}</h2>
        {detail.body === null && detail.response === null ? (
          <p class="quiet">{t('bodiesNotKept')}</p>
        ) : (
          <Bodies detail={detail} />
        )}
      </section>
    </>
  );
}

function Bodies({ detail }: { readonly detail: AdminRequestDetail }) {
  const { body, response, request } = detail;
  return (
    <>
      {body !== null && (
        <>
          <h3>{t('requestBody')}</h3>
          <p class="row">
            <CopyButton text={curlOf(request.method, request.path, body)} label={t('copyCurl')} />
            <a href={`${ROOT}/ui/playground`} onClick={() => keepForPlayground(body)}>
              {t('replay')}
            </a>
          </p>
          <CodeBlock text={pretty(body)} label={t('requestBody')} />
        </>
      )}
      {response !== null && (
        <>
          <h3>{t('responseBody')}</h3>
          <CodeBlock text={pretty(response)} label={t('responseBody')} />
        </>
      )}
    </>
  );
}

/** Each attempt as a bar of its parts, to scale. */
function TimeLine({ detail }: { readonly detail: AdminRequestDetail }) {
  const total = Math.max(1, detail.request.elapsed_ms);
  const { request } = detail;
  const attempts = placed(detail.attempts);
  if (attempts.length === 0) return <p class="quiet">{t('noAttempts')}</p>;
  return (
    <ol class="plain time-line">
      {attempts.map((attempt, at) => (
        <li key={at}>
          <div class="row">
            <strong class="name">{attempt.upstream}</strong>
            <Badge kind={attempt.outcome === 'ok' ? 'ok' : 'fail'}>
              <span title={attempt.outcome}>
                {attempt.status === null ? '' : `${attempt.status} `}
                {attempt.outcome === 'ok'
                  ? t('outcomeOk')
                  : (failureText(attempt.outcome) ?? attempt.outcome)}
              </span>
            </Badge>
            <span class="quiet">{formatDuration(attempt.elapsed_ms)}</span>
            {attempt.token_renewed && <Badge kind="info">{t('tokenRenewed')}</Badge>}
          </div>
          <div class="track">
            {partsOf(attempt, at === attempts.length - 1 ? request.first_token_ms : null).map((part) => (
              <i
                key={part.name}
                class={`part part-${part.name}`}
                title={`${t(PART_TEXTS[part.name])}: ${formatDuration(part.ms)}`}
                style={{
                  left: `${(100 * part.from) / total}%`,
                  width: `${Math.max(0.4, (100 * part.ms) / total)}%`,
                }}
              />
            ))}
          </div>
          <ul class="legend quiet">
            {partsOf(attempt, at === attempts.length - 1 ? request.first_token_ms : null).map((part) => (
              <li key={part.name}>
                <i class={`swatch part-${part.name}`} />
                {t(PART_TEXTS[part.name])} {formatDuration(part.ms)}
              </li>
            ))}
          </ul>
          {attempt.detail !== null && <p class="problem">{attempt.detail}</p>}
          {attempt.repairs.length > 0 && (
            <p class="quiet">
              {t('attemptRepairs')} {attempt.repairs.map(repairText).join(' ')}
            </p>
          )}
        </li>
      ))}
    </ol>
  );
}

const PART_TEXTS = {
  queue: 'partQueue',
  token: 'partToken',
  connect: 'partConnect',
  headers: 'partHeaders',
  content: 'partContent',
  rest: 'partRest',
} as const;

interface Part {
  readonly name: keyof typeof PART_TEXTS;
  readonly from: number;
  readonly ms: number;
}

interface PlacedAttempt extends AdminAttempt {
  readonly start_ms: number;
}

/** Attempts of older records have no begin: they are taken to follow each other. */
function placed(attempts: readonly AdminAttempt[]): PlacedAttempt[] {
  let end = 0;
  return attempts.map((attempt) => {
    const start = attempt.start_ms ?? end;
    end = start + attempt.elapsed_ms;
    return { ...attempt, start_ms: start };
  });
}

/** The parts of an attempt, one after the other; those that are unknown or took no time are left out. */
function partsOf(attempt: PlacedAttempt, firstTokenMs: number | null): Part[] {
  const start = attempt.start_ms;
  const queue = attempt.queue_ms ?? 0;
  const token = attempt.token_wait_ms ?? 0;
  const end = start + attempt.elapsed_ms;
  const headersAt = attempt.headers_ms === null ? end : start + attempt.headers_ms;
  // What could not be reached was being connected to until the end.
  const isUnconnected =
    attempt.outcome === 'unreachable' && attempt.headers_ms === null && attempt.connect_ms !== null;
  const sentAt = isUnconnected ? end : Math.min(headersAt, start + token + (attempt.connect_ms ?? 0));
  const contentAt = Math.min(end, Math.max(headersAt, firstTokenMs ?? headersAt));
  const parts: Part[] = [
    { name: 'queue', from: start - queue, ms: queue },
    { name: 'token', from: start, ms: token },
    { name: 'connect', from: start + token, ms: sentAt - start - token },
    { name: 'headers', from: sentAt, ms: headersAt - sentAt },
    { name: 'content', from: headersAt, ms: contentAt - headersAt },
    { name: 'rest', from: contentAt, ms: end - contentAt },
  ];
  return parts.filter((part) => part.ms > 0);
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function curlOf(method: string, path: string, body: string): string {
  const quoted = body.replaceAll("'", String.raw`'\''`);
  return `curl -X ${method} '${location.origin}${ROOT}${path}' -H 'Authorization: Bearer YOUR_KEY' -H 'Content-Type: application/json' -d '${quoted}'`;
}
