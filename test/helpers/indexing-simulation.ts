import type { Timer } from '../../src/lib/clock.ts';
import { FerryError } from '../../src/lib/errors/ferry-error.ts';
import { retryAfterMs } from '../../src/lib/net/retry-after.ts';
import { Failover } from '../../src/routing/failover.ts';
import type { UpstreamResponse } from '../../src/upstream/response.ts';
import { newRequest, newUpstream } from '../routing/rig.ts';
import { type LimitHint, limitHeaders, type RateLimiter } from './rate-limiters.ts';
import { randomFrom } from './seeded-random.ts';
import { VirtualClock } from './virtual-clock.ts';

/** One run: workers that call one upstream all the time, each its next call after the last one. */
export interface SimulatedRun {
  /** Called once for the run and once for the maximum. */
  readonly limiter: () => RateLimiter;
  readonly hint: LimitHint;
  readonly workers: number;
  /** From the upstream's decision to its response; varies by a tenth. */
  readonly latencyMs: number;
  /** The way to the upstream takes a quarter of this up to all of it, and now and then three times as long. */
  readonly travelMs: number;
  readonly durationMs: number;
  readonly seed: number;
  /** Timers are late by up to this: those of the gateway, of the upstream and of the network between them. */
  readonly lateMs?: number;
  /** The tokens of a call vary up to twice and down to none of this. */
  readonly tokens?: number;
}

/** What came of it. */
export interface SimulatedResult {
  /** Calls that were accepted, as a share of those that an all-knowing caller gets accepted. */
  readonly share: number;
  readonly maximum: number;
  /** Refusals that reached a client. */
  readonly failed: number;
  /** Refusals of the upstream. */
  readonly refused: number;
}

const DEADLINE_MS = 300_000;
const START_MS = 313;
/** More timers and calls than this at one moment are an endless loop. */
const MAX_AT_ONE_MOMENT = 10_000;
/** How much later a reading of the clock is than the one before, at least. */
const READING_MS = 0.001;

/** A clock as machines have it, with timers that are late; throws where time does not go on, instead of running for ever. */
class GuardedClock extends VirtualClock {
  readonly #lateMs: () => number;
  #readMonoMs = 0;
  #momentMonoMs = 0;
  #atMoment = 0;

  constructor(lateMs: () => number) {
    super();
    this.#lateMs = lateMs;
  }

  override schedule(run: () => void, delayMs: number): Timer {
    return super.schedule(() => {
      this.count();
      run();
    }, delayMs + this.#lateMs());
  }

  override monoMs(): number {
    this.#readMonoMs = Math.max(super.monoMs(), this.#readMonoMs + READING_MS);
    return this.#readMonoMs;
  }

  /** Something happens at this moment. */
  count(): void {
    const now = super.monoMs();
    this.#atMoment = now > this.#momentMonoMs ? 1 : this.#atMoment + 1;
    this.#momentMonoMs = now;
    if (this.#atMoment > MAX_AT_ONE_MOMENT) throw new Error(`The time stands still at ${now}.`);
  }
}

/** Routing, as requests use it, in front of a simulated upstream at virtual time. */
export async function simulate(run: SimulatedRun): Promise<SimulatedResult> {
  const { hint, workers, latencyMs, travelMs, durationMs } = run;
  const random = randomFrom(run.seed);
  const lateness = randomFrom(run.seed + 1);
  const clock = new GuardedClock(() => (run.lateMs ?? 0) * lateness());
  await clock.advance(START_MS);
  const limiter = run.limiter();
  const pace = { rpm: 0, tpm: 0, maxWaitMs: DEADLINE_MS };
  const upstream = newUpstream('limited', { clock, pace });
  const pause = (ms: number): Promise<void> => new Promise((resolve) => void clock.schedule(resolve, ms));
  const endMs = clock.monoMs() + durationMs;
  let [accepted, failed, refused, inFlight] = [0, 0, 0, 0];
  const call = async (): Promise<void> => {
    const failover = new Failover(newRequest({ startedMonoMs: clock.monoMs() }), [upstream], {
      deadlineMs: DEADLINE_MS,
      sameUpstreamRetries: 1,
      backoffMs: 0,
      clock,
    });
    for (;;) {
      const attempt = await failover.next();
      await pause(travelMs * (0.25 + 0.75 * random() + (random() < 0.01 ? 2 : 0)));
      const tokens = Math.round((run.tokens ?? 0) * 2 * random());
      const decision = limiter(clock.monoMs(), { inFlight, tokens });
      const found = new Headers(limitHeaders(hint, decision, clock.wallMs()));
      const headers = { get: (name: string) => found.get(name) };
      const status = decision.isAccepted ? 200 : 429;
      const response = { status, headers, body: { destroy: () => undefined } } as unknown as UpstreamResponse;
      if (decision.isAccepted) {
        if (clock.monoMs() <= endMs) accepted += 1;
        inFlight += 1;
        await pause(latencyMs * (0.95 + 0.1 * random()));
        inFlight -= 1;
        attempt.received(response);
        attempt.commit(null);
        attempt.finish(null);
        return;
      }
      refused += 1;
      await pause(1);
      attempt.received(response);
      const wait = retryAfterMs({
        headers: (name) => found.get(name) ?? undefined,
        text: '',
        nowWallMs: clock.wallMs(),
        isRateLimit: true,
      });
      const error = new FerryError('rate_limited', { message: 'slow down', retryAfterMs: wait });
      await failover.failed(attempt, error, null);
    }
  };
  const worker = async (): Promise<void> => {
    while (clock.monoMs() < endMs) {
      clock.count();
      await call().catch(async (error: unknown) => {
        if (!(error instanceof FerryError)) throw error;
        failed += 1;
        await pause(error.retryAfterMs ?? 1_000);
      });
    }
  };
  const errors: unknown[] = [];
  for (let count = 0; count < workers; count++) worker().catch((error: unknown) => errors.push(error));
  await clock.advance(durationMs);
  if (errors.length > 0) throw errors[0];
  const maximum = maximumOf(run);
  return { share: accepted / maximum, maximum, failed, refused };
}

/** What a caller gets accepted that tries every millisecond, and whose calls take no time on their way but that of a mean. */
function maximumOf({
  limiter: create,
  workers,
  latencyMs,
  travelMs,
  durationMs,
  tokens = 0,
  seed,
}: SimulatedRun): number {
  const limiter = create();
  const random = randomFrom(seed);
  const endings: number[] = [];
  let accepted = 0;
  let cost = Math.round(tokens * 2 * random());
  const firstMs = 1_000 + START_MS;
  for (let nowMs = firstMs; nowMs < firstMs + durationMs; nowMs += 1) {
    while (endings[0] !== undefined && endings[0] <= nowMs) endings.shift();
    while (endings.length < workers) {
      if (!limiter(nowMs, { inFlight: endings.length, tokens: cost }).isAccepted) break;
      accepted += 1;
      cost = Math.round(tokens * 2 * random());
      endings.push(nowMs + latencyMs + travelMs * 0.625);
    }
  }
  return accepted;
}
