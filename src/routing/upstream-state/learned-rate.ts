/** An upstream's request limit in the headers of a response. */
export interface StatedLimit {
  /** Requests of a whole window; null: not stated. */
  readonly limit: number | null;
  readonly remaining: number;
  readonly resetMs: number;
}

/** A decrease, as far as it can still be corrected. */
interface Decrease {
  readonly endMonoMs: number;
  readonly windowMs: number;
  /** The rate that was refused; null: there was none. */
  readonly before: number | null;
  /** A rate that was not refused. */
  readonly good: number;
}

/** Below the rate that the upstream was seen to take: calls that arrive a little closer together than they left must fit. */
const MARGIN = 0.98;
/** At an estimate that was not confirmed the rate rests this long before it grows, and at a confirmed one that long. */
const UNCONFIRMED_HOLD_MS = 5_000;
const CONFIRMED_HOLD_MS = 60_000;
const MAX_HOLD_MS = 300_000;
/** Two refusals show the same rate when they differ by no more than this. */
const SAME_RATE = 0.03;
/** From this share of a rate on it was sustained for a window. */
const SUSTAINED_SHARE = 0.9;
/** A refusal soon after a pause lowers the rate at most by this: other users of the same limit come and go. */
const CONFIRMED_DECREASE = 0.85;
const GUESS_DECREASE = 0.5;
/** Growth a step after the hold: doubles with each step up to the maximum. */
const FIRST_GROWTH = 0.02;
const MAX_GROWTH = 0.25;
/** A refusal after no more steps shows the rate closely. */
const FINE_STEPS = 2;
/** Successes are counted over this time; over a minute when the upstream's wait indicates a window of a minute. */
const SHORT_WINDOW_MS = 1_000;
const LONG_WINDOW_MS = 60_000;
const LONG_WAIT_MS = 10_000;
/** The lowest rate: one call a minute. */
const MIN_PER_MS = 1 / 60_000;
/** Calls whose times are kept. */
const MAX_HISTORY = 1_024;

/**
 * The rate of calls that one upstream accepts for one model, in calls per millisecond, learned from its refusals: the calls
 * accepted in the window before a refusal, less a margin. It rests there, then grows in steps until the next refusal; the
 * closer that is to the one before, the longer the next rest. Refusals of calls that were sent before the last decrease
 * correct the estimate and are no decrease of their own. Pure: all times are monotonic milliseconds of the caller.
 */
export class LearnedRate {
  readonly #maxPerMs: number;
  /** Null: nothing was refused yet, and no limit is configured. */
  #perMs: number | null;
  /** The rate that the last refusal showed. */
  #ceilingPerMs: number;
  #firstHoldMs = UNCONFIRMED_HOLD_MS;
  #holdMs = UNCONFIRMED_HOLD_MS;
  /** Time since the last decrease in which calls waited for their turn: without demand a rate proves nothing. */
  #busyMs = 0;
  #growthSteps = 0;
  /** The rate before the last step of growth. */
  #goodPerMs = 0;
  /** The length of a growth step: a tenth of a long window, so that the window can show the effect. */
  #stepMs = SHORT_WINDOW_MS;
  /** Times of calls that were not refused, oldest first. */
  #history: number[] = [];
  #lastSentMonoMs = Number.NEGATIVE_INFINITY;
  #decreasedMonoMs = Number.NEGATIVE_INFINITY;
  /** The facts of the last decrease, with which late refusals of the same burst correct it. */
  #decrease: Decrease | null = null;
  #statedPerMs = Number.POSITIVE_INFINITY;
  #statedUntilMonoMs = 0;
  #isConfirmed = false;

  /** `maxPerMs` is the configured rate; `Infinity`: none, and the rate is unlimited until the first refusal. */
  constructor(maxPerMs: number) {
    this.#maxPerMs = maxPerMs;
    this.#ceilingPerMs = maxPerMs;
    this.#perMs = Number.isFinite(maxPerMs) ? maxPerMs * MARGIN : null;
  }

  /** `Infinity`: not limited. */
  at(nowMonoMs: number): number {
    const perMs = this.#perMs ?? Number.POSITIVE_INFINITY;
    return nowMonoMs < this.#statedUntilMonoMs ? Math.min(perMs, this.#statedPerMs) : perMs;
  }

  /** False: the rate is a first guess, more likely too low than too high. */
  get isConfirmed(): boolean {
    return this.#isConfirmed || Number.isFinite(this.#maxPerMs);
  }

  /** When calls left before anything was learned, oldest first. */
  seed(sentMonoMs: readonly number[]): void {
    this.#history = sentMonoMs.slice(-MAX_HISTORY);
  }

