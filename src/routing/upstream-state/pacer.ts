import type { Clock, Timer } from '../../lib/clock.ts';
import type { FerryError } from '../../lib/errors/ferry-error.ts';
import { FairQueue } from './fair-queue.ts';
import { LearnedRate, type StatedLimit } from './learned-rate.ts';

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
}

interface Waiter {
  readonly request: PacedRequest;
  settle(outcome: PaceOutcome): void;
}

/** Longer queues would only turn a refusal, which a client can act on, into a timeout. */
const MAX_WAITING = 1_000;
/** How far a turn may be late without the next ones being later for it: what timers of a busy process are late. */
const LATENESS_MS = 10;
/** Calls of a configured limit may come at once when none came for so long. */
const CONFIGURED_BURST_MS = 1_000;
/** After a 429 without `retry-after`: doubles with each refusal in a row. */
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 30_000;
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
 * Lets requests through to one upstream and model at the rate that the upstream shows or the configuration states. After
 * a refusal nothing is sent until the pause is over, then one call as a probe, then one call an interval. Requests wait
 * in fair queues; one that had its turn and was refused is served before them, in the order of first turns.
 */
export class Pacer {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #rate: LearnedRate;
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

  constructor({ clock, random, rpm, tpm }: PacerSettings) {
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
    const perMs = this.#rate.at(this.#clock.monoMs());
    return Number.isFinite(perMs) ? perMs * 1_000 : null;
  }

  /** Since when there was no wait, call or refusal, as a monotonic time. */
  get usedMonoMs(): number {
    return this.waiting > 0 ? this.#clock.monoMs() : Math.max(this.#usedMonoMs, this.#pausedUntilMonoMs);
  }

  /** True: a request that takes its turn now is neither early nor ahead of others. */
  get isOpen(): boolean {
    return this.waiting === 0 && this.#openMonoMs() <= this.#clock.monoMs();
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

  /** The upstream refused a call that left at `sentMonoMs`. */
  refused(sentMonoMs: number, error: FerryError): void {
    const now = this.#clock.monoMs();
    const { retryAfterMs } = error;
    this.lastRefusal = error;
    this.#usedMonoMs = now;
    // A refused call uses no tokens.
    if (this.#tokensPerMs !== Number.POSITIVE_INFINITY) this.#tokens += this.#tokensPerCall;
    const isProbe = this.#probeSentMonoMs >= 0 && sentMonoMs >= this.#probeSentMonoMs;
    this.#rate.refused(sentMonoMs, now, retryAfterMs, isProbe);
    if (sentMonoMs > this.#refusedMonoMs) {
      if (this.#refusalsInRow === 0) this.#rowBeganMonoMs = now;
      this.#refusalsInRow += 1;
      this.#refusedMonoMs = now;
    }
    const unstatedMs = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.#refusalsInRow - 1));
    this.#pausedUntilMonoMs = Math.max(this.#pausedUntilMonoMs, now + (retryAfterMs ?? unstatedMs));
    this.#probeMs = Math.min(MAX_PROBE_MS, Math.max(MIN_PROBE_MS, this.#probeMs, 2 * (now - sentMonoMs)));
    this.#isProbeDue = true;
    this.#probeUntilMonoMs = 0;
    this.#probeSentMonoMs = -1;
    if (this.#isHopeless()) this.#refuseAll();
    else this.#serve();
  }

  /** The upstream accepted a call that was sent at `sentMonoMs`, with any result. */
  accepted(sentMonoMs: number): void {
    this.#acceptedMonoMs = this.#clock.monoMs();
    if (sentMonoMs <= this.#refusedMonoMs) return;
    this.#refusalsInRow = 0;
    if (this.#probeSentMonoMs < 0) return;
    this.#probeSentMonoMs = -1;
    this.#probeUntilMonoMs = 0;
    this.#serve();
  }

  /** What the headers of a response state of the limit. */
  stated(limit: StatedLimit): void {
    this.#rate.stated(limit, this.#clock.monoMs());
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
    const intervalMs = this.#intervalMs(now);
    this.#bookedUntilMonoMs = Math.max(this.#bookedUntilMonoMs, now + turnMs) + intervalMs;
    const spreadMs = Math.max(this.#bookedUntilMonoMs - now - turnMs, this.waiting * intervalMs);
    return Math.min(MAX_RETRY_AFTER_MS, Math.ceil(turnMs + this.#random() * spreadMs));
  }

  /** When the next call may leave. */
  #openMonoMs(): number {
    return Math.max(
      // The refused call counts nowhere: the probe leaves when the pause is over.
      this.#isProbeDue ? 0 : Math.max(this.#nextMonoMs, this.#rate.windowOpenMonoMs),
      this.#pausedUntilMonoMs,
      this.#probeUntilMonoMs,
      this.#tokensPerMs === Number.POSITIVE_INFINITY ? 0 : this.#tokensOpenMonoMs(),
    );
  }

  #intervalMs(now: number): number {
    return 1 / this.#rate.at(now);
  }

  #waitMsBehind(ahead: number): number {
    const now = this.#clock.monoMs();
    const untilOpenMs = Math.max(0, this.#openMonoMs() - now);
    // A first guess is often too low, and a refusal cannot be taken back.
    const share = this.#rate.isConfirmed ? 1 : 0.5;
    return untilOpenMs + ahead * this.#intervalMs(now) * share;
  }

  #send(now: number, isBusy: boolean): void {
    this.#usedMonoMs = now;
    const windowOpenMonoMs = this.#rate.windowOpenMonoMs;
    this.#rate.sent(now, isBusy);
    this.#nextMonoMs =
      (this.#isProbeDue ? now : this.#dueMonoMs(now, windowOpenMonoMs)) + this.#intervalMs(now);
    if (this.#tokensPerMs !== Number.POSITIVE_INFINITY) {
      this.#refillTokens(now);
      this.#tokens -= this.#tokensPerCall;
    }
    this.#probeSentMonoMs = -1;
    if (!this.#isProbeDue || now < this.#pausedUntilMonoMs) return;
    this.#isProbeDue = false;
    this.#probeSentMonoMs = now;
    this.#probeUntilMonoMs = now + this.#probeMs;
  }

  /** From when on the next interval counts: what timers are late is made up for, and what a pause has held back in part. */
  #dueMonoMs(now: number, windowOpenMonoMs: number): number {
    // While its window is full the upstream would take no call.
    const dueMonoMs = Math.max(this.#nextMonoMs, windowOpenMonoMs);
    if (now - dueMonoMs <= LATENESS_MS) return dueMonoMs;
    const burstMs = this.#isConfigured
      ? this.#burstMs
      : Math.max(0, this.#rate.burstMs - this.#intervalMs(now));
    return Math.max(dueMonoMs, now - burstMs);
  }

  /** Gives turns to all whose time has come, and sets the timer for the next one. */
  #serve(): void {
    this.#timer?.cancel();
    this.#timer = null;
    while (this.waiting > 0) {
      const now = this.#clock.monoMs();
      const untilOpenMs = this.#openMonoMs() - now;
      if (untilOpenMs > 0) {
        this.#timer = this.#clock.schedule(() => this.#serve(), Math.ceil(untilOpenMs));
        return;
      }
      const waiter = this.#returned.shift() ?? this.#queue.shift();
      if (waiter === undefined) return;
      waiter.request.place ??= this.#places++;
      this.#send(now, true);
      waiter.settle('turn');
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
