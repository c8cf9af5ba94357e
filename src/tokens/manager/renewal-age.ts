import type { TokenManagerSettings } from './token-manager-settings.ts';

/** Early enough that an issuer may be away for a third of the token's life. */
const OVERLAP_RANGE: readonly [number, number] = [0.4, 0.5];
/** Each renewal kills the token in use, so there should be few; still leaves a fifth of the life for retries. */
const EXCLUSIVE_RANGE: readonly [number, number] = [0.75, 0.8];

/** The share of a life after which any replica of ours may renew a token. */
export function earliestRenewalShare({
  refreshAt,
  rotation,
}: Pick<TokenManagerSettings, 'refreshAt' | 'rotation'>): number {
  return (refreshAt ?? (rotation === 'exclusive' ? EXCLUSIVE_RANGE : OVERLAP_RANGE))[0];
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/**
 * The age at which a token is renewed, in milliseconds. Uniform in the configured share of its life, so that
 * replicas drift apart; long tokens are renewed 15 to 20 minutes (or 5 % of the life, at most a day) before their
 * end, as more would only cost quota. The issuer's own wish wins when it is earlier.
 */
export function renewalAgeMs(
  lifeMs: number,
  settings: Pick<TokenManagerSettings, 'refreshAt' | 'rotation'>,
  issuerWishMs: number | undefined,
  random: () => number,
): number {
  const [from, to] =
    settings.refreshAt ?? (settings.rotation === 'exclusive' ? EXCLUSIVE_RANGE : OVERLAP_RANGE);
  const byShare = lifeMs * (from + (to - from) * random());
  const earliestMs = Math.max((15 + 5 * random()) * MINUTE_MS, Math.min(0.05 * lifeMs, DAY_MS));
  const ageMs = Math.max(byShare, lifeMs - earliestMs);
  if (issuerWishMs === undefined || !Number.isFinite(issuerWishMs)) return ageMs;
  // A wish of 0 would mean an issuer call per answer.
  return Math.min(ageMs, Math.max(issuerWishMs, shortestPollMs(lifeMs)));
}

/**
 * How long to wait before an issuer that returned the token we have is asked again: half of what is left, so that
 * the polls get closer as the end comes near, and the last one comes before it.
 */
export function sameTokenPollMs(lifeMs: number, remainingMs: number): number {
  return Math.min(Math.max(shortestPollMs(lifeMs), remainingMs / 2), 0.8 * remainingMs);
}

/** 5 s; less only for tokens that live so short that 5 s would be a good part of their life. */
function shortestPollMs(lifeMs: number): number {
  return Math.min(5_000, 0.1 * lifeMs);
}
