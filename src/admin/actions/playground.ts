import type { IncomingHttpHeaders, IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Express } from 'express';
import { FerryError } from '../../lib/errors/ferry-error.ts';
import { only } from '../access/allowed-methods.ts';

/** What the page calls, by the path below `/admin/playground`; a path of the API that is not listed needs a client key. */
const ENDPOINTS: readonly (readonly ['get' | 'post', string])[] = [
  ['get', '/models'],
  ['post', '/chat/completions'],
  ['post', '/embeddings'],
  ['post', '/responses'],
  ['post', '/messages'],
];

/** Headers of the page's request that its session needs and no upstream, record or log may get. */
const OWN_HEADERS = ['authorization', 'cookie', 'x-csrf-token', 'origin', 'referer', 'x-api-key', 'api-key'];

/**
 * The gateway's own API for the page, behind the admin's access: its requests are those of the client `playground`, whose
 * key does not exist. `serve` takes a request for `/v1/...`, with its body unread.
 */
export function addPlayground(
  app: Express,
  serve: RequestListener,
  admit: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
): void {
  for (const [method, path] of ENDPOINTS) {
    app[method](`/admin/playground${path}`, async (request, response) => {
      await admit(request, response);
      request.headers = withoutOwn(request.headers);
      request.url = `/v1${path}`;
      request.originalUrl = request.url;
      withoutCors(response);
      serve(request, response);
    });
    app.all(`/admin/playground${path}`, only([method.toUpperCase()]));
  }
  app.all('/admin/playground/*path', (request) => {
    throw new FerryError('unknown_path', {
      message: `The playground does not serve ${request.method} ${request.path}. Call it below /v1 with a client key.`,
    });
  });
}

function withoutOwn(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !OWN_HEADERS.includes(name)));
}

/** The API's responses are for pages of any origin; these are not, though they are written by the same routes. */
function withoutCors(response: ServerResponse): void {
  const writeHead = response.writeHead.bind(response) as (...args: unknown[]) => ServerResponse;
  response.writeHead = ((status: number, headers: unknown) => {
    response.writeHead = writeHead as typeof response.writeHead;
    return writeHead(status, kept(headers));
  }) as typeof response.writeHead;
}

const CORS = /^access-control-/i;

/** Headers of `writeHead` in either form: flat name, value, ... or an object. */
function kept(headers: unknown): unknown {
  if (Array.isArray(headers)) return headers.filter((_one, at) => !CORS.test(String(headers[at - (at % 2)])));
  if (typeof headers !== 'object' || headers === null) return headers;
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !CORS.test(name)));
}
