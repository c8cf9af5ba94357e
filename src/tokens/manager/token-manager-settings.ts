import { BEARER_PLACEMENT, type Placement } from '../placement/placement.ts';

/** How one token is kept: `tokens.*` of the configuration. All durations in milliseconds. */
export interface TokenManagerSettings {
  readonly placements: readonly Placement[];
  /** `exclusive`: a new token kills the old one, so tokens are renewed late and rarely. */
  readonly rotation: 'overlap' | 'exclusive';
  /** Renewal starts at a random share of the life in this range; null: the range that suits `rotation`. */
  readonly refreshAt: readonly [number, number] | null;
  /** A token with less left is not used while the issuer is well; at most 5 % of its life. */
  readonly leewayMs: number;
  /** A token with less left is never used; at most 1 % of its life. */
  readonly floorMs: number;
  /** How long one attempt at the issuer may take. */
  readonly attemptTimeoutMs: number;
  /** How long a request waits for a token. */
  readonly maxWaitMs: number;
  /** Requests that may wait at one time; the next is refused at once. */
  readonly maxWaiters: number;
  /** The life of a token whose issuer does not say. */
  readonly defaultTtlMs: number;
  /** Without a request for so long, renewal stops until the next one. */
  readonly idleStopMs: number;
  /** `start()` waits up to this at random, so that many sources do not ask at once. */
  readonly startJitterMs: number;
  /** Names the store that the source shares its tokens through, `none` when there is none: told to people, and compared on reload. */
  readonly sharing?: string;
}

/** Whether several processes use one token of this source. */
export function isShared({ sharing = 'none' }: TokenManagerSettings): boolean {
  return sharing !== 'none';
}

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

/** The most that starting sources are spread over. */
const MOST_START_JITTER_MS = 2_000;

/** A start jitter that suits so many sources: one starts at once, since the process is not ready before it. */
export function startJitterFor(sources: number): number {
  return Math.min(MOST_START_JITTER_MS, 20 * Math.max(0, sources - 1));
}
