import type { Clock } from '../../lib/clock.ts';
import type { RequestRecord } from '../../lib/request-record.ts';
import type { RecentRequests } from '../api-types.ts';
import { DurationCounts } from './duration-counts.ts';

/** Sums of one step of the ring, or of several together. */
class Sums {
  requests = 0;
  errors = 0;
  promptTokens = 0;
  completionTokens = 0;
  elapsedMs = 0;
  firstTokenMs = 0;
  readonly elapsed = new DurationCounts();
  readonly firstToken = new DurationCounts();

  add(record: RequestRecord): void {
    this.requests += 1;
    if (record.outcome !== 'ok') this.errors += 1;
    this.promptTokens += record.promptTokens ?? 0;
    this.completionTokens += record.completionTokens ?? 0;
    if (record.firstTokenMs !== null) {
      this.firstTokenMs += record.firstTokenMs;
      this.firstToken.add(record.firstTokenMs);
    }
    this.elapsedMs += record.elapsedMs;
    this.elapsed.add(record.elapsedMs);
  }

  merge(other: Sums): void {
    this.requests += other.requests;
    this.errors += other.errors;
    this.promptTokens += other.promptTokens;
    this.completionTokens += other.completionTokens;
    this.elapsedMs += other.elapsedMs;
    this.firstTokenMs += other.firstTokenMs;
    this.elapsed.merge(other.elapsed);
    this.firstToken.merge(other.firstToken);
  }

  totals(): Omit<RecentRequests, 'window_ms'> {
    const { requests, elapsed, firstToken } = this;
    return {
      requests,
      errors: this.errors,
      prompt_tokens: this.promptTokens,
      completion_tokens: this.completionTokens,
      first_token_ms: firstToken.count === 0 ? null : Math.round(this.firstTokenMs / firstToken.count),
      elapsed_ms: requests === 0 ? null : Math.round(this.elapsedMs / requests),
      first_token_p50_ms: firstToken.percentile(0.5),
      first_token_p95_ms: firstToken.percentile(0.95),
      elapsed_p50_ms: elapsed.percentile(0.5),
      elapsed_p95_ms: elapsed.percentile(0.95),
    };
  }
}

const STEP_SECONDS = 5;
/** Five minutes, and the step that has begun. */
const STEPS = 61;

/** Totals of the last seconds, up to five minutes: a ring with one place for five seconds. */
export class RecentTotals {
  readonly #clock: Clock;
  readonly #startedMonoMs: number;
  /** By step modulo its length; `step` says which one a place is for. */
  readonly ring: { step: number; sums: Sums }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedMonoMs = clock.monoMs();
  }

  add(record: RequestRecord): void {
    const step = this.#step();
    const at = step % STEPS;
    let place = this.ring[at];
    if (place?.step !== step) {
      place = { step, sums: new Sums() };
      this.ring[at] = place;
    }
    place.sums.add(record);
  }

  /**
   * The last `seconds`, or less when it has not existed for so long, together with those of `others`. The step that has begun
   * counts in addition.
   */
  over(seconds: number, others: Iterable<RecentTotals> = []): RecentRequests {
    const now = this.#step();
    const sums = new Sums();
    const steps = seconds / STEP_SECONDS;
    for (const { ring } of [this, ...others])
      for (const place of ring) if (place !== undefined && now - place.step <= steps) sums.merge(place.sums);
    const monoMs = this.#clock.monoMs();
    const beganMonoMs = Math.max(this.#startedMonoMs, (now - steps) * STEP_SECONDS * 1_000);
    return { ...sums.totals(), window_ms: Math.round(Math.max(1, monoMs - beganMonoMs)) };
  }

  #step(): number {
    return Math.floor(this.#clock.monoMs() / 1_000 / STEP_SECONDS);
  }
}
