import type { Clock, Timer } from '../../lib/clock.ts';
import type { FerryError } from '../../lib/errors/ferry-error.ts';
import { FairQueue } from './fair-queue.ts';
import { LearnedConcurrency } from './learned-concurrency.ts';
import { LearnedRate } from './learned-rate.ts';

/** How a wait ended: with a turn, refused because it would have been too long or the queue is full, or out of time. */
type PaceOutcome = 'turn' | 'too_long' | 'queue_full' | 'timed_out';

/** One request that waits for its turn at one upstream, perhaps several times. */
export interface PacedRequest {
  /** Each client has a queue of its own. */
  readonly client: string;
  /** Aborted when the client disconnects; its reason is thrown. */
  readonly signal: AbortSignal;
  /** The place of its first turn; null before it. Written by the pacer only. */
  place: number | null;
}

interface PacerSettings {
  readonly clock: Clock;
  /** From 0 up to 1. */
  readonly random: () => number;
  /** Calls and tokens a minute; 0 = unknown. */
  readonly rpm: number;
  readonly tpm: number;
  /** The upstream's calls. */
  readonly calls: CallsInFlight;
}

/** How many calls of one upstream have no response yet. */
interface CallsInFlight {
  readonly inFlight: number;
}

interface Waiter {
  readonly request: PacedRequest;
  settle(outcome: PaceOutcome): void;
}

/** Longer queues would only turn a refusal, which a client can act on, into a timeout. */
const MAX_WAITING = 1_000;
/** Calls of a configured limit may come at once when none came for so long. */
const CONFIGURED_BURST_MS = 1_000;
/** What a pause or late timers have held back may leave at once, calls of so much time at most. */
const MAX_CREDIT_MS = 1_000;
/** Calls that leave closer together than this share of the interval are a burst. */
const BURST_SHARE = 0.5;
/** After a 429 without `retry-after`: doubles with each refusal in a row. */
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 30_000;
/** A stated wait below it is seldom true, and five refusals within a moment would end all waits. */
const MIN_PAUSE_MS = 250;
/** A stated wait up to this is a shorter one rounded up to whole seconds, perhaps. */
const ROUNDED_UP_MS = 1_000;
/** From so many calls after a pause on a refused one was early, rather than one of a limit that is used up. */
const STEADY_CALLS = 3;
/** The calls of so much time before the first refusal are what the upstream accepts at once. */
const BURST_MS = 1_000;
/** After a call ended it may count at the upstream for this time. */
const SLOT_PAUSE_MS = 20;
/** Calls for other models may take all slots: after so much time without a call one goes all the same. */
const MAX_FULL_MS = 30_000;
/** So that time goes on before the next look, whatever a wait is rounded to. */
const MIN_TIMER_MS = 1;
/** Node runs a timer of 2^31 ms and more after 1 ms. */
const MAX_TIMER_MS = 60_000;
/** One so long may be the same for every refusal (3600): so many early probes test it. */
const LONG_STATED_MS = 60_000;
const LONG_WAIT_TESTS = 2;
/** A probe that was not refused after twice the time that refusals take counts as accepted. */
const MIN_PROBE_MS = 50;
const MAX_PROBE_MS = 2_000;
/**
 * An upstream that has accepted nothing for a minute, the longest usual window, and refuses so many calls in a row, or
 * fewer for so long, has a limit that waiting does not meet, such as an exhausted quota.
 */
const HOPELESS_AFTER_MS = 60_000;
const HOPELESS_REFUSALS = 5;
const HOPELESS_SLOW_REFUSALS = 3;
const HOPELESS_SLOW_MS = 15_000;
/** Calls that leave within this time are responded to in any order. */
const SAME_MOMENT_MS = 50;
/** Maximum of `retry-after`: openai for Node ignores longer waits (S86). */
const MAX_RETRY_AFTER_MS = 60_000;
const TOKENS_WINDOW_MS = 60_000;
/** Tokens of a configured limit that may be spent at once when none were for so long. */
const TOKENS_BURST_MS = 10_000;

/**
 * Lets requests through to one upstream and model at the rate that the upstream shows (`learned-rate.ts`), with no more at
 * once than it accepts (`learned-concurrency.ts`), or as the configuration states. After a refusal that shows a used-up
 * limit nothing is sent until the pause is over, then one call as a probe, then one call an interval; what the pause has
 * held back leaves in bursts that the upstream is known to accept. A refusal of calls that went one an interval shows only
 * that one came a little early: it is sent again after an interval. Requests wait in fair queues; one that had its turn
 * and was refused is served before them, in the order of first turns.
 */
