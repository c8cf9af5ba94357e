import {
  type Attributes,
  type Context,
  defaultTextMapGetter,
  defaultTextMapSetter,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { endpointOf } from '../../endpoints.ts';
import type { RequestRecord } from '../../lib/request-record.ts';
import type {
  AttemptTrace,
  RequestTrace,
  ResponseFacts,
  TracedAttempt,
  TracedRequest,
  TracedUsage,
} from '../../lib/request-trace.ts';
import {
  attributesOf,
  providerOf,
  requestAttributes,
  responseAttributes,
  usageAttributes,
} from './span-attributes.ts';

/** What every trace needs. */
export interface SpanParts {
  readonly tracer: Tracer;
  /** Replaces living secrets in text that came from outside. */
  readonly scrub: (text: string) => string;
  readonly scheme: 'http' | 'https';
  /** Takes a defect of the tracing. */
  readonly onDefect: (error: unknown) => void;
}

type QueueWait = Parameters<RequestTrace['queueWaited']>[0];
type AttemptEnd = Parameters<AttemptTrace['finish']>[0];

const propagator = new W3CTraceContextPropagator();

/**
 * The spans of one request: the request (SERVER), and in it waits for a slot or a turn (INTERNAL) and attempts (CLIENT) with
 * their waits for a token and for the first content (INTERNAL). The request and its attempts are begun when they begin, as
 * their ids go upstream; all else is made of the record when the request is over.
 */
export class RequestSpans implements RequestTrace {
  readonly traceId: string;
  readonly #parts: SpanParts;
  readonly #request: TracedRequest;
  readonly #span: Span;
  readonly #context: Context;
  readonly #attempts: AttemptSpan[] = [];
  readonly #queueWaits: QueueWait[] = [];

  /** The parent is the one that the client names, if it does. */
  constructor(request: TracedRequest, parts: SpanParts) {
    const { method, path, headers } = request;
    this.#request = request;
    this.#parts = parts;
    const parent = propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter);
    const route = routeOf(path);
    this.#span = parts.tracer.startSpan(
      route === null ? knownMethod(method) : `${knownMethod(method)} ${route}`,
      {
        kind: SpanKind.SERVER,
        startTime: request.createdAtMs,
        attributes: attributesOf([
          ['http.request.method', knownMethod(method) === 'HTTP' ? '_OTHER' : method],
          ['http.route', route ?? undefined],
          ['url.path', parts.scrub(path)],
          ['url.scheme', parts.scheme],
        ]),
      },
      parent,
    );
    this.#context = trace.setSpan(parent, this.#span);
    this.traceId = this.#span.spanContext().traceId;
  }

  beginAttempt(attempt: TracedAttempt): AttemptTrace {
    const begun = new AttemptSpan(attempt, this.#context, this.#parts, (monoMs) => this.#wallMs(monoMs));
    this.#attempts.push(begun);
    return begun;
  }

  queueWaited(wait: QueueWait): void {
    this.#queueWaits.push(wait);
  }

  finish(record: RequestRecord): void {
    if (!this.#span.isRecording()) return;
    try {
      this.#end(record);
    } catch (error) {
      this.#parts.onDefect(error);
    }
  }

  #end(record: RequestRecord): void {
    const endMs = this.#request.createdAtMs + record.elapsedMs;
    for (const wait of this.#queueWaits) this.#addQueueWait(wait);
    for (const [index, attempt] of this.#attempts.entries()) attempt.end(record, index, endMs);
    this.#span.setAttributes(this.#attributes(record));
    if (isFailed(record)) {
      this.#span.setAttribute('error.type', record.errorCode ?? record.outcome);
      this.#span.setStatus({ code: SpanStatusCode.ERROR });
    }
    this.#span.end(endMs);
  }

  #attributes(record: RequestRecord): Attributes {
    const { scrub } = this.#parts;
    const text = (value: string | null): string | undefined => (value === null ? undefined : scrub(value));
    return attributesOf([
      ['http.response.status_code', record.status],
      ['client.address', record.ip],
      ['user_agent.original', text(record.userAgent)],
      ['tokenferry.request.id', text(record.id)],
      ['tokenferry.outcome', record.outcome],
      ['tokenferry.client', text(record.client)],
      ['tokenferry.model', text(record.model)],
      ['tokenferry.upstream', record.upstream ?? undefined],
      ['tokenferry.attempts', record.attempts.length],
      ['tokenferry.error.code', text(record.errorCode)],
    ]);
  }

  #addQueueWait({ upstream, reason, beganMonoMs, waitedMs, isServed }: QueueWait): void {
    const span = this.#parts.tracer.startSpan(
      'queue wait',
      {
        startTime: this.#wallMs(beganMonoMs),
        attributes: { 'tokenferry.upstream': upstream, 'tokenferry.queue.reason': reason },
      },
      this.#context,
    );
    if (!isServed) {
      span.setAttribute('error.type', reason === 'slot' ? 'queue_full' : 'rate_limited');
      span.setStatus({ code: SpanStatusCode.ERROR });
    }
    span.end(this.#wallMs(beganMonoMs + waitedMs));
  }

  /** Of a monotonic time: one clock orders the spans of a request. */
  #wallMs(monoMs: number): number {
    return this.#request.createdAtMs + (monoMs - this.#request.startedMonoMs);
  }
}

class AttemptSpan implements AttemptTrace {
  readonly headers: Readonly<Record<string, string>>;
  request: Readonly<Record<string, unknown>> | null = null;
  usage: TracedUsage | null = null;
  response: ResponseFacts | null = null;
  readonly #attempt: TracedAttempt;
  readonly #parts: SpanParts;
  readonly #wallMs: (monoMs: number) => number;
  readonly #span: Span;
  readonly #context: Context;
  readonly #tokenWaits: (readonly [beganMonoMs: number, endedMonoMs: number])[] = [];
  #end: AttemptEnd | null = null;

