import type { ExpiryHint } from '../expiry.ts';

/** The members in which issuers usually put the end of a token, beside the token itself. */
const USUAL = [
  // RFC 6749; milliseconds and points in time under this name are found out by size.
  { origin: 'expires_in', as: 'relative' },
  { origin: 'expiresIn', as: 'relative' },
  { origin: 'expireIn', as: 'relative' },
  // Azure, many, IBM; the rest in camel case.
  { origin: 'expires_on', as: 'absolute' },
  { origin: 'expires_at', as: 'absolute' },
  { origin: 'expiration', as: 'absolute' },
  { origin: 'expiresAt', as: 'absolute' },
  { origin: 'expireTime', as: 'absolute' },
] as const;

/** Every usual statement about the end of the token in the object that holds it; the earliest will count. */
export function usualHints(members: unknown): ExpiryHint[] {
  if (typeof members !== 'object' || members === null) return [];
  return USUAL.filter(({ origin }) => Object.hasOwn(members, origin)).map((usual) => ({
    ...usual,
    value: (members as Record<string, unknown>)[usual.origin],
    unit: 'auto',
  }));
}
