import { inTimeZone } from '../../lib/time-zone.ts';

/** What an expiry value means: so long from now, a point in time, or found out from its size and shape. */
type ExpiryMeaning = 'relative' | 'absolute' | 'auto';
type ExpiryUnit = 'auto' | 's' | 'ms' | 'us' | 'ns' | 'iso';

/** One statement of the issuer about the end of a token's life. */
export interface ExpiryHint {
  /** Where it stood, for messages: `expires_in`, `/data/expireTime`. */
  readonly origin: string;
  readonly value: unknown;
  readonly as: ExpiryMeaning;
  readonly unit: ExpiryUnit;
  /** The zone of dates that state none: `+08:00` or `Asia/Shanghai`. Without it they are local time of this machine. */
  readonly zone?: string;
}

/** Where the token's expiry is in a response: a JSON pointer or a header, not both. */
export interface ExpiresAtSettings {
  readonly pointer?: string;
  readonly header?: string;
  /** `jwt`: only the `exp` of the token itself. By default the size and format of the value decide. */
  readonly as?: ExpiryMeaning | 'jwt';
  readonly unit?: ExpiryUnit;
  /** The zone of a date that states none: `+08:00` or `Asia/Shanghai`. */
  readonly zone?: string;
}

/** The meaning of one expiry. `ignored` has the reason, without the value unless it is a number. */
type ParsedExpiry =
  | { readonly kind: 'relative'; readonly lifetimeMs: number; readonly note?: string }
  | {
      readonly kind: 'absolute';
      readonly expiresAtWallMs: number;
      readonly note?: string;
      /** The date stated no zone and this machine's was assumed. */
      readonly isLocalTime?: true;
    }
  | { readonly kind: 'absent' }
  | { readonly kind: 'ignored'; readonly note: string };

/** All that is known about the lifetime of a token. Nothing set: the issuer stated nothing usable. */
export interface Expiry {
  /** The shortest relative statement, counted from when the request was sent. */
  readonly lifetimeMs?: number;
  /** The earliest absolute statement, on the issuer's clock. */
  readonly expiresAtWallMs?: number;
  /** Not accepted before this moment of the issuer's clock: the later of a JWT's `nbf` and `iat`. */
  readonly notBeforeWallMs?: number;
  /** `expiresAtWallMs` stated no zone and this machine's was assumed. */
  readonly isLocalTime?: true;
  readonly notes: readonly string[];
}

/** The members in which issuers put the end of a token's life, beside the token itself. */
const USUAL_MEMBERS = [
  // RFC 6749; milliseconds and points in time under this name are recognised by size.
  { origin: 'expires_in', as: 'relative' },
  // Camel case of Java and Node issuers; DingTalk v1.0 `expireIn`.
  { origin: 'expiresIn', as: 'relative' },
  { origin: 'expireIn', as: 'relative' },
  { origin: 'expire_in', as: 'relative' },
  // Feishu.
  { origin: 'expire', as: 'relative' },
  // Azure IMDS and App Service; GigaChat and GitHub Copilot; IBM; Yandex; `az`.
  { origin: 'expires_on', as: 'absolute' },
  { origin: 'expires_at', as: 'absolute' },
  { origin: 'expiration', as: 'absolute' },
  { origin: 'expiresAt', as: 'absolute' },
  { origin: 'expiresOn', as: 'absolute' },
  // Home-grown issuers (`{"data":{"accessToken","expireTime"}}`) and the second form of GigaChat (`tok`, `exp`).
  { origin: 'expireTime', as: 'absolute' },
  { origin: 'expireAt', as: 'absolute' },
  { origin: 'expire_at', as: 'absolute' },
  { origin: 'expired_at', as: 'absolute' },
  { origin: 'expire_time', as: 'absolute' },
  { origin: 'exp', as: 'absolute' },
] as const;

/** Every usual hint in the object that holds the token; `resolveExpiry` takes the earliest. `zone`: of dates that state none. */
export function usualHints(members: unknown, zone?: string): ExpiryHint[] {
  if (typeof members !== 'object' || members === null) return [];
  return USUAL_MEMBERS.filter(({ origin }) => Object.hasOwn(members, origin)).map((usual) => ({
    ...usual,
    value: dateless((members as Record<string, unknown>)[usual.origin]),
    unit: 'auto',
    ...(zone === undefined ? {} : { zone }),
  }));
}

