import type { IncomingHttpHeaders } from 'node:http';
import type { AdaptationRecord, AttemptRecord } from '../lib/request-record.ts';
import type { RequestTrace } from '../lib/request-trace.ts';
import type { Matcher } from './glob.ts';

/** Who is calling, as client auth found out. */
export interface ClientIdentity {
  /** The configured name, or `key-N`; null for a client without a key. */
  readonly name: string | null;
  /** The person or program that a token or certificate names, for records; null: none. */
  readonly user: string | null;
  /** SHA-256 of its key in hex; null for a client without a key. */
  readonly keyDigest: string | null;
  /** True: the key is in the global `authorization` list or belongs to a named client, or no key is needed at all. */
  readonly isGlobal: boolean;
  /** Null: any. */
  readonly mayUseModel: Matcher | null;
  /** Null: any. */
  readonly mayUsePath: Matcher | null;
}

/** What routing needs of a request, for all endpoints. */
export interface RoutedRequest {
  /** Normalised: one leading `/v1`, no query. */
  readonly path: string;
  /** The client's query without `?`. */
  readonly query: string;
  /** As the client named it; the path for a request without one. */
  readonly model: string;
  readonly client: ClientIdentity;
  readonly headers: IncomingHttpHeaders;
  /** Aborted with a FerryError when the client disconnects or the service shuts down. */
  readonly signal: AbortSignal;
  /** Monotonic time of arrival. */
  readonly startedMonoMs: number;
  readonly log: AttemptLog;
  /** Null and absent: the request is not traced. */
  readonly trace?: RequestTrace | null;
}

/** The attempts of one request, for its record, and how long upstreams worked for it. Written by routing only. */
export class AttemptLog {
  /** Those that are over. */
  readonly attempts: AttemptRecord[] = [];
  /** Attempts that were sent; the last one may still be running, or waiting for its token. */
  count = 0;
  /**
   * The upstream of the last of them and its own name for the model; when none was sent, the one that was tried last.
   * Null: none was tried.
   */
  upstream: string | null = null;
  upstreamModel: string | null = null;
  /** What upstreams were sent otherwise than the client wrote it, each change once. */
  adaptations: readonly AdaptationRecord[] = NO_ADAPTATIONS;
  /** Milliseconds in which an upstream was working on the request. */
  upstreamMs = 0;
  /** Flat headers of the served response that its client gets too. */
  headersForClient: readonly string[] = [];

  noteAdaptation(added: AdaptationRecord): void {
    const isKnown = this.adaptations.some(
      ({ upstream, change }) => upstream === added.upstream && change === added.change,
    );
    if (!isKnown && this.adaptations.length < MAX_ADAPTATIONS)
      this.adaptations = [...this.adaptations, added];
  }
}

const NO_ADAPTATIONS: readonly AdaptationRecord[] = [];
/** More are those of a request that was made to have many. */
const MAX_ADAPTATIONS = 100;
