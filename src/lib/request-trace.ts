import type { IncomingHttpHeaders } from 'node:http';
import type { AttemptRecord, RequestRecord } from './request-record.ts';

/** Begins the traces of requests. Neither it nor a trace ever throws. */
export interface RequestTracer {
  /** Null: such requests are not traced. */
  begin(request: TracedRequest): RequestTrace | null;
}

/** What is known of a request when it arrives. */
export interface TracedRequest {
  readonly method: string;
  /** Normalised, without the query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** The same moment on both clocks. */
  readonly createdAtMs: number;
  readonly startedMonoMs: number;
}

/** The trace of one request. */
export interface RequestTrace {
  /** 32 hexadecimal digits, as in `traceparent`. */
  readonly traceId: string;
  beginAttempt(attempt: TracedAttempt): AttemptTrace;
  /** The request has waited for an upstream before an attempt began. */
  queueWaited(wait: QueueWait): void;
  /** Sends the trace. Called once, with the record of the request. */
  finish(record: RequestRecord): void;
}

/** A wait for a free slot (`max_concurrency`) or for the turn at the rate of an upstream (`pace`). */
interface QueueWait {
  readonly upstream: string;
  readonly reason: 'slot' | 'rate';
  readonly beganMonoMs: number;
  readonly waitedMs: number;
  /** False: neither a slot nor a turn was to be had in time. */
  readonly isServed: boolean;
}

/** What is known of an attempt when it begins. */
export interface TracedAttempt {
  readonly upstream: string;
  readonly endpoint: string;
  /** The upstream's own name of the model. */
  readonly model: string;
  readonly path: string;
  readonly startedMonoMs: number;
}

/** What a response says of itself. */
export interface ResponseFacts {
  readonly id: string | null;
  /** As the upstream named it. */
  readonly model: string | null;
  /** In the order of the choices; `error`: it ended without one. */
  readonly finishReasons: readonly string[];
}

/** Tokens of a response; `extensions` has the other members of the upstream's usage object. */
export interface TracedUsage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly totalTokens: number;
  readonly extensions?: Readonly<Record<string, unknown>>;
}

/** How an attempt ended. */
interface AttemptEnd {
  readonly record: AttemptRecord;
  /** The path of its request. */
  readonly path: string;
  /** True: its response has reached the client, at least in part. */
  readonly isCommitted: boolean;
}

/** One attempt of a traced request: collects facts, which become attributes when the request is over. */
export interface AttemptTrace {
  /** `traceparent` and `tracestate` that name the attempt as the parent of what the upstream does. */
  readonly headers: Readonly<Record<string, string>>;
  /** The JSON of the request; written by routes and routing only, as the next two. */
  request: Readonly<Record<string, unknown>> | null;
  usage: TracedUsage | null;
  response: ResponseFacts | null;
  /** A call has waited for a token, on the clock of `performance.now`. */
  tokenWaited(beganMonoMs: number, endedMonoMs: number): void;
  finish(end: AttemptEnd): void;
}