/** `function` sources may return a `Date`. */
function dateless(value: unknown): unknown {
  return value instanceof Date ? value.getTime() : value;
}

/** Hints of one token that differ by more than this share of the longer one are logged. */
const DISAGREEMENT = 0.1;
/** Longer lives are cut to this: ten years, far below what breaks dates and timers. */
const MAX_LIFE_MS = 10 * 365 * 86_400_000;
/** A JWT's times are seconds (RFC 7519); above this they must be milliseconds, as Zhipu writes them. */
const JWT_SECONDS_BELOW = 1e11;

/**
 * Joins the hints of a response with the times inside the token, when it is a JWT: the earliest end wins.
 * `nowWallMs` is the issuer's own time (its `Date` header) if known, else the local time of the response.
 */
export function resolveExpiry(hints: readonly ExpiryHint[], token: string, nowWallMs: number): Expiry {
  const jwt = parseJwtTimes(token);
  const parsed = hints.map((hint) => ({ origin: hint.origin, expiry: parseExpiry(hint, nowWallMs) }));
  if (jwt?.exp !== undefined)
    parsed.push({ origin: 'JWT exp', expiry: parseJwtExpiry(jwt.exp, jwt.iat, nowWallMs) });
  const notes: string[] = [];
  const lives: { origin: string; remainingMs: number }[] = [];
  let lifetimeMs = Infinity;
  let expiresAtWallMs = Infinity;
  let isLocalTime = false;
  for (const { origin, expiry } of parsed) {
    if (expiry.kind !== 'absent' && expiry.note !== undefined) notes.push(expiry.note);
    if (expiry.kind === 'relative') {
      lifetimeMs = Math.min(lifetimeMs, expiry.lifetimeMs);
      lives.push({ origin, remainingMs: expiry.lifetimeMs });
    } else if (expiry.kind === 'absolute') {
      if (expiry.expiresAtWallMs < expiresAtWallMs) isLocalTime = expiry.isLocalTime === true;
      expiresAtWallMs = Math.min(expiresAtWallMs, expiry.expiresAtWallMs);
      lives.push({ origin, remainingMs: expiry.expiresAtWallMs - nowWallMs });
    }
  }
  const disagreement = describeDisagreement(lives);
  if (disagreement !== undefined) notes.push(disagreement);
  const notBeforeWallMs = jwt === undefined ? undefined : notBefore(jwt);
  return {
    ...(lifetimeMs === Infinity ? {} : { lifetimeMs: Math.min(lifetimeMs, MAX_LIFE_MS) }),
    ...(expiresAtWallMs === Infinity ? {} : { expiresAtWallMs }),
    ...(notBeforeWallMs === undefined ? {} : { notBeforeWallMs }),
    ...(isLocalTime ? { isLocalTime } : {}),
    notes,
  };
}

/**
 * Parses one expiry; never throws, for any value. A configured unit is used literally. `nowWallMs` is the
 * issuer's time, before which no new token expires.
 */
export function parseExpiry(hint: ExpiryHint, nowWallMs = 0): ParsedExpiry {
  const { value, origin } = hint;
  if (value === undefined || value === null || value === '') return { kind: 'absent' };
  if (typeof value !== 'string' && typeof value !== 'number')
    return ignored(origin, `is ${describeType(value)}`);
  const hasUnit = hint.unit !== 'auto' && hint.unit !== 'iso';
  const text = String(value).trim();
  if (text === '') return { kind: 'absent' };
  if (!hasUnit && COMPACT_DATE.test(text))
    return parseDate(text.replace(COMPACT_DATE, '$1-$2-$3T$4:$5:$6$7'), hint, nowWallMs);
  if (typeof value === 'number') return parseNumber(value, hint, nowWallMs);
  const digits = DOT_NET_DATE.exec(text)?.[1] ?? text;
  const number = NUMERIC.test(digits) ? Number(digits) : Number.NaN;
  if (hint.unit !== 'iso' && !Number.isNaN(number)) return parseNumber(number, hint, nowWallMs);
  const seconds = hint.as === 'absolute' ? undefined : durationSeconds(text);
  if (seconds !== undefined) return parseNumber(seconds, { ...hint, as: 'relative', unit: 's' }, nowWallMs);
  return parseDate(text, hint, nowWallMs);
}

