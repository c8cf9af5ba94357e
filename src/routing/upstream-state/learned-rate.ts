/** Below the rate that the upstream was seen to take: calls that arrive a little closer together than they left must fit. */
const MARGIN = 0.985;
/** By so much a window is taken to be longer than it is, for the same reason. */
const WINDOW_SLACK = 1.01;
/** While searching, the first steps double the rate, as TCP's slow start does; each lasts this long or a call. */
const DOUBLING_STEP_MS = 250;
/** Each other step lasts so many calls and so much time, in which a limit by the second shows whether it was too far. */
const STEP_MS = 1_000;
const STEP_CALLS = 4;
/** So close to the refused rate the search is over. */
const CLOSE_SHARE = 0.97;
/** Two refusals show the same rate when they differ by no more than this. */
const SAME_RATE = 0.04;
/** A rate that was found rests this long; twice as long each time that it is found again, up to the maximum. */
const FIRST_HOLD_MS = 30_000;
const MAX_HOLD_MS = 300_000;
/** Then it grows in steps that double up to the maximum, so that a limit that was raised is found. */
const FIRST_GROWTH = 0.02;
const MAX_GROWTH = 0.25;
/** A refusal of a rate that rests lowers it a little, and more when far less was accepted: other users of the same limit come and go. */
const RESTING_DECREASE = 0.97;
const FAR_SHARE = 0.75;
const FAR_DECREASE = 0.85;
/** A limit without bursts refuses calls that arrive early by chance; so it is tried again after so many calls. */
const EVEN_HOLD_CALLS = 100;
/** Calls are counted over this time; over a minute when the upstream had to be waited for so long. */
const SHORT_WINDOW_MS = 1_000;
const LONG_WINDOW_MS = 60_000;
const LONG_WAIT_MS = 10_000;
/** The lowest rate: one call a minute. */
const MIN_PER_MS = 1 / 60_000;
/** What of the time of the first refused call counts for the delay of those before it. */
const MAX_DELAY_MS = 250;
/** Calls whose times are kept: more than a minute of 50 a second. */
export const MAX_HISTORY = 4_096;

/**
 * The rate of calls that one upstream accepts for one model, in calls per millisecond. A refusal shows it twice: the calls
 * that were accepted in the window before it were not too many, and the rate at which they were sent was. The rate
 * becomes what was accepted, less a margin, and the refused one an upper bound: from there it doubles while there is no
 * bound, halves the distance to a bound, rests where both meet or two refusals show the same, and after the rest grows
 * in small steps to see whether the limit was raised. Pure: all times are monotonic milliseconds of the caller.
 */
export class LearnedRate {
  readonly #maxPerMs: number;
  /** Null: nothing was refused yet, and no limit is configured. */
  #perMs: number | null;
  /** `doubling` and `approaching` search; `resting` includes the growth after the rest. */
  #phase: 'doubling' | 'approaching' | 'resting' = 'doubling';
  /** The lowest rate that was refused since the last rest. */
  #refusedPerMs = Number.POSITIVE_INFINITY;
  /** What the last refusal showed to be accepted. */
  #acceptedPerMs = 0;
  #holdMs = FIRST_HOLD_MS;
  /** Time since the last step or decrease in which calls waited for their turn: without demand a rate proves nothing. */
  #busyMs = 0;
  #busyCalls = 0;
  /** Steps since the phase began, and the rate before the last one, which was not refused. */
  #steps = 0;
  #previousPerMs = 0;
  #windowMs = SHORT_WINDOW_MS;
  /** Times of calls that were not refused, oldest first. */
  #history: number[] = [];
  #lastSentMonoMs = Number.NEGATIVE_INFINITY;
  #decreasedMonoMs = Number.NEGATIVE_INFINITY;
  /** The window of the first estimate, until it is final: late refusals of the same burst correct it. */
  #first: { readonly fromMonoMs: number; readonly toMonoMs: number } | null = null;

  /** True: the upstream accepts no calls at once. Written by the pacer. */
  isEven = false;

  /** `maxPerMs` is the configured rate; `Infinity`: none, and the rate is unlimited until the first refusal. */
  constructor(maxPerMs: number) {
    this.#maxPerMs = maxPerMs;
    this.#perMs = Number.isFinite(maxPerMs) ? maxPerMs * MARGIN : null;
    if (Number.isFinite(maxPerMs)) this.#rest(maxPerMs * MARGIN);
  }

  /** `Infinity`: not limited. */
  get perMs(): number {
    return this.#perMs ?? Number.POSITIVE_INFINITY;
  }

  get isLimited(): boolean {
    return this.#perMs !== null;
  }

