import type { Clock } from '../../lib/clock.ts';
import { type Moment, momentOf } from '../expiry/lifetime.ts';
import type { Attention } from './attention.ts';
import type { HeldToken } from './held-token.ts';
import type { Lease } from './lease.ts';
import type { RenewalLoop } from './renewal-loop.ts';
import type { TokenCustody } from './token-custody.ts';
import type { EmitTokenEvent } from './token-event.ts';
import type { TokenManagerSettings } from './token-manager-settings.ts';
import type { TokenCounters } from './token-status.ts';
import { TokenUnavailable, type UnavailableReason } from './token-unavailable.ts';
import { type WaiterKind, WaitingRoom } from './waiting-room.ts';

export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
  /** Shortens the configured wait, in milliseconds. */
  readonly maxWaitMs?: number | undefined;
}

interface DeskParts {
  /** The manager's. */
  readonly name: string;
  readonly settings: TokenManagerSettings;
  readonly clock: Clock;
  readonly emit: EmitTokenEvent;
  readonly attention: Attention;
  readonly custody: TokenCustody;
  readonly loop: RenewalLoop;
}

/**
 * Where requests get their leases: at once while there is a usable token, else after waiting for the one that is on its
 * way. What a request gets is decided by the token's time left on two clocks and by nothing else; whether anybody asks is
 * what renewal goes on for.
 */
export class LeaseDesk {
  readonly #name: string;
  readonly #settings: TokenManagerSettings;
  readonly #clock: Clock;
  readonly #emit: EmitTokenEvent;
  readonly #attention: Attention;
  readonly #custody: TokenCustody;
  readonly #loop: RenewalLoop;
  readonly #waiters: WaitingRoom;
  /** Set when `starving` was reported; cleared by the next token. */
  #isStarving = false;
  #isStopped = false;
  readonly #served = { servedFresh: 0, servedRenewing: 0, servedDegraded: 0 };

