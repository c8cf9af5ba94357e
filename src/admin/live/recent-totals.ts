import type { Clock } from '../../lib/clock.ts';
import type { RequestRecord } from '../../lib/request-record.ts';
import type { RequestTotals } from '../api-types.ts';

/** Sums of one second, or of several together. */
class Sums {
  requests = 0;
  errors = 0;
  promptTokens = 0;
  completionTokens = 0;
  firstTokens = 0;
  firstTokenMs = 0;
  elapsedMs = 0;

  add(record: RequestRecord): void {
    this.requests += 1;
    if (record.outcome !== 'ok') this.errors += 1;
    this.promptTokens += record.promptTokens ?? 0;
    this.completionTokens += record.completionTokens ?? 0;
    if (record.firstTokenMs !== null) {
      this.firstTokens += 1;
      this.firstTokenMs += record.firstTokenMs;
    }
    this.elapsedMs += record.elapsedMs;
  }

  merge(other: Sums): void {
    this.requests += other.requests;
    this.errors += other.errors;
    this.promptTokens += other.promptTokens;
    this.completionTokens += other.completionTokens;
    this.firstTokens += other.firstTokens;
    this.firstTokenMs += other.firstTokenMs;
    this.elapsedMs += other.elapsedMs;
  }

  totals(): RequestTotals {
    return {
      requests: this.requests,
      errors: this.errors,
      prompt_tokens: this.promptTokens,
      completion_tokens: this.completionTokens,
      first_token_ms: this.firstTokens === 0 ? null : Math.round(this.firstTokenMs / this.firstTokens),
      elapsed_ms: this.requests === 0 ? null : Math.round(this.elapsedMs / this.requests),
    };
  }
}

const SECONDS = 300;

/** Totals of the last seconds, up to five minutes: a ring with one place a second. */
export class RecentTotals {
  readonly #clock: Clock;
  readonly #startedMonoMs: number;
  /** By second modulo its length; `second` says which one a place is for. */
  readonly #ring: { second: number; sums: Sums }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedMonoMs = clock.monoMs();
  }

  /** True: nothing was added within the ring's time. */
  get isOutdated(): boolean {
    const second = this.#second();
    return this.#ring.every((place) => place === undefined || second - place.second >= SECONDS);
  }

  add(record: RequestRecord): void {
    const second = this.#second();
    const at = second % SECONDS;
    let place = this.#ring[at];
    if (place?.second !== second) {
      place = { second, sums: new Sums() };
      this.#ring[at] = place;
    }
    place.sums.add(record);
  }

  /** The last `seconds`, or less when it has not existed for so long. */
  over(seconds: number): RequestTotals & { readonly window_ms: number } {
    const now = this.#second();
    const sums = new Sums();
    for (const place of this.#ring)
      if (place !== undefined && now - place.second < seconds) sums.merge(place.sums);
    const window_ms = Math.round(
      Math.max(1, Math.min(seconds * 1_000, this.#clock.monoMs() - this.#startedMonoMs)),
    );
    return { ...sums.totals(), window_ms };
  }

  #second(): number {
    return Math.floor(this.#clock.monoMs() / 1_000);
  }
}
