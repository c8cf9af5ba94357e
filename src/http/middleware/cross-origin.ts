import type { IncomingHttpHeaders } from 'node:http';
import { FerryError } from '../../lib/errors/ferry-error.ts';
import type { RequestContext } from './request-context.ts';

const EXPOSED =
  'x-request-id, retry-after, retry-after-ms, x-should-retry, x-tokenferry-upstream, x-tokenferry-attempts, x-tokenferry-dropped, x-tokenferry-cached, ' +
  'x-ratelimit-limit-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-requests, x-ratelimit-remaining-tokens, ' +
  'x-ratelimit-reset-requests, x-ratelimit-reset-tokens';

/** Flat headers that every response of the API carries, errors and streams included (S16). */
export const CORS_HEADERS: readonly string[] = [
  'access-control-allow-origin',
  '*',
  'access-control-expose-headers',
  EXPOSED,
];

/** The methods that the API serves, as in an `Allow` header. */
export const ALLOWED_METHODS = 'GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS';

/** Responds to a CORS preflight: any origin and any header is allowed, since the API is protected by its keys. */
export function sendPreflight({ response, headers, id }: RequestContext): void {
  response.writeHead(204, [
    ...CORS_HEADERS,
    'x-request-id',
    id,
    'access-control-allow-methods',
    ALLOWED_METHODS,
    'access-control-allow-headers',
    headers['access-control-request-headers'] ?? 'authorization, content-type, x-api-key, api-key',
    'access-control-max-age',
    '86400',
    'vary',
    'access-control-request-headers',
    'content-length',
    '0',
  ]);
  response.end();
}

/**
 * Protects a service without client keys from web pages in the same user's browser: a page of another origin sends its
 * `Origin`, and one that rebinds its DNS name to 127.0.0.1 sends that name as `Host`. Throws `not_permitted`.
 */
export function refuseForeignHosts({ host, origin }: IncomingHttpHeaders): void {
  if (host !== undefined && !isLoopback(hostname(`http://${host}`))) throw foreign('Host');
  if (origin !== undefined && !isLoopback(hostname(origin))) throw foreign('Origin');
}

function isLoopback(name: string | null): boolean {
  return (
    name !== null &&
    (name === 'localhost' ||
      name.endsWith('.localhost') ||
      name === '[::1]' ||
      /^127(?:\.\d{1,3}){3}$/.test(name))
  );
}

function hostname(url: string): string | null {
  return URL.parse(url)?.hostname ?? null;
}

function foreign(header: string): FerryError {
  return new FerryError('not_permitted', {
    message: `The ${header} header does not name this machine, and without client keys only this machine may connect. Configure "authorization" to allow other hosts.`,
  });
}