export class Pacer {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #rate: LearnedRate;
  readonly #concurrency = new LearnedConcurrency();
  readonly #calls: CallsInFlight;
  /** See CONFIGURED_BURST_MS. */
  readonly #burstMs: number;
  readonly #isConfigured: boolean;
  readonly #queue = new FairQueue<Waiter>();
  /** Requests that were refused after a turn, in the order of their places. */
  readonly #returned: Waiter[] = [];
  #places = 0;
  /** From when on the rate allows the next call. */
  #nextMonoMs = 0;
  #pausedUntilMonoMs = 0;
  /** Set by a refusal: the next call is a probe. */
  #isProbeDue = false;
  /** Until then the running probe is alone; 0: none is running. */
  #probeUntilMonoMs = 0;
  /** When the last probe left; -1 when it is accepted or there was none. */
  #probeSentMonoMs = -1;
  /** Refusals without an accepted call between them; those of calls that left together count as one. */
  #refusalsInRow = 0;
  #refusedMonoMs = Number.NEGATIVE_INFINITY;
  /** The first of the refusals in a row. */
  #rowBeganMonoMs = 0;
  /** The last response that was no refusal. */
  #acceptedMonoMs = Number.NEGATIVE_INFINITY;
  #probeMs = MIN_PROBE_MS;
  /** The end of the waits that refused requests were given. */
  #bookedUntilMonoMs = 0;
  /** Calls that the upstream has accepted at once: what was held back leaves in bursts of no more. 1: evenly spaced. */
  #burstCalls = 1;
  /** True: late refusals still lower that count. */
  #isBurstCounted = false;
  /** The next call is the one after an early refusal, and when it left; -1: none did. */
  #isRetryDue = false;
  #retrySentMonoMs = -1;
  /** The last call that left although the calls at once were used up. */
  #surplusSentMonoMs = -1;
  #sentSincePause = 0;
  /** Whether stated waits of a minute and more are true. */
  #longWaits: 'untested' | 'true' | 'false' = 'untested';
  #refusedLongTests = 0;
  /** The first refusal that stated one. */
  #longStatedMonoMs = Number.POSITIVE_INFINITY;
  /** The pause of the first refusal in a row, which doubles with each further one. */
  #firstPauseMs = FIRST_PAUSE_MS;
  #usedMonoMs: number;
  #timer: Timer | null = null;
  /** Tokens per millisecond; `Infinity`: no limit. */
  readonly #tokensPerMs: number;
  #tokens: number;
  #tokensAtMonoMs: number;
  /** What a call costs, averaged; reserved when it is sent and corrected when its usage is known. */
  #tokensPerCall = 0;
  /** The upstream's last refusal. */
  lastRefusal: FerryError | null = null;

  constructor({ clock, random, rpm, tpm, calls }: PacerSettings) {
    this.#calls = calls;
    this.#clock = clock;
    this.#random = random;
    this.#rate = new LearnedRate(rpm > 0 ? rpm / 60_000 : Number.POSITIVE_INFINITY);
    this.#isConfigured = rpm > 0;
    this.#burstMs = rpm > 0 ? Math.max(0, CONFIGURED_BURST_MS - 60_000 / rpm) : 0;
    this.#tokensPerMs = tpm > 0 ? tpm / TOKENS_WINDOW_MS : Number.POSITIVE_INFINITY;
    this.#tokens = tpm > 0 ? this.#tokensPerMs * TOKENS_BURST_MS : 0;
    this.#usedMonoMs = clock.monoMs();
    this.#tokensAtMonoMs = this.#usedMonoMs;
  }

  get waiting(): number {
    return this.#queue.length + this.#returned.length;
  }

