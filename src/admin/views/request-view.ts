import type { AttemptRecord, RequestRecord } from '../../lib/request-record.ts';
import { REPAIRS, type Repair } from '../../openai/vendors/repairs.ts';
import type { StoredRequest } from '../../request-log/request-store.ts';
import type { AdminAttempt, AdminRequest, AdminRequestDetail } from '../api-types.ts';

/** The request of a record that was just finished. */
export function requestOfRecord(record: RequestRecord): AdminRequest {
  return requestView(record);
}

/** One request in a list. */
export function requestView(request: StoredRequest): AdminRequest {
  return {
    id: request.id,
    created_at_ms: Math.round(request.createdAtMs),
    hostname: request.hostname,
    client: request.client,
    method: request.method,
    path: request.path,
    model: request.model,
    upstream_model: request.upstreamModel,
    upstream: request.upstream,
    is_stream: request.isStream,
    status: request.status,
    outcome: request.outcome,
    attempts: request.attempts.length,
    first_token_ms: rounded(request.firstTokenMs),
    elapsed_ms: Math.round(request.elapsedMs),
    prompt_tokens: request.promptTokens,
    completion_tokens: request.completionTokens,
    total_tokens: request.totalTokens,
    error_code: request.errorCode,
    error_message: request.errorMessage,
  };
}

/** One request with everything that is recorded of it. `sameId`: how many have its id. */
export function requestDetail(request: StoredRequest, sameId: number): AdminRequestDetail {
  return {
    request: requestView(request),
    ip: request.ip,
    user_agent: request.userAgent,
    request_bytes: request.requestBytes,
    response_bytes: request.responseBytes,
    attempts: request.attempts.map(attemptView),
    adaptations: request.adaptations,
    client_request_id: request.clientRequestId,
    trace_id: request.traceId,
    headers: request.headers,
    body: request.body,
    response: request.response,
    same_id: sameId,
  };
}

function attemptView(attempt: AttemptRecord): AdminAttempt {
  return {
    upstream: attempt.upstream,
    outcome: attempt.outcome,
    status: attempt.status,
    start_ms: rounded(attempt.startMs ?? null),
    elapsed_ms: Math.round(attempt.elapsedMs),
    queue_ms: rounded(attempt.queueMs ?? null),
    token_wait_ms: rounded(attempt.tokenWaitMs ?? null),
    connect_ms: rounded(attempt.connectMs ?? null),
    headers_ms: rounded(attempt.headersMs ?? null),
    token_renewed: attempt.tokenRenewed,
    detail: attempt.detail ?? null,
    repairs: (attempt.repairs ?? []).map((repair) => ({ repair, meaning: meaningOf(repair) })),
  };
}

/** What a repair is, in words. */
export function meaningOf(repair: string): string {
  return REPAIRS[repair as Repair] ?? 'A repair that this version does not know.';
}

function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms);
}
