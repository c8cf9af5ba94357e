import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { FerryError } from '../../lib/errors/ferry-error.ts';
import { ALLOWED_METHODS, CORS_HEADERS } from './cross-origin.ts';
import { newRequestId } from './request-context.ts';

/** What Node could not parse as HTTP never reaches the app; it still gets an OpenAI-shaped answer with the headers of all others. */
export function refuseMalformed(error: NodeJS.ErrnoException, socket: Duplex, nowMs: number): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const answering = answerOn(socket);
  if (answering !== null && (answering.headersSent || answering.req.complete)) {
    endAfter(answering, socket as Socket);
    return;
  }
  const isHeaders = error.code === 'HPE_HEADER_OVERFLOW';
  const isTimeout = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  const kind = isHeaders ? 'headers_too_large' : isTimeout ? 'request_timeout' : 'invalid_request';
  const failure = new FerryError(kind, {
    message: isHeaders
      ? 'The headers of the request are larger than limits.header_bytes, or too many.'
      : isTimeout
        ? 'The request did not arrive in time.'
        : 'The request is not valid HTTP.',
  });
  const reason = isHeaders
    ? 'Request Header Fields Too Large'
    : isTimeout
      ? 'Request Timeout'
      : 'Bad Request';
  answerAndEnd(socket, failure, reason, nowMs);
}

/** We are no proxy: Node would close the connection of a CONNECT without a word. */
export function refuseConnect(socket: Duplex, nowMs: number): void {
  const answering = answerOn(socket);
  if (answering !== null) {
    endAfter(answering, socket as Socket);
    return;
  }
  const failure = new FerryError('method_not_allowed', { message: 'CONNECT is not possible here.' });
  answerAndEnd(socket, failure, 'Method Not Allowed', nowMs, ['allow', ALLOWED_METHODS]);
}

/** Answers a request that never reaches the app, with the headers of all other answers; `extra` are flat headers. */
function answerAndEnd(
  socket: Duplex,
  failure: FerryError,
  reason: string,
  nowMs: number,
  extra: readonly string[] = [],
): void {
  const body = JSON.stringify(failure.toBody());
  const headers = [
    ...CORS_HEADERS,
    'x-request-id',
    newRequestId(nowMs),
    'x-tokenferry-attempts',
    '0',
    'content-type',
    'application/json; charset=utf-8',
    'content-length',
    String(Buffer.byteLength(body)),
    'connection',
    'close',
    ...extra,
  ];
  if (failure.shouldRetry !== null) headers.push('x-should-retry', String(failure.shouldRetry));
  socket.end(`HTTP/1.1 ${failure.status} ${reason}\r\n${fieldLines(headers)}\r\n${body}`);
}

/** The answer that a connection is for now; Node's own handler of such errors looks for it here as well. */
function answerOn(socket: Duplex): ServerResponse | null {
  return (socket as { _httpMessage?: ServerResponse | null })._httpMessage ?? null;
}

/**
 * Bytes that are no HTTP came behind a request that is being answered: a second answer would be taken for a part of the
 * first, or for the answer to another request.
 */
function endAfter(answering: ServerResponse, socket: Socket): void {
  socket.pause();
  if (answering.writableEnded) socket.destroySoon();
  else if (answering.req.complete) answering.once('finish', () => socket.destroySoon());
  else socket.destroy();
}

/** Flat headers as the lines of a message. */
function fieldLines(headers: readonly string[]): string {
  let lines = '';
  for (let at = 0; at < headers.length; at += 2) lines += `${headers[at]}: ${headers[at + 1]}\r\n`;
  return lines;
}
