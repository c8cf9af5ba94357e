import { Counter, type Registry } from 'prom-client';
import type { RequestRecord } from '../lib/request-record.ts';
import { BatchHistogram, type HistogramSeries } from './batch-histogram.ts';
import { ModelLabels, NONE, pathLabel } from './metric-labels.ts';

/** Seconds; a chat may take minutes, a cached embedding milliseconds. */
const REQUEST_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
const FIRST_TOKEN_BUCKETS = [0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 30, 60];
const OVERHEAD_BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 30];

const REQUEST_LABELS = ['path', 'client', 'model', 'upstream', 'outcome', 'status'] as const;

/** All series that a request of one kind counts in, looked up once for each kind. */
interface RequestKind {
  readonly labels: Record<(typeof REQUEST_LABELS)[number], string>;
  readonly seconds: HistogramSeries;
  readonly firstToken: HistogramSeries;
  readonly overhead: HistogramSeries;
  /** Counted in the running batch, and not in the counters yet. */
  requests: number;
  promptTokens: number;
  completionTokens: number;
}

/**
 * What requests do to the metrics, a batch at a time. Counting in prom-client costs 0.6 µs a call, so a batch
 * is summed up by kind of request first and counted once for each kind.
 */
export class RequestMetrics {
  readonly #requests: Counter<(typeof REQUEST_LABELS)[number]>;
  readonly #seconds: BatchHistogram<'path' | 'model' | 'upstream'>;
  readonly #firstToken: BatchHistogram<'model' | 'upstream'>;
  readonly #overhead: BatchHistogram<'path'>;
  readonly #tokens: Counter<'model' | 'kind'>;
  readonly #attempts: Counter<'upstream' | 'outcome'>;
  readonly #failovers: Counter<'from' | 'to' | 'reason'>;
  readonly #models = new ModelLabels();
  readonly #kinds = new Map<string, RequestKind>();
  /** Kinds and pairs that the running batch has counted; empty between batches. */
  readonly #counted: RequestKind[] = [];
  readonly #attemptsCounted = new Map<string, { upstream: string; outcome: string; count: number }>();

  constructor(registry: Registry, prefix: string) {
    const registers = [registry];
    this.#requests = new Counter({
      name: `${prefix}requests_total`,
      help: 'Finished requests.',
      labelNames: REQUEST_LABELS,
      registers,
    });
    this.#seconds = new BatchHistogram({
      name: `${prefix}request_seconds`,
      help: 'Time from the arrival of a request to its end, streams included.',
      labelNames: ['path', 'model', 'upstream'],
      buckets: REQUEST_BUCKETS,
      registers,
    });
    this.#firstToken = new BatchHistogram({
      name: `${prefix}first_token_seconds`,
      help: 'Time from the arrival of a request to its first content.',
      labelNames: ['model', 'upstream'],
      buckets: FIRST_TOKEN_BUCKETS,
      registers,
    });
    this.#overhead = new BatchHistogram({
      name: `${prefix}overhead_seconds`,
      help: 'Time of a request in which no upstream was working.',
      labelNames: ['path'],
      buckets: OVERHEAD_BUCKETS,
      registers,
    });
    this.#tokens = new Counter({
      name: `${prefix}tokens_total`,
      help: 'Tokens as the upstreams counted them, or estimated where they did not.',
      labelNames: ['model', 'kind'],
      registers,
    });
    this.#attempts = new Counter({
      name: `${prefix}attempts_total`,
      help: 'Tries at an upstream.',
      labelNames: ['upstream', 'outcome'],
      registers,
    });
    this.#failovers = new Counter({
      name: `${prefix}failovers_total`,
      help: 'Moves of a request from an upstream that failed to another.',
      labelNames: ['from', 'to', 'reason'],
      registers,
    });
  }

  /** Counts a batch. The text of the metrics is up to date when this returns. */
  observe(records: readonly RequestRecord[]): void {
    for (const record of records) {
      const kind = this.#kindOf(record);
      if (kind.requests === 0) this.#counted.push(kind);
      kind.requests += 1;
      kind.promptTokens += record.promptTokens ?? 0;
      kind.completionTokens += record.completionTokens ?? 0;
      kind.seconds.observe(seconds(record.elapsedMs));
      kind.overhead.observe(seconds(record.overheadMs));
      if (record.firstTokenMs !== null) kind.firstToken.observe(seconds(record.firstTokenMs));
      this.#countAttempts(record);
    }
    this.#settleKinds();
    this.#settleAttempts();
  }

  #kindOf(record: RequestRecord): RequestKind {
    const model = this.#models.of(record);
    const path = pathLabel(record.path);
    const client = record.client ?? NONE;
    const upstream = record.upstream ?? NONE;
    const key = `${path}\n${client}\n${model}\n${upstream}\n${record.outcome}\n${record.status}`;
    let kind = this.#kinds.get(key);
    if (kind === undefined) {
      const status = String(record.status);
      kind = this.#newKind({ path, client, model, upstream, outcome: record.outcome, status });
      this.#kinds.set(key, kind);
    }
    return kind;
  }

  #newKind(labels: RequestKind['labels']): RequestKind {
    const { path, model, upstream } = labels;
    return {
      labels,
      seconds: this.#seconds.series({ path, model, upstream }),
      firstToken: this.#firstToken.series({ model, upstream }),
      overhead: this.#overhead.series({ path }),
      requests: 0,
      promptTokens: 0,
      completionTokens: 0,
    };
  }

  #countAttempts(record: RequestRecord): void {
    let previous: RequestRecord['attempts'][number] | null = null;
    for (const attempt of record.attempts) {
      const { upstream, outcome } = attempt;
      const key = `${upstream}\n${outcome}`;
      const counted = this.#attemptsCounted.get(key);
      if (counted === undefined) this.#attemptsCounted.set(key, { upstream, outcome, count: 1 });
      else counted.count += 1;
      if (previous !== null && previous.upstream !== upstream) {
        this.#failovers.inc({ from: previous.upstream, to: upstream, reason: previous.outcome });
      }
      previous = attempt;
    }
  }

  #settleKinds(): void {
    for (const kind of this.#counted) {
      const { model } = kind.labels;
      this.#requests.inc(kind.labels, kind.requests);
      if (kind.promptTokens > 0) this.#tokens.inc({ model, kind: 'prompt' }, kind.promptTokens);
      if (kind.completionTokens > 0) this.#tokens.inc({ model, kind: 'completion' }, kind.completionTokens);
      kind.requests = 0;
      kind.promptTokens = 0;
      kind.completionTokens = 0;
    }
    this.#counted.length = 0;
  }

  #settleAttempts(): void {
    for (const { upstream, outcome, count } of this.#attemptsCounted.values()) {
      this.#attempts.inc({ upstream, outcome }, count);
    }
    this.#attemptsCounted.clear();
  }
}

/** A clock may lie, and one NaN would spoil a sum for ever. */
function seconds(ms: number): number {
  return ms > 0 && ms < Number.POSITIVE_INFINITY ? ms / 1000 : 0;
}
