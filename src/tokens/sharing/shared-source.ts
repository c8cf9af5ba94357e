import type { Clock, Timer } from '../../lib/clock.ts';
import { errorCodeOf } from '../../lib/errors/ferry-error.ts';
import { fingerprintOf } from '../../lib/secret.ts';
import { issuerNowMs, momentOf, statedLife } from '../expiry/lifetime.ts';
import { cleanTokenValue } from '../sources/raw-token.ts';
import {
  type AcquireContext,
  type RawToken,
  type TokenSource,
  TokenSourceError,
} from '../sources/token-source.ts';
import { type RenewalLease, type StoredToken, type TokenStore, TokenStoreError } from './token-store.ts';

interface SharingSettings {
  /** `exclusive`: a token of our own would revoke that of the others, so an unavailable store stops renewal. */
  readonly rotation: 'overlap' | 'exclusive';
  /** How long one replica may take to renew before another one does; more than an attempt's timeout. */
  readonly leaseMs: number;
  readonly clock: Clock;
}

/** How often a replica checks whether the one that renews is done. */
const POLL_MS = 200;

/** How often a replica checks for a newer token without a hint, as a share of the life of the last one. */
const CHECK_SHARE = 0.05;
const MIN_CHECK_MS = 1_000;
const MAX_CHECK_MS = 30_000;

/** This replica renews; its token will be the one of this number. */
interface RightToRenew {
  readonly lease: RenewalLease;
  readonly generation: number;
}

/**
 * A source whose tokens are shared: one replica calls the issuer, the others take its token from the store. To the token
 * manager it is a source like any other; renewal points are jittered, so the first one renews for all. Lock, read
 * again, check again, as oauth2-proxy does.
 */
export class SharedSource implements TokenSource {
  readonly #inner: TokenSource;
  readonly #store: TokenStore;
  readonly #settings: SharingSettings;
  /** The fingerprint of the token seen last, so that a hint about our own write is ignored. */
  #lastSeen: string | null = null;
  /** Calls of `acquire` under way; each of them reads the store itself. */
  #acquiring = 0;
  /** How long the token seen last lives, in milliseconds; null before the first, or when it is unknown. */
  #lastLifeMs: number | null = null;

  constructor(inner: TokenSource, store: TokenStore, settings: SharingSettings) {
    this.#inner = inner;
    this.#store = store;
    this.#settings = settings;
  }

  get kind(): string {
    return this.#inner.kind;
  }

  get key(): string {
    return this.#inner.key;
  }

  async acquire(context: AcquireContext): Promise<RawToken> {
    this.#acquiring += 1;
    try {
      return await this.#acquire(context);
    } finally {
      this.#acquiring -= 1;
    }
  }

