import { SecretRegistry } from '../../../src/lib/secret.ts';
import type { Lease } from '../../../src/tokens/manager/lease.ts';
import { describeTokenEvent } from '../../../src/tokens/manager/token-event.ts';
import { TokenManager } from '../../../src/tokens/manager/token-manager.ts';
import { DEFAULT_TOKEN_MANAGER_SETTINGS } from '../../../src/tokens/manager/token-manager-settings.ts';
import { TokenUnavailable } from '../../../src/tokens/manager/token-unavailable.ts';
import type { AcquireContext, RawToken, TokenSource } from '../../../src/tokens/sources/token-source.ts';
import { TokenSourceError } from '../../../src/tokens/sources/token-source.ts';
import { VirtualClock } from '../../helpers/virtual-clock.ts';

/** What the world of one seed is like. Times in milliseconds. */
export interface Weather {
  readonly lifeMs: number;
  readonly isExclusive: boolean;
  /** Clocks step and the machine sleeps. */
  readonly hasClockTrouble: boolean;
  readonly requests: number;
  readonly meanGapMs: number;
}

/** After an outage: a hung attempt must be given up (10 s), one pause (5 s), one exchange, and a margin. */
const RECOVERY_MS = 16_500;

const SLOWEST_ANSWER_MS = 400;

/** What went wrong in one run, in words; empty when all invariants held. */
export interface Findings {
  readonly violations: string[];
  readonly served: number;
  readonly failed: number;
  readonly replays: number;
  readonly issuerCalls: number;
}

/**
 * One issuer, one upstream that knows which tokens are good, one manager and a stream of requests, all on a virtual
 * clock. The world knows the true time, which neither clock of the manager shows when the machine sleeps or NTP steps.
 */
export class World {
  readonly #clock = new VirtualClock();
  readonly #random: () => number;
  readonly #weather: Weather;
  readonly #manager: TokenManager;
  readonly #violations: string[] = [];
  /** Token value to the true time of its end. */
  readonly #ends = new Map<string, number>();
  /** True times [from, to] in which the issuer is away. */
  readonly #outages: [number, number, 'errors' | 'hangs'][] = [];
  /** True times at which the wall clock was made to lie, or the machine slept. */
  readonly #troubles: number[] = [];
  readonly #refused = new Set<string>();
  #sleptMs = 0;
  #issued = 0;
  #asking = 0;
  #issuerCalls = 0;
  #forcedTokens = 0;
  #served = 0;
  #failed = 0;
  #replays = 0;

