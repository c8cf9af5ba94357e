import type { Clock, Timer } from '../../lib/clock.ts';
import type { SecretRegistry } from '../../lib/secret.ts';
import { momentOf } from '../expiry/lifetime.ts';
import type { TokenSource } from '../sources/token-source.ts';
import { type Acquisition, type RunningAcquisition, runAcquisition } from './acquisition.ts';
import { Lease } from './lease.ts';
import { SecretRetention } from './secret-retention.ts';
import type { TokenEvent } from './token-event.ts';
import type { TokenManagerSettings } from './token-manager-settings.ts';
import { countServed, initialState, noteRequest, type TokenState, usableToken } from './token-state.ts';
import { statusOf, type TokenStatus } from './token-status.ts';
import { type TokenEffect, type TokenInput, type TokenRules, transition } from './transition.ts';
import { type Waiter, type WaiterKind, Waiters } from './waiters.ts';

interface TokenManagerOptions {
  readonly name: string;
  readonly source: TokenSource;
  readonly settings: TokenManagerSettings;
  /** Equal for sources of one account of one issuer, whatever their secrets are; null: not known. */
  readonly identity?: string | null;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly secrets: SecretRegistry;
  /** Called for what is worth a log line or a count. What it throws is dropped. */
  readonly onEvent?: (event: TokenEvent) => void;
}

interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
  /** Shortens the configured wait, in milliseconds. */
  readonly maxWaitMs?: number | undefined;
}

/** Suspends stop timers, and a delay beyond 2^31 ms fires at once: no timer is longer than this. */
const MAX_TIMER_MS = 30_000;

/**
 * Keeps one token of one source usable: renews it in the background long before it expires, serves the old one while
 * renewal fails, lets requests wait (and not fail) when there is none, and after a rejected token makes at most one
 * renewal. Every decision is made by `transition()`; this is its clock, its timer, the acquisition in flight and the
 * promises of the waiting requests.
 */
export class TokenManager {
  readonly name: string;
  readonly settings: TokenManagerSettings;
  readonly identity: string | null;
  readonly #source: TokenSource;
  readonly #clock: Clock;
  readonly #onEvent: ((event: TokenEvent) => void) | undefined;
  readonly #rules: TokenRules;
  readonly #state: TokenState;
  readonly #waiters: Waiters;
  readonly #secrets: SecretRetention;
  readonly #effects: TokenEffect[] = [];
  #isApplying = false;
  #running: RunningAcquisition | null = null;
  #timer: Timer | null = null;
  #completeStart: (() => void) | null = null;
  #watch: { close(): void } | undefined;

