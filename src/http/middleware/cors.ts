import type { IncomingMessage, ServerResponse } from 'node:http';

const EXPOSED =
  'x-request-id, retry-after, retry-after-ms, x-should-retry, x-tokenferry-upstream, x-tokenferry-attempts, x-tokenferry-dropped, ' +
  'x-ratelimit-limit-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-requests, x-ratelimit-remaining-tokens, ' +
  'x-ratelimit-reset-requests, x-ratelimit-reset-tokens';

/** Flat headers that every answer of the API carries, errors and streams included (S16). */
export const CORS_HEADERS: readonly string[] = [
  'access-control-allow-origin',
  '*',
  'access-control-expose-headers',
  EXPOSED,
];

export const ALLOWED_METHODS = 'GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS';

/** Answers a preflight: any origin and any header may call, since what protects the API is the key. */
export function answerPreflight(request: IncomingMessage, response: ServerResponse, id: string): void {
  response.writeHead(204, [
    ...CORS_HEADERS,
    'x-request-id',
    id,
    'access-control-allow-methods',
    ALLOWED_METHODS,
    'access-control-allow-headers',
    request.headers['access-control-request-headers'] ?? 'authorization, content-type, x-api-key, api-key',
    'access-control-max-age',
    '86400',
    'vary',
    'access-control-request-headers',
    'content-length',
    '0',
  ]);
  response.end();
}