  watch(onChange: () => void): { close(): void } {
    const inner = this.#inner.watch?.(onChange);
    const store = this.#store.watch(this.key, () => void this.#checkForNews(onChange));
    // Hints may not arrive; the regular check finds a new token in time.
    let check: Timer;
    const plan = (): void => {
      check = this.#settings.clock.schedule(() => {
        plan();
        void this.#checkForNews(onChange);
      }, this.#checkEveryMs());
    };
    plan();
    return {
      close: () => {
        inner?.close();
        store.close();
        check.cancel();
      },
    };
  }

  /** Closes the store too, which is this source's own view of it. */
  async close(): Promise<void> {
    await Promise.all([this.#inner.close?.(), this.#store.close()]);
  }

  async #acquire(context: AcquireContext): Promise<RawToken> {
    let right: RightToRenew;
    try {
      const shared = await this.#tokenOrRight(context);
      if ('value' in shared) return shared;
      right = shared;
    } catch (error) {
      context.signal.throwIfAborted();
      if (this.#settings.rotation === 'exclusive') {
        throw new TokenSourceError(`the store of shared tokens is unavailable${reasonOf(error)}`, {
          cause: error,
        });
      }
      // A token of our own is better than none.
      const own = await this.#inner.acquire(context);
      const note = `the store of shared tokens is unavailable${reasonOf(error)}: this replica uses its own token`;
      return { ...own, notes: [...(own.notes ?? []), note] };
    }
    try {
      return await this.#renew(context, right.generation);
    } finally {
      await right.lease.release();
    }
  }

  /** Another replica's newer token, or the right to obtain one; waits while another replica renews. */
  async #tokenOrRight(context: AcquireContext): Promise<RawToken | RightToRenew> {
    for (;;) {
      context.signal.throwIfAborted();
      const before = await this.#store.get(this.key);
      const token = this.#newerToken(before, context);
      if (token !== null) return token;
      const lease = await this.#store.lease(this.key, this.#settings.leaseMs);
      if (lease !== null) {
        // The previous owner of the lease may have stored a token since we read.
        const stored = await this.#store.get(this.key).catch(async (error: unknown) => {
          await lease.release();
          throw error;
        });
        const newer = this.#newerToken(stored, context);
        if (newer === null) return { lease, generation: (stored?.generation ?? 0) + 1 };
        await lease.release();
        return newer;
      }
      await this.#pause(context.signal);
    }
  }

  /** The stored token, if it has not expired and is not the one that the manager has (or that was rejected). */
  #newerToken(stored: StoredToken | null, context: AcquireContext): RawToken | null {
    if (stored === null || context.reason === 'manual') return null;
    if (fingerprintOf(stored.value) === context.previousFingerprint) return null;
    return this.#take(stored);
  }

  /** A stored token as an issuer's; null when it has expired. */
  #take(stored: StoredToken): RawToken | null {
    const ageMs = this.#ageMs(stored);
    if (ageMs === null) return null;
    this.#lastSeen = fingerprintOf(stored.value);
    this.#lastLifeMs = stored.lifeMs;
    return rawOf(stored, ageMs);
  }

  /** Null: as good as expired. A negative age means that a clock was set back, so the remaining life is unknown. */
  #ageMs({ issuedWallMs, lifeMs }: StoredToken): number | null {
    const ageMs = this.#settings.clock.wallMs() - issuedWallMs;
    return ageMs < 0 || (lifeMs !== null && ageMs >= 0.95 * lifeMs) ? null : ageMs;
  }

  /** Calls the issuer and stores its token as `generation`, counted when the lease was taken: the fencing token. */
  async #renew(context: AcquireContext, generation: number): Promise<RawToken> {
    const { clock } = this.#settings;
    const sent = momentOf(clock);
    const acquired = await this.#inner.acquire(context);
    // Cleaned before it is stored: replicas compare values.
    const raw = { ...acquired, value: cleanTokenValue(acquired.value) };
    const received = momentOf(clock);
    this.#lastSeen = fingerprintOf(raw.value);
    this.#lastLifeMs = statedLife(raw, sent, received).lifeMs;
    const skewMs = issuerNowMs(raw, sent, received) - (sent.wallMs + received.wallMs) / 2;
    const token = {
      generation,
      value: raw.value,
      issuedWallMs: sent.wallMs,
      lifeMs: this.#lastLifeMs,
      ...(raw.refreshInMs === undefined ? {} : { refreshInMs: raw.refreshInMs }),
      ...(raw.notBeforeWallMs === undefined ? {} : { notBeforeWallMs: raw.notBeforeWallMs - skewMs }),
      ...(raw.extra === undefined ? {} : { extra: raw.extra }),
      ...(raw.isLocalTime === undefined ? {} : { isLocalTime: raw.isLocalTime }),
    };
    try {
      if (await this.#store.put(this.key, token)) return raw;
      // Our lease expired and another replica renewed: its token is the one that all use.
      const newer = await this.#store.get(this.key);
      return (newer === null ? null : this.#take(newer)) ?? raw;
    } catch {
      // The token is still valid.
      return raw;
    }
  }

  /** During an acquisition a change is no news: it would cause another one, of the issuer. */
  async #checkForNews(onChange: () => void): Promise<void> {
    try {
      const stored = await this.#store.get(this.key);
      if (this.#acquiring > 0 || stored === null || this.#ageMs(stored) === null) return;
      if (fingerprintOf(stored.value) !== this.#lastSeen) onChange();
    } catch {
      // An unavailable store has no news.
    }
  }

  #checkEveryMs(): number {
    const lifeMs = this.#lastLifeMs ?? Number.POSITIVE_INFINITY;
    return Math.min(MAX_CHECK_MS, Math.max(MIN_CHECK_MS, CHECK_SHARE * lifeMs));
  }

  #pause(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        timer.cancel();
        reject(signal.reason);
      };
      const timer = this.#settings.clock.schedule(() => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      }, POLL_MS);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}

/** Of foreign errors only the code is quoted: their text names hosts and users. */
function reasonOf(error: unknown): string {
  if (error instanceof TokenStoreError) return ` (${error.message})`;
  const code = errorCodeOf(error) ?? '';
  return /^[A-Z0-9_]{2,40}$/.test(code) ? ` (${code})` : '';
}

function rawOf(stored: StoredToken, ageMs: number): RawToken {
  return {
    value: stored.value,
    ageMs,
    ...(stored.lifeMs === null ? {} : { lifetimeMs: stored.lifeMs }),
    ...(stored.refreshInMs === undefined ? {} : { refreshInMs: stored.refreshInMs }),
    ...(stored.notBeforeWallMs === undefined ? {} : { notBeforeWallMs: stored.notBeforeWallMs }),
    ...(stored.extra === undefined ? {} : { extra: stored.extra }),
    ...(stored.isLocalTime === undefined ? {} : { isLocalTime: stored.isLocalTime }),
  };
}
