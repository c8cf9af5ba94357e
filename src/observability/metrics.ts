import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { RequestRecord } from '../lib/request-record.ts';
import type { SecretRegistry } from '../lib/secret.ts';
import { RequestMetrics } from './request-metrics.ts';
import { type TokenAcquired, type TokenGauge, TokenMetrics } from './token-metrics.ts';

/** One upstream as it is now; read when metrics are. */
export interface UpstreamGauge {
  readonly upstream: string;
  readonly isUp: boolean;
  readonly isCooling: boolean;
}

/** The request log's counts since the start; read when metrics are. */
interface RecordCounts {
  readonly written: number;
  readonly dropped: number;
  readonly queued: number;
}

export interface MetricsOptions {
  readonly upstreamGauges?: (() => readonly UpstreamGauge[]) | undefined;
  readonly tokenGauges?: (() => readonly TokenGauge[]) | undefined;
  readonly recordCounts?: (() => RecordCounts) | undefined;
  /** Lines that the log lost. */
  readonly droppedLogLines?: (() => number) | undefined;
  /** Called before the text is made: what waits in a batch is counted first. */
  readonly beforeText?: (() => void) | undefined;
  /** What must not be in the text, even where a configuration lets clients choose the names of models. */
  readonly secrets?: SecretRegistry | undefined;
  /** False leaves out the metrics of the process and its runtime. */
  readonly hasProcessMetrics?: boolean | undefined;
}

const PREFIX = 'tokenferry_';

/** All metrics in a registry of their own. Methods count; `text` is what Prometheus reads. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #requests: RequestMetrics;
  readonly #tokens: TokenMetrics;
  readonly #reloads: Counter<'result'>;
  readonly #repairs: Counter<'upstream' | 'repair'>;
  readonly #beforeText: (() => void) | undefined;
  readonly #secrets: SecretRegistry | undefined;
  #inflight = 0;

  constructor(options: MetricsOptions = {}) {
    this.#requests = new RequestMetrics(this.#registry, PREFIX);
    this.#tokens = new TokenMetrics(this.#registry, PREFIX, safely(options.tokenGauges, []));
    this.#beforeText = options.beforeText;
    this.#secrets = options.secrets;
    this.#reloads = new Counter({
      name: `${PREFIX}config_reload_total`,
      help: 'Attempts to load a changed configuration.',
      labelNames: ['result'],
      registers: [this.#registry],
    });
    this.#repairs = new Counter({
      name: `${PREFIX}repairs_total`,
      help: 'Responses of an upstream that needed this repair before clients could read them.',
      labelNames: ['upstream', 'repair'],
      registers: [this.#registry],
    });
    // Alerts on a rate need the series before its first event.
    for (const result of ['ok', 'failed'] as const) this.#reloads.inc({ result }, 0);
    this.#value('inflight', 'Requests that are being served.', () => this.#inflight);
    this.#addUpstreams(safely(options.upstreamGauges, []));
    this.#addRecords(safely(options.recordCounts, NO_RECORDS));
    this.#total(
      'log_lines_dropped_total',
      'Log lines lost to a full disk or pipe.',
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

  observeRequests(records: readonly RequestRecord[]): void {
    this.#requests.observe(records);
  }

  /** +1 when a request arrives, -1 when it ended. */
  inflight(change: 1 | -1): void {
    this.#inflight += change;
  }

  configReloaded(result: 'ok' | 'failed'): void {
    this.#reloads.inc({ result });
  }

  /** A response of this upstream needed a repair; once for each kind. */
  repaired(upstream: string, repair: string): void {
    this.#repairs.inc({ upstream, repair });
  }

  tokenAcquired(facts: TokenAcquired): void {
    this.#tokens.acquired(facts);
  }

  /** A request waited for a token because none was usable. */
  tokenWaited({ source, seconds }: { readonly source: string; readonly seconds: number }): void {
    this.#tokens.waited(source, seconds);
  }

  /** An upstream refused a token; `status` null: it said so in the body of an answer without a status. */
  tokenRejected({ source, status }: { readonly source: string; readonly status: number | null }): void {
    this.#tokens.rejected(source, status);
  }

  tokenReplayed({ source, outcome }: { readonly source: string; readonly outcome: string }): void {
    this.#tokens.replayed(source, outcome);
  }

  tokenSameReturned(source: string): void {
    this.#tokens.sameReturned(source);
  }

  tokenRejectedEarly(source: string): void {
    this.#tokens.rejectedEarly(source);
  }

  clockJumped(): void {
    this.#tokens.clockJumped();
  }

  issuerSkewSeen({ source, seconds }: { readonly source: string; readonly seconds: number }): void {
    this.#tokens.skewSeen(source, seconds);
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
    flag('upstream_up', '1: the upstream is taken to work.', (now) => now.isUp);
    flag('upstream_cooling', '1: the upstream pauses after failures.', (now) => now.isCooling);
  }

  #addRecords(read: () => RecordCounts): void {
    this.#total('records_written_total', 'Request records in the store.', () => read().written);
    this.#total('records_dropped_total', 'Request records lost.', () => read().dropped);
    this.#value('record_queue', 'Request records that wait for the store.', () => read().queued);
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

  /** A counter whose value another part keeps. */
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

const NO_RECORDS: RecordCounts = { written: 0, dropped: 0, queued: 0 };

/** `read`, or `otherwise` while it is missing or throws: a fault in one part costs its own metrics, not the page. */
function safely<Value>(read: (() => Value) | undefined, otherwise: Value): () => Value {
  return () => {
    try {
      return read === undefined ? otherwise : read();
    } catch {
      return otherwise;
    }
  };
}
