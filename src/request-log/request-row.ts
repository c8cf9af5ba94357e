import type { AdaptationRecord, AttemptRecord, RequestRecord } from '../lib/request-record.ts';
import type { RowBatch, StoredRequest } from './request-store.ts';

/** The columns of `tokenferry_requests`, in the order of the values of a row. */
export const COLUMNS = [
  'id',
  'created_at',
  'hostname',
  'client',
  'ip',
  'user_agent',
  'method',
  'path',
  'model',
  'upstream_model',
  'upstream',
  'stream',
  'status',
  'outcome',
  'attempts',
  'first_token_ms',
  'elapsed_ms',
  'prompt_tokens',
  'completion_tokens',
  'total_tokens',
  'request_bytes',
  'response_bytes',
  'error_code',
  'error_message',
  'headers',
  'body',
  'response',
  'client_request_id',
  'adaptations',
  'trace_id',
] as const;

export const TABLE = 'tokenferry_requests';

/** Positions of the two bodies in a row, for redaction. */
const BODY_AT = COLUMNS.indexOf('body');
const RESPONSE_AT = COLUMNS.indexOf('response');

export type ColumnValue = string | number | null;

/** One row as a database returns it: times in milliseconds, booleans as 0 and 1, attempts and headers as JSON. */
export interface RequestRow {
  id: string;
  created_at: number;
  hostname: string;
  client: string | null;
  ip: string;
  user_agent: string | null;
  method: string;
  path: string;
  model: string | null;
  upstream_model: string | null;
  upstream: string | null;
  stream: number;
  status: number;
  outcome: RequestRecord['outcome'];
  attempts: string;
  first_token_ms: number | null;
  elapsed_ms: number;
  prompt_tokens: number | null;
  completion_tokens: number | null;
  total_tokens: number | null;
  request_bytes: number;
  response_bytes: number;
  error_code: string | null;
  error_message: string | null;
  headers: string | null;
  body: string | null;
  response: string | null;
  /** These three are absent in a database that was last written by an older version. */
  client_request_id?: string | null;
  adaptations?: string | null;
  trace_id?: string | null;
}

/** Appends the record's values to `values`, one for each of `COLUMNS`. Times become whole milliseconds. */
export function appendRow(values: ColumnValue[], record: RequestRecord): void {
  values.push(
    record.id,
    whole(record.createdAtMs),
    record.hostname,
    record.client,
    record.ip,
    record.userAgent,
    record.method,
    record.path,
    record.model,
    record.upstreamModel,
    record.upstream,
    record.isStream ? 1 : 0,
    record.status,
    record.outcome,
    attemptsJson(record.attempts),
    record.firstTokenMs === null ? null : whole(record.firstTokenMs),
    whole(record.elapsedMs),
    record.promptTokens,
    record.completionTokens,
    record.totalTokens,
    record.requestBytes,
    record.responseBytes,
    record.errorCode,
    record.errorMessage,
    record.headers === null ? null : JSON.stringify(record.headers),
    record.body,
    record.response,
    record.clientRequestId,
    record.adaptations.length === 0 ? null : JSON.stringify(record.adaptations),
    record.traceId,
  );
}

/**
 * The values of a batch, row after row, both bodies of each row redacted. Null for a batch that is no valid JSON: a retry
 * would fail again and block every later batch.
 */
export function valuesOf(batch: RowBatch, redact: (body: string) => string): ColumnValue[] | null {
  const values = parsedOr<ColumnValue[] | null>(`[${batch.values}]`, null);
  if (values === null || values.length !== batch.rows * COLUMNS.length) return null;
  for (let row = 0; row < values.length; row += COLUMNS.length) {
    for (const at of [row + BODY_AT, row + RESPONSE_AT]) {
      const body = values[at];
      if (typeof body === 'string') values[at] = redact(body);
    }
  }
  return values;
}

