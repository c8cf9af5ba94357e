/** The rate has to be so much higher than the first one for the same number of calls in flight to be the limit. */
const HIGHER_RATE = 1.3;
/** One call more is tried after so many and so long; twice as long each time that it was refused, up to the maximum. */
const HOLD_CALLS = 100;
const FIRST_HOLD_MS = 10_000;
const MAX_HOLD_MS = 300_000;
/** More refusals at the limit than these and this share of the calls refute it: a few show only that calls end here a moment earlier than there. */
const REFUSALS = 3;
const REFUSED_SHARE = 0.05;

/** A refusal, as far as it shows something about calls at once. */
interface RefusedInFlight {
  /** Calls that had no response yet and were not refused themselves. */
  readonly others: number;
  /** Accepted calls per millisecond in the window before. */
  readonly perMs: number;
  /** True: nothing was sent before it for as long as the upstream wanted. */
  readonly isProbe: boolean;
}

/**
 * How many calls an upstream accepts at once, where that is what it limits. It is when it refuses again with as many
 * calls in flight as at its first refusal, although more were accepted in the same time, or none was sent for a whole
 * pause. One that refuses although fewer are in flight limits something else. Pure.
 */
export class LearnedConcurrency {
  /** `Infinity`: not limited. */
  max = Number.POSITIVE_INFINITY;
  #seen: number | null = null;
  #seenPerMs = 0;
  #refusals = 0;
  #calls = 0;
  #heldMonoMs = 0;
  #holdMs = FIRST_HOLD_MS;
  #isGrown = false;

  get isLimited(): boolean {
    return this.max !== Number.POSITIVE_INFINITY;
  }

  /** A call of the same moment as the last refusal was refused too: fewer were accepted. */
  corrected(others: number, perMs: number): void {
    if (this.isLimited || this.#seen === null || others >= this.#seen) return;
    this.#seen = others;
    this.#seenPerMs = perMs;
  }

  /** True: calls at once are what is limited, and this refusal says nothing else. */
  refused({ others, perMs, isProbe }: RefusedInFlight, nowMonoMs: number): boolean {
    if (this.isLimited) return this.#refusedAtLimit(others, nowMonoMs);
    const seen = this.#seen;
    const isFaster = perMs >= HIGHER_RATE * this.#seenPerMs;
    if (
      seen !== null &&
      seen > 0 &&
      (isFaster || isProbe) &&
      others >= seen &&
      others <= seen * HIGHER_RATE
    ) {
      this.max = seen;
      this.#heldMonoMs = nowMonoMs;
      return true;
    }
    if (seen === null) {
      this.#seen = others;
      this.#seenPerMs = perMs;
    }
    return false;
  }

  /** A call was sent after it had waited, so that the limit was used. */
  sent(nowMonoMs: number): void {
    this.#calls += 1;
    if (this.#calls < HOLD_CALLS || nowMonoMs - this.#heldMonoMs < this.#holdMs) return;
    this.#hold(nowMonoMs);
    this.max += 1;
    this.#isGrown = true;
  }

  /** A call was accepted although the limit was used up by far: it is none. */
  exceeded(): void {
    this.max = Number.POSITIVE_INFINITY;
    this.#seen = null;
  }

  #hold(nowMonoMs: number): void {
    this.#calls = 0;
    this.#refusals = 0;
    this.#heldMonoMs = nowMonoMs;
  }

  #refusedAtLimit(others: number, nowMonoMs: number): boolean {
    this.#refusals += 1;
    if (others < Math.max(1, this.max - 2) || this.#refusals > REFUSALS + this.#calls * REFUSED_SHARE) {
      this.max = Number.POSITIVE_INFINITY;
      this.#seen = 0;
      return false;
    }
    if (this.#isGrown) {
      this.#holdMs = Math.min(MAX_HOLD_MS, this.#holdMs * 2);
      this.#isGrown = false;
      this.max -= 1;
      this.#hold(nowMonoMs);
    }
    return true;
  }
}
