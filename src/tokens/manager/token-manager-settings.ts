import { BEARER_PLACEMENT, type Placement } from '../placement/placement.ts';

/** How one token is kept: `tokens.*` of the configuration. All durations in milliseconds. */
export interface TokenManagerSettings {
  readonly placements: readonly Placement[];
  /** `exclusive`: a new token revokes the previous one, so tokens are renewed late and rarely. */
  readonly rotation: 'overlap' | 'exclusive';
  /** Renewal starts at a random share of the lifetime in this range; null: the default range of `rotation`. */
  readonly refreshAt: readonly [number, number] | null;
  /** A token with less left is not used while the issuer responds; at most 5 % of its lifetime. */
  readonly leewayMs: number;
  /** A token with less left is never used; at most 1 % of its lifetime. */
  readonly floorMs: number;
  /** Time limit of one acquisition. */
  readonly attemptTimeoutMs: number;
  /** How long a request waits for a token. */
  readonly maxWaitMs: number;
  /** Requests that may wait at one time; the next one fails at once. */
  readonly maxWaiters: number;
  /** The lifetime of a token whose issuer states none. */
  readonly defaultTtlMs: number;
  /** Without a request for this long, renewal stops until the next one. */
  readonly idleStopMs: number;
  /** `start()` waits a random time up to this, so that many sources do not call their issuers at once. */
  readonly startJitterMs: number;
  /** Names the store through which the source shares its tokens, `none` without one: shown in messages, compared on reload. */
  readonly sharing?: string;
}

/** Whether several processes use one token of this source. */
export function isShared({ sharing = 'none' }: TokenManagerSettings): boolean {
  return sharing !== 'none';
}

/** The defaults of the configuration; `tokens.*` overrides them. */
export const DEFAULT_TOKEN_MANAGER_SETTINGS: TokenManagerSettings = {
  placements: [BEARER_PLACEMENT],
  rotation: 'overlap',
  refreshAt: null,
  leewayMs: 15_000,
  floorMs: 2_000,
  attemptTimeoutMs: 10_000,
  maxWaitMs: 30_000,
  maxWaiters: 1_000,
  defaultTtlMs: 240_000,
  idleStopMs: 15 * 60_000,
  startJitterMs: 0,
};

const MAX_START_JITTER_MS = 2_000;

/** The start jitter for this many sources: none for a single one, since the process is not ready before it has a token. */
export function startJitterFor(sources: number): number {
  return Math.min(MAX_START_JITTER_MS, 20 * Math.max(0, sources - 1));
}
