/** The registered times of a JWT as they stand there: seconds by RFC 7519, milliseconds with some issuers. */
export interface JwtTimes {
  readonly exp?: number;
  readonly nbf?: number;
  readonly iat?: number;
}

/** Longer claims than this are not worth decoding on the chance of an `exp` in them. */
const LONGEST_PAYLOAD = 65_536;

/**
 * The times inside a signed JWT (three parts), unverified: they are only used to renew in time. Undefined for
 * every other token, encrypted JWTs included.
 */
export function readJwtTimes(token: string): JwtTimes | undefined {
  const [header, payload, signature, ...rest] = token.split('.');
  if (header === undefined || payload === undefined || signature === undefined || rest.length > 0)
    return undefined;
  if (!header.startsWith('ey') || payload.length > LONGEST_PAYLOAD) return undefined;
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
