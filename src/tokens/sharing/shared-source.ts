import type { Clock } from '../../clock.ts';
import { fingerprintOf } from '../../secret.ts';
import { issuerNowMs, momentOf, statedLife } from '../lifetime.ts';
import type { AcquireContext, RawToken, TokenSource } from '../token-source.ts';
import { TokenSourceError } from '../token-source-error.ts';
import { cleanTokenValue } from '../token-value.ts';
import type { RenewalLease, StoredToken, TokenStore } from './token-store.ts';

export interface SharingSettings {
  /** `exclusive`: asking the issuer behind the others' back would kill their token, so a store that is away stops renewal. */
  readonly rotation: 'overlap' | 'exclusive';
  /** How long one replica may take to renew before another one does; more than an attempt's time. */
  readonly leaseMs: number;
  readonly clock: Clock;
}

/** How often a replica looks whether the one that renews is done. */
const POLL_MS = 200;

/**
 * A source whose tokens are shared: one replica asks the issuer, the others take its token from the store. To the
 * holder it is a source like any other; its renewal points are jittered, so whoever comes first renews for all.
 * Lock, read again, check again, as oauth2-proxy does it.
 */
export class SharedSource implements TokenSource {
  readonly #inner: TokenSource;
  readonly #store: TokenStore;
  readonly #settings: SharingSettings;
  /** The fingerprint of the token seen last, so that a hint about our own writing is no news. */
  #lastSeen: string | null = null;
  /** Calls of `acquire` under way; each of them looks into the store by itself. */
  #asking = 0;

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
    this.#asking += 1;
    try {
      return await this.#acquire(context);
    } finally {
      this.#asking -= 1;
    }
  }

  watch(onChange: () => void): { close(): void } {
    const inner = this.#inner.watch?.(onChange);
    const store = this.#store.watch(this.key, () => void this.#onHint(onChange));
    return {
      close: () => {
        inner?.close();
        store.close();
      },
    };
  }

  async close(): Promise<void> {
    await this.#inner.close?.();
  }

  async #acquire(context: AcquireContext): Promise<RawToken> {
    let lease: RenewalLease | null;
    try {
      const shared = await this.#tokenOrLease(context);
      if ('value' in shared) return shared;
      lease = shared.lease;
    } catch (error) {
      context.signal.throwIfAborted();
      if (this.#settings.rotation === 'exclusive') {
        throw new TokenSourceError('the store of shared tokens is away', { cause: error });
      }
      // Each replica on its own is better than none at all.
      return this.#inner.acquire(context);
    }
    try {
      return await this.#renew(context);
    } finally {
      await lease.release();
    }
  }

  /** Another replica's newer token, or the lease to obtain one; waits while another replica renews. */
  async #tokenOrLease(context: AcquireContext): Promise<RawToken | { lease: RenewalLease }> {
    for (;;) {
      context.signal.throwIfAborted();
      const token = await this.#newerToken(context);
      if (token !== null) return token;
      const lease = await this.#store.lease(this.key, this.#settings.leaseMs);
      if (lease !== null) {
        // Whoever had the lease before may have stored a token since we looked.
        const stored = await this.#newerToken(context);
        if (stored === null) return { lease };
        await lease.release();
        return stored;
      }
      await this.#pause(context.signal);
    }
  }

  /** What is stored, if it is alive and not the token that the holder has (or that was refused to it). */
  async #newerToken(context: AcquireContext): Promise<RawToken | null> {
    if (context.reason === 'manual') return null;
    const stored = await this.#store.get(this.key);
    if (stored === null) return null;
    const fingerprint = fingerprintOf(stored.value);
    if (fingerprint === context.previousFingerprint) return null;
    const ageMs = this.#settings.clock.wallMs() - stored.issuedWallMs;
    // A negative age means that a clock was set back: nothing is known about what is left.
    if (ageMs < 0 || (stored.lifeMs !== null && ageMs >= 0.95 * stored.lifeMs)) return null;
    this.#lastSeen = fingerprint;
    return rawOf(stored, ageMs);
  }

  async #renew(context: AcquireContext): Promise<RawToken> {
    const { clock } = this.#settings;
    const sent = momentOf(clock);
    const answer = await this.#inner.acquire(context);
    // Cleaned before it is stored: all replicas must see the same value to tell whether it is another one.
    const raw = { ...answer, value: cleanTokenValue(answer.value) };
    const received = momentOf(clock);
    this.#lastSeen = fingerprintOf(raw.value);
    const skewMs = issuerNowMs(raw, sent, received) - (sent.wallMs + received.wallMs) / 2;
    const token = {
      value: raw.value,
      issuedWallMs: sent.wallMs,
      lifeMs: statedLife(raw, sent, received).lifeMs,
      ...(raw.refreshInMs === undefined ? {} : { refreshInMs: raw.refreshInMs }),
      ...(raw.notBeforeWallMs === undefined ? {} : { notBeforeWallMs: raw.notBeforeWallMs - skewMs }),
      ...(raw.extra === undefined ? {} : { extra: raw.extra }),
    };
    try {
      const before = await this.#store.get(this.key);
      await this.#store.put(this.key, { ...token, generation: (before?.generation ?? 0) + 1 });
    } catch {
      // The token is good all the same; the next replica will find the store away itself.
    }
    return raw;
  }

  /** While the holder asks already a hint is no news: it would make it ask once more, and then the issuer. */
  async #onHint(onChange: () => void): Promise<void> {
    try {
      const stored = await this.#store.get(this.key);
      if (this.#asking > 0 || stored === null) return;
      if (fingerprintOf(stored.value) !== this.#lastSeen) onChange();
    } catch {
      // A hint about a store that is away.
    }
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

function rawOf(stored: StoredToken, ageMs: number): RawToken {
  return {
    value: stored.value,
    ageMs,
    ...(stored.lifeMs === null ? {} : { lifetimeMs: stored.lifeMs }),
    ...(stored.refreshInMs === undefined ? {} : { refreshInMs: stored.refreshInMs }),
    ...(stored.notBeforeWallMs === undefined ? {} : { notBeforeWallMs: stored.notBeforeWallMs }),
    ...(stored.extra === undefined ? {} : { extra: stored.extra }),
  };
}
