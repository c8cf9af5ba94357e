import { CORS_HEADERS } from '../middleware/cross-origin.ts';
import type { RequestContext } from '../middleware/request-context.ts';

const JSON_TYPE = 'application/json; charset=utf-8';

/** The headers that every response of the API carries, as a new flat array. */
export function commonHeaders(context: RequestContext): string[] {
  const { limitHeaders } = context;
  const { upstream, count, headersForClient } = context.outcome.log;
  // 0: no upstream was called, so there is none to name.
  const headers = [...CORS_HEADERS, 'x-request-id', context.id, 'x-tokenferry-attempts', String(count)];
  if (upstream !== null && count > 0) headers.push('x-tokenferry-upstream', encodeHeader(upstream));
  if (limitHeaders.length > 0) headers.push(...limitHeaders);
  for (let at = 0; at < headersForClient.length; at += 2) {
    const name = headersForClient[at] ?? '';
    // A client with limits of its own gets those, not what the upstream grants to all clients together.
    if (limitHeaders.length === 0 || name.startsWith('openai-'))
      headers.push(name, headersForClient[at + 1] ?? '');
  }
  return headers;
}

/** Sends a whole JSON body; `extra` are flat headers. */
export function sendJson(
  context: RequestContext,
  status: number,
  body: Buffer | string,
  extra: readonly string[] = [],
): void {
  const { response } = context;
  if (response.destroyed || response.headersSent) return;
  const length = Buffer.byteLength(body);
  context.wrote(body, length);
  response.writeHead(status, jsonHeaders(context, length, extra));
  response.end(context.method === 'HEAD' ? undefined : body);
}

/**
 * Sends a whole JSON body in the pieces in which it came: one new buffer for 130 KB of them doubles what a relayed
 * response costs, in page faults and garbage collection.
 */
export function sendJsonPieces(
  context: RequestContext,
  status: number,
  pieces: readonly Buffer[],
  extra: readonly string[],
): void {
  const { response } = context;
  if (response.destroyed || response.headersSent) return;
  let length = 0;
  for (const piece of pieces) {
    length += piece.length;
    context.wrote(piece, piece.length);
  }
  response.writeHead(status, jsonHeaders(context, length, extra));
  for (const piece of pieces) response.write(piece);
  response.end();
}

function jsonHeaders(context: RequestContext, length: number, extra: readonly string[]): string[] {
  const headers = commonHeaders(context);
  headers.push('content-type', JSON_TYPE, 'content-length', String(length), ...extra);
  return headers;
}

/** Flat headers that name the parameters of the client which were not sent to the upstream. */
export function droppedHeaders(dropped: readonly string[]): string[] {
  return dropped.length === 0 ? [] : ['x-tokenferry-dropped', encodeHeader(dropped.join(', '))];
}

/** Names are free text in the configuration; a header takes printable ASCII only. */
function encodeHeader(text: string): string {
  return /^[\x20-\x7e]*$/.test(text) ? text : encodeURIComponent(text.toWellFormed());
}
