import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import {
  defaultResource,
  detectResources,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceNameEnvDetector,
} from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { endpointOf } from '../../endpoints.ts';
import type { Clock } from '../../lib/clock.ts';
import type { RequestTrace, RequestTracer, TracedRequest } from '../../lib/request-trace.ts';
import { RequestSpans, type SpanParts } from './request-spans.ts';
import { samplerFromEnvironment } from './samplers.ts';
import { BoundedSpans, CountingExporter, SpanCounts } from './span-queue.ts';

interface TracingOptions {
  /** Where traces go; null: as `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or `OTEL_EXPORTER_OTLP_ENDPOINT` says. */
  readonly endpoint: string | null;
  readonly version: string;
  readonly hostname: string;
  readonly scheme: 'http' | 'https';
  readonly clock: Clock;
  /** Replaces living secrets in text that came from outside. */
  readonly scrub: (text: string) => string;
  /** Spans were lost; at most once a minute. */
  readonly onLoss: (loss: SpanLoss) => void;
}

/** What was lost since the last report, and why. */
export interface SpanLoss {
  readonly spans: number;
  readonly reason: string;
}

const LOSS_REPORT_EVERY_MS = 60_000;
/** Half of what the SDK waits by default: a trace can be looked at when the request is over. */
const EXPORT_AFTER_MS = 1_000;
/** Spans that wait for the collector: about 4 MB. */
const MAX_QUEUED_SPANS = 4_096;
/** The longest text of an attribute. UTF-16 units. */
const MAX_TEXT_LENGTH = 1_024;

/**
 * Traces requests with OpenTelemetry's SDK and sends them by OTLP/HTTP. The SDK reads its exporter's settings (headers,
 * timeout, compression, certificates) and the resource from the standard environment variables.
 */
export class Tracing implements RequestTracer {
  readonly #provider: TracerProvider;
  readonly #parts: SpanParts;
  readonly #counts: SpanCounts;
  readonly #clock: Clock;
  readonly #onLoss: TracingOptions['onLoss'];
  #unreportedLoss = 0;
  #lossReportedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: TracingOptions) {
    const { endpoint, version, hostname } = options;
    this.#clock = options.clock;
    this.#onLoss = options.onLoss;
    this.#counts = new SpanCounts((spans, reason) => this.#lost(spans, reason));
    const exporter = new OTLPTraceExporter({
      ...(endpoint === null ? {} : { url: tracesUrl(endpoint) }),
      userAgent: `tokenferry/${version}`,
    });
    this.#provider = new TracerProvider({
      sampler: samplerFromEnvironment(process.env),
      resource: defaultResource()
        .merge(
          resourceFromAttributes({
            'service.name': 'tokenferry',
            'service.version': version,
            'host.name': hostname,
          }),
        )
        .merge(detectResources({ detectors: [resourceAttributesEnvDetector, serviceNameEnvDetector] })),
      spanLimits: { attributeValueLengthLimit: MAX_TEXT_LENGTH },
      spanProcessors: [
        new BoundedSpans(
          new BatchSpanProcessor({
            exporter: new CountingExporter(exporter, this.#counts),
            scheduledDelayMillis: EXPORT_AFTER_MS,
            maxQueueSize: 2 * MAX_QUEUED_SPANS,
          }),
          this.#counts,
          MAX_QUEUED_SPANS,
        ),
      ],
    });
    this.#parts = {
      tracer: this.#provider.getTracer('tokenferry', version),
      scrub: options.scrub,
      scheme: options.scheme,
      onDefect: (error) => this.#lost(1, `a defect of tokenferry: ${String(error)}`),
    };
  }

  /** Probes, metrics and the page are no requests of an application. */
  begin(request: TracedRequest): RequestTrace | null {
    if (endpointOf(request.path).isOpen) return null;
    try {
      return new RequestSpans(request, this.#parts);
    } catch (error) {
      this.#parts.onDefect(error);
      return null;
    }
  }

  /** Spans since the start: at the collector, and lost. */
  stats(): { readonly exported: number; readonly dropped: number } {
    const { exported, dropped } = this.#counts;
    return { exported, dropped };
  }

  /** Sends what waits, for `maxMs` at most. Never rejects. */
  async close(maxMs: number): Promise<void> {
    let expire = (): void => undefined;
    const expired = new Promise<void>((resolve) => {
      expire = resolve;
    });
    const timer = this.#clock.schedule(expire, maxMs);
    await Promise.race([this.#provider.shutdown().catch(() => undefined), expired]);
    timer.cancel();
    const waiting = this.#counts.waiting;
    if (waiting > 0) this.#counts.lose(waiting, 'the collector did not accept them before the shutdown');
  }

  #lost(spans: number, reason: string): void {
    this.#unreportedLoss += spans;
    const nowMs = this.#clock.monoMs();
    if (nowMs - this.#lossReportedAtMs < LOSS_REPORT_EVERY_MS) return;
    this.#lossReportedAtMs = nowMs;
    const loss = { spans: this.#unreportedLoss, reason };
    this.#unreportedLoss = 0;
    this.#onLoss(loss);
  }
}

/** As for `OTEL_EXPORTER_OTLP_ENDPOINT`: `/v1/traces` is added, unless the URL has it. */
export function tracesUrl(endpoint: string): string {
  const url = new URL(endpoint);
  const path = url.pathname.replace(/\/+$/, '');
  if (!path.endsWith('/v1/traces')) url.pathname = `${path}/v1/traces`;
  return url.href;
}
