import type { Moment } from '../expiry/lifetime.ts';
import type { SourceErrorSeverity } from '../sources/token-source.ts';
import { pauseAfterFailureMs } from './backoff.ts';

/** One failed attempt at the issuer. */
export interface Failure {
  readonly severity: SourceErrorSeverity;
  /** Value-free. */
  readonly message: string;
  readonly retryAfterMs: number | null;
}

/** What the manager knows that a pause depends on; see `FailureFacts`. */
export interface PauseContext {
  readonly hasWaiters: boolean;
  readonly isIdle: boolean;
  readonly remainingMs: number | null;
  readonly lifeMs: number | null;
}

/**
 * Credentials that worked a moment ago are doubted this often before probing turns slow: restarting identity
 * providers are known to answer `invalid_client` while their store comes up.
 */
const DOUBTED_REFUSALS = 3;

/** The failures since the last token, and what they say about the next attempt. */
export class FailureStreak {
  #failures = 0;
  /** Refusals of our credentials in a row; set back by any other failure. */
  #refusals = 0;
  #first: Moment | null = null;
  #last: Moment | null = null;
  #draw = 0;
  #retryAfterMs: number | null = null;
  #message: string | null = null;
  #hasEverSucceeded = false;

  add(failure: Failure, at: Moment, draw: number): void {
    this.#failures += 1;
    this.#refusals = failure.severity === 'credentials' ? this.#refusals + 1 : 0;
    this.#first ??= at;
    this.#last = at;
    this.#draw = draw;
    this.#retryAfterMs = failure.retryAfterMs;
    this.#message = failure.message;
  }

  /** A token came. */
  end(): void {
    this.#hasEverSucceeded = true;
    this.forgive();
  }

  /** The recipe changed: what failed before says nothing about it. The last message stays for people to read. */
  forgive(): void {
    this.#failures = 0;
    this.#refusals = 0;
    this.#first = null;
    this.#retryAfterMs = null;
  }

  get failures(): number {
    return this.#failures;
  }

  /** The last failure's text; stays after a success, since it explains what was. */
  get message(): string | null {
    return this.#message;
  }

  get lastAtWallMs(): number | null {
    return this.#last === null ? null : this.#last.wallMs;
  }

  get isMisconfigured(): boolean {
    return this.#refusals >= (this.#hasEverSucceeded ? DOUBTED_REFUSALS : 1);
  }

  failingForMs(nowMonoMs: number): number {
    return this.#first === null ? 0 : nowMonoMs - this.#first.monoMs;
  }

  /** When the issuer may be asked again, on the monotonic clock; minus infinity when nothing failed. */
  nextAttemptMonoMs(nowMonoMs: number, context: PauseContext): number {
    if (this.#failures === 0 || this.#last === null) return Number.NEGATIVE_INFINITY;
    const pauseMs = pauseAfterFailureMs({
      ...context,
      failures: this.#failures,
      draw: this.#draw,
      isMisconfigured: this.isMisconfigured,
      failingForMs: this.failingForMs(nowMonoMs),
      retryAfterMs: this.#retryAfterMs,
      // Half of what was left when the answer came, not half of what is left ever after.
      remainingMs:
        context.remainingMs === null ? null : context.remainingMs + (nowMonoMs - this.#last.monoMs),
    });
    return this.#last.monoMs + pauseMs;
  }
}
