import type { Clock } from '../clock.ts';
import type { SecretRegistry } from '../secret.ts';
import type { Answer, Attempt } from './attempt.ts';
import { Attention } from './attention.ts';
import type { Failure, PauseContext } from './failure-streak.ts';
import type { HeldToken } from './held-token.ts';
import type { HolderSettings } from './holder-settings.ts';
import { type HolderStatus, statusOf } from './holder-status.ts';
import { oldEnoughMonoMs } from './issued-token.ts';
import type { Lease } from './lease.ts';
import { type Moment, momentOf } from './lifetime.ts';
import { RenewalLoop } from './renewal-loop.ts';
import { type Wish, wishFor } from './renewal-wish.ts';
import { TokenCustody } from './token-custody.ts';
import { type EmitTokenEvent, emitterOf, type TokenEvent } from './token-event.ts';
import type { TokenSource } from './token-source.ts';
import { TokenUnavailable, type UnavailableReason } from './token-unavailable.ts';
import { type WaiterKind, WaitingRoom } from './waiting-room.ts';

export interface HolderOptions {
  readonly name: string;
  readonly source: TokenSource;
  readonly settings: HolderSettings;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly secrets: SecretRegistry;
  /** Called for what is worth a log line or a count. What it throws is dropped. */
  readonly onEvent?: (event: TokenEvent) => void;
}

export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
  /** Shortens the configured wait, in milliseconds. */
  readonly maxWaitMs?: number | undefined;
}

/** How long a token that is "too young" is held back when there is no other. */
const LONGEST_SETTLE_MS = 3_000;

/**
 * Keeps one token of one source usable: renews it in the background long before its end, serves the old one while
 * renewal fails, makes requests wait (and not fail) when there is none, and answers a refused token with at most one
 * renewal. What a request gets is decided by the token's time left on two clocks and by nothing else.
 */
export class TokenHolder {
  readonly name: string;
  readonly #source: TokenSource;
  readonly #settings: HolderSettings;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #emit: EmitTokenEvent;
  readonly #loop: RenewalLoop;
  readonly #waiters: WaitingRoom;
  readonly #custody: TokenCustody;

