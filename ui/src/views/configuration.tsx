import type {
  AdminAlertTest,
  AdminConfiguration,
  AdminEmbeddingsCache,
  AdminStatus,
  LogLevel,
  ReloadState,
} from '../../../src/admin/api-types.ts';
import { post } from '../api/client.ts';
import { useResource } from '../api/resource.ts';
import { useStatus } from '../api/status.ts';
import { ActionButton } from '../components/action-button.tsx';
import { CodeBlock } from '../components/copy.tsx';
import { Facts } from '../components/facts.tsx';
import { Loaded, Notice } from '../components/states.tsx';
import { Ago } from '../components/time.tsx';
import { say } from '../components/toast.tsx';
import { t } from '../i18n/language.ts';
import { reloadText } from '../i18n/server-messages.ts';
import { formatBytes, formatDuration, formatNumber } from '../lib/format.ts';

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** The configuration in use, without secrets, and what can be changed while the gateway runs. */
export function ConfigurationView() {
  const status = useStatus();
  const configuration = useResource<AdminConfiguration>('/admin/config', 30_000);
  return (
    <>
      <h1>{t('viewConfiguration')}</h1>
      <Loaded from={status}>
        {(data) => (
          <State
            status={data}
            onChange={() => {
              status.reload();
              configuration.reload();
            }}
          />
        )}
      </Loaded>
      <Loaded from={configuration}>
        {(data) => (
          <>
            <h2>{data.path ?? t('noFile')}</h2>
            <p class="quiet">{t('configurationMeaning')}</p>
            <CodeBlock text={data.yaml} label={t('viewConfiguration')} />
          </>
        )}
      </Loaded>
    </>
  );
}

function State({ status, onChange }: { readonly status: AdminStatus; readonly onChange: () => void }) {
  const { configuration, request_log: log } = status;
  const reload = async () => {
    const result = await post<ReloadState>('/admin/reload');
    onChange();
    return { isOk: result.is_ok, message: reloadText(result) };
  };
  const setLevel = async (level: LogLevel): Promise<void> => {
    try {
      await post('/admin/log-level', { level });
      say('ok', t('logLevelSet', { level }));
    } catch (error) {
      say('fail', error instanceof Error ? error.message : String(error));
    }
    onChange();
  };
  const last = configuration.last_reload;
  const facts: readonly (readonly [string, string])[] = [
    [t('version'), `${status.version}, Node ${status.node_version}`],
    [t('baseUrl'), status.base_url],
    [t('requestLog'), log.type],
    [t('recordContent'), log.content],
    [t('retention'), formatDuration(log.retention_ms)],
    [t('recordsWritten'), formatNumber(log.written)],
    [t('recordsDropped'), formatNumber(log.dropped)],
  ];
  return (
    <section aria-label={t('state')}>
      <p class="row">
        <ActionButton label={t('reload')} onAction={reload} />
        <label class="inline">
          {t('logLevel')}
          <select
            value={status.log_level}
            onChange={(event) => void setLevel(event.currentTarget.value as LogLevel)}
          >
            {LEVELS.map((level) => (
              <option key={level} value={level} selected={level === status.log_level}>
                {level}
              </option>
            ))}
          </select>
        </label>
        <span class="quiet">
          {t('startedAgo')} <Ago at={status.started_at_ms} />
        </span>
      </p>
      {last !== null && (
        <Notice kind={last.is_ok ? 'ok' : 'fail'}>
          <Ago at={last.at_ms} />: {reloadText(last)}
          {last.needs_restart.length > 0 && ` ${t('needsRestart', { keys: last.needs_restart.join(', ') })}`}
        </Notice>
      )}
      {log.problem !== null && <Notice kind="fail">{log.problem}</Notice>}
      <Facts facts={facts} />
      {status.embeddings_cache !== null && (
        <EmbeddingsCache cache={status.embeddings_cache} onChange={onChange} />
      )}
      {status.alerts.length > 0 && (
        <>
          <h2>{t('alerts')}</h2>
          <ul class="plain">
            {status.alerts.map((name) => (
              <li key={name} class="row">
                <span class="name">{name}</span>
                <ActionButton
                  label={t('testAlert')}
                  onAction={async () => {
                    const result = await post<AdminAlertTest>(
                      `/admin/alerts/${encodeURIComponent(name)}/test`,
                    );
                    return { isOk: result.is_ok, message: result.message };
                  }}
                />
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

function EmbeddingsCache({
  cache,
  onChange,
}: {
  readonly cache: AdminEmbeddingsCache;
  readonly onChange: () => void;
}) {
  const clear = async () => {
    await post<AdminEmbeddingsCache>('/admin/embeddings-cache/clear');
    onChange();
    return { isOk: true, message: t('embeddingsCacheCleared') };
  };
  const asked = cache.hits + cache.misses;
  const figures = {
    entries: formatNumber(cache.entries),
    bytes: formatBytes(cache.bytes),
    max: formatBytes(cache.max_bytes),
    hits: formatNumber(cache.hits),
    asked: formatNumber(asked),
    percent: asked === 0 ? '0' : formatNumber((100 * cache.hits) / asked),
    evictions: formatNumber(cache.evictions),
  };
  return (
    <>
      <h2>{t('embeddingsCache')}</h2>
      {cache.problem !== null && <Notice kind="fail">{cache.problem}</Notice>}
      <p class="row">
        <span>{t('embeddingsCacheFigures', figures)}</span>
        {cache.path !== null && <span class="name">{cache.path}</span>}
        <ActionButton label={t('clearEmbeddingsCache')} onAction={clear} />
      </p>
    </>
  );
}