  /**
   * From when on one more call leaves no more calls in any window than the rate allows: those before a pause count too.
   * 0: at once.
   */
  get windowOpenMonoMs(): number {
    if (this.#perMs === null || Number.isFinite(this.#maxPerMs)) return 0;
    const windowMs = this.#windowFor(this.#perMs);
    const first = this.#history.at(-Math.max(1, Math.ceil(this.#perMs * windowMs)));
    return first === undefined ? 0 : first + windowMs * WINDOW_SLACK;
  }

  /** False: the rate is a guess, more likely too low than too high. */
  get isFound(): boolean {
    return this.#phase === 'resting';
  }

  /** When calls left before anything was learned, oldest first. */
  seed(sentMonoMs: readonly number[]): void {
    this.#history = sentMonoMs.slice(-MAX_HISTORY);
  }

  /** `isBusy`: the call had to wait for its turn. */
  sent(nowMonoMs: number, isBusy: boolean): void {
    if (this.#history.length >= MAX_HISTORY) this.#history.shift();
    this.#history.push(nowMonoMs);
    if (isBusy && this.#perMs !== null) {
      this.#busyMs += Math.min(nowMonoMs - this.#lastSentMonoMs, 2 / this.#perMs);
      this.#busyCalls += 1;
      this.#grow(this.#perMs);
    }
    this.#lastSentMonoMs = nowMonoMs;
  }

  /** A call that left at `sentMonoMs` was refused for its rate. */
  refused(sentMonoMs: number, nowMonoMs: number, statedMs: number | null): void {
    this.#first = null;
    this.discount(sentMonoMs);
    const before = this.#perMs;
    const previousMonoMs = this.#decreasedMonoMs;
    this.#decreasedMonoMs = sentMonoMs;
    if (before !== null) {
      this.#decrease(before, previousMonoMs, sentMonoMs);
      return;
    }
    if ((statedMs ?? 0) >= LONG_WAIT_MS) this.#windowMs = LONG_WINDOW_MS;
    // The first calls arrived that much later than they left, on new connections above all: too low a count would last.
    const delayMs = Math.min(nowMonoMs - sentMonoMs, MAX_DELAY_MS);
    this.#first = { fromMonoMs: sentMonoMs - delayMs - this.#windowMs, toMonoMs: nowMonoMs };
    this.#guess();
  }

  /** The refused call is no accepted one. */
  discount(sentMonoMs: number): void {
    const at = this.#history.findLastIndex((one) => one <= sentMonoMs);
    if (this.#history.length > 0) this.#history.splice(Math.max(0, at), 1);
    if (this.#first !== null && sentMonoMs <= this.#first.toMonoMs) this.#guess();
  }

  /** So long the upstream refused everything: its window is no shorter. */
  paused(pausedMs: number): void {
    if (pausedMs < LONG_WAIT_MS || this.#windowMs === LONG_WINDOW_MS) return;
    this.#windowMs = LONG_WINDOW_MS;
    if (this.#perMs === null) return;
    this.#acceptedPerMs = this.#acceptedIn(this.#decreasedMonoMs, LONG_WINDOW_MS);
    this.#rest(this.#acceptedPerMs * MARGIN);
  }

  #decrease(before: number, previousMonoMs: number, sentMonoMs: number): void {
    const windowMs = this.#windowFor(before);
    const inWindow = this.#acceptedIn(sentMonoMs, windowMs);
    this.#refusedPerMs = before;
    if (this.#phase === 'doubling') {
      const isSame =
        Math.abs(Math.floor(inWindow * windowMs + 0.2) / windowMs / this.#acceptedPerMs - 1) <= SAME_RATE;
      if (isSame) this.#rest(this.#acceptedPerMs * MARGIN);
      else this.#approach(Math.max(Math.min(before, inWindow) * MARGIN, this.#previousPerMs));
      return;
    }
    const isStepped = this.#steps > 0;
    if (this.#phase === 'resting' && isStepped) {
      this.#holdMs = Math.min(this.#holdMs * 2, MAX_HOLD_MS);
      this.#rest(this.#previousPerMs);
    } else if (isStepped) this.#approach(this.#previousPerMs);
    else {
      const measured = this.#measured(Math.min(before, inWindow), previousMonoMs, sentMonoMs) * MARGIN;
      if (this.#phase !== 'resting') this.#approach(measured);
      else this.#rest(before * (measured < before * FAR_SHARE ? FAR_DECREASE : RESTING_DECREASE));
    }
  }

  /**
   * Between what was accepted in the window before a refusal, which is too much where windows begin at fixed times or calls
   * had been saved up, and what was accepted since the refusal before, which is too little when there was a pause.
   */
  #measured(inWindow: number, previousMonoMs: number, sentMonoMs: number): number {
    const betweenMs = sentMonoMs - previousMonoMs;
    if (betweenMs < 2 * this.#windowMs || betweenMs > LONG_WINDOW_MS) return inWindow;
    return (inWindow + Math.min(inWindow, this.#acceptedIn(sentMonoMs, betweenMs))) / 2;
  }

  /** The first estimate: what was accepted in the window before the refusal. */
  #guess(): void {
    if (this.#first === null) return;
    const calls = Math.max(1, this.#callsBetween(this.#first.fromMonoMs, this.#first.toMonoMs));
    this.#acceptedPerMs = Math.floor(calls + 0.2) / this.#windowMs;
    if (this.#windowMs === LONG_WINDOW_MS) this.#rest(this.#acceptedPerMs * MARGIN);
    else this.#begin('doubling', this.#acceptedPerMs * MARGIN);
  }

  #begin(phase: 'doubling' | 'approaching' | 'resting', perMs: number): void {
    this.#phase = phase;
    this.#steps = 0;
    this.#set(perMs);
    this.#previousPerMs = this.#perMs ?? 0;
  }

  #approach(perMs: number): void {
    if (perMs >= this.#refusedPerMs * CLOSE_SHARE * MARGIN) this.#rest(perMs);
    else this.#begin('approaching', perMs);
  }

  #rest(perMs: number): void {
    this.#begin('resting', perMs);
  }

  #grow(perMs: number): void {
    if (this.#busyMs < this.#stepMs) return;
    if (this.#phase === 'doubling') this.#step(perMs * 2);
    else if (this.#busyCalls < STEP_CALLS) return;
    else if (this.#phase === 'resting')
      this.#step(perMs * (1 + Math.min(MAX_GROWTH, FIRST_GROWTH * 2 ** this.#steps)));
    else if (perMs >= this.#refusedPerMs * CLOSE_SHARE * MARGIN) this.#rest(perMs);
    else this.#step((2 * perMs + this.#refusedPerMs) / 3);
  }

  /** How long calls have to wait for their turns before the next step. */
  get #stepMs(): number {
    if (this.#phase === 'doubling') return DOUBLING_STEP_MS;
    if (this.#phase === 'resting' && this.#steps === 0)
      return this.isEven ? Math.min(FIRST_HOLD_MS, EVEN_HOLD_CALLS / this.perMs) : this.#holdMs;
    return Math.max(STEP_MS, this.#windowMs / 10);
  }

  #step(perMs: number): void {
    const before = this.perMs;
    this.#set(perMs);
    this.#previousPerMs = before;
    this.#steps += 1;
  }

  #set(perMs: number): void {
    this.#busyMs = 0;
    this.#busyCalls = 0;
    this.#perMs = Math.min(this.#maxPerMs * MARGIN, Math.max(MIN_PER_MS, perMs));
  }

  /** Whole seconds in which the rate shows: one, or as many as four calls take. */
  #windowFor(perMs: number): number {
    if (this.#windowMs === LONG_WINDOW_MS || perMs >= 1 / SHORT_WINDOW_MS) return this.#windowMs;
    return Math.min(LONG_WINDOW_MS, Math.ceil(4 / perMs / SHORT_WINDOW_MS) * SHORT_WINDOW_MS);
  }

  /** Calls per millisecond that were not refused in the window before. */
  #acceptedIn(endMonoMs: number, windowMs: number): number {
    return this.#callsBetween(endMonoMs - windowMs, endMonoMs) / windowMs;
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

  /** How long before the call that left at `sentMonoMs`, a moment after its turn, the one before it had its turn. */
  gapBefore(sentMonoMs: number): number {
    const at = this.#history.findLastIndex((one) => one <= sentMonoMs);
    return (this.#history[at] ?? sentMonoMs) - (this.#history[at - 1] ?? Number.NEGATIVE_INFINITY);
  }

  /** True: the call that left at `sentMonoMs` is the one that had its turn at `turnMonoMs`. */
  isTurnOf(sentMonoMs: number, turnMonoMs: number): boolean {
    return this.#history.findLast((one) => one <= sentMonoMs) === turnMonoMs;
  }

  isAnyBetween(fromMonoMs: number, toMonoMs: number): boolean {
    return this.#history.some((one) => one > fromMonoMs && one < toMonoMs);
  }

  acceptedWithin(windowMs: number, nowMonoMs: number): number {
    return Math.floor(this.#callsBetween(nowMonoMs - windowMs, nowMonoMs));
  }
}
