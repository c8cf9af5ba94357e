/** Each bucket is a tenth longer than the one before it, so that the middle of one is at most 5 % from what is in it. */
const LOG_RATIO = Math.log(1.1);

/** How many durations there were of each length: percentiles of any number of them in little memory. */
export class DurationCounts {
  count = 0;
  /** By bucket: only those with something in them. */
  readonly #buckets = new Map<number, number>();

  add(ms: number): void {
    const bucket = ms <= 1 ? 0 : Math.ceil(Math.log(ms) / LOG_RATIO);
    this.count += 1;
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + 1);
  }

  merge(other: DurationCounts): void {
    this.count += other.count;
    for (const [bucket, count] of other.#buckets)
      this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + count);
  }

  /** The length that `share` of the durations do not exceed, in whole milliseconds; null: there are none. */
  percentile(share: number): number | null {
    if (this.count === 0) return null;
    const wanted = Math.ceil(this.count * share);
    let seen = 0;
    for (const [bucket, count] of [...this.#buckets].sort(([left], [right]) => left - right)) {
      seen += count;
      if (seen >= wanted) return bucket === 0 ? 1 : Math.round(Math.exp((bucket - 0.5) * LOG_RATIO));
    }
    return null;
  }
}
