const DECIMAL = /^\d+(\.\d+)?$/;

/**
 * `Retry-After` in milliseconds: seconds, or a date (RFC 9110), read against the issuer's own clock. Undefined
 * when it is absent, negative or nonsense. How much of it is honoured is for the caller to decide.
 */
export function parseRetryAfter(value: string | undefined, nowWallMs: number): number | undefined {
  const text = value?.trim();
  if (text === undefined || text === '') return undefined;
  if (DECIMAL.test(text)) {
    const ms = Number(text) * 1000;
    return Number.isSafeInteger(Math.round(ms)) ? ms : undefined;
  }
  // A bare "-5" is a year to Date.parse.
  if (!/[a-z]/i.test(text)) return undefined;
  const wallMs = Date.parse(text);
  return Number.isNaN(wallMs) || wallMs < nowWallMs ? undefined : wallMs - nowWallMs;
}
