import { language, t } from '../i18n/language.ts';

/** A number with its thousands separated, at most `digits` decimals. */
export function formatNumber(value: number, digits = 0): string {
  return new Intl.NumberFormat(language.value, { maximumFractionDigits: digits }).format(value);
}

/** Large counts in a short form: 12.3K. */
export function formatCount(value: number): string {
  if (value < 10_000) return formatNumber(value);
  return new Intl.NumberFormat(language.value, { notation: 'compact', maximumFractionDigits: 1 }).format(
    value,
  );
}

/** A duration in the unit that a person would use; null: an en dash. */
export function formatDuration(ms: number | null): string {
  if (ms === null) return '–';
  const [s, min, h] = language.value === 'en' ? ['s', 'min', 'h'] : ['秒', '分', '小时'];
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${formatNumber(seconds, seconds < 10 ? 1 : 0)} ${s}`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) {
    const rest = Math.floor(seconds % 60);
    return rest === 0
      ? `${minutes} ${language.value === 'en' ? min : '分钟'}`
      : `${minutes} ${min} ${rest} ${s}`;
  }
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} ${h}` : `${hours} ${h} ${minutes % 60} ${min}`;
  return t('days', { count: formatNumber(hours / 24, 1) });
}

/** Median and 95th percentile in one figure. */
export function formatPercentiles(p50: number | null, p95: number | null): string {
  return p50 === null ? '–' : `${formatDuration(p50)} · p95 ${formatDuration(p95)}`;
}

/** The span of recent figures, which ends within a step: from a minute on in whole minutes. */
export function formatWindow(ms: number): string {
  return formatDuration(ms < 60_000 ? ms : Math.round(ms / 60_000) * 60_000);
}

/** The time of day, with the date when it is another day than `nowMs`. */
export function formatTime(atMs: number, nowMs: number): string {
  const at = new Date(atMs);
  const isToday = at.toDateString() === new Date(nowMs).toDateString();
  return new Intl.DateTimeFormat(language.value, {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hour12: false,
    ...(isToday ? {} : { month: 'short', day: 'numeric' }),
  }).format(at);
}

/** Date and time with the zone, for tooltips. */
export function formatAbsolute(atMs: number): string {
  return new Intl.DateTimeFormat(language.value, {
    dateStyle: 'medium',
    timeStyle: 'long',
  }).format(new Date(atMs));
}

export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${formatNumber(bytes / 1024, 1)} KiB`;
  return `${formatNumber(bytes / 1024 / 1024, 1)} MiB`;
}

export function formatPercent(share: number): string {
  return new Intl.NumberFormat(language.value, { style: 'percent', maximumFractionDigits: 1 }).format(share);
}
