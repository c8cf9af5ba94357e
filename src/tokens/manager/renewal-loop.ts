import type { Clock, Timer } from '../../lib/clock.ts';
import { type Moment, momentOf } from '../expiry/lifetime.ts';
import type { TokenSource } from '../sources/token-source.ts';
import { type Answer, Attempt, failureOf } from './attempt.ts';
import { ClockWatch } from './clock-watch.ts';
import { type Failure, FailureStreak, type PauseContext } from './failure-streak.ts';
import type { Wish } from './renewal-wish.ts';

/** The decisions of the manager that the loop acts on. */
interface RenewalHost {
  /** What is wanted now; null: nothing, until the next `look()`. `hasNews`: the source said that it changed. */
  wish(now: Moment, hasNews: boolean): Wish | null;
  pauseContext(now: Moment): PauseContext;
  /** When an answer may be put to use, on the monotonic clock: a token can be "too young". */
  usableFromMonoMs(answer: Answer, now: Moment): number;
  /** Puts an answer to use; returns why it is none, or null. */
  accept(answer: Answer, attempt: Attempt): Failure | null;
  /** The streak counted a failure; the next attempt is not planned yet. */
  onFailure(): void;
  /** The next attempt is planned. */
  onFailurePlanned(failure: Failure, attempt: Attempt): void;
  /** Removes secrets from the text of a failure. */
  scrub(text: string): string;
  onClockJump(jumpMs: number, now: Moment): void;
  /** The first attempt, or the last one there will be, is over. */
  onSettled(): void;
}

/** Suspends stop timers, and a delay beyond 2^31 ms fires at once: no timer is longer than this. */
const LONGEST_TIMER_MS = 30_000;
/** Timers may fire a fraction early; what is so close is due. */
const DUE_MS = 0.5;

/**
 * Makes the attempts at one source: at most one at a time, when the manager wishes one and no pause forbids it. Owns
 * the one timer, the streak of failures and the attempt in flight, and decides nothing about tokens.
 */
export class RenewalLoop {
  readonly streak = new FailureStreak();
  readonly #source: TokenSource;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #host: RenewalHost;
  readonly #clockWatch: ClockWatch;
  #attempt: Attempt | null = null;
  /** An answer that waits until its token is old enough; counts as in flight. */
  #settling: { readonly answer: Answer; readonly attempt: Attempt } | null = null;
  #timer: Timer | null = null;
  /** Monotonic time of the next planned attempt; infinite when none is planned. */
  #nextAttemptMonoMs = Number.POSITIVE_INFINITY;
  #isStopped = false;
  /** The source said that it changed, and was not asked since. */
  #hasNews = false;
  /** How long the source took for its last token. */
  lastDurationMs = 0;

  constructor(source: TokenSource, clock: Clock, random: () => number, host: RenewalHost) {
    this.#source = source;
    this.#clock = clock;
    this.#random = random;
    this.#host = host;
    this.#clockWatch = new ClockWatch(momentOf(clock));
  }

  /** True: a token is on its way. */
  get isBusy(): boolean {
    return this.#attempt !== null || this.#settling !== null;
  }

  get nextAttemptMonoMs(): number {
    return this.#nextAttemptMonoMs;
  }

  /** Asks the manager what it wants and does it, now or with the timer. Call after every change of state; cheap while busy. */
  look(): void {
    if (this.#isStopped || this.#attempt !== null) return;
    const now = momentOf(this.#clock);
    const jumpMs = this.#clockWatch.look(now);
    if (jumpMs !== 0) this.#host.onClockJump(jumpMs, now);
    if (this.#settling !== null) {
      this.#lookAtSettling(this.#settling, now);
      return;
    }
    const wish = this.#host.wish(now, this.#hasNews);
    if (wish === null) {
      this.#plan(now, Number.POSITIVE_INFINITY);
      return;
    }
    const pauseEndMonoMs = wish.isUrgent
      ? Number.NEGATIVE_INFINITY
      : this.streak.nextAttemptMonoMs(now.monoMs, this.#host.pauseContext(now));
    const dueMonoMs = Math.max(now.monoMs + wish.dueInMs, pauseEndMonoMs);
    if (dueMonoMs - now.monoMs <= DUE_MS) this.#launch(wish);
    else this.#plan(now, dueMonoMs);
  }

  /** The source has something new. What it was asked with another recipe is thrown away. */
  sourceChanged(): void {
    this.#hasNews = true;
    this.streak.forgive();
    if (this.#attempt !== null && this.#attempt.recipe !== this.#source.key) {
      this.#attempt.abandon();
      this.#attempt = null;
    }
    this.look();
  }

  stop(): void {
    this.#isStopped = true;
    this.#attempt?.abandon();
    this.#attempt = null;
    this.#settling = null;
    this.#timer?.cancel();
    this.#timer = null;
    this.#nextAttemptMonoMs = Number.POSITIVE_INFINITY;
    this.#host.onSettled();
  }

  #launch(wish: Wish): void {
    this.#hasNews = false;
    this.#timer?.cancel();
    this.#timer = null;
    this.#nextAttemptMonoMs = Number.POSITIVE_INFINITY;
    const { reason, force, previousFingerprint, timeoutMs } = wish;
    const attempt = new Attempt({
      source: this.#source,
      clock: this.#clock,
      reason,
      force,
      previousFingerprint,
      timeoutMs,
    });
    this.#attempt = attempt;
    void attempt.result.then((result) => {
      // Abandoned in the meantime: stopped, or the recipe changed.
      if (this.#attempt !== attempt) return;
      this.#attempt = null;
      if (attempt.recipe !== this.#source.key) this.look();
      else if ('failure' in result) this.#fail(result.failure, attempt);
      else this.#settle(result.answer, attempt);
    });
  }

  #settle(answer: Answer, attempt: Attempt): void {
    this.#settling = { answer, attempt };
    this.#lookAtSettling(this.#settling, momentOf(this.#clock));
  }

  #lookAtSettling(settling: { answer: Answer; attempt: Attempt }, now: Moment): void {
    const usableFromMonoMs = this.#host.usableFromMonoMs(settling.answer, now);
    if (usableFromMonoMs - now.monoMs > DUE_MS) {
      this.#plan(now, usableFromMonoMs);
      return;
    }
    this.#settling = null;
    const { answer, attempt } = settling;
    const failure = this.#accept(answer, attempt);
    if (failure !== null) {
      this.#fail(failure, attempt);
      return;
    }
    this.lastDurationMs = answer.received.monoMs - answer.sent.monoMs;
    this.streak.end();
    this.#host.onSettled();
    this.look();
  }

  /** This runs in no caller's stack: what is thrown here would end the process and not the attempt. */
  #accept(answer: Answer, attempt: Attempt): Failure | null {
    try {
      return this.#host.accept(answer, attempt);
    } catch (error) {
      return failureOf(error);
    }
  }

  #fail(raw: Failure, attempt: Attempt): void {
    const failure = { ...raw, message: this.#host.scrub(raw.message) };
    this.streak.add(failure, momentOf(this.#clock), this.#random());
    this.#host.onFailure();
    this.look();
    this.#host.onFailurePlanned(failure, attempt);
    this.#host.onSettled();
  }

  #plan(now: Moment, dueMonoMs: number): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#nextAttemptMonoMs = dueMonoMs;
    if (dueMonoMs === Number.POSITIVE_INFINITY) return;
    const delayMs = Math.min(LONGEST_TIMER_MS, dueMonoMs - now.monoMs);
    this.#timer = this.#clock.schedule(() => {
      this.#timer = null;
      this.look();
    }, delayMs);
  }
}