  readonly #attention: Attention;
  /** The background start waits until then (jitter); minus infinity once a request asked, which does not wait. */
  #startMonoMs = Number.NEGATIVE_INFINITY;
  /** Set when `starving` was reported; cleared by the next token. */
  #isStarving = false;
  #isStopped = false;
  #onSettled: (() => void) | null = null;
  #watch: { close(): void } | undefined;
  readonly #counters = {
    acquired: 0,
    failed: 0,
    rejected: 0,
    clockJumps: 0,
    servedFresh: 0,
    servedRenewing: 0,
    servedDegraded: 0,
  };

  constructor(options: HolderOptions) {
    this.name = options.name;
    this.#source = options.source;
    this.#settings = options.settings;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#emit = emitterOf(options.name, options.onEvent);
    this.#custody = new TokenCustody({ ...options, emit: this.#emit });
    this.#attention = new Attention(options.clock.monoMs(), options.settings.idleStopMs);
    this.#waiters = new WaitingRoom(options.clock, (waitMs, outcome) =>
      this.#emit('waited', { waitMs, outcome }),
    );
    this.#loop = new RenewalLoop(options.source, options.clock, options.random, {
      wish: (now, hasNews) => this.#wish(now, hasNews),
      pauseContext: (now) => this.#pauseContext(now),
      usableFromMonoMs: (answer, now) => this.#usableFromMonoMs(answer, now),
      accept: (answer, attempt) => this.#accept(answer, attempt),
      onFailure: () => this.#onFailure(),
      onFailurePlanned: (failure, attempt) => this.#onFailurePlanned(failure, attempt),
      scrub: (text) => options.secrets.scrub(text),
      onClockJump: (jumpMs, now) => {
        this.#custody.token?.lifetime.align(now);
        this.#counters.clockJumps += 1;
        this.#emit('clock_jump', { jumpMs });
      },
      onSettled: () => this.#onSettled?.(),
    });
  }

  /** The recipe that its tokens come from; holders with equal ones would get the same tokens. */
  get sourceKey(): string {
    return this.#source.key;
  }

  get settings(): HolderSettings {
    return this.#settings;
  }

  /** Begins to obtain and renew tokens. Resolves when the first attempt is over, however it ended; never rejects. */
  start(): Promise<void> {
    if (this.#isStopped || this.#onSettled !== null) return Promise.resolve();
    const monoMs = this.#clock.monoMs();
    this.#attention.note(monoMs);
    this.#startMonoMs = monoMs + this.#settings.startJitterMs * this.#random();
    const settled = new Promise<void>((resolve) => {
      this.#onSettled = resolve;
    });
    this.#watchSource();
    this.#loop.look();
    return settled;
  }

  /**
   * A usable lease right now, or null. The request path: two clock readings and a few comparisons, nothing
   * allocated. Starts a renewal in the background when one is due, or when there is no token.
   */
  peek(): Lease | null {
    const token = this.#usableToken();
    if (token === null) return null;
    this.#countServed();
    return token.lease;
  }

  /** Whether `peek()` would give a lease now. It counts as interest, so a missing token is obtained, but as no use. */
  isReady(): boolean {
    return this.#usableToken() !== null;
  }

  /**
   * A usable lease, waited for if need be. Rejects with `TokenUnavailable` when none came within the wait, or
   * none can come, and with the signal's reason when that aborts.
   */
  async get(options: WaitOptions = {}): Promise<Lease> {
    options.signal?.throwIfAborted();
    return this.peek() ?? (await this.#wait('get', options)) ?? this.#fail('issuer_failing');
  }

  /**
   * Another lease than the one that an upstream refused: for one replay. Null: do not replay, as a renewal would not
   * help or is not permitted now. Rejects like `get`. However many requests report one token, it is renewed once.
   */
  async renewAfter(
    rejected: Lease,
    options: WaitOptions & { readonly status?: number | undefined } = {},
  ): Promise<Lease | null> {
    options.signal?.throwIfAborted();
    const outcome = this.#custody.refuse(rejected, {
      status: options.status ?? null,
      maxWaitMs: this.#maxWaitMs(options),
      isBusy: this.#loop.isBusy,
    });
    this.#counters.rejected += 1;
    if (outcome === 'denied') return null;
    const current = outcome === 'superseded' ? this.peek() : null;
    return current ?? this.#wait('replay', options);
  }

  /** The replay was refused as well. Renews nothing, but tokens that nobody accepts open the breaker sooner. */
  reportRejected(lease: Lease): void {
    this.#counters.rejected += 1;
    this.#custody.refuseReplay(lease);
  }

  /** An upstream accepted the token of `lease`. */
  reportAccepted(lease: Lease): void {
    this.#custody.prove(lease);
  }

  /** Obtains a token now, whatever the one in use has left. Rejects with `TokenUnavailable` when the attempt fails. */
  async refresh(options: WaitOptions = {}): Promise<Lease> {
    options.signal?.throwIfAborted();
    return (await this.#wait('manual', options)) ?? this.#fail('issuer_failing');
  }

  status(): HolderStatus {
    return statusOf({
      name: this.name,
      kind: this.#source.kind,
      now: momentOf(this.#clock),
      isStopped: this.#isStopped,
      isDormant: this.#attention.isDormant,
      waiters: this.#waiters.size,
      custody: this.#custody,
      loop: this.#loop,
      counters: this.#counters,
    });
  }

  /** Ends everything: the attempt in flight is aborted, waiters are refused, no timer is left. Idempotent. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#watch?.close();
    this.#loop.stop();
    this.#custody.drop();
    this.#waiters.refuse(
      () => true,
      () => this.#unavailable('stopped'),
    );
    try {
      await this.#source.close?.();
    } catch {
      this.#emit('note', { note: 'the source did not close cleanly' });
    }
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

  #watchSource(): void {
    try {
      this.#watch = this.#source.watch?.(() => this.#loop.sourceChanged());
    } catch {
      this.#emit('note', { note: 'the source cannot be watched; its changes are seen at the next renewal' });
    }
  }

  /** A request came while a renewal is due, nothing is there, or renewal had stopped for want of requests. */
  #noteDemand(monoMs: number): void {
    const wasIdle = this.#attention.isIdle(monoMs);
    this.#attention.wake(monoMs);
    this.#startMonoMs = Number.NEGATIVE_INFINITY;
    if (this.#loop.isBusy) return;
    // While the issuer fails this is called for every request, and there is nothing to do before the pause ends.
    const isPausing = this.#loop.streak.failures > 0 && monoMs < this.#loop.nextAttemptMonoMs;
    if (!isPausing || wasIdle) this.#loop.look();
  }

  #maxWaitMs(options: WaitOptions): number {
    return Math.min(options.maxWaitMs ?? Number.POSITIVE_INFINITY, this.#settings.maxWaitMs);
  }

  async #wait(kind: WaiterKind, options: WaitOptions): Promise<Lease | null> {
    if (this.#isStopped) return this.#fail('stopped');
    if (this.#waiters.size >= this.#settings.maxWaiters) return this.#fail('too_many_waiters');
    const monoMs = this.#clock.monoMs();
    const lease = this.#waiters.enter({
      kind,
      maxWaitMs: this.#maxWaitMs(options),
      signal: options.signal,
      timeoutError: () => this.#unavailable('issuer_failing'),
    });
    this.#noteDemand(monoMs);
    this.#loop.look();
    this.#noteStarving(momentOf(this.#clock));
    this.#refuseHopeless();
    return lease;
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

  #unavailable(reason: UnavailableReason): TokenUnavailable {
    const { streak, nextAttemptMonoMs } = this.#loop;
    return new TokenUnavailable({
      holder: this.name,
      reason: reason === 'issuer_failing' && streak.isMisconfigured ? 'credentials_refused' : reason,
      retryAfterMs: Number.isFinite(nextAttemptMonoMs) ? nextAttemptMonoMs - this.#clock.monoMs() : 0,
      detail: streak.message,
    });
  }

  #fail(reason: UnavailableReason): never {
    throw this.#unavailable(reason);
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
    if (this.#loop.streak.failures > 0) this.#counters.servedDegraded += 1;
    else if (this.#loop.isBusy) this.#counters.servedRenewing += 1;
    else this.#counters.servedFresh += 1;
  }

  // What the renewal loop asks and tells.

  #wish(now: Moment, hasNews: boolean): Wish | null {
    const isManual = this.#waiters.hasManual;
    if (!isManual && !hasNews && this.#fallsDormant(now)) return null;
    return wishFor({
      now,
      hasNews,
      isManual,
      token: this.#custody.token,
      startMonoMs: this.#startMonoMs,
      forcedFromMonoMs: this.#custody.forcedFromMonoMs,
      attemptTimeoutMs: this.#settings.attemptTimeoutMs,
      lastDurationMs: this.#loop.lastDurationMs,
    });
  }

  #fallsDormant({ monoMs }: Moment): boolean {
    if (this.#waiters.size > 0) return false;
    if (this.#attention.lapse(monoMs)) this.#emit('dormant', { idleMs: this.#attention.idleMs(monoMs) });
    return this.#attention.isDormant;
  }

  #pauseContext(now: Moment): PauseContext {
    const token = this.#custody.token;
    return {
      hasWaiters: this.#waiters.size > 0,
      isIdle: this.#attention.isIdle(now.monoMs),
      remainingMs: token === null || token.isRefused ? null : token.remainingMs(now),
      lifeMs: token?.lifetime.lifeMs ?? null,
    };
  }

  /** A young token waits while the old one serves, or at most 3 s when there is none. */
  #usableFromMonoMs(answer: Answer, now: Moment): number {
    const oldEnough = oldEnoughMonoMs(answer);
    const token = this.#custody.token;
    const oldServesForMs = token?.isUsable(now) === true ? token.remainingMs(now) - token.cutoffMs : 0;
    const latest = Math.max(answer.received.monoMs + LONGEST_SETTLE_MS, now.monoMs + oldServesForMs);
    return Math.min(oldEnough, latest);
  }

  #accept(answer: Answer, attempt: Attempt): Failure | null {
    const { streak } = this.#loop;
    const intake = this.#custody.take(answer, attempt, streak.failures);
    if (typeof intake === 'object') return intake;
    if (intake === 'ask_again') return null;
    this.#counters.acquired += 1;
    const now = momentOf(this.#clock);
    if (streak.failures > 0) {
      const failedForMs = streak.failingForMs(now.monoMs);
      this.#emit('recovered', { failures: streak.failures, failedForMs, wasStarving: this.#isStarving });
    }
    this.#isStarving = false;
    const lease = this.#custody.token?.lease ?? null;
    for (const waiter of this.#waiters.all()) {
      if (waiter.kind === 'manual' && lease !== null) waiter.serve(lease);
      else if (waiter.kind === 'replay' && intake === 'reinstated') waiter.serve(null);
    }
    this.#serveWaiters(now);
    return null;
  }

  #onFailure(): void {
    this.#counters.failed += 1;
    this.#custody.token?.serveToTheEnd();
    this.#serveWaiters(momentOf(this.#clock));
    this.#waiters.refuse(
      (waiter) => waiter.kind === 'manual',
      () => this.#unavailable('issuer_failing'),
    );
  }

  #onFailurePlanned(failure: Failure, attempt: Attempt): void {
    const now = momentOf(this.#clock);
    const { nextAttemptMonoMs } = this.#loop;
    this.#emit('renewal_failed', {
      reason: attempt.reason,
      durationMs: now.monoMs - attempt.sent.monoMs,
      severity: failure.severity,
      message: failure.message,
      failures: this.#loop.streak.failures,
      remainingMs: this.#custody.token?.remainingMs(now) ?? null,
      nextAttemptInMs: Number.isFinite(nextAttemptMonoMs)
        ? Math.max(0, nextAttemptMonoMs - now.monoMs)
        : null,
    });
    this.#noteStarving(now);
    this.#refuseHopeless();
  }

  /** Says once that requests have to wait because the issuer fails. */
  #noteStarving(now: Moment): void {
    const { streak } = this.#loop;
    if (this.#isStarving || streak.failures === 0 || this.#custody.token?.isUsable(now) === true) return;
    this.#isStarving = true;
    this.#emit('starving', { failures: streak.failures, message: streak.message ?? '' });
  }
}
