import type { AttemptRecord } from '../lib/request-record.ts';

/** The attempts of one request, for its record, and how long upstreams worked for it. */
export class AttemptLog {
  readonly attempts: AttemptRecord[] = [];
  /** Attempts that were begun; the last one may still be running. */
  count = 0;
  /** The upstream of the last attempt and its own name for the model; null before the first. */
  upstream: string | null = null;
  upstreamModel: string | null = null;
  /** Headers of the reply that served the request and that its client is told, flat. */
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

  /** The upstream's queue refused the request: told as an attempt, though nothing was sent and nothing worked. */
  turnedAway(upstream: string, upstreamModel: string, entry: AttemptRecord): void {
    this.begin(upstream, upstreamModel);
    this.attempts.push(entry);
  }

  /** Milliseconds in which an upstream was working on the request. */
  get upstreamMs(): number {
    return this.#upstreamMs;
  }
}
