import type { AttemptRecord, RequestRecord } from '../lib/request-record.ts';
import type { StoredRequest } from './request-store.ts';

/** The columns of `tokenferry_requests`, in the order in which rows travel. */
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
] as const;

export const TABLE = 'tokenferry_requests';

/** Where the two bodies stand in a row; redaction finds them by this. */
export const BODY_AT = COLUMNS.indexOf('body');
export const RESPONSE_AT = COLUMNS.indexOf('response');

export type ColumnValue = string | number | null;

/** One row as SQLite gives it back: times in milliseconds, booleans as 0 and 1, attempts and headers as JSON. */
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
  );
}

/** What `appendRow` wrote, read back from a store. */
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
  };
}

interface AttemptJson {
  upstream: string;
  outcome: AttemptRecord['outcome'];
  status: number | null;
  ms: number;
  token_renewed?: true;
  detail?: string;
}

function attemptsJson(attempts: readonly AttemptRecord[]): string {
  if (attempts.length === 0) return '[]';
  return JSON.stringify(attempts.map(attemptJson));
}

function attemptJson(attempt: AttemptRecord): AttemptJson {
  const json: AttemptJson = {
    upstream: attempt.upstream,
    outcome: attempt.outcome,
    status: attempt.status,
    ms: whole(attempt.elapsedMs),
  };
  if (attempt.tokenRenewed) json.token_renewed = true;
  if (attempt.detail !== undefined) json.detail = attempt.detail;
  return json;
}

function attemptsOf(json: string): AttemptRecord[] {
  return parsedOr<AttemptJson[]>(json, []).map((attempt) => ({
    upstream: attempt.upstream,
    outcome: attempt.outcome,
    status: attempt.status,
    elapsedMs: attempt.ms,
    tokenRenewed: attempt.token_renewed === true,
    ...(attempt.detail === undefined ? {} : { detail: attempt.detail }),
  }));
}

/** Whole milliseconds; 0 for what a clock that lies may give, as JSON has no NaN and the column no NULL. */
function whole(ms: number): number {
  return ms > 0 && ms < Number.POSITIVE_INFINITY ? Math.round(ms) : 0;
}

/** JSON of a column, or `otherwise`: a secret of digits that was scrubbed inside may have broken it. */
function parsedOr<Value>(json: string, otherwise: Value): Value {
  try {
    return JSON.parse(json) as Value;
  } catch {
    return otherwise;
  }
}