  constructor(options: TokenManagerOptions) {
    const { name, settings, clock, random, secrets } = options;
    this.name = name;
    this.settings = settings;
    this.identity = options.identity ?? null;
    this.#source = options.source;
    this.#clock = clock;
    this.#onEvent = options.onEvent;
    this.#rules = {
      name,
      settings,
      random,
      redact: (text) => withoutName(name, secrets.scrub(text)),
      createLease: (facts) => new Lease({ ...facts, clock }),
    };
    this.#state = initialState(momentOf(clock));
    this.#secrets = new SecretRetention(secrets);
    this.#waiters = new Waiters(clock, {
      expired: (waiter) => this.#dispatch({ type: 'waitExpired', waiter }),
      aborted: (waiter, reason) => this.#dispatch({ type: 'waitAborted', waiter, reason }),
    });
  }

  /** The recipe that its tokens come from; managers with equal ones would get the same tokens. */
  get sourceKey(): string {
    return this.#source.key;
  }

  /**
   * Begins to acquire and renew tokens. Resolves when the first acquisition is over, with or without a token; never rejects. A
   * started manager whose source fails calls it at once: a reload may follow a repair at the issuer.
   */
  start(): Promise<void> {
    if (this.#state.isStopped) return Promise.resolve();
    if (this.#completeStart !== null) {
      if (this.#state.failures.failures > 0) this.#dispatch({ type: 'sourceChanged', isOutdated: false });
      return Promise.resolve();
    }
    const completed = new Promise<void>((resolve) => {
      this.#completeStart = resolve;
    });
    this.#watchSource();
    this.#dispatch({ type: 'started' });
    return completed;
  }

  /**
   * A usable lease right now, or null. Starts a renewal in the background when one is due, or when there is no token.
   * The request path: two clock readings and a few comparisons, nothing allocated.
   */
  peek(): Lease | null {
    if (!this.isReady()) return null;
    countServed(this.#state);
    return this.#state.token?.lease ?? null;
  }

  /** Whether `peek()` would give a lease now. It counts as demand, so a missing token is acquired, but not as use. */
  isReady(): boolean {
    const monoMs = this.#clock.monoMs();
    const wallMs = this.#clock.wallMs();
    if (noteRequest(this.#state, monoMs, wallMs)) this.#dispatch({ type: 'renewalDue' });
    return usableToken(this.#state, monoMs, wallMs) !== null;
  }

  /**
   * A usable lease, waited for if need be. Rejects with `TokenUnavailable` when none came within the wait, or
   * none can come, and with the signal's reason when that aborts.
   */
  async get(options: WaitOptions = {}): Promise<Lease> {
    options.signal?.throwIfAborted();
    return this.peek() ?? (await this.#request('get', options));
  }

  /** Acquires a token now, with any remaining lifetime of the one in use. Rejects with `TokenUnavailable` when that fails. */
  async refresh(options: WaitOptions = {}): Promise<Lease> {
    options.signal?.throwIfAborted();
    return this.#request('manual', options);
  }

  /**
   * Another lease than the one that an upstream rejected: for one replay. Null: do not replay, as a renewal would not
   * help or is not permitted now. Rejects like `get`. However many requests report one token, it is renewed once.
   */
  async renewAfter(
    lease: Lease,
    options: WaitOptions & { readonly status?: number | undefined } = {},
  ): Promise<Lease | null> {
    options.signal?.throwIfAborted();
    const waiter = this.#createWaiter('replay', options);
    return this.#waiters.wait(waiter, options.signal, () =>
      this.#dispatch({ type: 'rejectionReported', lease, status: options.status ?? null, waiter }),
    );
  }

  /** The replay was rejected as well. Renews nothing, but tokens that no upstream accepts open the breaker sooner. */
  reportRejected(lease: Lease): void {
    this.#dispatch({ type: 'replayRejected', lease });
  }

  /** An upstream accepted the token of `lease`. Called for every response, so only the first one is dispatched. */
  reportAccepted(lease: Lease): void {
    if (this.#state.token?.isProven === false) this.#dispatch({ type: 'acceptanceReported', lease });
  }

  status(): TokenStatus {
    const source = { name: this.name, kind: this.#source.kind };
    return statusOf(this.#state, source, momentOf(this.#clock));
  }

  /** Ends everything: the acquisition in flight is aborted, waiters are rejected, no timer is left. Idempotent. */
  async stop(): Promise<void> {
    if (this.#state.isStopped) return;
    this.#watch?.close();
    this.#dispatch({ type: 'stopped' });
    try {
      await this.#source.close?.();
    } catch {
      this.#emitNote('the source did not close cleanly');
    }
  }

  /** Never null: only a replay is denied. */
  #request(kind: 'get' | 'manual', options: WaitOptions): Promise<Lease> {
    const waiter = this.#createWaiter(kind, options);
    const lease = this.#waiters.wait(waiter, options.signal, () =>
      this.#dispatch({ type: 'tokenRequested', waiter }),
    );
    return lease as Promise<Lease>;
  }

  #createWaiter(kind: WaiterKind, { maxWaitMs = Number.POSITIVE_INFINITY }: WaitOptions): Waiter {
    const sinceMonoMs = this.#clock.monoMs();
    return { kind, sinceMonoMs, deadlineMonoMs: sinceMonoMs + Math.min(maxWaitMs, this.settings.maxWaitMs) };
  }

  /** Effects are queued: a listener or a source that calls back in the middle of them changes the state, not their order. */
  #dispatch(input: TokenInput): void {
    this.#effects.push(...transition(this.#state, input, momentOf(this.#clock), this.#rules));
    if (this.#isApplying) return;
    this.#isApplying = true;
    for (const effect of this.#effects) this.#apply(effect);
    this.#effects.length = 0;
    this.#isApplying = false;
  }

  #apply(effect: TokenEffect): void {
    switch (effect.type) {
      case 'acquire':
        this.#acquire(effect.acquisition);
        return;
      case 'abandonAcquisition':
        this.#running?.abandon();
        this.#running = null;
        return;
      case 'setTimer':
        this.#setTimer(effect.dueMonoMs);
        return;
      case 'resolveWaiter':
        this.#waiters.resolve(effect.waiter, effect.lease);
        return;
      case 'rejectWaiter':
        this.#waiters.reject(effect.waiter, effect.error);
        return;
      case 'retainSecrets':
        for (const secret of effect.secrets) this.#secrets.add(secret.reveal());
        return;
      case 'retireSecrets':
        for (const secret of effect.secrets) this.#secrets.retire(secret.reveal(), this.#clock.monoMs());
        return;
      case 'startCompleted':
        this.#completeStart?.();
        return;
      case 'emit':
        this.#emit(effect.event);
    }
  }

  #acquire(acquisition: Acquisition): void {
    const running = runAcquisition(this.#source, acquisition, this.#clock);
    this.#running = running;
    void running.result.then((result) => {
      if (this.#running === running) this.#running = null;
      const facts = { acquisition, isOutdated: this.#isOutdated(running) };
      if ('failure' in result)
        this.#dispatch({ type: 'acquisitionFailed', failure: result.failure, ...facts });
      else this.#dispatch({ type: 'acquired', response: result.response, ...facts });
    });
  }

  #isOutdated(running: RunningAcquisition | null): boolean {
    return running !== null && running.recipe !== this.#source.key;
  }

  #setTimer(dueMonoMs: number): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (dueMonoMs === Number.POSITIVE_INFINITY) return;
    const delayMs = Math.min(MAX_TIMER_MS, dueMonoMs - this.#clock.monoMs());
    this.#timer = this.#clock.schedule(() => this.#dispatch({ type: 'renewalDue' }), delayMs);
  }

  #watchSource(): void {
    try {
      this.#watch = this.#source.watch?.(() =>
        this.#dispatch({ type: 'sourceChanged', isOutdated: this.#isOutdated(this.#running) }),
      );
    } catch {
      this.#emitNote('the source cannot be watched; its changes are seen at the next renewal');
    }
  }

  #emitNote(note: string): void {
    this.#emit({ kind: 'note', source: this.name, note });
  }

  /** Events are for logs and counters: a listener that throws must not keep a token from a request. */
  #emit(event: TokenEvent): void {
    try {
      this.#onEvent?.(event);
    } catch {
      // No caller could handle it.
    }
  }
}

/** The text of a source without the name that it begins with: events and statuses carry the name already. */
function withoutName(name: string, text: string): string {
  return text.startsWith(`${name}: `) ? text.slice(name.length + 2) : text;
}
