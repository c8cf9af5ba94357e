import type { IncomingHttpHeaders } from 'node:http';
import type { AttemptRecord } from '../lib/request-record.ts';
import type { Matcher } from './glob.ts';

/** Who is calling, as client auth found out. */
export interface ClientIdentity {
  /** The configured name, or `key-N`; null for a client without a key. */
  readonly name: string | null;
  /** SHA-256 of its key in hex; null for a client without a key. */
  readonly keyDigest: string | null;
  /** True: the key is in the global `authorization` list or belongs to a named client, or no key is needed at all. */
  readonly isGlobal: boolean;
  readonly mayUseModel: Matcher;
  readonly mayUsePath: Matcher;
}

/** What routing has to know of a request, whatever its endpoint. */
export interface RoutedRequest {
  /** Normalised: one leading `/v1`, no query. */
  readonly path: string;
  /** The client's query without `?`. */
  readonly query: string;
  /** As the client named it; the path for a request without one. */
  readonly model: string;
  readonly client: ClientIdentity;
  readonly headers: IncomingHttpHeaders;
  /** Aborted with a FerryError when the client leaves or the service ends. */
  readonly signal: AbortSignal;
  /** Monotonic time of arrival. */
  readonly startedMonoMs: number;
  readonly log: AttemptLog;
}

/** The attempts of one request, for its record, and how long upstreams worked for it. */
export class AttemptLog {
  readonly attempts: AttemptRecord[] = [];
  /** Attempts that were begun; the last one may still be running. */
  count = 0;
  /** The upstream of the last attempt and its own name for the model; null before the first. */
  upstream: string | null = null;
  upstreamModel: string | null = null;
  /** Flat headers of the served response that its client gets too. */
  headersForClient: readonly string[] = [];
  #upstreamMs = 0;

  begin(upstream: string, upstreamModel: string): void {
    this.count += 1;
    this.upstream = upstream;
    this.upstreamModel = upstreamModel;
  }

  end(attempt: AttemptRecord): void {
    this.attempts.push(attempt);
    this.#upstreamMs += attempt.elapsedMs;
  }

  /** The queue of the upstream refused the request: recorded as an attempt, though nothing was sent. */
  refused(upstream: string, upstreamModel: string, entry: AttemptRecord): void {
    this.begin(upstream, upstreamModel);
    this.attempts.push(entry);
  }

  /** Milliseconds in which an upstream was working on the request. */
  get upstreamMs(): number {
    return this.#upstreamMs;
  }
}
