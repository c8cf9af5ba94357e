import type { Clock } from '../../lib/clock.ts';
import type { SecretRegistry } from '../../lib/secret.ts';
import { oldEnoughMonoMs } from '../expiry/issued-token.ts';
import { type Moment, momentOf } from '../expiry/lifetime.ts';
import type { TokenSource } from '../sources/token-source.ts';
import type { Answer, Attempt } from './attempt.ts';
import { Attention } from './attention.ts';
import type { Failure, PauseContext } from './failure-streak.ts';
import type { Lease } from './lease.ts';
import { LeaseDesk, type WaitOptions } from './lease-desk.ts';
import { RenewalLoop } from './renewal-loop.ts';
import { type Wish, wishFor } from './renewal-wish.ts';
import { TokenCustody } from './token-custody.ts';
import { type EmitTokenEvent, emitterOf, type TokenEvent, unnamed } from './token-event.ts';
import type { TokenManagerSettings } from './token-manager-settings.ts';
import { statusOf, type TokenStatus } from './token-status.ts';

interface HolderOptions {
  readonly name: string;
  readonly source: TokenSource;
  readonly settings: TokenManagerSettings;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly secrets: SecretRegistry;
  /** Called for what is worth a log line or a count. What it throws is dropped. */
  readonly onEvent?: (event: TokenEvent) => void;
}

/** How long a token that is "too young" is held back when there is no other. */
const LONGEST_SETTLE_MS = 3_000;

/**
 * Keeps one token of one source usable: renews it in the background long before its end, serves the old one while
 * renewal fails, makes requests wait (and not fail) when there is none, and answers a refused token with at most one
 * renewal. What a request gets is decided by the token's time left on two clocks and by nothing else.
 */
