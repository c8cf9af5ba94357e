import { type JwtTimes, readJwtTimes } from './jwt-times.ts';

/** What an expiry value means: so long from now, a point in time, or found out from its size and shape. */
export type ExpiryMeaning = 'relative' | 'absolute' | 'auto';
export type ExpiryUnit = 'auto' | 's' | 'ms' | 'us' | 'ns' | 'iso';

/** One statement of the issuer about the end of a token. */
export interface ExpiryHint {
  /** Where it stood, for messages: `expires_in`, `/data/expireTime`. */
  readonly origin: string;
  readonly value: unknown;
  readonly as: ExpiryMeaning;
  readonly unit: ExpiryUnit;
}

/** What one hint says. `ignored` carries the reason in words, without the value unless it is a number. */
type ExpiryReading =
  | { readonly kind: 'relative'; readonly lifetimeMs: number; readonly note?: string }
  | { readonly kind: 'absolute'; readonly expiresAtWallMs: number; readonly note?: string }
  | { readonly kind: 'absent' }
  | { readonly kind: 'ignored'; readonly note: string };

/** All that is known about the life of a token. Nothing set: the issuer said nothing that can be used. */
export interface Expiry {
  /** The shortest relative statement, counted from when the request was sent. */
  readonly lifetimeMs?: number;
  /** The earliest absolute statement, on the issuer's clock. */
  readonly expiresAtWallMs?: number;
  /** Not accepted before this moment of the issuer's clock: the later of a JWT's `nbf` and `iat`. */
  readonly notBeforeWallMs?: number;
  readonly notes: readonly string[];
}

/** Hints of one token that differ by more than this share of the longer one are worth a note. */
const DISAGREEMENT = 0.1;
/** Longer lives are cut to this: ten years, far below what breaks dates and timers. */
const LONGEST_MS = 10 * 365 * 86_400_000;
/** A JWT's times are seconds (RFC 7519); above this they must be milliseconds, as Zhipu writes them. */
const JWT_SECONDS_BELOW = 1e11;

/**
 * Joins the hints of an answer with the times inside the token, when it is a JWT: the earliest end wins.
 * `nowWallMs` is the issuer's own time if it told it (`Date` header), else the local time of the answer.
 */
export function resolveExpiry(hints: readonly ExpiryHint[], token: string, nowWallMs: number): Expiry {
  const jwt = readJwtTimes(token);
  const readings = hints.map((hint) => ({ origin: hint.origin, reading: readExpiry(hint, nowWallMs) }));
  if (jwt?.exp !== undefined)
    readings.push({ origin: 'JWT exp', reading: readJwtEnd(jwt.exp, jwt.iat, nowWallMs) });
  const notes: string[] = [];
  const lives: { origin: string; remainingMs: number }[] = [];
  let lifetimeMs = Infinity;
  let expiresAtWallMs = Infinity;
  for (const { origin, reading } of readings) {
    if (reading.kind !== 'absent' && reading.note !== undefined) notes.push(reading.note);
    if (reading.kind === 'relative') {
      lifetimeMs = Math.min(lifetimeMs, reading.lifetimeMs);
      lives.push({ origin, remainingMs: reading.lifetimeMs });
    } else if (reading.kind === 'absolute') {
      expiresAtWallMs = Math.min(expiresAtWallMs, reading.expiresAtWallMs);
      lives.push({ origin, remainingMs: reading.expiresAtWallMs - nowWallMs });
    }
  }
  const dispute = disagreement(lives);
  if (dispute !== undefined) notes.push(dispute);
  const notBeforeWallMs = jwt === undefined ? undefined : notBefore(jwt);
  return {
    ...(lifetimeMs === Infinity ? {} : { lifetimeMs: Math.min(lifetimeMs, LONGEST_MS) }),
    ...(expiresAtWallMs === Infinity ? {} : { expiresAtWallMs }),
    ...(notBeforeWallMs === undefined ? {} : { notBeforeWallMs }),
    notes,
  };
}

/**
 * Reads one hint; never throws, whatever the issuer wrote. A unit that was configured is never doubted. `nowWallMs` is
 * the issuer's time: it tells what can be no end of a new token.
 */