const NUMERIC = /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i;
/** `20261121120000` (home-grown issuers): read as milliseconds it would be a date centuries ahead. */
const COMPACT_DATE = /^(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])T?([01]\d|2[0-3])([0-5]\d)([0-5]\d)(Z?)$/;
/** `/Date(1795262400000)/`: dates in JSON of .NET before System.Text.Json. */
const DOT_NET_DATE = /^\/Date\((\d+)(?:[+-]\d{4})?\)\/$/;
/** `3599s` (protobuf JSON of Google), `5m0s` (Go), `PT5M` (ISO 8601, Java). */
const DURATION = /^(?:PT)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?$/i;

function durationSeconds(text: string): number | undefined {
  const parts = DURATION.exec(text);
  if (parts === null || /^(?:PT)?$/i.test(text)) return undefined;
  const [, hours = 0, minutes = 0, seconds = 0] = parts;
  return Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds);
}

const UNIT_MS = { s: 1000, ms: 1, us: 1e-3, ns: 1e-6 } as const;

function parseNumber(value: number, hint: ExpiryHint, nowWallMs: number): ParsedExpiry {
  const { origin } = hint;
  if (Number.isNaN(value)) return ignored(origin, 'is not a number');
  if (value === 0) return ignored(origin, 'is 0');
  if (value < 0) return ignored(origin, `is negative (${value})`);
  if (!Number.isFinite(value)) return ignored(origin, 'is infinite');
  const hasUnit = hint.unit !== 'auto' && hint.unit !== 'iso';
  const ms = value * UNIT_MS[hasUnit ? hint.unit : unitOf(value)];
  // "Never" is often a large number of seconds (`1576800000`), which looks like a date years ago.
  if (hint.as === 'relative' && !hasUnit && ms >= MIN_DATE_MS && ms < nowWallMs - LONG_EXPIRED_MS)
    return { kind: 'relative', lifetimeMs: MAX_LIFE_MS };
  const as = hint.as === 'auto' || !hasUnit ? meaningOf(ms) : hint.as;
  const note =
    hint.as === 'auto' || hint.as === as
      ? {}
      : { note: `${origin} is configured as ${hint.as} and looks ${as}: treated as ${as}` };
  if (as === 'relative') return { kind: 'relative', lifetimeMs: Math.min(ms, MAX_LIFE_MS), ...note };
  if (ms < MIN_DATE_MS) return ignored(origin, 'is a date before 2001');
  return { kind: 'absolute', expiresAtWallMs: ms, ...note };
}

/** Below 1e9 seconds a number is at most 31 years of life; from there on it is a date after 2001. */
const MIN_DATE_MS = 1e12;

/** No issuer sends a token that expired so long ago, however wrong its clock is. */
const LONG_EXPIRED_MS = 86_400_000;

function meaningOf(ms: number): 'relative' | 'absolute' {
  return ms < MIN_DATE_MS ? 'relative' : 'absolute';
}

function unitOf(value: number): keyof typeof UNIT_MS {
  if (value < 1e11) return 's';
  if (value < 1e14) return 'ms';
  if (value < 1e17) return 'us';
  return 'ns';
}

/** RFC 3339 with its relatives: `az` prints `2026-11-21 12:00:00.123456` (local time), Yandex nanoseconds. */
const ISO_DATE =
  /^(\d{4}[-/]\d{2}[-/]\d{2})[T ](\d{2}:\d{2}(?::\d{2})?)([.,]\d+)?\s*(?:(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)(?: [A-Z]{2,5})?)?$/i;
/** `11/21/2026 12:00:00 PM +00:00`: Azure App Service before API version 2019-08-01 (azure-sdk-for-js#22722). */
const AMERICAN_DATE = /^\d{1,2}\/\d{1,2}\/\d{4} \d{1,2}:\d{2}:\d{2}( [AP]M)?( [+-]\d{2}:?\d{2})?$/i;
/** `Sat, 21 Nov 2026 12:00:00 GMT`, as in HTTP headers. */
const HTTP_DATE = /^[A-Za-z]{3,9},? \d{1,2}[ -][A-Za-z]{3}[ -]\d{2,4} \d{2}:\d{2}:\d{2} (GMT|UTC|[+-]\d{4})$/;