  /** `isBusy`: the call had to wait for its turn. */
  sent(nowMonoMs: number, isBusy: boolean): void {
    if (this.#history.length >= MAX_HISTORY) this.#history.shift();
    this.#history.push(nowMonoMs);
    const perMs = this.#perMs;
    if (isBusy && perMs !== null) {
      this.#busyMs += Math.min(nowMonoMs - this.#lastSentMonoMs, 2 / perMs);
      this.#grow(perMs);
    }
    this.#lastSentMonoMs = nowMonoMs;
  }

  /** A call that left at `sentMonoMs` was refused. `isProbe`: it was the first one after a pause. */
  refused(sentMonoMs: number, nowMonoMs: number, retryAfterMs: number | undefined, isProbe: boolean): void {
    this.#forget(sentMonoMs);
    if (sentMonoMs <= this.#decreasedMonoMs) {
      this.#settle();
      return;
    }
    this.#decreasedMonoMs = nowMonoMs;
    const before = this.#perMs;
    const isLong = (retryAfterMs ?? 0) >= LONG_WAIT_MS;
    this.#firstHoldMs = isLong ? CONFIRMED_HOLD_MS : UNCONFIRMED_HOLD_MS;
    this.#stepMs = isLong ? LONG_WINDOW_MS / 10 : Math.max(SHORT_WINDOW_MS, before === null ? 0 : 1 / before);
    if (before === null) {
      this.#decrease = {
        endMonoMs: sentMonoMs,
        windowMs: isLong ? LONG_WINDOW_MS : SHORT_WINDOW_MS,
        before,
        good: 0,
      };
      this.#settle();
      this.#holdMs = this.#firstHoldMs;
    } else if (isProbe) {
      // The pause was too short: weak evidence about the rate, and none when the upstream stated no pause.
      this.#decrease = null;
      if (retryAfterMs !== undefined) this.#set(this.#ceilingPerMs * 0.9);
    } else {
      const ceilingBefore = this.#ceilingPerMs;
      const good = this.#growthSteps > 0 ? this.#goodPerMs : before * MARGIN;
      const windowMs = isLong ? LONG_WINDOW_MS : windowFor(before);
      this.#decrease = { endMonoMs: sentMonoMs, windowMs, before, good };
      this.#settle();
      if (this.#busyMs >= SHORT_WINDOW_MS) this.#confirm(ceilingBefore);
    }
    this.#busyMs = 0;
    this.#growthSteps = 0;
  }

  /** The limits in a response's headers bound the rate for the duration of their window. */
  stated({ limit, remaining, resetMs }: StatedLimit, nowMonoMs: number): void {
    if (!(resetMs > 0)) return;
    // What is left of a fixed window, or what a bucket has refilled when its reset is over: the larger is never too low.
    const calls = Math.max(remaining, limit === null ? 0 : limit - remaining);
    if (calls <= 0) return;
    this.#statedPerMs = calls / resetMs;
    this.#statedUntilMonoMs = nowMonoMs + Math.min(resetMs, LONG_WINDOW_MS);
  }

  /** How long the rate rests: the longer the closer the last refusals were to each other. */
  #confirm(ceilingBefore: number): void {
    const isSame = Math.abs(this.#ceilingPerMs / ceilingBefore - 1) <= SAME_RATE;
    const isFine = this.#growthSteps <= FINE_STEPS;
    if (isSame && this.#isConfirmed) this.#holdMs = Math.min(this.#holdMs * 2, MAX_HOLD_MS);
    else this.#holdMs = isSame || isFine ? CONFIRMED_HOLD_MS : this.#firstHoldMs;
    this.#isConfirmed = isSame || isFine;
  }

  /** The estimate from the calls that were accepted in the window before the refusal. */
  #settle(): void {
    if (this.#decrease === null) return;
    const { endMonoMs, windowMs, before, good } = this.#decrease;
    const calls = Math.max(1, this.#callsBetween(endMonoMs - windowMs, endMonoMs));
    // Limits are whole numbers of calls in a window, most of them.
    const whole = Math.floor(calls + 0.2) / windowMs;
    if (before === null) this.#set(whole);
    else if (calls / windowMs < before * SUSTAINED_SHARE) {
      // It was tried too shortly to know.
      const least = before * (this.#isConfirmed ? CONFIRMED_DECREASE : GUESS_DECREASE);
      this.#set(Math.min(before, Math.max(whole, least)));
    } else this.#set(whole >= good * SUSTAINED_SHARE ? Math.min(whole, before) : good);
  }

  /** Calls that were not refused; the one before the window counts by the part of its interval that is in it. */
  #callsBetween(fromMonoMs: number, toMonoMs: number): number {
    let calls = 0;
    let previous: number | null = null;
    for (const sentMonoMs of this.#history) {
      if (sentMonoMs > toMonoMs) break;
      if (sentMonoMs > fromMonoMs) {
        if (calls === 0 && previous !== null) calls = (sentMonoMs - fromMonoMs) / (sentMonoMs - previous);
        calls += 1;
      }
      previous = sentMonoMs;
    }
    return calls;
  }

  #set(ceilingPerMs: number): void {
    this.#ceilingPerMs = Math.max(MIN_PER_MS, ceilingPerMs);
    this.#perMs = Math.min(this.#maxPerMs, this.#ceilingPerMs) * MARGIN;
  }

  #grow(perMs: number): void {
    const steps = Math.floor((this.#busyMs - this.#holdMs) / this.#stepMs);
    if (steps <= this.#growthSteps) return;
    const growth = Math.min(MAX_GROWTH, FIRST_GROWTH * 2 ** this.#growthSteps);
    this.#growthSteps += 1;
    this.#goodPerMs = perMs;
    this.#perMs = Math.min(this.#maxPerMs * MARGIN, perMs * (1 + growth));
  }

  /** The refused call is no accepted one. */
  #forget(sentMonoMs: number): void {
    const at = this.#history.findLastIndex((one) => one <= sentMonoMs);
    if (this.#history.length > 0) this.#history.splice(Math.max(0, at), 1);
  }
}

/** Whole seconds in which the rate shows: one, or as many as four calls take. */
function windowFor(perMs: number): number {
  if (perMs >= 1 / SHORT_WINDOW_MS) return SHORT_WINDOW_MS;
  return Math.min(LONG_WINDOW_MS, Math.ceil(4 / perMs / SHORT_WINDOW_MS) * SHORT_WINDOW_MS);
}