export function readExpiry(hint: ExpiryHint, nowWallMs = 0): ExpiryReading {
  const { value, origin } = hint;
  if (value === undefined || value === null || value === '') return { kind: 'absent' };
  if (typeof value !== 'string' && typeof value !== 'number')
    return ignored(origin, `is ${describeType(value)}`);
  const hasUnit = hint.unit !== 'auto' && hint.unit !== 'iso';
  const text = String(value).trim();
  if (text === '') return { kind: 'absent' };
  if (!hasUnit && COMPACT.test(text))
    return readDate(text.replace(COMPACT, '$1-$2-$3T$4:$5:$6$7'), origin, nowWallMs);
  if (typeof value === 'number') return readNumber(value, hint, nowWallMs);
  const digits = DOT_NET.exec(text)?.[1] ?? text;
  const number = NUMERIC.test(digits) ? Number(digits) : Number.NaN;
  if (hint.unit !== 'iso' && !Number.isNaN(number)) return readNumber(number, hint, nowWallMs);
  const seconds = hint.as === 'absolute' ? undefined : durationSeconds(text);
  if (seconds !== undefined) return readNumber(seconds, { ...hint, as: 'relative', unit: 's' }, nowWallMs);
  return readDate(text, origin, nowWallMs);
}

const NUMERIC = /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i;
/** `20261121120000`: as milliseconds it would be a date centuries ahead. */
const COMPACT = /^(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])T?([01]\d|2[0-3])([0-5]\d)([0-5]\d)(Z?)$/;
/** `/Date(1795262400000)/`, as older .NET writes JSON. */
const DOT_NET = /^\/Date\((\d+)(?:[+-]\d{4})?\)\/$/;
/** `3599s` as Google's JSON writes durations, `5m0s` as Go does, `PT5M` as ISO 8601 does. */
const DURATION = /^(?:PT)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?$/i;

function durationSeconds(text: string): number | undefined {
  const parts = DURATION.exec(text);
  if (parts === null || /^(?:PT)?$/i.test(text)) return undefined;
  const [, hours = 0, minutes = 0, seconds = 0] = parts;
  return Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds);
}

const UNIT_MS = { s: 1000, ms: 1, us: 1e-3, ns: 1e-6 } as const;

function readNumber(value: number, hint: ExpiryHint, nowWallMs: number): ExpiryReading {
  const { origin } = hint;
  if (Number.isNaN(value)) return ignored(origin, 'is not a number');
  if (value === 0) return ignored(origin, 'is 0');
  if (value < 0) return ignored(origin, `is negative (${value})`);
  if (!Number.isFinite(value)) return ignored(origin, 'is infinite');
  const hasUnit = hint.unit !== 'auto' && hint.unit !== 'iso';
  const ms = value * UNIT_MS[hasUnit ? hint.unit : unitOf(value)];
  // "Never" is written as a great number of seconds, which looks like a date that was years ago.
  if (hint.as === 'relative' && !hasUnit && ms >= EARLIEST_POINT_MS && ms < nowWallMs - LONG_OVER_MS)
    return { kind: 'relative', lifetimeMs: LONGEST_MS };
  const as = hint.as === 'auto' || !hasUnit ? meaningOf(ms) : hint.as;
  const note =
    hint.as === 'auto' || hint.as === as
      ? {}
      : { note: `${origin} was expected to be ${hint.as} and looks ${as}: read as ${as}` };
  if (as === 'relative') return { kind: 'relative', lifetimeMs: Math.min(ms, LONGEST_MS), ...note };
  if (ms < EARLIEST_POINT_MS) return ignored(origin, 'is a date before 2001');
  return { kind: 'absolute', expiresAtWallMs: ms, ...note };
}

/** Below 1e9 seconds a number is at most 31 years of life; from there on it is a date after 2001. */
const EARLIEST_POINT_MS = 1e12;

/** No issuer hands out a token that ended so long ago, however wrong its clock is. */
const LONG_OVER_MS = 86_400_000;

function meaningOf(ms: number): 'relative' | 'absolute' {
  return ms < EARLIEST_POINT_MS ? 'relative' : 'absolute';
}

function unitOf(value: number): keyof typeof UNIT_MS {
  if (value < 1e11) return 's';
  if (value < 1e14) return 'ms';
  if (value < 1e17) return 'us';
  return 'ns';
}

/** `2026-11-21 12:00:00.123456`: ISO without a zone, as `az` prints it, which `Date` takes as local time. */
const ISO =
  /^(\d{4}[-/]\d{2}[-/]\d{2})[T ](\d{2}:\d{2}(?::\d{2})?)([.,]\d+)?\s*(?:(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)(?: [A-Z]{2,5})?)?$/i;