export class TokenManager {
  readonly name: string;
  readonly #source: TokenSource;
  readonly #settings: TokenManagerSettings;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #emit: EmitTokenEvent;
  readonly #attention: Attention;
  readonly #custody: TokenCustody;
  readonly #loop: RenewalLoop;
  readonly #desk: LeaseDesk;
  #isStopped = false;
  #onSettled: (() => void) | null = null;
  #watch: { close(): void } | undefined;
  readonly #counters = {
    acquired: 0,
    failed: 0,
    rejected: 0,
    clockJumps: 0,
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
    this.#loop = new RenewalLoop(options.source, options.clock, options.random, {
      wish: (now, hasNews) => this.#wish(now, hasNews),
      pauseContext: (now) => this.#pauseContext(now),
      usableFromMonoMs: (answer, now) => this.#usableFromMonoMs(answer, now),
      accept: (answer, attempt) => this.#accept(answer, attempt),
      onFailure: () => this.#onFailure(),
      onFailurePlanned: (failure, attempt) => this.#onFailurePlanned(failure, attempt),
      scrub: (text) => unnamed(options.name, options.secrets.scrub(text)),
      onClockJump: (jumpMs, now) => {
        this.#custody.token?.lifetime.align(now);
        this.#counters.clockJumps += 1;
        this.#emit('clock_jump', { jumpMs });
      },
      onSettled: () => this.#onSettled?.(),
    });
    this.#desk = new LeaseDesk({
      ...options,
      emit: this.#emit,
      attention: this.#attention,
      custody: this.#custody,
      loop: this.#loop,
    });
  }

  /** The recipe that its tokens come from; token managers with equal ones would get the same tokens. */
  get sourceKey(): string {
    return this.#source.key;
  }

  get settings(): TokenManagerSettings {
    return this.#settings;
  }

  /** Begins to obtain and renew tokens. Resolves when the first attempt is over, however it ended; never rejects. */
  start(): Promise<void> {
    if (this.#isStopped || this.#onSettled !== null) return Promise.resolve();
    this.#attention.begin(this.#clock.monoMs(), this.#settings.startJitterMs * this.#random());
    const settled = new Promise<void>((resolve) => {
      this.#onSettled = resolve;
    });
    this.#watchSource();
    this.#loop.look();
    return settled;
  }

  /**
   * A usable lease right now, or null; allocates nothing. Starts a renewal in the background when one is due, or when
   * there is no token.
   */
  peek(): Lease | null {
    return this.#desk.peek();
  }

  /** Whether `peek()` would give a lease now. It counts as interest, so a missing token is obtained, but as no use. */
  isReady(): boolean {
    return this.#desk.isReady();
  }

  /**
   * A usable lease, waited for if need be. Rejects with `TokenUnavailable` when none came within the wait, or
   * none can come, and with the signal's reason when that aborts.
   */
  get(options?: WaitOptions): Promise<Lease> {
    return this.#desk.get(options);
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
      maxWaitMs: this.#desk.maxWaitMs(options),
      isBusy: this.#loop.isBusy,
    });
    this.#counters.rejected += 1;
    if (outcome === 'denied') return this.#custody.newTokenLag.standIn(momentOf(this.#clock));
    const current = outcome === 'superseded' ? this.peek() : null;
    return current ?? this.#desk.wait('replay', options);
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
  refresh(options?: WaitOptions): Promise<Lease> {
    return this.#desk.refresh(options);
  }

  status(): TokenStatus {
    return statusOf({
      name: this.name,
      kind: this.#source.kind,
      now: momentOf(this.#clock),
      isStopped: this.#isStopped,
      isDormant: this.#attention.isDormant,
      waiters: this.#desk.waiters,
      custody: this.#custody,
      loop: this.#loop,
      counters: { ...this.#counters, ...this.#desk.served },
    });
  }

  /** Ends everything: the attempt in flight is aborted, waiters are refused, no timer is left. Idempotent. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#watch?.close();
    this.#loop.stop();
    this.#custody.drop();
    this.#desk.close();
    try {
      await this.#source.close?.();
    } catch {
      this.#emit('note', { note: 'the source did not close cleanly' });
    }
  }

  #watchSource(): void {
    try {
      this.#watch = this.#source.watch?.(() => this.#loop.sourceChanged());
    } catch {
      this.#emit('note', { note: 'the source cannot be watched; its changes are seen at the next renewal' });
    }
  }

  // What the renewal loop asks and tells.

  #wish(now: Moment, hasNews: boolean): Wish | null {
    const isManual = this.#desk.hasManual;
    if (!isManual && !hasNews && this.#fallsDormant(now)) return null;
    return wishFor({
      now,
      hasNews,
      isManual,
      token: this.#custody.token,
      startMonoMs: this.#attention.startMonoMs,
      forcedFromMonoMs: this.#custody.forcedFromMonoMs,
      attemptTimeoutMs: this.#settings.attemptTimeoutMs,
      lastDurationMs: this.#loop.lastDurationMs,
    });
  }

  #fallsDormant({ monoMs }: Moment): boolean {
    if (this.#desk.waiters > 0) return false;
    if (this.#attention.lapse(monoMs)) this.#emit('dormant', { idleMs: this.#attention.idleMs(monoMs) });
    return this.#attention.isDormant;
  }

  #pauseContext(now: Moment): PauseContext {
    const token = this.#custody.token;
    return {
      hasWaiters: this.#desk.waiters > 0,
      isIdle: this.#attention.isIdle(now.monoMs),
      remainingMs: token === null || token.isRefused ? null : token.remainingMs(now),
      lifeMs: token?.lifetime.lifeMs ?? null,
    };
  }

  /** A young token waits while the old one serves; one that is not valid yet also without an old one, at most 3 s. */
  #usableFromMonoMs(answer: Answer, now: Moment): number {
    const token = this.#custody.token;
    const oldServesForMs = token?.isUsable(now) === true ? token.remainingMs(now) - token.cutoffMs : 0;
    const oldEndsMonoMs = now.monoMs + oldServesForMs;
    const latest = Math.max(answer.received.monoMs + LONGEST_SETTLE_MS, oldEndsMonoMs);
    const known = Math.min(this.#custody.newTokenLag.knownFromMonoMs(answer), oldEndsMonoMs);
    return Math.max(Math.min(oldEnoughMonoMs(answer), latest), known);
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
      this.#emit('recovered', {
        failures: streak.failures,
        failedForMs,
        wasStarving: this.#desk.isStarving,
      });
    }
    this.#desk.tokenCame(intake, now);
    return null;
  }

  #onFailure(): void {
    this.#counters.failed += 1;
    this.#custody.token?.serveToTheEnd();
    this.#desk.attemptFailed();
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
    this.#desk.nextAttemptPlanned(now);
  }
}
