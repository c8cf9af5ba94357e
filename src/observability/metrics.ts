import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { SecretRegistry } from '../lib/secret.ts';
import { RequestMetrics } from './request-metrics.ts';
import { type TokenGauge, TokenMetrics } from './token-metrics.ts';

/** One upstream as it is now; read when metrics are. */
export interface UpstreamGauge {
  readonly upstream: string;
  readonly isUp: boolean;
  readonly isCooling: boolean;
  /** Requests that wait for a slot or for a turn at the upstream's rate. */
  readonly waiting: number;
  /** The limited rates, by model. */
  readonly rates: readonly { readonly model: string; readonly perSecond: number }[];
}

/** The request log's counts since the start; read when metrics are. */
interface RecordCounts {
  readonly written: number;
  readonly dropped: number;
  readonly queued: number;
}

/** Spans of traces since the start; read when metrics are. */
interface SpanTotals {
  readonly exported: number;
  readonly dropped: number;
}

/** The embeddings cache since the start; read when metrics are. */
interface CacheGauge {
  readonly entries: number;
  readonly bytes: number;
  readonly evictions: number;
  readonly faults: number;
  readonly upstreams: readonly {
    readonly upstream: string;
    readonly hits: number;
    readonly misses: number;
    readonly savedTokens: number;
  }[];
}

export interface MetricsOptions {
  /** Of tokenferry, for `build_info`. */
  readonly version?: string | undefined;
  readonly upstreamGauges?: (() => readonly UpstreamGauge[]) | undefined;
  readonly tokenGauges?: (() => readonly TokenGauge[]) | undefined;
  readonly embeddingsCache?: (() => CacheGauge) | undefined;
  readonly recordCounts?: (() => RecordCounts) | undefined;
  /** Spans of traces since the start; absent: tracing is off. */
  readonly spanCounts?: (() => SpanTotals) | undefined;
  /** Log lines lost since the start. */
  readonly droppedLogLines?: (() => number) | undefined;
  /** Called before the text is made, so that records of the current batch are counted. */
  readonly beforeText?: (() => void) | undefined;
  /** Redacted in the text: where a configuration lets clients choose names of models, a label may contain a secret. */
  readonly secrets?: SecretRegistry | undefined;
  /** False leaves out the metrics of the process and its runtime. */
  readonly hasProcessMetrics?: boolean | undefined;
}

/** Seconds. */
const QUEUE_WAIT_BUCKETS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

const PREFIX = 'tokenferry_';

/** How many responses of an upstream needed one kind of repair. */
interface RepairCount {
  readonly upstream: string;
  readonly repair: string;
  responses: number;
}

/** All metrics in a registry of their own. Methods count; `text` is the exposition for Prometheus. */
export class Metrics {
  readonly #registry = new Registry();
  readonly requests: RequestMetrics;
  readonly tokens: TokenMetrics;
  readonly #reloads: Counter<'result'>;
  readonly #alerts: Counter<'type' | 'event' | 'result'>;
  readonly #repairs: RepairCount[] = [];
  readonly #queueWaits: Histogram<'upstream'>;
  readonly #beforeText: (() => void) | undefined;
  readonly #secrets: SecretRegistry | undefined;
  #inflight = 0;

