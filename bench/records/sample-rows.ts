import type { Outcome } from '../../src/lib/errors/ferry-error.ts';
import type { RequestRecord } from '../../src/lib/request-record.ts';
import { randomFrom } from '../../test/helpers/seeded-random.ts';

const HOUR_MS = 3_600_000;

/** Names with the share of the requests that they have; the rest belongs to the first. */
type Shares = readonly (readonly [name: string, share: number])[];

/** Values that few or no requests have. */
export const RARE = {
  client: 'rare-client',
  model: 'rare-model',
  upstream: 'rare-upstream',
  path: '/v1/rerank',
  status: 503,
  successStatus: 206,
} as const;
const RARE_SHARE = 0.000_05;

const MODELS: Shares = [
  ['gpt-4o', 0],
  ['gpt-4o-mini', 0.24],
  ['qwen3-235b', 0.12],
  ['deepseek-r1', 0.06],
  ['claude-sonnet', 0.02],
  ['bge-m3', 0.2],
  [RARE.model, RARE_SHARE],
];
/** Twenty, each with about three quarters of the requests of the one before. */
const CLIENTS: Shares = [
  ...Array.from({ length: 20 }, (_, at): [string, number] => [
    `client-${String(at).padStart(2, '0')}`,
    at === 0 ? 0 : 0.25 * 0.75 ** at,
  ]),
  [RARE.client, RARE_SHARE],
];
const UPSTREAMS: Shares = [
  ['frankfurt', 0],
  ['dublin', 0.3],
  ['azure', 0.08],
  [RARE.upstream, RARE_SHARE],
];
/** One request of a hundred fails. */
const FAILURES: Shares = [
  ['', 0],
  ['429', 0.005],
  ['502', 0.0015],
  ['504', 0.001],
  ['499', 0.001],
  ['400', 0.0015],
  [String(RARE.status), 0.000_02],
];
const ERRORS: Readonly<Record<string, readonly [outcome: Outcome, code: string, message: string]>> = {
  '429': [
    'rate_limited',
    'rate_limit_exceeded',
    'Rate limit reached for requests (requests per minute: 600).',
  ],
  '502': ['upstream_error', 'upstream_unreachable', 'connection refused: 10.20.30.40:443.'],
  '504': ['upstream_error', 'upstream_timeout', 'did not respond within 10 s (stream_timeout).'],
  '499': ['client_gone', 'client_disconnected', 'The client disconnected.'],
  '400': ['client_error', 'context_length_exceeded', "This model's maximum context length is 32768 tokens."],
  '503': ['upstream_error', 'upstream_overloaded', 'The model is overloaded (maintenance window 7).'],
};

/**
 * `count` records of the `days` before `nowMs`, oldest first, as a company has them: more by day than by night, few models
 * with most of the requests, twenty clients, one percent of failures, and values that only a few dozen have.
 */
export function* sampleRows(count: number, days: number, nowMs: number): Generator<RequestRecord> {
  const random = randomFrom(7);
  const pick = (shares: Shares): string => {
    let left = random();
    for (const [name, share] of shares) {
      left -= share;
      if (left < 0 && share > 0) return name;
    }
    return shares[0]?.[0] ?? '';
  };
  const beginMs = nowMs - days * 24 * HOUR_MS;
  const hours = Array.from({ length: days * 24 }, (_, hour) => loadOf(beginMs + hour * HOUR_MS));
  const total = hours.reduce((sum, load) => sum + load, 0);
  let number = 0;
  let sum = 0;
  for (const [hour, load] of hours.entries()) {
    sum += load;
    const end = hour === hours.length - 1 ? count : Math.round((count * sum) / total);
    const first = number;
    for (; number < end; number++) {
      const createdAtMs = Math.floor(beginMs + (hour + (number - first) / (end - first)) * HOUR_MS);
      yield recordOf(number, createdAtMs, random, pick);
    }
  }
}

/** The load of an hour: four times as much at noon (UTC) as at midnight. */
function loadOf(atMs: number): number {
  return 1 - 0.6 * Math.cos(((atMs % (24 * HOUR_MS)) / (24 * HOUR_MS)) * 2 * Math.PI);
}

/** The id of the record with this number. Sorts by time, as the ids of the gateway do. */
export function idOf(number: number): string {
  return `req_${number.toString(36).padStart(9, '0')}0mx4owu8500000`;
}

function recordOf(
  number: number,
  createdAtMs: number,
  random: () => number,
  pick: (shares: Shares) => string,
): RequestRecord {
  const model = pick(MODELS);
  const upstream = pick(UPSTREAMS);
  const isEmbedding = model === 'bge-m3';
  const failed = pick(FAILURES);
  const [outcome, errorCode, errorMessage] = ERRORS[failed] ?? (['ok', null, null] as const);
  const isRarePath = random() < RARE_SHARE;
  const success = random() < RARE_SHARE ? RARE.successStatus : 200;
  const isStream = !isEmbedding && random() < 0.6;
  const elapsedMs = Math.round(200 + 4_000 * random() ** 3);
  const promptTokens = failed === '' ? Math.round(200 + 3_000 * random()) : null;
  const completionTokens = failed === '' && !isEmbedding ? Math.round(20 + 600 * random()) : null;
  const headersMs = Math.round(elapsedMs * 0.2);
  const status = failed === '' ? success : Number(failed);
  return {
    id: idOf(number),
    clientRequestId: null,
    traceId: null,
    createdAtMs,
    hostname: 'gateway-6c9f7',
    client: pick(CLIENTS),
    ip: `10.0.${number % 7}.${number % 200}`,
    userAgent: 'OpenAI/Python 1.99.1',
    method: 'POST',
    path: isRarePath ? RARE.path : isEmbedding ? '/v1/embeddings' : '/v1/chat/completions',
    model,
    isKnownModel: true,
    upstreamModel: `${model}-deploy-gs`,
    upstream,
    isStream,
    status,
    outcome,
    attempts: [
      {
        upstream,
        outcome: failed === '' ? 'ok' : 'timeout',
        status: failed === '' ? 200 : status,
        elapsedMs,
        tokenRenewed: false,
        startMs: 1,
        headersMs,
      },
    ],
    adaptations: [],
    firstTokenMs: isStream && failed === '' ? headersMs + 5 : null,
    elapsedMs,
    overheadMs: 1,
    promptTokens,
    completionTokens,
    totalTokens: promptTokens === null ? null : promptTokens + (completionTokens ?? 0),
    isUsageEstimated: false,
    requestBytes: 3_000,
    responseBytes: 2_500,
    errorCode,
    errorMessage,
    headers: { 'user-agent': 'OpenAI/Python 1.99.1' },
    body: null,
    response: null,
  };
}
