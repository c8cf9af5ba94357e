import { Histogram, type HistogramConfiguration } from 'prom-client';

/** One series of a histogram: how many values up to each bound, and their sum. */
export class HistogramSeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly bounds: readonly number[];
  /** One count for each bound, not cumulated, and one for what is above them all. */
  readonly counts: number[];
  sum = 0;

  constructor(labels: Readonly<Record<string, string>>, bounds: readonly number[]) {
    this.labels = labels;
    this.bounds = bounds;
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    let at = 0;
    while (at < this.bounds.length && value > (this.bounds[at] as number)) at += 1;
    this.counts[at] = (this.counts[at] as number) + 1;
    this.sum += value;
  }
}

/**
 * A histogram of prom-client whose series are kept here: an observation costs 0.03 µs where prom-client's own,
 * which looks its series up by a string of all labels each time, costs 0.5, and every request makes three.
 */
export class BatchHistogram<Label extends string> extends Histogram<Label> {
  readonly #config: HistogramConfiguration<Label>;
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, HistogramSeries>();

  constructor(config: HistogramConfiguration<Label> & { readonly buckets: number[] }) {
    super(config);
    this.#config = config;
    this.#bounds = config.buckets;
  }

  /** The series of these labels, given in the order of the configuration; to be kept by who observes often. */
  series(labels: Readonly<Record<Label, string>>): HistogramSeries {
    const key = JSON.stringify(labels);
    let series = this.#series.get(key);
    if (series === undefined) {
      series = new HistogramSeries(labels, this.#bounds);
      this.#series.set(key, series);
    }
    return series;
  }

  /** Where prom-client 15 takes the values from, both for its text and for `get`; its types do not name it. */
  async getForPromString(): Promise<object> {
    const { name, help } = this.#config;
    const values = [...this.#series.values()].flatMap((series) => valuesOf(name, series));
    return { name, help, type: 'histogram', aggregator: 'sum', values };
  }
}

interface HistogramValue {
  readonly metricName: string;
  readonly labels: Record<string, string | number>;
  readonly sharedLabels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The lines of one series as Prometheus wants them: cumulated buckets, sum and count. */
function valuesOf(name: string, series: HistogramSeries): HistogramValue[] {
  const sharedLabels = series.labels;
  const values: HistogramValue[] = [];
  let count = 0;
  series.counts.forEach((inBucket, at) => {
    count += inBucket;
    const le = series.bounds[at] ?? '+Inf';
    values.push({ metricName: `${name}_bucket`, labels: { le }, sharedLabels, value: count });
  });
  values.push({ metricName: `${name}_sum`, labels: {}, sharedLabels, value: series.sum });
  values.push({ metricName: `${name}_count`, labels: {}, sharedLabels, value: count });
  return values;
}
