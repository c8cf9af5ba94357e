import type { Clock } from '../../lib/clock.ts';
import type { RawToken } from '../sources/token-source.ts';

/** A moment on both clocks. */
export interface Moment {
  readonly monoMs: number;
  readonly wallMs: number;
}

export function momentOf(clock: Clock): Moment {
  return { monoMs: clock.monoMs(), wallMs: clock.wallMs() };
}

/**
 * How long a token lives, on both clocks. What is left is the smaller of the two: the monotonic clock is right
 * when an operator or NTP moves the wall clock, the wall clock is right when the machine slept.
 */
export class Lifetime {
  readonly lifeMs: number;
  #endMonoMs: number;
  #endWallMs: number;

  /** `issued` is when the request for the token was sent: the transit time of the response is unknown. */
  constructor(issued: Moment, lifeMs: number) {
    this.lifeMs = lifeMs;
    this.#endMonoMs = issued.monoMs + lifeMs;
    this.#endWallMs = issued.wallMs + lifeMs;
  }

  /** The same end, of a life of `lifeMs` if that is longer: the rest of a token that is issued again. */
  asEndOf(lifeMs: number): Lifetime {
    if (lifeMs <= this.lifeMs) return this;
    return new Lifetime({ monoMs: this.#endMonoMs - lifeMs, wallMs: this.#endWallMs - lifeMs }, lifeMs);
  }

  /** Milliseconds left at a moment, negative after the end. Takes two numbers so that the hot path allocates nothing. */
  remainingMs(monoMs: number, wallMs: number): number {
    return Math.min(this.#endMonoMs - monoMs, this.#endWallMs - wallMs);
  }

  /**
   * After the clocks moved apart: sets both to the shorter one. Otherwise a wall clock that was set back an
   * hour would not notice a suspend for that hour, nor the monotonic one a sleep that the wall clock does not show.
   */
  align(now: Moment): void {
    const remainingMs = this.remainingMs(now.monoMs, now.wallMs);
    this.#endMonoMs = now.monoMs + remainingMs;
    this.#endWallMs = now.wallMs + remainingMs;
  }
}

/** The life that the hints of one token add up to. */
interface LifeStatement {
  /** The shortest of all hints, counted from `sent`; null when the issuer states none. */
  readonly lifeMs: number | null;
  /** True: the hints are more than a tenth apart. */
  readonly isDisputed: boolean;
}

export function statedLife(raw: RawToken, sent: Moment, received: Moment): LifeStatement {
  const hints: number[] = [];
  if (isNumber(raw.lifetimeMs)) hints.push(raw.lifetimeMs);
  if (isNumber(raw.expiresAtWallMs)) hints.push(raw.expiresAtWallMs - issuerNowMs(raw, sent, received));
  if (hints.length === 0) return { lifeMs: null, isDisputed: false };
  const shortest = Math.min(...hints);
  return { lifeMs: shortest, isDisputed: Math.max(...hints) - shortest > 0.1 * Math.abs(shortest) };
}

/**
 * The issuer's wall clock at the middle of the exchange. Its `Date` has whole seconds, cut off, so the true time
 * is in the second that begins there: our own clock decides where in it, unless it is outside; then the end
 * of that second is taken, which makes the token's life shorter and never longer.
 */
export function issuerNowMs(raw: RawToken, sent: Moment, received: Moment): number {
  const oursMs = (sent.wallMs + received.wallMs) / 2;
  if (!isNumber(raw.serverDateWallMs)) return oursMs;
  const isWithin = oursMs >= raw.serverDateWallMs && oursMs < raw.serverDateWallMs + 1_000;
  return isWithin ? oursMs : raw.serverDateWallMs + 1_000;
}

function isNumber(value: number | undefined): value is number {
  return value !== undefined && Number.isFinite(value);
}
