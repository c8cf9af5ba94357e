import { isJsonObject, type JsonObject, parseJson } from '../../lib/json/json-object.ts';
import type { RequestRecord } from '../../lib/request-record.ts';
import { excerptOf } from '../../lib/text/sanitize.ts';
import type { RouteRecord } from './openai-api-route-database.ts';

/** Names of the configuration in place of the credentials of a row; null: it has none for them. */
export interface ImportNames {
  readonly client: string | null;
  readonly upstream: string | null;
}

/** The same for every import of one row, so that it is copied once. */
export function importedId({ id, createdAtMs }: RouteRecord): string {
  return `openai-api-route-${createdAtMs}-${id}`;
}

/** A row as a record of ours. `scrub` removes credentials from texts; the store redacts bodies as all others. */
export function importedRecord(
  row: RouteRecord,
  names: ImportNames,
  scrub: (text: string) => string,
): RequestRecord {
  const json = parseJson(row.body);
  const body = isJsonObject(json) ? json : {};
  const outcome = outcomeOf(row.status);
  const isPath = row.model.startsWith('/');
  const isFailed = outcome !== 'ok';
  return {
    id: importedId(row),
    traceId: null,
    clientRequestId: null,
    adaptations: [],
    createdAtMs: row.createdAtMs,
    hostname: row.hostname,
    client: names.client,
    ip: row.ip,
    userAgent: row.userAgent === '' ? null : row.userAgent,
    method: 'POST',
    path: isPath ? row.model : pathOf(body),
    model: row.model === '' ? null : row.model,
    isKnownModel: true,
    upstreamModel: row.model === '' || isPath ? null : row.model,
    upstream: names.upstream,
    isStream: body.stream === true,
    status: row.status,
    outcome,
    attempts: [],
    firstTokenMs: isFailed ? null : row.responseMs,
    elapsedMs: row.elapsedMs,
    overheadMs: 0,
    promptTokens: null,
    completionTokens: null,
    totalTokens: null,
    isUsageEstimated: false,
    requestBytes: Buffer.byteLength(row.body),
    responseBytes: Buffer.byteLength(row.response),
    errorCode: null,
    errorMessage: isFailed ? excerptOf(row.response, scrub) : null,
    headers: row.headers,
    body: row.body === '' ? null : scrub(row.body),
    response: row.response === '' ? null : scrub(row.response),
  };
}

function outcomeOf(status: number): RequestRecord['outcome'] {
  if (status >= 200 && status < 300) return 'ok';
  if (status === 429) return 'rate_limited';
  return status >= 400 && status < 500 ? 'client_error' : 'upstream_error';
}

/** openai-api-route recorded a path only for requests without a model; the others are known by their bodies. */
function pathOf(body: JsonObject): string {
  if (Array.isArray(body.messages)) return '/v1/chat/completions';
  if ('documents' in body) return '/v1/rerank';
  if ('input' in body) return 'voice' in body ? '/v1/audio/speech' : '/v1/embeddings';
  return 'prompt' in body ? '/v1/completions' : '/v1';
}
