import type { ComponentChildren } from 'preact';
import type { ApiError } from '../api/client.ts';
import type { Resource } from '../api/resource.ts';
import { t } from '../i18n/language.ts';

/** What a view shows while its data is loaded, cannot be loaded, or could not be loaded again. */
export function Loaded<T>({
  from,
  children,
}: {
  readonly from: Resource<T>;
  readonly children: (data: T) => ComponentChildren;
}) {
  const { data, error, isLoading, reload } = from;
  if (data !== null) {
    return (
      <>
        {error !== null && <Notice kind="warn">{t('stale', { reason: error.message })}</Notice>}
        {children(data)}
      </>
    );
  }
  if (error !== null) return <Failure error={error} onRetry={reload} />;
  return isLoading ? <p class="quiet loading">{t('loading')}</p> : null;
}

function Failure({ error, onRetry }: { readonly error: ApiError; readonly onRetry: () => void }) {
  return (
    <div class="notice notice-fail" role="alert">
      <p>{error.status === 0 ? t('unreachable') : error.message}</p>
      <button type="button" onClick={onRetry}>
        {t('retry')}
      </button>
    </div>
  );
}

/** A message with its kind in colour and in a sign. */
export function Notice({
  kind,
  children,
}: {
  readonly kind: 'ok' | 'warn' | 'fail' | 'info';
  readonly children: ComponentChildren;
}) {
  return (
    <div class={`notice notice-${kind}`} role={kind === 'fail' ? 'alert' : 'status'}>
      {children}
    </div>
  );
}

/** Shown in place of an empty list. */
export function Empty({ children }: { readonly children: ComponentChildren }) {
  return <p class="empty quiet">{children}</p>;
}

/** A short state in a coloured field; the text says what the colour does. */
export function Badge({
  kind,
  children,
}: {
  readonly kind: 'ok' | 'warn' | 'fail' | 'info';
  readonly children: ComponentChildren;
}) {
  return <span class={`badge badge-${kind}`}>{children}</span>;
}