/** `11/21/2026 12:00:00 PM +00:00`: the older Azure App Service. */
const AMERICAN = /^\d{1,2}\/\d{1,2}\/\d{4} \d{1,2}:\d{2}:\d{2}( [AP]M)?( [+-]\d{2}:?\d{2})?$/i;
/** `Sat, 21 Nov 2026 12:00:00 GMT`, as in HTTP headers. */
const HTTP_DATE = /^[A-Za-z]{3,9},? \d{1,2}[ -][A-Za-z]{3}[ -]\d{2,4} \d{2}:\d{2}:\d{2} (GMT|UTC|[+-]\d{4})$/;

function readDate(text: string, origin: string, nowWallMs: number): ExpiryReading {
  const iso = ISO.exec(text);
  let wallMs = Number.NaN;
  let hasZone = true;
  if (iso !== null) {
    const [, day = '', time, fraction = '', zone = ''] = iso;
    hasZone = zone !== '';
    const isUtc = /^(z|utc|gmt)$/i.test(zone);
    // Three digits of fraction are all that every engine reads; Yandex sends nine.
    wallMs = Date.parse(
      `${day.replaceAll('/', '-')}T${time}${fraction.replace(',', '.').slice(0, 4)}${isUtc ? 'Z' : colon(zone)}`,
    );
  } else if (AMERICAN.test(text)) {
    hasZone = /[+-]\d{2}:?\d{2}$/.test(text);
    wallMs = Date.parse(text);
  } else if (HTTP_DATE.test(text)) {
    wallMs = Date.parse(text);
  }
  if (Number.isNaN(wallMs)) return ignored(origin, `is text of ${text.length} characters that is no date`);
  // 0001-01-01 is how Go and .NET write "not set".
  if (wallMs <= 0) return ignored(origin, 'is a date before 1970');
  if (hasZone) return { kind: 'absolute', expiresAtWallMs: wallMs };
  if (wallMs <= nowWallMs) return ignored(origin, "has no time zone and would be over in this machine's");
  return {
    kind: 'absolute',
    expiresAtWallMs: wallMs,
    note: `${origin} has no time zone: read as local time`,
  };
}

/** `+0800` and `+08` as `+08:00`, which `Date.parse` wants. */
function colon(zone: string): string {
  return zone.replace(/^([+-]\d{2})(\d{2})?$/, (_, hours: string, minutes = '00') => `${hours}:${minutes}`);
}

/**
 * A token lives from `iat` to `exp` at most. Where `iat` is ahead of the issuer's `Date` (another machine's clock, or a
 * wrong one), that is the better measure of the two.
 */
function readJwtEnd(exp: number, iat: number | undefined, nowWallMs: number): ExpiryReading {
  if (!Number.isFinite(exp) || exp <= 0) return ignored('JWT exp', `is ${exp}`);
  const expiresAtWallMs = jwtMs(exp);
  const lifeMs = iat === undefined || !(iat > 0) ? Infinity : expiresAtWallMs - jwtMs(iat);
  return {
    kind: 'absolute',
    expiresAtWallMs: lifeMs > 0 ? Math.min(expiresAtWallMs, nowWallMs + lifeMs) : expiresAtWallMs,
  };
}

function notBefore(jwt: JwtTimes): number | undefined {
  const times = [jwt.nbf, jwt.iat].filter((time) => time !== undefined && Number.isFinite(time) && time > 0);
  return times.length === 0 ? undefined : Math.max(...times.map((time) => jwtMs(time as number)));
}

function jwtMs(time: number): number {
  return time > JWT_SECONDS_BELOW ? time : time * 1000;
}

function disagreement(lives: readonly { origin: string; remainingMs: number }[]): string | undefined {
  let shortest = lives[0];
  let longest = lives[0];
  for (const life of lives) {
    if (shortest === undefined || life.remainingMs < shortest.remainingMs) shortest = life;
    if (longest === undefined || life.remainingMs > longest.remainingMs) longest = life;
  }
  if (shortest === undefined || longest === undefined) return undefined;
  const gapMs = longest.remainingMs - shortest.remainingMs;
  if (gapMs <= DISAGREEMENT * Math.abs(longest.remainingMs)) return undefined;
  return `${shortest.origin} and ${longest.origin} disagree (${seconds(shortest.remainingMs)} and ${seconds(longest.remainingMs)} left): the shorter one counts`;
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}

function ignored(origin: string, why: string): ExpiryReading {
  return { kind: 'ignored', note: `${origin} ${why}: ignored` };
}

function describeType(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