  /** Calls a second; null: nothing limits them yet. */
  get perSecond(): number | null {
    if (this.#concurrency.isLimited) return null;
    const { perMs } = this.#rate;
    return Number.isFinite(perMs) ? perMs * 1_000 : null;
  }

  /** Calls at once; null: nothing limits them. */
  get concurrency(): number | null {
    return this.#concurrency.isLimited ? this.#concurrency.max : null;
  }

  /** Since when there was no wait, call or refusal, as a monotonic time. */
  get usedMonoMs(): number {
    return this.waiting > 0 ? this.#clock.monoMs() : Math.max(this.#usedMonoMs, this.#pausedUntilMonoMs);
  }

  /** True: a request that takes its turn now is neither early nor ahead of others. */
  get isOpen(): boolean {
    return this.waiting === 0 && !this.#isFull && this.#openMonoMs() <= this.#clock.monoMs();
  }

  /** Takes a turn for a call that is sent now, whether it is open or not. */
  take(): void {
    this.#send(this.#clock.monoMs(), false);
  }

  /** How long a new request of `client` would wait for its turn, as far as is known. */
  waitMs(client: string): number {
    return this.#waitMsBehind(this.#returned.length + this.#queue.aheadOf(client));
  }

  /** Waits for a turn, at most `limitMs`, and takes it; rejects with the signal's reason. */
  wait(request: PacedRequest, limitMs: number): Promise<PaceOutcome> {
    const { client, signal } = request;
    if (signal.aborted) return Promise.reject(signal.reason);
    const isReturned = request.place !== null;
    const ahead = isReturned
      ? this.#placeAmongReturned(request)
      : this.#returned.length + this.#queue.aheadOf(client);
    if (this.#isHopeless() || this.#waitMsBehind(ahead) > limitMs) return Promise.resolve('too_long');
    if (!isReturned && this.waiting >= MAX_WAITING) {
      const last = this.#queue.makeRoomFor(client);
      if (last === undefined) return Promise.resolve('queue_full');
      last.settle('queue_full');
    }
    return new Promise((resolve, reject) => {
      const stopWaiting = (): void => {
        timer?.cancel();
        signal.removeEventListener('abort', onAbort);
      };
      const waiter: Waiter = {
        request,
        settle: (outcome) => {
          stopWaiting();
          resolve(outcome);
        },
      };
      const onAbort = (): void => {
        stopWaiting();
        this.#remove(waiter);
        reject(signal.reason);
      };
      const timer = Number.isFinite(limitMs)
        ? this.#clock.schedule(() => {
            this.#remove(waiter);
            waiter.settle('timed_out');
          }, limitMs)
        : null;
      signal.addEventListener('abort', onAbort);
      if (isReturned) this.#returned.splice(this.#placeAmongReturned(request), 0, waiter);
      else this.#queue.add(client, waiter);
      this.#serve();
    });
  }

  /** When calls left before the first refusal, oldest first; the refused one left at `refusedMonoMs`. */
  seed(sentMonoMs: readonly number[], refusedMonoMs: number): void {
    this.#rate.seed(sentMonoMs);
    // A refusal of a call that left earlier would be here already.
    const beforeMonoMs = 2 * refusedMonoMs - this.#clock.monoMs() - SAME_MOMENT_MS;
    this.#acceptedMonoMs = sentMonoMs.findLast((one) => one < beforeMonoMs) ?? Number.NEGATIVE_INFINITY;
  }

