import type { ExpiryHint } from '../../expiry/expiry.ts';

/** The members in which issuers usually put the end of a token, beside the token itself. */
const USUAL = [
  // RFC 6749; milliseconds and points in time under this name are found out by size.
  { origin: 'expires_in', as: 'relative' },
  { origin: 'expiresIn', as: 'relative' },
  { origin: 'expireIn', as: 'relative' },
  { origin: 'expire_in', as: 'relative' },
  { origin: 'expire', as: 'relative' },
  // Azure, many, IBM; the rest in camel case and as home-grown issuers spell it.
  { origin: 'expires_on', as: 'absolute' },
  { origin: 'expires_at', as: 'absolute' },
  { origin: 'expiration', as: 'absolute' },
  { origin: 'expiresAt', as: 'absolute' },
  { origin: 'expiresOn', as: 'absolute' },
  { origin: 'expireTime', as: 'absolute' },
  { origin: 'expireAt', as: 'absolute' },
  { origin: 'expire_at', as: 'absolute' },
  { origin: 'expired_at', as: 'absolute' },
  { origin: 'expire_time', as: 'absolute' },
  { origin: 'exp', as: 'absolute' },
] as const;

/** Every usual statement about the end of the token in the object that holds it; the earliest will count. */
export function usualHints(members: unknown): ExpiryHint[] {
  if (typeof members !== 'object' || members === null) return [];
  return USUAL.filter(({ origin }) => Object.hasOwn(members, origin)).map((usual) => ({
    ...usual,
    value: plain((members as Record<string, unknown>)[usual.origin]),
    unit: 'auto',
  }));
}

/** Own code states the end as a `Date`; an answer never holds one. */
function plain(value: unknown): unknown {
  return value instanceof Date ? value.getTime() : value;
}
