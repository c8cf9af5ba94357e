/** How a request ended, as the record and the metrics name it. */
export type Outcome =
  | 'ok'
  | 'client_error'
  | 'upstream_error'
  | 'stream_broken'
  | 'client_gone'
  | 'rate_limited';

/** What may be tried after a failed attempt: the same upstream once more, the next candidate. */
export type AgainOnSame = 'never' | 'if_only_candidate' | 'with_renewed_token' | 'without_refused_parameter';

/** Whether a failure speaks against the upstream's health: not at all, one more in a row, or at once. */
export type CountsAgainst = 'no' | 'yes' | 'cools_at_once';

interface ErrorRow {
  /** The HTTP status that the client gets when nothing is left to try. */
  readonly status: number;
  readonly type: ErrorType;
  readonly code: string | null;
  /** Value of `x-should-retry`; null: the header is absent and the client decides by status. */
  readonly shouldRetry: boolean | null;
  readonly again: AgainOnSame;
  /** True: the next candidate gets its chance. False: this answer is final. */
  readonly nextCandidate: boolean;
  readonly countsAgainst: CountsAgainst;
  readonly outcome: Outcome;
  readonly level: 'debug' | 'info' | 'warn' | 'error';
}

export type ErrorType =
  | 'invalid_request_error'
  | 'authentication_error'
  | 'permission_error'
  | 'not_found_error'
  | 'rate_limit_error'
  | 'insufficient_quota'
  | 'upstream_error'
  | 'server_error';

const refused = {
  again: 'never',
  nextCandidate: false,
  countsAgainst: 'no',
  outcome: 'client_error',
  level: 'info',
} as const;
const failed = { again: 'never', nextCandidate: true, outcome: 'upstream_error', level: 'warn' } as const;

/**
 * Every way in which a request or an attempt can fail, with all that follows from it (product.md sections 6
 * and 7). A new kind without a row does not compile.
 */