  constructor(attempt: TracedAttempt, parent: Context, parts: SpanParts, wallMs: (monoMs: number) => number) {
    this.#attempt = attempt;
    this.#parts = parts;
    this.#wallMs = wallMs;
    const { hostname, port, protocol } = new URL(attempt.endpoint);
    this.#span = parts.tracer.startSpan(
      this.#name(attempt.path),
      {
        kind: SpanKind.CLIENT,
        startTime: wallMs(attempt.startedMonoMs),
        attributes: {
          'tokenferry.upstream': attempt.upstream,
          'server.address': hostname,
          'server.port': port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
        },
      },
      parent,
    );
    this.#context = trace.setSpan(parent, this.#span);
    const headers: Record<string, string> = {};
    propagator.inject(this.#context, headers, defaultTextMapSetter);
    this.headers = headers;
  }

  tokenWaited(beganMonoMs: number, endedMonoMs: number): void {
    this.#tokenWaits.push([beganMonoMs, endedMonoMs]);
  }

  finish(end: AttemptEnd): void {
    this.#end = end;
  }

  /** Ends the span with what the record of its request says. `index`: the attempts before it. */
  end(request: RequestRecord, index: number, requestEndMs: number): void {
    const span = this.#span;
    const { startedMonoMs } = this.#attempt;
    for (const wait of this.#tokenWaits) this.#addChild('token wait', ...wait);
    const path = this.#end?.path ?? this.#attempt.path;
    span.updateName(this.#name(path));
    span.setAttributes(this.#modelAttributes(path));
    if (index > 0) span.setAttribute('http.request.resend_count', index);
    if (this.#end === null) {
      span.end(requestEndMs);
      return;
    }
    const { record, isCommitted } = this.#end;
    const { outcome, status, tokenRenewed, elapsedMs } = record;
    if (status !== null) span.setAttribute('http.response.status_code', status);
    if (tokenRenewed) span.setAttribute('tokenferry.token.renewed', true);
    if (isCommitted) this.#addFirstContent(request);
    if (isCommitted && request.isUsageEstimated) span.setAttribute('tokenferry.usage.estimated', true);
    if (outcome !== 'ok') {
      span.setAttribute('error.type', outcome);
      span.setStatus({ code: SpanStatusCode.ERROR });
    }
    span.end(this.#wallMs(startedMonoMs + elapsedMs));
  }

  #addFirstContent({ isStream, firstTokenMs, createdAtMs }: RequestRecord): void {
    if (!isStream || firstTokenMs === null) return;
    // It is sent when its token is there.
    const sentMonoMs = this.#tokenWaits.at(-1)?.[1] ?? this.#attempt.startedMonoMs;
    const sentMs = this.#wallMs(sentMonoMs);
    const contentMs = Math.max(sentMs, createdAtMs + firstTokenMs);
    this.#span.setAttribute('gen_ai.response.time_to_first_chunk', (contentMs - sentMs) / 1_000);
    const child = this.#parts.tracer.startSpan('first content', { startTime: sentMs }, this.#context);
    child.end(contentMs);
  }

  #addChild(name: string, beganMonoMs: number, endedMonoMs: number): void {
    const child = this.#parts.tracer.startSpan(name, { startTime: this.#wallMs(beganMonoMs) }, this.#context);
    child.end(this.#wallMs(endedMonoMs));
  }

  #modelAttributes(path: string): Attributes {
    const { operation } = endpointOf(path);
    if (operation === null) return {};
    const { scrub } = this.#parts;
    const { model, endpoint } = this.#attempt;
    const { id = null, model: responseModel = null, finishReasons = [] } = this.response ?? {};
    const scrubbed = (text: string | null): string | null => (text === null ? null : scrub(text));
    return {
      'gen_ai.operation.name': operation,
      'gen_ai.provider.name': providerOf(new URL(endpoint).hostname, path),
      ...(model === path ? {} : { 'gen_ai.request.model': scrub(model) }),
      ...(this.request === null ? {} : requestAttributes(this.request)),
      ...responseAttributes({ id: scrubbed(id), model: scrubbed(responseModel), finishReasons }),
      ...(this.usage === null ? {} : usageAttributes(this.usage, GENERATES.has(operation))),
    };
  }

  /** `{gen_ai.operation.name} {gen_ai.request.model}`; the path's pattern where no model is asked. */
  #name(path: string): string {
    const { operation, path: pattern } = endpointOf(path);
    const { model } = this.#attempt;
    return operation === null || model === path ? pattern : `${operation} ${this.#parts.scrub(model)}`;
  }
}

/** Operations whose output has tokens. */
const GENERATES: ReadonlySet<string> = new Set(['chat', 'text_completion', 'generate_content']);

function isFailed({ outcome, status }: RequestRecord): boolean {
  return outcome === 'client_gone' || outcome === 'stream_broken' || status >= 500;
}

/** The path's pattern, of which there are few; null: no path of the API. */
function routeOf(path: string): string | null {
  return path.startsWith('/v1/') ? endpointOf(path).path : null;
}

/** RFC 9110 and RFC 5789. */
const METHODS: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'CONNECT',
  'OPTIONS',
  'TRACE',
  'PATCH',
]);

/** `HTTP` stands for a method that is not known. */
function knownMethod(method: string): string {
  return METHODS.has(method) ? method : 'HTTP';
}
