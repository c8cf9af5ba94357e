import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { LoopbackServer } from './loopback-server.ts';

type Value = string | number | boolean | readonly Value[];

/** One span as it was received. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** '': it is the root. */
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly name: string;
  readonly kind: 'INTERNAL' | 'SERVER' | 'CLIENT' | 'PRODUCER' | 'CONSUMER';
  /** Milliseconds since 1970. */
  readonly startMs: number;
  readonly endMs: number;
  readonly status: 'UNSET' | 'OK' | 'ERROR';
  readonly attributes: Readonly<Record<string, Value>>;
}

/** A span with those below it, in the order of their begin. */
export interface SpanTree extends ReceivedSpan {
  readonly children: readonly SpanTree[];
}

interface AnyValue {
  readonly stringValue?: string;
  readonly intValue?: number | string;
  readonly doubleValue?: number;
  readonly boolValue?: boolean;
  readonly arrayValue?: { readonly values: readonly AnyValue[] };
}

interface KeyValue {
  readonly key: string;
  readonly value: AnyValue;
}

interface WireSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly traceState?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status?: { readonly code?: number };
  readonly attributes: readonly KeyValue[];
}

interface WireRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] };
    readonly scopeSpans: readonly { readonly spans: readonly WireSpan[] }[];
  }[];
}

const KINDS = ['INTERNAL', 'INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'] as const;
const STATUSES = ['UNSET', 'OK', 'ERROR'] as const;

/** A collector on 127.0.0.1 that receives OTLP/HTTP in JSON (opentelemetry-proto 1.x) and keeps every span. */
export class TraceCollector extends LoopbackServer {
  readonly spans: ReceivedSpan[] = [];
  readonly requests: {
    readonly path: string;
    readonly headers: IncomingHttpHeaders;
    readonly text: string;
  }[] = [];
  resource: Readonly<Record<string, Value>> = {};
  /** In place of accepting a request. Never ending the response is a collector that hangs. */
  respond: ((response: ServerResponse) => void) | null = null;

  constructor() {
    super(createServer());
    this.server.on('request', async (request, response) => {
      const bytes = await buffer(request).catch(() => null);
      if (bytes === null) return;
      const text = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString();
      this.requests.push({ path: request.url ?? '', headers: request.headers, text });
      if (this.respond !== null) {
        this.respond(response);
        return;
      }
      this.#receive(JSON.parse(text) as WireRequest);
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  }

  static start(): Promise<TraceCollector> {
    return new TraceCollector().listening();
  }

  /** As a configuration names it. */
  get endpoint(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The span that came from the network or has no parent, and all below it. Of the only trace unless one is named. */
  tree(traceId = this.spans[0]?.traceId ?? ''): SpanTree {
    const spans = this.spans.filter((span) => span.traceId === traceId);
    const ids = new Set(spans.map(({ spanId }) => spanId));
    const roots = spans.filter(({ parentSpanId }) => !ids.has(parentSpanId));
    const [root] = roots;
    if (root === undefined || roots.length !== 1)
      throw new Error(`trace ${traceId} has ${roots.length} roots in ${JSON.stringify(spans)}`);
    return treeOf(root, spans);
  }

  #receive({ resourceSpans }: WireRequest): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      this.resource = attributesOf(resource.attributes);
      for (const { spans } of scopeSpans) this.spans.push(...spans.map(spanOf));
    }
  }
}

/** The tree as lines: name and kind, indented. */
export function outline({ name, kind, children }: SpanTree, depth = 0): string[] {
  return [`${'  '.repeat(depth)}${name} ${kind}`, ...children.flatMap((child) => outline(child, depth + 1))];
}

function treeOf(span: ReceivedSpan, spans: readonly ReceivedSpan[]): SpanTree {
  const children = spans
    .filter(({ parentSpanId }) => parentSpanId === span.spanId)
    .sort((one, other) => one.startMs - other.startMs);
  return { ...span, children: children.map((child) => treeOf(child, spans)) };
}

function spanOf(span: WireSpan): ReceivedSpan {
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentSpanId ?? '',
    traceState: span.traceState ?? '',
    name: span.name,
    kind: KINDS[span.kind] ?? 'INTERNAL',
    startMs: Number(span.startTimeUnixNano) / 1e6,
    endMs: Number(span.endTimeUnixNano) / 1e6,
    status: STATUSES[span.status?.code ?? 0] ?? 'UNSET',
    attributes: attributesOf(span.attributes),
  };
}

function attributesOf(pairs: readonly KeyValue[]): Record<string, Value> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, plainValue(value)]));
}

function plainValue({ stringValue, intValue, doubleValue, boolValue, arrayValue }: AnyValue): Value {
  if (arrayValue !== undefined) return arrayValue.values.map(plainValue);
  return stringValue ?? (intValue === undefined ? (doubleValue ?? boolValue ?? '') : Number(intValue));
}
