import type { Context } from '@opentelemetry/api';
import { type ExportResult, ExportResultCode } from '@opentelemetry/core';
import type { ReadableSpan, Span, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace';

/** Counts spans on their way to the collector. */
export class SpanCounts {
  /** Not yet accepted by the collector, those that are being sent included. */
  waiting = 0;
  exported = 0;
  dropped = 0;
  readonly #onLoss: (spans: number, reason: string) => void;

  constructor(onLoss: (spans: number, reason: string) => void) {
    this.#onLoss = onLoss;
  }

  add(): void {
    this.waiting += 1;
  }

  /** A batch was accepted. */
  deliver(spans: number): void {
    this.waiting -= spans;
    this.exported += spans;
  }

  /** Spans that waited are lost. */
  lose(spans: number, reason: string): void {
    this.waiting -= spans;
    this.refuse(spans, reason);
  }

  /** Spans are lost that were not taken. */
  refuse(spans: number, reason: string): void {
    this.dropped += spans;
    this.#onLoss(spans, reason);
  }
}

/** Passes spans to the SDK's processor while fewer than a maximum wait; the SDK's own bound does not count those that are being sent. */
export class BoundedSpans implements SpanProcessor {
  readonly #next: SpanProcessor;
  readonly #counts: SpanCounts;
  readonly #maxWaiting: number;

  constructor(next: SpanProcessor, counts: SpanCounts, maxWaiting: number) {
    this.#next = next;
    this.#counts = counts;
    this.#maxWaiting = maxWaiting;
  }

  onStart(span: Span, parent: Context): void {
    this.#next.onStart(span, parent);
  }

  onEnd(span: ReadableSpan): void {
    if (this.#counts.waiting >= this.#maxWaiting) {
      this.#counts.refuse(1, `${this.#maxWaiting} spans wait for the collector`);
      return;
    }
    this.#counts.add();
    this.#next.onEnd(span);
  }

  forceFlush(): Promise<void> {
    return this.#next.forceFlush();
  }

  shutdown(): Promise<void> {
    return this.#next.shutdown();
  }
}

/** An exporter whose results are counted. */
export class CountingExporter implements SpanExporter {
  readonly #exporter: SpanExporter;
  readonly #counts: SpanCounts;

  constructor(exporter: SpanExporter, counts: SpanCounts) {
    this.#exporter = exporter;
    this.#counts = counts;
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.#exporter.export(spans, (result) => {
      if (result.code === ExportResultCode.SUCCESS) this.#counts.deliver(spans.length);
      else this.#counts.lose(spans.length, reasonOf(result.error));
      done(result);
    });
  }

  forceFlush(): Promise<void> {
    return this.#exporter.forceFlush?.() ?? Promise.resolve();
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }
}

/** `connect ECONNREFUSED 127.0.0.1:4318`, `status 401 Unauthorized`: without the response's body. */
function reasonOf(error: Error | undefined): string {
  if (error === undefined) return 'the collector did not accept them';
  const { code } = error as { code?: unknown };
  const status = typeof code === 'number' ? `status ${code} ` : '';
  return `the collector did not accept them: ${status}${error.message || error.name}`;
}
