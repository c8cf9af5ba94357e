import { signal } from '@preact/signals';
import { nowMs } from '../api/live.ts';
import { language, t } from '../i18n/language.ts';
import { formatAbsolute, formatTime } from '../lib/format.ts';

const TICK_MS = 500;

/** Advances twice a second while the page is visible; only what runs down reads it. */
export const clock = signal(Date.now());
setInterval(() => {
  if (document.visibilityState === 'visible') clock.value = Date.now();
}, TICK_MS);

/** A time of day, local; the whole date and zone on hover. */
export function Time({ at }: { readonly at: number | null }) {
  if (at === null) return <span class="quiet">–</span>;
  return (
    <time dateTime={new Date(at).toISOString()} title={formatAbsolute(at)}>
      {formatTime(at, nowMs())}
    </time>
  );
}

/** How long ago something was, kept up to date; the time on hover. */
export function Ago({ at }: { readonly at: number | null }) {
  if (at === null) return <span class="quiet">–</span>;
  void clock.value;
  const seconds = Math.max(0, Math.round((nowMs() - at) / 1000));
  return (
    <time dateTime={new Date(at).toISOString()} title={formatAbsolute(at)}>
      {seconds < 2 ? t('justNow') : relative(seconds)}
    </time>
  );
}

function relative(seconds: number): string {
  const format = new Intl.RelativeTimeFormat(language.value, { numeric: 'always', style: 'short' });
  if (seconds < 90) return format.format(-seconds, 'second');
  if (seconds < 5400) return format.format(-Math.round(seconds / 60), 'minute');
  if (seconds < 129_600) return format.format(-Math.round(seconds / 3600), 'hour');
  return format.format(-Math.round(seconds / 86_400), 'day');
}