  constructor(parts: DeskParts) {
    this.#name = parts.name;
    this.#settings = parts.settings;
    this.#clock = parts.clock;
    this.#emit = parts.emit;
    this.#attention = parts.attention;
    this.#custody = parts.custody;
    this.#loop = parts.loop;
    this.#waiters = new WaitingRoom(parts.clock, (waitMs, outcome) =>
      this.#emit('waited', { waitMs, outcome }),
    );
  }

  /** How many requests wait. */
  get waiters(): number {
    return this.#waiters.size;
  }

  /** True: somebody wants a new token whatever the one in use has left. */
  get hasManual(): boolean {
    return this.#waiters.hasManual;
  }

  /** True: it was reported that requests wait because the issuer fails, and no token came since. */
  get isStarving(): boolean {
    return this.#isStarving;
  }

  get served(): Pick<TokenCounters, 'servedFresh' | 'servedRenewing' | 'servedDegraded'> {
    return this.#served;
  }

  /** The request path: two clock readings and a few comparisons, nothing allocated. */
  peek(): Lease | null {
    const token = this.#usableToken();
    if (token === null) return null;
    this.#countServed();
    return token.lease;
  }

  isReady(): boolean {
    return this.#usableToken() !== null;
  }

  async get(options: WaitOptions = {}): Promise<Lease> {
    options.signal?.throwIfAborted();
    return this.peek() ?? (await this.wait('get', options)) ?? this.#fail('issuer_failing');
  }

  /** Obtains a token now. */
  async refresh(options: WaitOptions = {}): Promise<Lease> {
    options.signal?.throwIfAborted();
    return (await this.wait('manual', options)) ?? this.#fail('issuer_failing');
  }

  maxWaitMs(options: WaitOptions): number {
    return Math.min(options.maxWaitMs ?? Number.POSITIVE_INFINITY, this.#settings.maxWaitMs);
  }

  /** Null only for `replay`: do not replay. */
  async wait(kind: WaiterKind, options: WaitOptions): Promise<Lease | null> {
    if (this.#isStopped) return this.#fail('stopped');
    if (this.#waiters.size >= this.#settings.maxWaiters) return this.#fail('too_many_waiters');
    const monoMs = this.#clock.monoMs();
    const lease = this.#waiters.enter({
      kind,
      maxWaitMs: this.maxWaitMs(options),
      signal: options.signal,
      timeoutError: () => this.#unavailable('issuer_failing'),
    });
    this.#noteDemand(monoMs);
    this.#loop.look();
    this.#noteStarving(momentOf(this.#clock));
    this.#refuseHopeless();
    return lease;
  }

  /** An attempt brought a token, or showed that there is no other than the one that was refused. */
  tokenCame(intake: 'installed' | 'reinstated', now: Moment): void {
    this.#isStarving = false;
    const lease = this.#custody.token?.lease ?? null;
    for (const waiter of this.#waiters.all()) {
      if (waiter.kind === 'manual' && lease !== null) waiter.serve(lease);
      else if (waiter.kind === 'replay' && intake === 'reinstated') waiter.serve(null);
    }
    this.#serveWaiters(now);
  }

  /** An attempt failed: what is left of the token in use serves those who wait, an operator hears of the failure. */
  attemptFailed(): void {
    this.#serveWaiters(momentOf(this.#clock));
    this.#waiters.refuse(
      (waiter) => waiter.kind === 'manual',
      () => this.#unavailable('issuer_failing'),
    );
  }

  /** It is known now when the issuer is asked again. */
  nextAttemptPlanned(now: Moment): void {
    this.#noteStarving(now);
    this.#refuseHopeless();
  }

  /** Nobody is served any more; those who wait are refused. */
  close(): void {
    this.#isStopped = true;
    this.#waiters.refuse(
      () => true,
      () => this.#unavailable('stopped'),
    );
  }

  #usableToken(): HeldToken | null {
    const token = this.#custody.token;
    const monoMs = this.#clock.monoMs();
    if (token === null) {
      this.#noteDemand(monoMs);
      return null;
    }
    const remainingMs = token.lifetime.remainingMs(monoMs, this.#clock.wallMs());
    if (remainingMs <= token.renewBelowMs || this.#attention.isDormant) this.#noteDemand(monoMs);
    this.#attention.note(monoMs);
    return remainingMs > token.cutoffMs ? token : null;
  }

  /** A request came while a renewal is due, nothing is there, or renewal had stopped for want of requests. */
  #noteDemand(monoMs: number): void {
    const wasIdle = this.#attention.isIdle(monoMs);
    this.#attention.wake(monoMs);
    if (this.#loop.isBusy) return;
    // While the issuer fails this is called for every request, and there is nothing to do before the pause ends.
    const isPausing = this.#loop.streak.failures > 0 && monoMs < this.#loop.nextAttemptMonoMs;
    if (!isPausing || wasIdle) this.#loop.look();
  }

  /** Requests that would only wait for their deadline hear at once that no attempt will be made before it. */
  #refuseHopeless(): void {
    if (this.#loop.isBusy) return;
    const { nextAttemptMonoMs } = this.#loop;
    this.#waiters.refuse(
      (waiter) => waiter.deadlineMonoMs < nextAttemptMonoMs,
      () => this.#unavailable('issuer_failing'),
    );
  }

  #serveWaiters(now: Moment): void {
    const token = this.#custody.token;
    if (this.#waiters.size === 0 || token === null || !token.isUsable(now)) return;
    for (const waiter of this.#waiters.all()) {
      if (waiter.kind === 'manual') continue;
      this.#countServed();
      waiter.serve(token.lease);
    }
  }

  #countServed(): void {
    if (this.#loop.streak.failures > 0) this.#served.servedDegraded += 1;
    else if (this.#loop.isBusy) this.#served.servedRenewing += 1;
    else this.#served.servedFresh += 1;
  }

  /** Says once that requests have to wait because the issuer fails. */
  #noteStarving(now: Moment): void {
    const { streak } = this.#loop;
    if (this.#isStarving || streak.failures === 0 || this.#custody.token?.isUsable(now) === true) return;
    this.#isStarving = true;
    this.#emit('starving', { failures: streak.failures, message: streak.message ?? '' });
  }

  #unavailable(reason: UnavailableReason): TokenUnavailable {
    const { streak, nextAttemptMonoMs } = this.#loop;
    return new TokenUnavailable({
      source: this.#name,
      reason: reason === 'issuer_failing' && streak.isMisconfigured ? 'credentials_refused' : reason,
      retryAfterMs: Number.isFinite(nextAttemptMonoMs) ? nextAttemptMonoMs - this.#clock.monoMs() : 0,
      detail: streak.message,
    });
  }

  #fail(reason: UnavailableReason): never {
    throw this.#unavailable(reason);
  }
}
