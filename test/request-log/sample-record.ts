import type { RequestRecord } from '../../src/lib/request-record.ts';
import type { RequestStore, StoredRequest } from '../../src/request-log/request-store.ts';

/** A plain successful chat; a test names only what it is about. */
export function sampleRecord(facts: Partial<RequestRecord> = {}): RequestRecord {
  return Object.freeze<RequestRecord>({
    id: 'req_sample',
    traceId: null,
    clientRequestId: null,
    createdAtMs: Date.UTC(2026, 0, 1),
    hostname: 'node-1',
    client: 'ragflow',
    ip: '10.1.2.3',
    userAgent: 'OpenAI/Python 1.40.0',
    method: 'POST',
    path: '/v1/chat/completions',
    model: 'gpt-4o',
    isKnownModel: true,
    upstreamModel: 'gpt-4o-240806',
    upstream: 'chat',
    isStream: false,
    status: 200,
    outcome: 'ok',
    attempts: [{ upstream: 'chat', outcome: 'ok', status: 200, elapsedMs: 800, tokenRenewed: false }],
    adaptations: [],
    firstTokenMs: 500,
    elapsedMs: 813,
    overheadMs: 0.8,
    promptTokens: 200,
    completionTokens: 100,
    totalTokens: 300,
    isUsageEstimated: false,
    requestBytes: 1024,
    responseBytes: 600,
    errorCode: null,
    errorMessage: null,
    headers: null,
    body: null,
    response: null,
    ...facts,
  });
}

/** A request that failed at two upstreams. */
export function failedRecord(facts: Partial<RequestRecord> = {}): RequestRecord {
  return sampleRecord({
    status: 502,
    outcome: 'upstream_error',
    upstream: 'backup',
    attempts: [
      {
        upstream: 'chat',
        outcome: 'unreachable',
        status: null,
        elapsedMs: 3,
        tokenRenewed: false,
        detail: 'refused',
      },
      { upstream: 'backup', outcome: 'auth_rejected', status: 401, elapsedMs: 40, tokenRenewed: true },
    ],
    firstTokenMs: null,
    promptTokens: null,
    completionTokens: null,
    totalTokens: null,
    errorCode: 'upstream_auth_error',
    errorMessage: 'The upstream refused our credentials.',
    ...facts,
  });
}

/** The newest request of an id; null: there is none. */
export async function requestById(
  store: Pick<RequestStore, 'recent'>,
  id: string,
): Promise<StoredRequest | null> {
  return (await store.recent({ id }, { limit: 1 })).requests[0] ?? null;
}
