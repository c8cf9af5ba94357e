const DURATION = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?$/;
const MS_OF_UNIT: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `30`, `500ms`, `30s`, `5m`, `2h`, `30d` → milliseconds, whole; null when it is none of these. A bare number is seconds. */
export function durationMs(text: string): number | null {
  const match = DURATION.exec(text.trim());
  if (match === null) return null;
  const ms = Math.round(Number(match[1]) * (MS_OF_UNIT[match[2] ?? 's'] ?? Number.NaN));
  return Number.isSafeInteger(ms) ? ms : null;
}

/** Milliseconds as they would be written in the file: `90000` → `90s`, `86400000` → `1d`. */
export function writtenDuration(ms: number): string {
  const [unit, size] = Object.entries(MS_OF_UNIT).findLast(([, one]) => ms % one === 0 && ms >= one) ?? [
    'ms',
    1,
  ];
  return `${ms / size}${unit}`;
}

const SIZE = /^(\d+(?:\.\d+)?)\s*(B|[KMGT]i?B?)?$/i;
const POWER_OF_UNIT: Readonly<Record<string, number>> = { B: 0, K: 1, M: 2, G: 3, T: 4 };

/** `65536`, `64KiB`, `8MiB`, `1GiB` → bytes; null when it is none of these. `KB` and `K` mean 1024 as well. */
export function sizeBytes(text: string): number | null {
  const match = SIZE.exec(text.trim());
  if (match === null) return null;
  const power = POWER_OF_UNIT[(match[2] ?? 'B').charAt(0).toUpperCase()] ?? 0;
  const bytes = Math.round(Number(match[1]) * 1024 ** power);
  return Number.isSafeInteger(bytes) ? bytes : null;
}

/** `503` or `"520-529"` → the statuses it names, at most 100-599; null when it is neither. */
export function statusRange(text: string): number[] | null {
  const match = /^([1-5]\d\d)(?:\s*-\s*([1-5]\d\d))?$/.exec(text.trim());
  if (match === null) return null;
  const first = Number(match[1]);
  const last = match[2] === undefined ? first : Number(match[2]);
  if (last < first) return null;
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
