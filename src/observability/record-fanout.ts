import type { Clock, Timer } from '../lib/clock.ts';
import type { RequestRecord } from '../lib/request-record.ts';

/** Whoever wants the records of finished requests: the log, the metrics, the request log. */
interface RecordSink {
  readonly name: string;
  accept(records: readonly RequestRecord[]): void;
}

interface RecordFanoutOptions {
  readonly sinks: readonly RecordSink[];
  readonly clock: Clock;
  /** A sink threw: a defect of ours. At most one call a minute for each sink. */
  readonly onFault?: ((sink: string, error: unknown) => void) | undefined;
}

const FLUSH_AFTER_MS = 100;
/** Bounds how long one flush holds the event loop: about 7 µs a record with all sinks. */
const FLUSH_AT_RECORDS = 64;
const FAULT_REPORT_EVERY_MS = 60_000;

/**
 * Collects the records of finished requests and hands them on in batches, so that a request pays a push and
 * its share of a batch. A fault in one sink touches neither the others nor the request.
 */
export class RecordFanout {
  readonly #sinks: readonly RecordSink[];
  readonly #clock: Clock;
  readonly #onFault: RecordFanoutOptions['onFault'];
  readonly #faultReportedAtMs = new Map<string, number>();
  #batch: RequestRecord[] = [];
  /** Runs only while records wait: an idle service has no timer. */
  #timer: Timer | null = null;

  constructor(options: RecordFanoutOptions) {
    this.#sinks = options.sinks;
    this.#clock = options.clock;
    this.#onFault = options.onFault;
  }

  /** Takes a frozen record; on its way to the sinks within 100 ms. Never throws. */
  add(record: RequestRecord): void {
    const waiting = this.#batch.push(record);
    // Not at once even when it is much: this request should not pay for the others.
    if (waiting === FLUSH_AT_RECORDS) this.#flushIn(0);
    else if (this.#timer === null) this.#flushIn(FLUSH_AFTER_MS);
  }

  /** Hands on at once what waits: before metrics are read, and at the end. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#batch.length === 0) return;
    const batch = this.#batch;
    this.#batch = [];
    for (const sink of this.#sinks) {
      try {
        sink.accept(batch);
      } catch (error) {
        this.#report(sink.name, error);
      }
    }
  }

  #flushIn(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.schedule(() => this.flush(), delayMs);
  }

  #report(sink: string, error: unknown): void {
    const nowMs = this.#clock.monoMs();
    const reportedAtMs = this.#faultReportedAtMs.get(sink);
    if (reportedAtMs !== undefined && nowMs - reportedAtMs < FAULT_REPORT_EVERY_MS) return;
    this.#faultReportedAtMs.set(sink, nowMs);
    try {
      this.#onFault?.(sink, error);
    } catch {
      // The reporter is the log, which may be the very sink that is broken.
    }
  }
}