export const ERROR_TABLE = {
  // Ours: refused before any upstream was asked.
  invalid_json: {
    ...refused,
    status: 400,
    type: 'invalid_request_error',
    code: 'invalid_json',
    shouldRetry: false,
  },
  invalid_request: {
    ...refused,
    status: 400,
    type: 'invalid_request_error',
    code: 'invalid_request',
    shouldRetry: false,
  },
  missing_model: {
    ...refused,
    status: 400,
    type: 'invalid_request_error',
    code: 'missing_model',
    shouldRetry: false,
  },
  body_too_large: {
    ...refused,
    status: 413,
    type: 'invalid_request_error',
    code: 'body_too_large',
    shouldRetry: false,
  },
  headers_too_large: {
    ...refused,
    status: 431,
    type: 'invalid_request_error',
    code: 'headers_too_large',
    shouldRetry: false,
  },
  request_timeout: {
    ...refused,
    status: 408,
    type: 'invalid_request_error',
    code: 'request_incomplete',
    shouldRetry: null,
  },
  unknown_path: {
    ...refused,
    status: 404,
    type: 'not_found_error',
    code: 'unknown_path',
    shouldRetry: false,
  },
  method_not_allowed: {
    ...refused,
    status: 405,
    type: 'invalid_request_error',
    code: 'method_not_allowed',
    shouldRetry: false,
  },
  unsupported_endpoint: {
    ...refused,
    status: 501,
    type: 'invalid_request_error',
    code: 'unsupported_endpoint',
    shouldRetry: false,
  },
  invalid_api_key: {
    ...refused,
    status: 401,
    type: 'authentication_error',
    code: 'invalid_api_key',
    shouldRetry: false,
  },
  not_permitted: {
    ...refused,
    status: 403,
    type: 'permission_error',
    code: 'not_permitted',
    shouldRetry: false,
  },
  client_rate_limited: {
    ...refused,
    status: 429,
    type: 'rate_limit_error',
    code: 'rate_limit_exceeded',
    shouldRetry: null,
    outcome: 'rate_limited',
  },
  overloaded: {
    ...refused,
    status: 503,
    type: 'server_error',
    code: 'overloaded',
    shouldRetry: null,
    outcome: 'rate_limited',
    level: 'warn',
  },
  shutting_down: {
    ...refused,
    status: 503,
    type: 'server_error',
    code: 'shutting_down',
    shouldRetry: null,
    outcome: 'upstream_error',
  },
  client_gone: {
    ...refused,
    status: 499,
    type: 'invalid_request_error',
    code: 'client_gone',
    shouldRetry: null,
    outcome: 'client_gone',
    level: 'debug',
  },
  internal: {
    ...refused,
    status: 500,
    type: 'server_error',
    code: 'internal_error',
    shouldRetry: null,
    outcome: 'upstream_error',
    level: 'error',
  },

  // Choosing an upstream.
  model_not_found: {
    ...failed,
    status: 404,
    type: 'not_found_error',
    code: 'model_not_found',
    shouldRetry: false,
    countsAgainst: 'no',
    outcome: 'client_error',
    level: 'info',
  },
  upstream_misconfigured: {
    ...failed,
    status: 500,
    type: 'server_error',
    code: 'upstream_misconfigured',
    shouldRetry: false,
    countsAgainst: 'no',
    level: 'error',
  },

  // One attempt at one candidate.
  token_unavailable: {
    ...failed,
    status: 503,
    type: 'upstream_error',
    code: 'upstream_auth_unavailable',
    shouldRetry: null,
    countsAgainst: 'no',
  },
  unreachable: {
    ...failed,
    status: 502,
    type: 'upstream_error',
    code: 'upstream_unreachable',
    shouldRetry: null,
    countsAgainst: 'cools_at_once',
  },
  timeout: {
    ...failed,
    status: 504,
    type: 'upstream_error',
    code: 'upstream_timeout',
    shouldRetry: null,
    countsAgainst: 'cools_at_once',
  },
  /** All its places are taken (`max_concurrency`) and so is its queue; nothing was sent. */
  queue_full: {
    ...failed,
    status: 503,
    type: 'server_error',
    code: 'overloaded',
    shouldRetry: null,
    countsAgainst: 'no',
    outcome: 'rate_limited',
  },
  /** A status of `retry.statuses`; `clientStatusFor` maps it to 502, 503 or 504. */
  retryable_status: {
    ...failed,
    status: 502,
    type: 'upstream_error',
    code: 'upstream_error',
    shouldRetry: null,
    again: 'if_only_candidate',
    countsAgainst: 'yes',
  },
  rate_limited: {
    ...failed,
    status: 429,
    type: 'rate_limit_error',
    code: 'rate_limit_exceeded',
    shouldRetry: null,
    countsAgainst: 'no',
    outcome: 'rate_limited',
    level: 'info',
  },
  quota_exhausted: {
    ...failed,
    status: 429,
    type: 'insufficient_quota',
    code: 'insufficient_quota',
    shouldRetry: false,
    countsAgainst: 'no',
    outcome: 'rate_limited',
  },
  auth_rejected: {
    ...failed,
    status: 502,
    type: 'upstream_error',
    code: 'upstream_auth_error',
    shouldRetry: false,
    again: 'with_renewed_token',
    countsAgainst: 'yes',
    level: 'error',
  },
  /** 401 and 403 under `sk: asis`: the client's own credentials, so its own answer. */
  auth_passed_through: {
    ...refused,
    status: 401,
    type: 'authentication_error',
    code: null,
    shouldRetry: false,
  },
  forbidden: {
    ...failed,
    status: 502,
    type: 'upstream_error',
    code: 'upstream_auth_error',
    shouldRetry: false,
    countsAgainst: 'no',
  },
  path_not_found: {
    ...failed,
    status: 502,
    type: 'upstream_error',
    code: 'upstream_not_found',
    shouldRetry: false,
    countsAgainst: 'yes',
  },
  /** Any other 4xx: the client's own mistake, answered with the upstream's status and message. */
  client_fault: {
    ...refused,
    status: 400,
    type: 'invalid_request_error',
    code: null,
    shouldRetry: false,
    again: 'without_refused_parameter',
  },
  context_overflow: {
    ...refused,
    status: 400,
    type: 'invalid_request_error',
    code: 'context_length_exceeded',
    shouldRetry: false,
  },
  content_filtered: {
    ...refused,
    status: 400,
    type: 'invalid_request_error',
    code: 'content_filter',
    shouldRetry: false,
  },
  invalid_response: {
    ...failed,
    status: 502,
    type: 'upstream_error',
    code: 'upstream_invalid_response',
    shouldRetry: null,
    countsAgainst: 'yes',
  },
  /** Embeddings: another number of vectors than inputs. */
  mismatch: {
    ...failed,
    status: 502,
    type: 'upstream_error',
    code: 'upstream_mismatch',
    shouldRetry: null,
    countsAgainst: 'no',
  },
  redirect: {
    ...failed,
    status: 502,
    type: 'upstream_error',
    code: 'upstream_redirect',
    shouldRetry: false,
    countsAgainst: 'yes',
  },
  disconnected: {
    ...failed,
    status: 502,
    type: 'upstream_error',
    code: 'upstream_disconnected',
    shouldRetry: null,
    countsAgainst: 'yes',
  },
  /** The model itself gave up (`finish_reason: network_error` and the like). */
  generation_failed: {
    ...failed,
    status: 502,
    type: 'upstream_error',
    code: 'upstream_generation_failed',
    shouldRetry: null,
    countsAgainst: 'yes',
  },
} as const satisfies Record<string, ErrorRow>;

