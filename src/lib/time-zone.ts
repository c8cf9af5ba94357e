const FIXED = /^([+-])(\d{1,2}):?(\d{2})?$/;
const LONG_OFFSET = /^GMT(?:([+-])(\d{2}):(\d{2}))?/;

/** Whether `zone` is an offset such as `+08:00` or an IANA name such as `Asia/Shanghai`. */
export function isTimeZone(zone: string): boolean {
  return !Number.isNaN(offsetMs(zone, 0));
}

/** The point in time at which clocks in `zone` show what `localMs` shows in UTC; NaN for an unknown zone. */
export function inTimeZone(zone: string, localMs: number): number {
  // Near a change to summer time the offset of the first guess may be an hour off.
  return localMs - offsetMs(zone, localMs - offsetMs(zone, localMs));
}

/** How far `zone` is ahead of UTC at a point in time; NaN for an unknown zone. */
function offsetMs(zone: string, atMs: number): number {
  const match = FIXED.exec(zone) ?? LONG_OFFSET.exec(longOffset(zone, atMs));
  if (match === null) return Number.NaN;
  const [, sign, hours = 0, minutes = 0] = match;
  if (Number(hours) > 14 || Number(minutes) > 59) return Number.NaN;
  const ms = (Number(hours) * 60 + Number(minutes)) * 60_000;
  return sign === '-' ? -ms : ms;
}

/** `GMT+08:00`; empty for an unknown zone. */
function longOffset(timeZone: string, atMs: number): string {
  try {
    const format = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' });
    return format.formatToParts(atMs).find(({ type }) => type === 'timeZoneName')?.value ?? '';
  } catch {
    return '';
  }
}

/** `+08:00`, `-05:30`. */
export function formatOffset(offsetMinutes: number): string {
  const minutes = Math.abs(offsetMinutes);
  const two = (part: number) => String(part).padStart(2, '0');
  return `${offsetMinutes < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}
