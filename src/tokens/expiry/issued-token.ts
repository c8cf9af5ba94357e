import { fingerprintOf, Secret } from '../../lib/secret.ts';
import type { SourceResponse } from '../manager/acquisition.ts';
import { cleanTokenValue, isVisibleAscii } from '../sources/raw-token.ts';
import { TokenSourceError } from '../sources/token-source.ts';
import { issuerNowMs, Lifetime, type Moment, statedLife } from './lifetime.ts';

/** An issuer's response, checked and parsed. */
export interface IssuedToken {
  readonly secret: Secret;
  readonly fingerprint: string;
  readonly lifetime: Lifetime;
  /** False: the issuer stated no life, a default was taken. */
  readonly isExpiryKnown: boolean;
  readonly issuerSkewMs: number | null;
  readonly refreshInMs: number | undefined;
  readonly extra: Readonly<Record<string, string>>;
  /** Value-free. */
  readonly notes: readonly string[];
}

/** Throws `TokenSourceError` for what can be no token. */
export function readIssued(response: SourceResponse, defaultLifeMs: number): IssuedToken {
  const { raw, sent, received } = response;
  if (typeof raw !== 'object' || raw === null) throw new TokenSourceError('the source returned no token');
  const value = cleanTokenValue(raw.value);
  const extra = raw.extra ?? {};
  for (const [name, text] of Object.entries(extra)) {
    if (!isVisibleAscii(text))
      throw new TokenSourceError(`the value "${name}" beside the token cannot be sent`);
  }
  const { lifeMs, isDisputed } = statedLife(raw, sent, received);
  const notes = [...(raw.notes ?? [])];
  if (isDisputed) notes.push('the hints about the life of the token disagree; the shortest is taken');
  return {
    secret: new Secret(value),
    fingerprint: fingerprintOf(value),
    lifetime: new Lifetime(issuedAt(sent, raw.ageMs), lifeMs ?? defaultLifeMs),
    isExpiryKnown: lifeMs !== null,
    issuerSkewMs: raw.serverDateWallMs === undefined ? null : skewMs(response),
    refreshInMs: raw.refreshInMs,
    extra,
    notes,
  };
}

/** Shorter values beside a token are words (a group, a region) that would be missed in every text. */
const SHORTEST_SECRET_EXTRA = 16;

/** What of a response must be in no text: the token, and the values beside it that are long enough to be tickets. */
export function secretsOf({ secret, extra }: IssuedToken): Secret[] {
  const tickets = Object.values(extra).filter((value) => value.length >= SHORTEST_SECRET_EXTRA);
  return [secret, ...tickets.map((value) => new Secret(value))];
}

/**
 * A response with the token in use once more: its life began with the first response, and one that states none says
 * nothing new about an end that is known (issuers that count down say 0 in the last second).
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
