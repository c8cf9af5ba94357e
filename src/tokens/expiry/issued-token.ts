import { fingerprintOf, Secret } from '../../lib/secret.ts';
import { formatOffset } from '../../lib/time-zone.ts';
import type { SourceResponse } from '../manager/acquisition.ts';
import { cleanTokenValue, isVisibleAscii } from '../sources/raw-token.ts';
import { TokenSourceError } from '../sources/token-source.ts';
import { issuerNowMs, Lifetime, type Moment, statedLife } from './lifetime.ts';

/** An issuer's response, checked and parsed. */
export interface IssuedToken {
  readonly secret: Secret;
  readonly fingerprint: string;
  readonly lifetime: Lifetime;
  /** False: the issuer stated no life, or one in a doubtful time zone; rejections may show a shorter one. */
  readonly isExpiryKnown: boolean;
  readonly issuerSkewMs: number | null;
  readonly refreshInMs: number | undefined;
  readonly extra: Readonly<Record<string, string>>;
  /** Value-free. */
  readonly notes: readonly string[];
}

/** What a life is taken to be where the issuer does not state it for certain. */
interface AssumedLife {
  readonly defaultMs: number;
  /** By early rejections; infinite: none yet. */
  readonly learnedMs: number;
}

/** Throws `TokenSourceError` for what cannot be a token. */
export function readIssued(response: SourceResponse, assumed: AssumedLife): IssuedToken {
  const { raw, sent, received } = response;
  if (typeof raw !== 'object' || raw === null) throw new TokenSourceError('the source returned no token');
  const value = cleanTokenValue(raw.value);
  const extra = raw.extra ?? {};
  for (const [name, text] of Object.entries(extra)) {
    if (!isVisibleAscii(text))
      throw new TokenSourceError(
        `extra ${name}: the value has white space, control or non-ASCII characters inside`,
      );
  }
  const { lifeMs, isDisputed } = statedLife(raw, sent, received);
  const notes = [...(raw.notes ?? [])];
  if (isDisputed) notes.push('the expiries of the token disagree: the earliest is used');
  const halfHours =
    raw.isLocalTime === true && lifeMs !== null
      ? suspectedHalfHours(lifeMs, assumed, machineOffset(received.wallMs))
      : 0;
  if (halfHours > 0) notes.push(describeZone(halfHours, received.wallMs));
  const isExpiryKnown = lifeMs !== null && halfHours === 0;
  const assumedMs = lifeMs ?? assumed.defaultMs;
  return {
    secret: new Secret(value),
    fingerprint: fingerprintOf(value),
    lifetime: new Lifetime(
      issuedAt(sent, raw.ageMs),
      isExpiryKnown ? lifeMs : Math.min(assumedMs, assumed.learnedMs),
    ),
    isExpiryKnown,
    issuerSkewMs: raw.serverDateWallMs === undefined ? null : skewMs(response),
    refreshInMs: raw.refreshInMs,
    extra,
    notes,
  };
}

/** Time zones differ by whole half hours, but for two (Nepal, Chatham). */
const HALF_HOUR_MS = 30 * 60_000;
/** Lives that are closer than this, or than a quarter, are the same life. */
const MIN_TOLERANCE_MS = 90_000;
const MAX_OFFSET_MINUTES = 14 * 60;

/**
 * By how many half hours a life in an assumed time zone is too long: it is what was learned or expected, and a whole
 * number of half hours, as when a time of +08:00 is parsed as UTC. 0: no such sign.
 */
function suspectedHalfHours(
  lifeMs: number,
  { defaultMs, learnedMs }: AssumedLife,
  machineOffsetMinutes: number,
): number {
  for (const expectedMs of [learnedMs, defaultMs]) {
    const halfHours = Math.round((lifeMs - expectedMs) / HALF_HOUR_MS);
    const differenceMs = Math.abs(lifeMs - expectedMs - halfHours * HALF_HOUR_MS);
    const isSame = differenceMs <= Math.max(MIN_TOLERANCE_MS, expectedMs / 4);
    if (Number.isFinite(expectedMs) && halfHours > 0 && isSame) {
      return machineOffsetMinutes + 30 * halfHours > MAX_OFFSET_MINUTES ? 0 : halfHours;
    }
  }
  return 0;
}

function describeZone(halfHours: number, wallMs: number): string {
  const offset = machineOffset(wallMs);
  const zone = formatOffset(offset + 30 * halfHours);
  return `the expiry has no time zone, and in that of this machine (${formatOffset(offset)}) the token is valid for ${halfHours / 2} h longer than expected: if the issuer's time zone is ${zone}, set expires_at: { zone: "${zone}" }`;
}

/** How far the time zone of this machine is ahead of UTC, in minutes. */
function machineOffset(wallMs: number): number {
  return -new Date(wallMs).getTimezoneOffset();
}

/** Shorter values beside a token are words (a group, a region), which must not be redacted in every text. */
const MIN_SECRET_EXTRA = 16;

/** What is redacted in every text: the token, and the values beside it that are long enough to be secrets. */
export function secretsOf({ secret, extra }: IssuedToken): Secret[] {
  const tickets = Object.values(extra).filter((value) => value.length >= MIN_SECRET_EXTRA);
  return [secret, ...tickets.map((value) => new Secret(value))];
}

/**
 * The token in use, issued once more: its life began when it was issued first, and a response without a life changes
 * nothing about a known expiry (issuers that count down send 0 in the last second).
 */
export function handedOutAgain(
  issued: IssuedToken,
  inUse: { readonly lifetime: Lifetime; readonly isExpiryKnown: boolean },
): IssuedToken {
  if (!inUse.isExpiryKnown) return issued;
  return issued.isExpiryKnown
    ? { ...issued, lifetime: issued.lifetime.asEndOf(inUse.lifetime.lifeMs) }
    : { ...issued, lifetime: inUse.lifetime, isExpiryKnown: true };
}

/**
 * When a token that is "too young" may be used, on the monotonic clock: a second after its `nbf`, as checked by
 * clocks that are not quite ours. Minus infinity for all others.
 */
export function oldEnoughMonoMs(response: SourceResponse): number {
  const { raw, sent, received } = response;
  if (raw?.notBeforeWallMs === undefined || !Number.isFinite(raw.notBeforeWallMs))
    return Number.NEGATIVE_INFINITY;
  const youngForMs = raw.notBeforeWallMs - issuerNowMs(raw, sent, received);
  return youngForMs <= 0 ? Number.NEGATIVE_INFINITY : received.monoMs + youngForMs + 1_000;
}

function issuedAt(sent: Moment, ageMs: number | undefined): Moment {
  const age = ageMs !== undefined && ageMs > 0 ? ageMs : 0;
  return { monoMs: sent.monoMs - age, wallMs: sent.wallMs - age };
}

function skewMs({ raw, sent, received }: SourceResponse): number {
  return Math.round(issuerNowMs(raw, sent, received) - (sent.wallMs + received.wallMs) / 2);
}
