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
  /** The last refused call of those that left together: some between were accepted. */
  toMonoMs: number;
  readonly windowMs: number;
  /** The rate that was refused; null: there was none. */
  readonly before: number | null;
  /** A rate that was not refused. */
  readonly good: number;
  /** True: it is little below the refused one, and closer to the limit than a count of calls. */
  readonly isGoodKnown: boolean;
}

/** Below the rate that the upstream was seen to take: calls that arrive a little closer together than they left must fit. */
const MARGIN = 0.99;
/** At an estimate that was not confirmed the rate rests this long before it grows, and at a confirmed one that long. */
const UNCONFIRMED_HOLD_MS = 5_000;
const CONFIRMED_HOLD_MS = 60_000;
/** The first estimate rests longer when it is from so many calls. */
const COUNTED_CALLS = 3;
const STEP_CALLS = 8;
const COUNTED_HOLD_MS = 30_000;
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
const FINE_STEPS = 4;
/** Successes are counted over this time; over a minute when the upstream's wait indicates a window of a minute. */
const SHORT_WINDOW_MS = 1_000;
const LONG_WINDOW_MS = 60_000;
const LONG_WAIT_MS = 10_000;
/** The lowest rate: one call a minute. */
const MIN_PER_MS = 1 / 60_000;
/** What of the time of the first refused call counts for the delay of those before it. */
const MAX_DELAY_MS = 250;
/** Calls whose times are kept: more than a minute of 50 a second. */
export const MAX_HISTORY = 4_096;
/** What calls may arrive closer together than they left, as a share of the window; doubled by refusals up to the maximum. */
const FIRST_SLACK = 0.01;
const MAX_SLACK = 0.03;
/** What late timers of a busy process and a pause have held back may leave at once up to so much time. */
const MAX_BURST_MS = 250;
/** Calls that leave closer together than this share of the interval are a burst. */
const BURST_SHARE = 0.5;

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
  /** Probes refused in a row: one that came a little early says nothing of the rate. */
  #refusedProbes = 0;
  /** Time since the last decrease in which calls waited for their turn: without demand a rate proves nothing. */
  #busyMs = 0;
  #growthSteps = 0;
  /** The rate before the growth, or two steps back when it went far, and one step back. */
  #goodPerMs = 0;
  #previousPerMs = 0;
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
  /** The window in which calls are counted. */
  #windowMs = SHORT_WINDOW_MS;
  #slack = FIRST_SLACK;
  /** False: the upstream refused calls that came at once although there were few of them in the window. */
  #allowsBursts = true;

  /** `maxPerMs` is the configured rate; `Infinity`: none, and the rate is unlimited until the first refusal. */
  constructor(maxPerMs: number) {
    this.#maxPerMs = maxPerMs;
    this.#ceilingPerMs = maxPerMs;
    this.#perMs = Number.isFinite(maxPerMs) ? maxPerMs * (MARGIN - FIRST_SLACK) : null;
  }

  /** `Infinity`: not limited. */
  at(nowMonoMs: number): number {
    const perMs = this.#perMs ?? Number.POSITIVE_INFINITY;
    return nowMonoMs < this.#statedUntilMonoMs ? Math.min(perMs, this.#statedPerMs) : perMs;
  }

  /**
   * From when on one more call leaves no more calls in any window than the rate allows: those before a pause count too.
   * 0: at once.
   */
  get windowOpenMonoMs(): number {
    if (this.#perMs === null || Number.isFinite(this.#maxPerMs)) return 0;
    const first = this.#history.at(-this.#callsInWindow(this.#perMs));
    return first === undefined ? 0 : first + this.#windowMs * (1 + this.#slack);
  }

  /** Calls of so much time may leave at once when none left for so long. */
  get burstMs(): number {
    return this.#allowsBursts ? MAX_BURST_MS : 0;
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
      if (this.#decrease !== null) this.#decrease.toMonoMs = Math.max(this.#decrease.toMonoMs, sentMonoMs);
      this.#settle();
      return;
    }
    this.#decreasedMonoMs = nowMonoMs;
    const before = this.#perMs;
    if (before !== null && !isProbe && this.#isShapeRefused(sentMonoMs, before)) {
      this.#decrease = null;
      return;
    }
    const isLong = (retryAfterMs ?? 0) >= LONG_WAIT_MS;
    this.#firstHoldMs = isLong ? CONFIRMED_HOLD_MS : UNCONFIRMED_HOLD_MS;
    this.#stepMs = isLong ? LONG_WINDOW_MS / 10 : shortStepFor(before);
    if (before === null) {
      // The first calls arrived that much later than they left, on new connections above all: too low a count would last.
      const delayMs = Math.min(nowMonoMs - sentMonoMs, MAX_DELAY_MS);
      this.#decrease = {
        endMonoMs: sentMonoMs - delayMs,
        toMonoMs: nowMonoMs,
        windowMs: isLong ? LONG_WINDOW_MS : SHORT_WINDOW_MS,
        before,
        good: 0,
        isGoodKnown: false,
      };
      this.#settle();
    } else if (isProbe) {
      // The pause was too short: weak evidence about the rate, and none when the upstream stated no pause.
      this.#decrease = null;
      this.#refusedProbes += 1;
      if (retryAfterMs !== undefined && this.#refusedProbes > 1) this.#set(this.#ceilingPerMs * 0.9);
    } else {
      this.#refusedProbes = 0;
      const ceilingBefore = this.#ceilingPerMs;
      const isGrown = this.#growthSteps > 0;
      const good = isGrown ? this.#goodPerMs : before * (MARGIN - this.#slack);
      const windowMs = isLong ? LONG_WINDOW_MS : windowFor(before);
      this.#decrease = {
        endMonoMs: sentMonoMs,
        toMonoMs: sentMonoMs,
        windowMs,
        before,
        good,
        isGoodKnown: isGrown,
      };
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

  /** True: not the rate was refused, but that calls came at once or closer together than they left; the next ones will not. */
  #isShapeRefused(sentMonoMs: number, perMs: number): boolean {
    if (Number.isFinite(this.#maxPerMs)) return false;
    const previous = this.#history.at(-1) ?? Number.NEGATIVE_INFINITY;
    if (this.#allowsBursts && sentMonoMs - previous < BURST_SHARE / perMs) {
      this.#allowsBursts = false;
      return true;
    }
    const calls = this.#callsBetween(sentMonoMs - this.#windowMs, sentMonoMs);
    const isTight = Math.abs(calls - this.#callsInWindow(perMs)) <= 1.2;
    if (!isTight || this.#slack >= MAX_SLACK || this.#growthSteps > 0) return false;
    this.#slack += FIRST_SLACK;
    this.#set(this.#ceilingPerMs);
    return true;
  }

  #callsInWindow(perMs: number): number {
    return Math.max(1, Math.ceil(perMs * this.#windowMs));
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
    const { endMonoMs, toMonoMs, windowMs, before, good, isGoodKnown } = this.#decrease;
    const calls = Math.max(1, this.#callsBetween(endMonoMs - windowMs, toMonoMs));
    // Limits are whole numbers of calls in a window, most of them.
    const whole = Math.floor(calls + 0.2) / windowMs;
    if (before === null) {
      this.#set(whole);
      // Of calls that came at once a limit by the window lets several through, one by the interval or of parallel calls few.
      if (windowMs === SHORT_WINDOW_MS) this.#stepMs = shortStepFor(whole);
      this.#holdMs = Math.max(this.#firstHoldMs, calls >= COUNTED_CALLS ? COUNTED_HOLD_MS : 0);
    } else if (isGoodKnown) this.#set(good / (MARGIN - this.#slack));
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
    this.#perMs = Math.min(this.#maxPerMs, this.#ceilingPerMs) * (MARGIN - this.#slack);
  }

  #grow(perMs: number): void {
    const steps = Math.floor((this.#busyMs - this.#holdMs) / this.#stepMs);
    if (steps <= this.#growthSteps) return;
    if (this.#growthSteps === 0) this.#previousPerMs = perMs;
    const growth = Math.min(MAX_GROWTH, FIRST_GROWTH * 2 ** this.#growthSteps);
    this.#growthSteps += 1;
    // A step shows its effect up to a window later.
    if (this.#growthSteps === 1 || this.#growthSteps > FINE_STEPS) this.#goodPerMs = this.#previousPerMs;
    this.#previousPerMs = perMs;
    this.#perMs = Math.min(this.#maxPerMs * (MARGIN - this.#slack), perMs * (1 + growth));
  }

  /** The refused call is no accepted one. */
  #forget(sentMonoMs: number): void {
    const at = this.#history.findLastIndex((one) => one <= sentMonoMs);
    if (this.#history.length > 0) this.#history.splice(Math.max(0, at), 1);
  }
}

/** The length of a growth step in which some calls show its effect; a rate that is a guess grows faster. */
function shortStepFor(perMs: number | null): number {
  if (perMs === null) return SHORT_WINDOW_MS;
  return Math.max(SHORT_WINDOW_MS, (perMs * SHORT_WINDOW_MS < COUNTED_CALLS - 1 ? 1 : STEP_CALLS) / perMs);
}

/** Whole seconds in which the rate shows: one, or as many as four calls take. */
function windowFor(perMs: number): number {
  if (perMs >= 1 / SHORT_WINDOW_MS) return SHORT_WINDOW_MS;
  return Math.min(LONG_WINDOW_MS, Math.ceil(4 / perMs / SHORT_WINDOW_MS) * SHORT_WINDOW_MS);
}
