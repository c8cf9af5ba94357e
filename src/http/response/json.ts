import { endpointOf } from '../../endpoints.ts';
import type { ErrorKind, FerryError } from '../../lib/errors/ferry-error.ts';
import { errorEvent } from '../../openai/errors/error-event.ts';
import { responsesErrorEvent } from '../../openai/responses/responses-events.ts';
import { dropUnreadBody } from '../body/unread-body.ts';
import { CORS_HEADERS } from '../middleware/cors.ts';
import type { RequestContext } from '../middleware/request-context.ts';

const JSON_TYPE = 'application/json; charset=utf-8';

/** The headers that every answer of the API carries, as a new flat array. */
export function commonHeaders(context: RequestContext): string[] {
  const { upstream, count, headersForClient: told } = context.outcome.log;
  // Zero says that no upstream was asked, which then has no name to tell.
  const headers = [...CORS_HEADERS, 'x-request-id', context.id, 'x-tokenferry-attempts', String(count)];
  if (upstream !== null) headers.push('x-tokenferry-upstream', encodeHeader(upstream));
  if (context.limitHeaders.length > 0) headers.push(...context.limitHeaders);
  for (let at = 0; at < told.length; at += 2) {
    const [name = '', value = ''] = [told[at], told[at + 1]];
    // A client with limits of its own is told those, not what the upstream grants to all of us.
    if (context.limitHeaders.length === 0 || name.startsWith('openai-')) headers.push(name, value);
  }
  return headers;
}

/** Answers with a whole JSON body; `extra` are flat headers. */
export function sendJson(
  context: RequestContext,
  status: number,
  body: Buffer | string,
  extra: readonly string[] = [],
): void {
  const { response } = context;
  if (response.destroyed || response.headersSent) return;
  const length = Buffer.byteLength(body);
  const headers = commonHeaders(context);
  headers.push('content-type', JSON_TYPE, 'content-length', String(length), ...extra);
  context.wrote(body, length);
  response.writeHead(status, headers);
  response.end(context.request.method === 'HEAD' ? undefined : body);
}

/**
 * The one place that tells a client of a failure: as a status and an OpenAI-shaped body, or as the last event of a
 * stream whose headers are out already.
 */
export function sendError(context: RequestContext, error: FerryError): void {
  const { response } = context;
  context.outcome.fail(error);
  if (response.destroyed || response.writableEnded || error.kind === 'client_gone') {
    response.destroy();
    return;
  }
  if (response.headersSent) {
    response.end(context.outcome.isStream ? lastEvent(context, error) : undefined);
    return;
  }
  const isClosing = CLOSING.has(error.kind);
  dropUnreadBody(response, isClosing || !response.shouldKeepAlive);
  const extra = errorHeaders(error);
  if (isClosing) extra.push('connection', 'close');
  sendJson(context, error.status, JSON.stringify(error.toBody()), extra);
}

/** The end of a stream whose headers went out before its upstream failed. */
function lastEvent({ path }: RequestContext, error: FerryError): string {
  return endpointOf(path).errorEvents === 'responses' ? responsesErrorEvent(error, 0) : errorEvent(error);
}

/** After an ordinary refusal the rest of the body is dropped and the connection used again; not after these. */
const CLOSING: ReadonlySet<ErrorKind> = new Set(['body_too_large', 'request_timeout', 'shutting_down']);

function errorHeaders(error: FerryError): string[] {
  const headers: string[] = [];
  if (error.shouldRetry !== null) headers.push('x-should-retry', String(error.shouldRetry));
  const retryAfterMs =
    error.retryAfterMs ?? (error.status === 429 || error.status === 503 ? DEFAULT_RETRY_AFTER_MS : undefined);
  if (retryAfterMs !== undefined) {
    const boundedMs = Math.min(LONGEST_RETRY_AFTER_MS, Math.max(1, Math.ceil(retryAfterMs)));
    headers.push('retry-after', String(Math.ceil(boundedMs / 1000)), 'retry-after-ms', String(boundedMs));
  }
  return headers;
}

/** A 429 or 503 that does not know better. */
const DEFAULT_RETRY_AFTER_MS = 1_000;
/** openai for Node ignores longer waits (S86). */
const LONGEST_RETRY_AFTER_MS = 60_000;

/** Names are free text in the configuration; a header takes printable ASCII only. */
export function encodeHeader(text: string): string {
  return /^[\x20-\x7e]*$/.test(text) ? text : encodeURIComponent(text.toWellFormed());
}