  constructor(random: () => number, weather: Weather) {
    this.#random = random;
    this.#weather = weather;
    const source: TokenSource = { kind: 'world', key: 'recipe', acquire: (context) => this.#issue(context) };
    this.#manager = new TokenManager({
      name: 'world',
      source,
      settings: {
        ...DEFAULT_TOKEN_MANAGER_SETTINGS,
        rotation: weather.isExclusive ? 'exclusive' : 'overlap',
      },
      clock: this.#clock,
      random,
      secrets: new SecretRegistry(),
      onEvent: (event) => {
        const text = `${JSON.stringify(event)} ${describeTokenEvent(event)}`;
        if (text.includes('SECRET')) this.#violations.push(`I5: a token in an event: ${event.kind}`);
      },
    });
  }

  async run(): Promise<Findings> {
    void this.#manager.start();
    await this.#clock.advance(500);
    const pending: Promise<void>[] = [];
    let nextOutage = this.#now() + this.#between(20_000, 200_000);
    let nextRevocation = this.#now() + this.#between(30_000, 200_000);
    let nextTrouble = this.#weather.hasClockTrouble ? this.#now() + this.#between(20_000, 200_000) : Infinity;
    for (let request = 0; request < this.#weather.requests; request++) {
      await this.#clock.advance(-Math.log(1 - this.#random()) * this.#weather.meanGapMs);
      if (this.#now() > nextOutage) nextOutage = this.#beginOutage();
      if (this.#now() > nextRevocation) nextRevocation = this.#revokeAll();
      if (this.#now() > nextTrouble) nextTrouble = this.#troubleClocks();
      pending.push(this.#request());
    }
    await this.#clock.advance(60_000);
    await Promise.all(pending);
    await this.#manager.stop();
    await this.#clock.advance(20_000);
    if (this.#clock.pending > 0) this.#violations.push(`I6: ${this.#clock.pending} timers after stop()`);
    if (this.#forcedTokens > this.#refused.size) {
      this.#violations.push(
        `I3: ${this.#forcedTokens} forced renewals for ${this.#refused.size} refused tokens`,
      );
    }
    return {
      violations: this.#violations,
      served: this.#served,
      failed: this.#failed,
      replays: this.#replays,
      issuerCalls: this.#issuerCalls,
    };
  }

  #now(): number {
    return this.#clock.monoMs() + this.#sleptMs;
  }

  #between(low: number, high: number): number {
    return low + (high - low) * this.#random();
  }

  async #issue(context: AcquireContext): Promise<RawToken> {
    this.#issuerCalls += 1;
    this.#asking += 1;
    if (this.#asking > 1) this.#violations.push(`I2: ${this.#asking} issuer calls at one time`);
    try {
      const outage = this.#outages.find(([from, to]) => this.#now() >= from && this.#now() < to);
      await this.#sleep(
        outage?.[2] === 'hangs' ? 600_000 : this.#between(20, SLOWEST_ANSWER_MS),
        context.signal,
      );
      if (outage !== undefined) throw new TokenSourceError('the issuer is away');
      if (this.#weather.isExclusive) this.#ends.clear();
      const value = `SECRET-${++this.#issued}`;
      this.#ends.set(value, this.#now() + this.#weather.lifeMs);
      if (context.force) this.#forcedTokens += 1;
      return { value, lifetimeMs: this.#weather.lifeMs };
    } finally {
      this.#asking -= 1;
    }
  }

  #sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.schedule(resolve, ms);
      signal?.addEventListener('abort', () => {
        timer.cancel();
        reject(signal.reason);
      });
    });
  }

  async #request(): Promise<void> {
    const startedAt = this.#now();
    try {
      const lease = this.#check(this.#manager.peek() ?? (await this.#manager.get()));
      if (await this.#send(lease)) return;
      this.#replays += 1;
      this.#refused.add(lease.fingerprint);
      const renewed = await this.#manager.renewAfter(lease, { status: 401 });
      if (renewed === null) this.#violations.push(`I4: no replay at ${startedAt}`);
      else if (!(await this.#send(this.#check(renewed)))) {
        this.#manager.reportRejected(renewed);
        this.#refused.add(renewed.fingerprint);
        // A second revocation or rotation hit the replay as well: nobody can help that.
        this.#failed += 1;
      }
    } catch (error) {
      if (!(error instanceof TokenUnavailable)) throw error;
      this.#failed += 1;
      this.#judgeFailure(startedAt, error);
    }
  }

  /** The upstream: accepts what is good at its own, true time. */
  async #send(lease: Lease): Promise<boolean> {
    const headers: string[] = [];
    lease.apply({ path: '/', headers, body: null, isJson: false });
    const value = (headers[1] ?? '').replace('Bearer ', '');
    await this.#sleep(this.#between(1, 30));
    const isGood = (this.#ends.get(value) ?? 0) > this.#now();
    if (isGood) {
      this.#served += 1;
      this.#manager.reportAccepted(lease);
    }
    return isGood;
  }

  #check(lease: Lease): Lease {
    if (lease.remainingMs() <= 0) this.#violations.push(`I1: a lease with ${lease.remainingMs()} ms left`);
    const headers: string[] = [];
    lease.apply({ path: '/', headers, body: null, isJson: false });
    const endsAt = this.#ends.get((headers[1] ?? '').replace('Bearer ', ''));
    if (endsAt !== undefined && endsAt <= this.#now()) this.#violations.push('I1: a lease on an ended token');
    return lease;
  }

  /** I4: a request may fail only when the issuer was away for so much of its wait that no token could come. */
  #judgeFailure(startedAt: number, error: TokenUnavailable): void {
    const endedAt = this.#now();
    const waitedMs = endedAt - startedAt;
    // `get` and `renewAfter` may each wait for 30 s; less only when no attempt was to be made before the deadline.
    if (waitedMs < 24_000) this.#violations.push(`I4: refused after ${waitedMs} ms (${error.message})`);
    // While the machine sleeps the issuer is up and nobody is there to ask it.
    if (this.#troubles.some((at) => at >= startedAt && at <= endedAt)) return;
    let upFrom = startedAt;
    let longestUpMs = 0;
    for (const [from, to] of this.#outages) {
      if (to < startedAt || from > endedAt) continue;
      longestUpMs = Math.max(longestUpMs, from - upFrom);
      upFrom = Math.max(upFrom, to);
    }
    longestUpMs = Math.max(longestUpMs, endedAt - upFrom);
    if (longestUpMs > RECOVERY_MS) {
      this.#violations.push(`I4: failed at ${endedAt} with the issuer up for ${longestUpMs} ms of the wait`);
    }
    const hasTrouble = this.#troubles.some((at) => at > startedAt - this.#weather.lifeMs && at < endedAt);
    const leftMs = Math.max(...[...this.#ends.values()].map((endsAt) => endsAt - startedAt), 0);
    // The leeway, and the time that the token travelled, which the manager has to count as lived.
    if (!hasTrouble && leftMs > 0.05 * this.#weather.lifeMs + SLOWEST_ANSWER_MS) {
      this.#violations.push(`I4: failed although a token was good for ${leftMs} ms when it asked`);
    }
  }

  #beginOutage(): number {
    const from = this.#now();
    const to = from + this.#between(1_000, 130_000);
    this.#outages.push([from, to, this.#random() < 0.3 ? 'hangs' : 'errors']);
    return to + this.#between(40_000, 300_000);
  }

  /** At most three a minute, so that the limit of five forced renewals a minute is never what fails a request. */
  #revokeAll(): number {
    this.#ends.clear();
    return this.#now() + this.#between(20_000, 200_000);
  }

  #troubleClocks(): number {
    const kind = this.#random();
    if (kind < 0.3) this.#clock.stepWall(this.#between(-3_600_000, 0));
    else if (kind < 0.6) this.#clock.stepWall(this.#between(0, 3_600_000));
    else if (kind < 0.8) {
      const ms = this.#between(1_000, 600_000);
      this.#clock.suspend(ms);
      this.#sleptMs += ms;
    } else this.#clock.stall(this.#between(100, 5_000));
    this.#troubles.push(this.#now());
    // Two within one look of the manager (30 s, and 10 s of a hung attempt) can hide each other from any two clocks.
    return this.#now() + this.#between(45_000, 200_000);
  }
}
