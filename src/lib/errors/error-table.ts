/** How a request ended, as the record and the metrics name it. */
export type Outcome =
  | 'ok'
  | 'client_error'
  | 'upstream_error'
  | 'stream_broken'
  | 'client_gone'
  | 'rate_limited';

/** Whether the same upstream gets another attempt. The replay with a renewed token happens within an attempt. */
type AgainOnSame = 'never' | 'if_only_candidate' | 'without_refused_parameter';

/** Whether a failure counts against the upstream's health: not at all, as one more in a row, or at once. */
export type CountsAgainst = 'no' | 'yes' | 'cools_at_once';

export interface ErrorRow {
  /** The HTTP status that the client gets when nothing is left to try. */
  readonly status: number;
  readonly type: ErrorType;
  readonly code: string | null;
  /** Value of `x-should-retry`; null: the header is absent and the client decides by status. */
  readonly shouldRetry: boolean | null;
  readonly again: AgainOnSame;
  /** True: the next candidate is tried. False: this failure is final. */
  readonly nextCandidate: boolean;
  readonly countsAgainst: CountsAgainst;
  /** How much the client can do about it: of the failures of several candidates the client gets the one with the highest. */
  readonly severity: 0 | 1 | 2 | 3 | 4 | 5 | 6;
  readonly outcome: Outcome;
}

type ErrorType =
  | 'invalid_request_error'
  | 'authentication_error'
  | 'permission_error'
  | 'not_found_error'
  | 'rate_limit_error'
  | 'insufficient_quota'
  | 'upstream_error'
  | 'server_error';

/** What follows from a failure, beside what the client gets. */
type Consequences = Omit<ErrorRow, 'status' | 'type' | 'code'>;

/** Caused by the client's request: final, and not to be retried unchanged. */
const REFUSED: Consequences = {
  shouldRetry: false,
  again: 'never',
  nextCandidate: false,
  countsAgainst: 'no',
  severity: 6,
  outcome: 'client_error',
};

/** One upstream failed: the next candidate is tried. */
const FAILED: Consequences = {
  shouldRetry: null,
  again: 'never',
  nextCandidate: true,
  countsAgainst: 'yes',
  severity: 3,
  outcome: 'upstream_error',
};

type RowFacts = readonly [status: number, type: ErrorType, code: string | null, but?: Partial<Consequences>];

function refused(...[status, type, code, but]: RowFacts): ErrorRow {
  return { status, type, code, ...REFUSED, ...but };
}

function failed(...[status, type, code, but]: RowFacts): ErrorRow {
  return { status, type, code, ...FAILED, ...but };
}

