import { durationMs } from '../config/types/quantities.ts';

const TIME = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?<zone>Z|[+-]\d\d:?\d\d)?)?$/i;

/**
 * `90`, `5m`, `2h` before now, or an ISO time → milliseconds since 1970; null when it is neither. A time without a zone
 * is UTC, as are the times that `log` prints.
 */
export function sinceMs(text: string, nowMs: number): number | null {
  const agoMs = durationMs(text);
  if (agoMs !== null) return nowMs - agoMs;
  const match = TIME.exec(text.trim());
  if (match === null) return null;
  const [date = '', time = '00:00'] = text.trim().split(/[T ]/i);
  const at = Date.parse(`${date}T${time}${match.groups?.zone === undefined ? 'Z' : ''}`);
  return Number.isNaN(at) ? null : at;
}