function parseDate(text: string, { origin, zone }: ExpiryHint, nowWallMs: number): ParsedExpiry {
  const { stated, utc } = normalDate(text);
  const isAssumed = utc !== undefined && zone === undefined;
  const wallMs =
    utc === undefined || zone === undefined ? Date.parse(stated) : inTimeZone(zone, Date.parse(utc));
  if (Number.isNaN(wallMs)) return ignored(origin, `is text of ${text.length} characters and not a date`);
  // Go and .NET write 0001-01-01 for "not set".
  if (wallMs <= 0) return ignored(origin, 'is a date before 1970');
  if (!isAssumed) return { kind: 'absolute', expiresAtWallMs: wallMs };
  if (wallMs <= nowWallMs) {
    return ignored(
      origin,
      "has no time zone and would be expired in this machine's zone (set expires_at.zone?)",
    );
  }
  return {
    kind: 'absolute',
    expiresAtWallMs: wallMs,
    isLocalTime: true,
    note: `${origin} has no time zone: treated as local time of this machine`,
  };
}

/** A date in a form that `Date.parse` takes, empty when it is none; `utc` is it in UTC, when it states no zone. */
function normalDate(text: string): { readonly stated: string; readonly utc?: string } {
  const iso = ISO_DATE.exec(text);
  if (iso !== null) {
    const [, day = '', time, fraction = '', zone = ''] = iso;
    // Three digits of fraction are all that every engine reads; Yandex sends nine.
    const date = `${day.replaceAll('/', '-')}T${time}${fraction.replace(',', '.').slice(0, 4)}`;
    if (zone === '') return { stated: date, utc: `${date}Z` };
    return { stated: `${date}${/^(z|utc|gmt)$/i.test(zone) ? 'Z' : withColon(zone)}` };
  }
  if (HTTP_DATE.test(text)) return { stated: text };
  if (!AMERICAN_DATE.test(text)) return { stated: '' };
  return /[+-]\d{2}:?\d{2}$/.test(text) ? { stated: text } : { stated: text, utc: `${text} UTC` };
}

/** `+0800` and `+08` as `+08:00`, which `Date.parse` needs. */
function withColon(zone: string): string {
  return zone.replace(/^([+-]\d{2})(\d{2})?$/, (_, hours: string, minutes = '00') => `${hours}:${minutes}`);
}

/**
 * A token lives from `iat` to `exp` at most. Where `iat` is ahead of the issuer's `Date` (clock of another machine, or a
 * wrong one), that difference is the better measure.
 */
function parseJwtExpiry(exp: number, iat: number | undefined, nowWallMs: number): ParsedExpiry {
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

function describeDisagreement(lives: readonly { origin: string; remainingMs: number }[]): string | undefined {
  let shortest = lives[0];
  let longest = lives[0];
  for (const life of lives) {
    if (shortest === undefined || life.remainingMs < shortest.remainingMs) shortest = life;
    if (longest === undefined || life.remainingMs > longest.remainingMs) longest = life;
  }
  if (shortest === undefined || longest === undefined) return undefined;
  const gapMs = longest.remainingMs - shortest.remainingMs;
  if (gapMs <= DISAGREEMENT * Math.abs(longest.remainingMs)) return undefined;
  return `${shortest.origin} and ${longest.origin} disagree (${seconds(shortest.remainingMs)} and ${seconds(longest.remainingMs)} left): the shorter lifetime is used`;
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}

function ignored(origin: string, why: string): ParsedExpiry {
  return { kind: 'ignored', note: `${origin} ${why}: ignored` };
}

function describeType(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** The registered times of a JWT as sent: seconds by RFC 7519, milliseconds with Zhipu. */
interface JwtTimes {
  readonly exp?: number;
  readonly nbf?: number;
  readonly iat?: number;
}

/** Longer payloads are not decoded (characters). */
const MAX_PAYLOAD = 65_536;

/**
 * The times inside a signed JWT (three parts), unverified, as they only time the renewal. Undefined for
 * every other token, encrypted JWTs included.
 */
function parseJwtTimes(token: string): JwtTimes | undefined {
  const [header, payload, signature, ...rest] = token.split('.');
  if (header === undefined || payload === undefined || signature === undefined || rest.length > 0)
    return undefined;
  if (!header.startsWith('ey') || payload.length > MAX_PAYLOAD) return undefined;
  let claims: unknown;
  try {
    claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) return undefined;
  const { exp, nbf, iat } = claims as Record<string, unknown>;
  return { ...time('exp', exp), ...time('nbf', nbf), ...time('iat', iat) };
}

/** Some issuers write their times as strings. */
function time(name: keyof JwtTimes, value: unknown): JwtTimes {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && !Number.isNaN(number) ? { [name]: number } : {};
}
