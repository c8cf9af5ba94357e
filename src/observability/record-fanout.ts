import type { Clock, Timer } from '../lib/clock.ts';
import type { RequestRecord } from '../lib/request-record.ts';

/** A consumer of the records of finished requests: the log, the metrics, the request log. */
interface RecordSink {
  acceptRecords(records: readonly RequestRecord[]): void;
}

interface RecordFanoutOptions {
  /** By the name under which a failure is reported. */
  readonly sinks: Readonly<Record<string, RecordSink>>;
  readonly clock: Clock;
  /** A sink threw, which is a defect. At most one call a minute for each sink. */
  readonly onFault?: ((sink: string, error: unknown) => void) | undefined;
}

const FLUSH_AFTER_MS = 100;
/** Bounds how long one flush blocks the event loop: about 7 µs a record with all sinks. */
const FLUSH_AT_RECORDS = 64;
const FAULT_REPORT_EVERY_MS = 60_000;

/**
 * Collects the records of finished requests and passes them on in batches, so that a request costs a push and its share of
 * a batch. A sink that throws affects neither the other sinks nor the request.
 */
export class RecordFanout {
  readonly #sinks: (readonly [name: string, sink: RecordSink])[];
  readonly #clock: Clock;
  readonly #onFault: RecordFanoutOptions['onFault'];
  readonly #faultReportedAtMs = new Map<string, number>();
  readonly #flush = () => this.flush();
  #batch: RequestRecord[] = [];
  /** Runs only while records wait: an idle service has no timer. */
  #timer: Timer | null = null;

  constructor(options: RecordFanoutOptions) {
    this.#sinks = Object.entries(options.sinks);
    this.#clock = options.clock;
    this.#onFault = options.onFault;
  }

  /** Takes a frozen record, which reaches the sinks within 100 ms. Never throws. */
  add(record: RequestRecord): void {
    const waiting = this.#batch.push(record);
    if (waiting === FLUSH_AT_RECORDS) {
      // In a later turn: this request does not wait for the other records of the batch.
      this.#timer?.cancel();
      this.#timer = this.#clock.schedule(this.#flush, 0);
    } else this.#timer ??= this.#clock.schedule(this.#flush, FLUSH_AFTER_MS);
  }

  /** One more sink, until the returned function is called. */
  attach(name: string, sink: RecordSink): () => void {
    const entry = [name, sink] as const;
    this.#sinks.push(entry);
    return () => {
      const at = this.#sinks.indexOf(entry);
      if (at !== -1) this.#sinks.splice(at, 1);
    };
  }

  /** Passes on what waits, before metrics are read and at the end. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#batch.length === 0) return;
    const batch = this.#batch;
    this.#batch = [];
    for (const [name, sink] of this.#sinks) {
      try {
        sink.acceptRecords(batch);
      } catch (error) {
        this.#report(name, error);
      }
    }
  }

  #report(sink: string, error: unknown): void {
    const nowMs = this.#clock.monoMs();
    const reportedAtMs = this.#faultReportedAtMs.get(sink);
    if (reportedAtMs !== undefined && nowMs - reportedAtMs < FAULT_REPORT_EVERY_MS) return;
    this.#faultReportedAtMs.set(sink, nowMs);
    try {
      this.#onFault?.(sink, error);
    } catch {
      // The reporter is the log, which may be the sink that failed.
    }
  }
}