/** The request of a row. */
export function requestOf(row: RequestRow): StoredRequest {
  return {
    id: row.id,
    createdAtMs: row.created_at,
    hostname: row.hostname,
    client: row.client,
    ip: row.ip,
    userAgent: row.user_agent,
    method: row.method,
    path: row.path,
    model: row.model,
    upstreamModel: row.upstream_model,
    upstream: row.upstream,
    isStream: row.stream === 1,
    status: row.status,
    outcome: row.outcome,
    attempts: attemptsOf(row.attempts),
    firstTokenMs: row.first_token_ms,
    elapsedMs: row.elapsed_ms,
    promptTokens: row.prompt_tokens,
    completionTokens: row.completion_tokens,
    totalTokens: row.total_tokens,
    requestBytes: row.request_bytes,
    responseBytes: row.response_bytes,
    errorCode: row.error_code,
    errorMessage: row.error_message,
    headers: row.headers === null ? null : parsedOr<Record<string, string> | null>(row.headers, null),
    body: row.body,
    response: row.response,
    clientRequestId: row.client_request_id ?? null,
    traceId: row.trace_id ?? null,
    adaptations: row.adaptations == null ? [] : parsedOr<AdaptationRecord[]>(row.adaptations, []),
  };
}

interface AttemptJson {
  upstream: string;
  outcome: AttemptRecord['outcome'];
  status: number | null;
  ms: number;
  token_renewed?: true;
  detail?: string;
  start_ms?: number;
  queue_ms?: number;
  token_wait_ms?: number;
  connect_ms?: number;
  headers_ms?: number;
  repairs?: readonly string[];
}

function attemptsJson(attempts: readonly AttemptRecord[]): string {
  if (attempts.length === 0) return '[]';
  const rows: AttemptJson[] = [];
  for (const attempt of attempts) {
    const { upstream, outcome, status, elapsedMs, tokenRenewed, detail } = attempt;
    const row: AttemptJson = { upstream, outcome, status, ms: whole(elapsedMs) };
    if (tokenRenewed) row.token_renewed = true;
    if (detail !== undefined) row.detail = detail;
    if (attempt.startMs !== undefined) row.start_ms = whole(attempt.startMs);
    if (attempt.queueMs !== undefined) row.queue_ms = whole(attempt.queueMs);
    if (attempt.tokenWaitMs !== undefined) row.token_wait_ms = whole(attempt.tokenWaitMs);
    if (attempt.connectMs !== undefined) row.connect_ms = whole(attempt.connectMs);
    if (attempt.headersMs !== undefined) row.headers_ms = whole(attempt.headersMs);
    if (attempt.repairs !== undefined) row.repairs = attempt.repairs;
    rows.push(row);
  }
  return JSON.stringify(rows);
}

function attemptsOf(json: string): AttemptRecord[] {
  return parsedOr<AttemptJson[]>(json, []).map((attempt) => ({
    upstream: attempt.upstream,
    outcome: attempt.outcome,
    status: attempt.status,
    elapsedMs: attempt.ms,
    tokenRenewed: attempt.token_renewed === true,
    ...(attempt.detail === undefined ? {} : { detail: attempt.detail }),
    ...(attempt.start_ms === undefined ? {} : { startMs: attempt.start_ms }),
    ...(attempt.queue_ms === undefined ? {} : { queueMs: attempt.queue_ms }),
    ...(attempt.token_wait_ms === undefined ? {} : { tokenWaitMs: attempt.token_wait_ms }),
    ...(attempt.connect_ms === undefined ? {} : { connectMs: attempt.connect_ms }),
    ...(attempt.headers_ms === undefined ? {} : { headersMs: attempt.headers_ms }),
    ...(attempt.repairs === undefined ? {} : { repairs: attempt.repairs }),
  }));
}

/** Whole milliseconds; 0 for what is no positive finite number, as JSON has no NaN and the column no NULL. */
function whole(ms: number): number {
  return ms > 0 && ms < Number.POSITIVE_INFINITY ? Math.round(ms) : 0;
}

/** The parsed JSON, or `otherwise`: redaction of a secret of digits may have made it invalid. */
function parsedOr<Value>(json: string, otherwise: Value): Value {
  try {
    return JSON.parse(json) as Value;
  } catch {
    return otherwise;
  }
}