  /** The upstream refused a call that left at `sentMonoMs`, with so many `others` in flight. */
  refused(sentMonoMs: number, error: FerryError, others: number): void {
    const now = this.#clock.monoMs();
    const { retryAfterMs } = error;
    this.lastRefusal = error;
    this.#usedMonoMs = now;
    // A refused call uses no tokens.
    if (this.#tokensPerMs !== Number.POSITIVE_INFINITY) this.#tokens += this.#tokensPerCall;
    this.#probeMs = Math.min(MAX_PROBE_MS, Math.max(MIN_PROBE_MS, this.#probeMs, 2 * (now - sentMonoMs)));
    if (sentMonoMs <= this.#refusedMonoMs) this.#refusedLate(sentMonoMs, now, retryAfterMs, others);
    else this.#refusedNew(sentMonoMs, now, retryAfterMs, others);
    if (this.#isHopeless()) this.#refuseAll();
    else this.#serve();
  }

  /** It left before an earlier refusal was known, which it only makes more exact. */
  #refusedLate(sentMonoMs: number, now: number, retryAfterMs: number | undefined, others: number): void {
    this.#rate.discount(sentMonoMs);
    this.#concurrency.corrected(others, this.#rate.acceptedWithin(BURST_MS, now) / BURST_MS);
    if (this.#isBurstCounted) this.#countBurst(now);
    this.#rate.isEven = this.#burstCalls === 1;
    if (retryAfterMs !== undefined && retryAfterMs < LONG_STATED_MS && this.#isProbeDue)
      this.#pausedUntilMonoMs = Math.max(this.#pausedUntilMonoMs, now + retryAfterMs);
  }

  #refusedNew(sentMonoMs: number, now: number, retryAfterMs: number | undefined, others: number): void {
    const isFirst = !this.#rate.isLimited;
    const isProbe = this.#probeSentMonoMs >= 0 && sentMonoMs >= this.#probeSentMonoMs;
    const statedMs = this.#believedWait(retryAfterMs, isProbe);
    if (!isProbe && others >= this.#concurrency.max) {
      // More than it accepts at once: that this call is refused shows nothing.
      this.#rate.discount(sentMonoMs);
      return;
    }
    const isRetry = this.#retrySentMonoMs >= 0 && this.#rate.isTurnOf(sentMonoMs, this.#retrySentMonoMs);
    if (this.#rate.isAnyBetween(this.#refusedMonoMs, now - this.#probeMs)) this.#refusalsInRow = 0;
    if (this.#refusalsInRow === 0) this.#rowBeganMonoMs = now;
    this.#refusalsInRow += 1;
    this.#refusedMonoMs = now;
    this.#isBurstCounted = isFirst;
    this.#probeUntilMonoMs = 0;
    this.#probeSentMonoMs = -1;
    this.#retrySentMonoMs = -1;
    const perMs = this.#rate.acceptedWithin(BURST_MS, now) / BURST_MS;
    // After a shorter pause the calls before it may be in flight still, whatever the limit is.
    const isRested = isProbe && sentMonoMs - this.#rowBeganMonoMs >= BURST_MS;
    if (this.#concurrency.refused({ others, perMs, isProbe: isRested }, now)) {
      this.#rate.discount(sentMonoMs);
      this.#pause(now, statedMs, false);
      return;
    }
    const intervalMs = this.#intervalMs;
    if (isProbe || isRetry) this.#rate.discount(sentMonoMs);
    else if (this.#burstCalls > 1 && this.#rate.gapBefore(sentMonoMs) < BURST_SHARE * intervalMs) {
      this.#burstCalls = Math.floor(this.#burstCalls / 2);
      this.#rate.discount(sentMonoMs);
    } else this.#rate.refused(sentMonoMs, now, statedMs);
    if (isFirst) this.#countBurst(now);
    this.#rate.isEven = this.#burstCalls === 1;
    this.#pause(now, statedMs, isFirst || isProbe);
  }

  /** Null: the upstream states no time to wait, or none that can be believed. */
  #believedWait(retryAfterMs: number | undefined, isProbe: boolean): number | null {
    if (retryAfterMs === undefined) return null;
    if (retryAfterMs < LONG_STATED_MS) return retryAfterMs;
    this.#longStatedMonoMs = Math.min(this.#longStatedMonoMs, this.#clock.monoMs());
    if (isProbe) this.#refusedLongTests += 1;
    if (this.#longWaits === 'untested' && this.#refusedLongTests >= LONG_WAIT_TESTS) this.#longWaits = 'true';
    return this.#longWaits === 'true' ? retryAfterMs : null;
  }

  #countBurst(now: number): void {
    this.#burstCalls = Math.max(1, this.#rate.acceptedWithin(BURST_MS, now));
  }

  /** `isEmpty`: the limit was used up; else a call came a little too early, and the next one is accepted after its interval. */
  #pause(now: number, statedMs: number | null, isEmpty: boolean): void {
    const isEarly = !isEmpty && this.#refusalsInRow === 1 && this.#sentSincePause > STEADY_CALLS;
    if (isEarly && (statedMs ?? 0) <= ROUNDED_UP_MS) {
      const intervalMs = this.#intervalMs;
      this.#pausedUntilMonoMs = Math.max(
        this.#pausedUntilMonoMs,
        now + Math.min(intervalMs, statedMs ?? intervalMs),
      );
      this.#firstPauseMs = Math.min(FIRST_PAUSE_MS, intervalMs);
      this.#isRetryDue = true;
      return;
    }
    // A stated wait that was far too short doubles as well.
    if (this.#refusalsInRow === 1)
      this.#firstPauseMs = Math.min(FIRST_PAUSE_MS, Math.max(MIN_PAUSE_MS, statedMs ?? FIRST_PAUSE_MS));
    const unstatedMs = this.#firstPauseMs * 2 ** (this.#refusalsInRow - 1);
    this.#pausedUntilMonoMs = Math.max(
      this.#pausedUntilMonoMs,
      now + ((statedMs ?? 0) >= FIRST_PAUSE_MS ? (statedMs as number) : Math.min(MAX_PAUSE_MS, unstatedMs)),
    );
    this.#isProbeDue = true;
    this.#sentSincePause = 0;
  }

  /** The upstream accepted a call that was sent at `sentMonoMs`, with any result. */
  accepted(sentMonoMs: number): void {
    this.#acceptedMonoMs = this.#clock.monoMs();
    if (this.#longWaits === 'untested' && sentMonoMs > this.#longStatedMonoMs) this.#longWaits = 'false';
    if (sentMonoMs <= this.#refusedMonoMs) return;
    if (this.#surplusSentMonoMs >= 0 && this.#rate.isTurnOf(sentMonoMs, this.#surplusSentMonoMs)) {
      this.#surplusSentMonoMs = -1;
      this.#concurrency.exceeded();
      this.#serve();
    }
    if (this.#probeSentMonoMs >= 0) this.#rate.paused(this.#probeSentMonoMs - this.#rowBeganMonoMs);
    this.#refusalsInRow = 0;
    if (this.#probeSentMonoMs < 0) return;
    this.#probeSentMonoMs = -1;
    this.#probeUntilMonoMs = 0;
    this.#serve();
  }

  /** A call that took a turn has used so many tokens. */
  spent(tokens: number): void {
    if (this.#tokensPerMs === Number.POSITIVE_INFINITY) return;
    this.#refillTokens(this.#clock.monoMs());
    this.#tokens += this.#tokensPerCall - tokens;
    this.#tokensPerCall += (tokens - this.#tokensPerCall) / 4;
  }

  /**
   * When a refused client should retry, in milliseconds: after the pause and all waiting requests, spread over the time that
   * these and the retries of clients that were refused before will take.
   */
  retryAfterMs(client: string): number {
    const now = this.#clock.monoMs();
    const turnMs = Math.max(1, this.waitMs(client));
    const intervalMs = this.#intervalMs;
    this.#bookedUntilMonoMs = Math.max(this.#bookedUntilMonoMs, now + turnMs) + intervalMs;
    const spreadMs = Math.max(this.#bookedUntilMonoMs - now - turnMs, this.waiting * intervalMs);
    return Math.min(MAX_RETRY_AFTER_MS, Math.ceil(turnMs + this.#random() * spreadMs));
  }

  /** A call has its response. */
  ended(): void {
    if (this.waiting > 0) this.#serve();
  }

  get #isFull(): boolean {
    return this.#calls.inFlight >= this.#concurrency.max;
  }

  /** When the next call may leave. */
  #openMonoMs(): number {
    return Math.max(
      // The refused call counts nowhere: the probe leaves when the pause is over.
      this.#isProbeDue || this.#concurrency.isLimited
        ? 0
        : Math.max(this.#nextMonoMs, this.#rate.windowOpenMonoMs),
      this.#pausedUntilMonoMs,
      this.#probeUntilMonoMs,
      this.#tokensPerMs === Number.POSITIVE_INFINITY ? 0 : this.#tokensOpenMonoMs(),
    );
  }

  /** 0: the rate is not limited. */
  get #intervalMs(): number {
    if (this.#concurrency.isLimited) return SLOT_PAUSE_MS;
    return 1 / this.#rate.perMs;
  }

  #waitMsBehind(ahead: number): number {
    const now = this.#clock.monoMs();
    const untilOpenMs = Math.max(0, this.#openMonoMs() - now);
    // A first guess is often too low, and a refusal cannot be taken back.
    const share = this.#rate.isFound ? 1 : 0.5;
    return untilOpenMs + ahead * this.#intervalMs * share;
  }

  #send(now: number, isBusy: boolean): void {
    this.#usedMonoMs = now;
    this.#sentSincePause += 1;
    // While its window is full the upstream would take no call.
    const dueMonoMs = Math.max(this.#nextMonoMs, this.#rate.windowOpenMonoMs);
    const isSlotted = this.#concurrency.isLimited;
    if (isSlotted && isBusy) this.#concurrency.sent(now);
    this.#rate.sent(now, isBusy && !isSlotted);
    this.#nextMonoMs = Math.max(dueMonoMs, now - this.#creditMs(isBusy)) + this.#intervalMs;
    if (this.#tokensPerMs !== Number.POSITIVE_INFINITY) {
      this.#refillTokens(now);
      this.#tokens -= this.#tokensPerCall;
    }
    this.#probeSentMonoMs = -1;
    if (this.#isRetryDue && !this.#isProbeDue) {
      this.#isRetryDue = false;
      this.#retrySentMonoMs = now;
    }
    if (!this.#isProbeDue || now < this.#pausedUntilMonoMs) return;
    this.#isProbeDue = false;
    this.#probeSentMonoMs = now;
    this.#probeUntilMonoMs = now + this.#probeMs;
  }

  /** How far the calls may be behind their times and still be made up for. */
  #creditMs(isBusy: boolean): number {
    if (this.#isConfigured) return this.#burstMs;
    return isBusy ? Math.min(MAX_CREDIT_MS, (this.#burstCalls - 1) * this.#intervalMs) : 0;
  }

  /** Gives turns to all whose time has come, and sets the timer for the next one. */
  #serve(): void {
    this.#timer?.cancel();
    this.#timer = null;
    while (this.waiting > 0) {
      const now = this.#clock.monoMs();
      const isFull = this.#isFull;
      const openMonoMs = isFull
        ? Math.max(this.#usedMonoMs + MAX_FULL_MS, this.#openMonoMs())
        : this.#openMonoMs();
      if (openMonoMs > now) {
        const waitMs = Math.min(MAX_TIMER_MS, Math.max(MIN_TIMER_MS, Math.ceil(openMonoMs - now)));
        this.#timer = this.#clock.schedule(() => this.#serve(), waitMs);
        return;
      }
      const waiter = this.#returned.shift() ?? this.#queue.shift();
      if (waiter === undefined) return;
      waiter.request.place ??= this.#places++;
      this.#send(now, true);
      if (isFull) this.#surplusSentMonoMs = now;
      waiter.settle('turn');
      if (this.#concurrency.isLimited) {
        // The call is counted when its request goes on.
        this.#timer = this.#clock.schedule(() => this.#serve(), MIN_TIMER_MS);
        return;
      }
    }
  }

  /** True: whoever waits longer would be refused all the same. One call is sent after each pause, for a request that comes then. */
  #isHopeless(): boolean {
    const now = this.#clock.monoMs();
    if (this.#refusalsInRow < HOPELESS_SLOW_REFUSALS || now < this.#acceptedMonoMs + HOPELESS_AFTER_MS)
      return false;
    return this.#refusalsInRow >= HOPELESS_REFUSALS || now - this.#rowBeganMonoMs >= HOPELESS_SLOW_MS;
  }

  #refuseAll(): void {
    for (;;) {
      const waiter = this.#returned.shift() ?? this.#queue.shift();
      if (waiter === undefined) break;
      waiter.settle('too_long');
    }
    this.#serve();
  }

  #remove(waiter: Waiter): void {
    const at = this.#returned.indexOf(waiter);
    if (at >= 0) this.#returned.splice(at, 1);
    else this.#queue.remove(waiter.request.client, waiter);
    if (this.waiting === 0) this.#serve();
  }

  #placeAmongReturned({ place }: PacedRequest): number {
    const after = this.#returned.findIndex(({ request }) => (request.place ?? 0) > (place ?? 0));
    return after === -1 ? this.#returned.length : after;
  }

  #refillTokens(now: number): void {
    const refill = (now - this.#tokensAtMonoMs) * this.#tokensPerMs;
    this.#tokens = Math.min(this.#tokens + refill, this.#tokensPerMs * TOKENS_BURST_MS);
    this.#tokensAtMonoMs = now;
  }

  /** A call may leave while the balance is not below zero: what it will cost is known afterwards. */
  #tokensOpenMonoMs(): number {
    return this.#tokens >= 0 ? 0 : this.#tokensAtMonoMs - this.#tokens / this.#tokensPerMs;
  }
}