/** Every way in which a request or an attempt can fail, with its consequences; docs/failover.md describes them. */
export const ERROR_TABLE = {
  // Refused before any attempt.
  invalid_json: refused(400, 'invalid_request_error', 'invalid_json'),
  invalid_request: refused(400, 'invalid_request_error', 'invalid_request'),
  missing_model: refused(400, 'invalid_request_error', 'missing_model'),
  body_too_large: refused(413, 'invalid_request_error', 'body_too_large'),
  unsupported_encoding: refused(415, 'invalid_request_error', 'unsupported_content_encoding'),
  headers_too_large: refused(431, 'invalid_request_error', 'headers_too_large'),
  request_timeout: refused(408, 'invalid_request_error', 'request_incomplete', { shouldRetry: null }),
  unknown_path: refused(404, 'not_found_error', 'unknown_path'),
  method_not_allowed: refused(405, 'invalid_request_error', 'method_not_allowed'),
  upgrade_not_supported: refused(426, 'invalid_request_error', 'upgrade_not_supported'),
  unsupported_endpoint: refused(501, 'invalid_request_error', 'unsupported_endpoint'),
  invalid_api_key: refused(401, 'authentication_error', 'invalid_api_key'),
  not_permitted: refused(403, 'permission_error', 'not_permitted'),
  client_rate_limited: refused(429, 'rate_limit_error', 'rate_limit_exceeded', {
    shouldRetry: null,
    outcome: 'rate_limited',
  }),
  overloaded: refused(503, 'server_error', 'overloaded', { shouldRetry: null, outcome: 'rate_limited' }),
  shutting_down: refused(503, 'server_error', 'shutting_down', {
    shouldRetry: null,
    outcome: 'upstream_error',
  }),
  client_gone: refused(499, 'invalid_request_error', 'client_gone', {
    shouldRetry: null,
    outcome: 'client_gone',
  }),
  internal: refused(500, 'server_error', 'internal_error', { shouldRetry: null, outcome: 'upstream_error' }),

  // Choosing an upstream.
  model_not_found: failed(404, 'not_found_error', 'model_not_found', {
    countsAgainst: 'no',
    shouldRetry: false,
    outcome: 'client_error',
    severity: 2,
  }),
  upstream_misconfigured: failed(500, 'server_error', 'upstream_misconfigured', {
    countsAgainst: 'no',
    shouldRetry: false,
    severity: 0,
  }),

  /** An administrator paused every candidate. */
  upstream_paused: failed(503, 'server_error', 'upstream_paused', { countsAgainst: 'no', severity: 0 }),

  // One attempt at one candidate.
  token_unavailable: failed(503, 'upstream_error', 'upstream_auth_unavailable', { countsAgainst: 'no' }),
  unreachable: failed(502, 'upstream_error', 'upstream_unreachable', { countsAgainst: 'cools_at_once' }),
  timeout: failed(504, 'upstream_error', 'upstream_timeout', { countsAgainst: 'cools_at_once' }),
  /** `max_concurrency` is reached and the queue is full; nothing was sent. */
  queue_full: failed(503, 'server_error', 'overloaded', {
    countsAgainst: 'no',
    outcome: 'rate_limited',
    severity: 4,
  }),
  /** A status of `retry.statuses`; the client gets 502, 503 or 504 for it. */
  retryable_status: failed(502, 'upstream_error', 'upstream_error', { again: 'if_only_candidate' }),
  rate_limited: failed(429, 'rate_limit_error', 'rate_limit_exceeded', {
    countsAgainst: 'no',
    outcome: 'rate_limited',
    severity: 5,
  }),
  quota_exhausted: failed(429, 'insufficient_quota', 'insufficient_quota', {
    countsAgainst: 'no',
    shouldRetry: false,
    outcome: 'rate_limited',
    severity: 4,
  }),
  auth_rejected: failed(502, 'upstream_error', 'upstream_auth_error', { shouldRetry: false, severity: 1 }),
  /** 401 and 403 under `sk: asis`: the credentials are the client's own. */
  auth_passed_through: refused(401, 'authentication_error', null),
  forbidden: failed(502, 'upstream_error', 'upstream_auth_error', {
    countsAgainst: 'no',
    shouldRetry: false,
    severity: 1,
  }),
  path_not_found: failed(502, 'upstream_error', 'upstream_not_found', { shouldRetry: false, severity: 2 }),
  /** Any other 4xx: an error in the client's request; it gets the upstream's status and message. */
  client_fault: refused(400, 'invalid_request_error', null, { again: 'without_refused_parameter' }),
  context_overflow: refused(400, 'invalid_request_error', 'context_length_exceeded'),
  content_filtered: refused(400, 'invalid_request_error', 'content_filter'),
  invalid_response: failed(502, 'upstream_error', 'upstream_invalid_response'),
  /** Embeddings: another number of vectors than inputs. */
  mismatch: failed(502, 'upstream_error', 'upstream_mismatch', { countsAgainst: 'no' }),
  redirect: failed(502, 'upstream_error', 'upstream_redirect', { shouldRetry: false }),
  disconnected: failed(502, 'upstream_error', 'upstream_disconnected'),
  /** The model aborted the generation (`finish_reason: network_error` and the like). */
  generation_failed: failed(502, 'upstream_error', 'upstream_generation_failed'),
} as const satisfies Record<string, ErrorRow>;

/** A new kind without a row does not compile. */
export type ErrorKind = keyof typeof ERROR_TABLE;