  constructor(options: MetricsOptions = {}) {
    new Gauge({
      name: `${PREFIX}build_info`,
      help: 'Always 1; the versions of tokenferry and of Node.',
      labelNames: ['version', 'node'],
      registers: [this.#registry],
    }).set({ version: options.version ?? 'unknown', node: process.versions.node }, 1);
    this.requests = new RequestMetrics(this.#registry, PREFIX);
    this.tokens = new TokenMetrics(this.#registry, PREFIX, safely(options.tokenGauges, []));
    this.#beforeText = options.beforeText;
    this.#secrets = options.secrets;
    this.#reloads = new Counter({
      name: `${PREFIX}config_reload_total`,
      help: 'Reloads of the configuration.',
      labelNames: ['result'],
      registers: [this.#registry],
    });
    this.#alerts = new Counter({
      name: `${PREFIX}alerts_total`,
      help: 'Alerts by the service that they were sent to.',
      labelNames: ['type', 'event', 'result'],
      registers: [this.#registry],
    });
    const repairs = this.#repairs;
    new Counter({
      name: `${PREFIX}repairs_total`,
      help: 'Responses of an upstream that needed this repair before clients could read them.',
      labelNames: ['upstream', 'repair'],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const { upstream, repair, responses } of repairs) this.inc({ upstream, repair }, responses);
      },
    });
    this.#queueWaits = new Histogram({
      name: `${PREFIX}queue_wait_seconds`,
      help: "Time requests waited for a slot or for a turn at the upstream's rate.",
      labelNames: ['upstream'],
      buckets: QUEUE_WAIT_BUCKETS,
      registers: [this.#registry],
    });
    // Alerts on a rate need the series before its first event.
    for (const result of ['ok', 'failed'] as const) this.#reloads.inc({ result }, 0);
    this.#value('inflight', 'Requests that are being served.', () => this.#inflight);
    this.#addUpstreams(safely(options.upstreamGauges, []));
    this.#addRecords(safely(options.recordCounts, NO_RECORDS));
    const spans = safely(options.spanCounts, NO_SPANS);
    this.#total(
      'trace_spans_exported_total',
      'Spans of traces that the collector has accepted.',
      () => spans().exported,
    );
    this.#total('trace_spans_dropped_total', 'Spans of traces that were lost.', () => spans().dropped);
    this.#addEmbeddingsCache(safely(options.embeddingsCache, NO_CACHE));
    this.#total(
      'log_lines_dropped_total',
      'Log lines lost because of a full disk or a slow reader.',
      safely(options.droppedLogLines, 0),
    );
    if (options.hasProcessMetrics !== false) collectDefaultMetrics({ register: this.#registry });
  }

  /** The content type of `text`. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Everything in the Prometheus text format 0.0.4. */
  async text(): Promise<string> {
    this.#beforeText?.();
    const text = await this.#registry.metrics();
    return this.#secrets === undefined ? text : this.#secrets.scrub(text);
  }

  /** +1 when a request arrives, -1 when it is finished. */
  inflight(change: 1 | -1): void {
    this.#inflight += change;
  }

  configReloaded(result: 'ok' | 'failed'): void {
    this.#reloads.inc({ result });
  }

  /** An alert was sent, or could not be. */
  alerted(type: string, event: string, result: string): void {
    this.#alerts.inc({ type, event, result });
  }

  /** The count of one kind of repair of one upstream, from 0. The caller adds to it: a prom-client counter costs 0.6 µs. */
  repairCount(upstream: string, repair: string): RepairCount {
    const count = { upstream, repair, responses: 0 };
    this.#repairs.push(count);
    return count;
  }

  /** A request has waited for a slot or for its turn at this upstream. */
  queueWaited(upstream: string, ms: number): void {
    this.#queueWaits.observe({ upstream }, ms / 1_000);
  }

  #addUpstreams(read: () => readonly UpstreamGauge[]): void {
    const flag = (name: string, help: string, isSet: (now: UpstreamGauge) => boolean) =>
      new Gauge({
        name: PREFIX + name,
        help,
        labelNames: ['upstream'],
        registers: [this.#registry],
        collect() {
          this.reset();
          for (const now of read()) this.set({ upstream: now.upstream }, isSet(now) ? 1 : 0);
        },
      });
    flag('upstream_up', '1: the upstream is considered available.', (now) => now.isUp);
    flag('upstream_cooling', '1: the upstream cools down after failures.', (now) => now.isCooling);
    new Gauge({
      name: `${PREFIX}queue_length`,
      help: "Requests that wait for a slot or for a turn at the upstream's rate.",
      labelNames: ['upstream'],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const { upstream, waiting } of read()) this.set({ upstream }, waiting);
      },
    });
    new Gauge({
      name: `${PREFIX}paced_calls_per_second`,
      help: 'The rate at which calls go to the upstream: learned from its refusals, or configured.',
      labelNames: ['upstream', 'model'],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const { upstream, rates } of read())
          for (const { model, perSecond } of rates) this.set({ upstream, model }, perSecond);
      },
    });
  }

  #addRecords(read: () => RecordCounts): void {
    this.#total('records_written_total', 'Request records in the store.', () => read().written);
    this.#total('records_dropped_total', 'Request records lost.', () => read().dropped);
    this.#value('record_queue', 'Request records that wait for the store.', () => read().queued);
  }

  #addEmbeddingsCache(read: () => CacheGauge): void {
    const total = (name: string, help: string, kind: 'hits' | 'misses' | 'savedTokens') =>
      new Counter({
        name: `${PREFIX}embeddings_cache_${name}`,
        help,
        labelNames: ['upstream'],
        registers: [this.#registry],
        collect() {
          this.reset();
          for (const counts of read().upstreams) this.inc({ upstream: counts.upstream }, counts[kind]);
        },
      });
    total('hits_total', 'Inputs of embeddings requests whose vectors were in the cache.', 'hits');
    total('misses_total', 'Inputs that an upstream was asked for, while the cache is on.', 'misses');
    total(
      'saved_tokens_total',
      'Tokens of the hits, as the upstream had counted them before.',
      'savedTokens',
    );
    this.#value('embeddings_cache_entries', 'Vectors in the cache.', () => read().entries);
    this.#value('embeddings_cache_bytes', 'Bytes that they take.', () => read().bytes);
    this.#total(
      'embeddings_cache_evictions_total',
      'Vectors dropped for the sake of newer ones.',
      () => read().evictions,
    );
    this.#total(
      'embeddings_cache_faults_total',
      'Times at which the file of the cache became unusable.',
      () => read().faults,
    );
  }

  #value(name: string, help: string, read: () => number): void {
    new Gauge({
      name: PREFIX + name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }

  /** A counter whose value is kept elsewhere. */
  #total(name: string, help: string, read: () => number): void {
    new Counter({
      name: PREFIX + name,
      help,
      registers: [this.#registry],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  }
}

const NO_SPANS: SpanTotals = { exported: 0, dropped: 0 };
const NO_CACHE: CacheGauge = { entries: 0, bytes: 0, evictions: 0, faults: 0, upstreams: [] };
const NO_RECORDS: RecordCounts = { written: 0, dropped: 0, queued: 0 };

/** `read`, or `otherwise` when it is missing or throws: a defect in one part costs its own metrics, not the whole text. */
function safely<Value>(read: (() => Value) | undefined, otherwise: Value): () => Value {
  return () => {
    try {
      return read === undefined ? otherwise : read();
    } catch {
      return otherwise;
    }
  };
}
