import type { ErrorKind, Outcome } from './errors/ferry-error.ts';

/** One attempt at one candidate. */
export interface AttemptRecord {
  readonly upstream: string;
  /** `ok`, or the kind of its error. */
  readonly outcome: 'ok' | 'stream_broken' | ErrorKind;
  /** The upstream's HTTP status; null when it never responded. */
  readonly status: number | null;
  readonly elapsedMs: number;
  /** True: the upstream rejected the token and the request was replayed with a renewed one. */
  readonly tokenRenewed: boolean;
  /** Why it failed, in words; without secrets. */
  readonly detail?: string;
  /** From the arrival of the request to its begin. Absent: recorded by an older version, as are the others. */
  readonly startMs?: number;
  /** How long it waited for a slot or its turn before it began; absent: not at all. */
  readonly queueMs?: number;
  /** How long it waited for a token; absent: not at all. */
  readonly tokenWaitMs?: number;
  /** How long a new connection took to open, or was opening when it failed; absent: one was open. */
  readonly connectMs?: number;
  /** From its begin to the headers of the response; absent: there were none. */
  readonly headersMs?: number;
  /** What its response needed before the client could read it: names of `openai/vendors/repairs.ts`. */
  readonly repairs?: readonly string[];
}

/** One thing that an upstream was sent otherwise than the client wrote it. */
export interface AdaptationRecord {
  readonly upstream: string;
  /** As in `x-tokenferry-dropped`: a parameter that was left out, `a>b`, `a=value`, or a rewrite such as `messages:system`. */
  readonly change: string;
  /** The words of the upstream that asked for it; null: the configuration does, or the API's own rules. */
  readonly reason: string | null;
}

/**
 * The facts of one request, frozen when it is finished. No field has a credential: there is none for the upstream's key,
 * and `headers` has only those of `record.keep_headers`.
 */
export interface RequestRecord {
  readonly id: string;
  /** As in `traceparent`; null: the request was not traced. */
  readonly traceId: string | null;
  /** The client's own id of the request where it is not `id`, since it came with earlier requests too. */
  readonly clientRequestId: string | null;
  readonly createdAtMs: number;
  readonly hostname: string;
  /**
   * The client's configured name, or `key-N`; behind it, in brackets, the person or program that its token or certificate
   * names. Null when no key was required or it was invalid.
   */
  readonly client: string | null;
  readonly ip: string;
  readonly userAgent: string | null;
  readonly method: string;
  /** Normalised: one leading `/v1`, no query. */
  readonly path: string;
  /** The model that the client requested; null before the body was parsed. */
  readonly model: string | null;
  /** False: no upstream is configured to have it, so that metrics label it `other`. */
  readonly isKnownModel: boolean;
  readonly upstreamModel: string | null;
  /** The upstream of the last attempt. */
  readonly upstream: string | null;
  readonly isStream: boolean;
  readonly status: number;
  readonly outcome: Outcome;
  readonly attempts: readonly AttemptRecord[];
  readonly adaptations: readonly AdaptationRecord[];
  readonly firstTokenMs: number | null;
  readonly elapsedMs: number;
  /** The elapsed time less the time in which an upstream was working. */
  readonly overheadMs: number;
  readonly promptTokens: number | null;
  readonly completionTokens: number | null;
  readonly totalTokens: number | null;
  readonly isUsageEstimated: boolean;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
  readonly headers: Readonly<Record<string, string>> | null;
  readonly body: string | null;
  readonly response: string | null;
  /** For the log at level `debug` only; absent at any other level. No other sink uses it. */
  readonly bodies?: {
    readonly request: string | null;
    /** Of a stream its events. */
    readonly response: string;
    /** Events of a stream, its end marker not counted. */
    readonly events: number;
  };
}