export type ErrorKind = keyof typeof ERROR_TABLE;

/** The row of a kind, widened so that callers can compare its fields freely. */
export function errorRow(kind: ErrorKind): ErrorRow {
  return ERROR_TABLE[kind];
}

export interface FerryErrorFacts {
  /** Text for the client: what is wrong, where, what to do. Never a host name, a key or a stack. */
  readonly message: string;
  /** The status that the upstream answered with, when it answered. */
  readonly upstreamStatus?: number | undefined;
  /** The status for the client where it is not the row's own. */
  readonly status?: number | undefined;
  readonly type?: string | undefined;
  readonly code?: string | null | undefined;
  readonly param?: string | null | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly shouldRetry?: boolean | undefined;
  /** For log and record only: may name hosts and quote excerpts, never secrets. */
  readonly detail?: string | undefined;
  readonly cause?: unknown;
}

/**
 * The one error of the product: a kind of `ERROR_TABLE` and its facts. Foreign errors are converted to it once,
 * where they enter, with their cause; one place answers the client with it.
 */
export class FerryError extends Error {
  readonly kind: ErrorKind;
  readonly status: number;
  readonly type: string;
  readonly code: string | null;
  readonly param: string | null;
  readonly upstreamStatus: number | undefined;
  readonly retryAfterMs: number | undefined;
  readonly shouldRetry: boolean | null;
  readonly detail: string | undefined;

  constructor(kind: ErrorKind, facts: FerryErrorFacts) {
    super(facts.message, facts.cause === undefined ? undefined : { cause: facts.cause });
    const row = errorRow(kind);
    this.name = 'FerryError';
    this.kind = kind;
    this.status = facts.status ?? row.status;
    this.type = facts.type ?? row.type;
    this.code = facts.code === undefined ? row.code : facts.code;
    this.param = facts.param ?? null;
    this.upstreamStatus = facts.upstreamStatus;
    this.retryAfterMs = facts.retryAfterMs;
    this.shouldRetry = facts.shouldRetry ?? row.shouldRetry;
    this.detail = facts.detail;
  }

  get row(): ErrorRow {
    return errorRow(this.kind);
  }

  /** The body that every OpenAI client understands: `{"error":{message,type,param,code}}`, all four keys. */
  toBody(): { error: { message: string; type: string; param: string | null; code: string | null } } {
    return { error: { message: this.message, type: this.type, param: this.param, code: this.code } };
  }
}

/** Whatever was thrown as the FerryError that it means: what is none of ours is a mistake of ours. */
export function asFerryError(error: unknown): FerryError {
  if (error instanceof FerryError) return error;
  return new FerryError('internal', {
    message: 'The request could not be served because of a mistake in tokenferry. The log has the details.',
    detail: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
    cause: error,
  });
}
