import type { Duplex } from 'node:stream';
import { FerryError } from '../errors.ts';

/** What Node could not parse as HTTP never reaches the app; it still gets an OpenAI-shaped answer. */
export function refuseMalformed(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const isHeaders = error.code === 'HPE_HEADER_OVERFLOW';
  const isTimeout = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  const kind = isHeaders ? 'headers_too_large' : isTimeout ? 'request_timeout' : 'invalid_request';
  const failure = new FerryError(kind, {
    message: isHeaders
      ? 'The headers of the request are larger than limits.header_bytes.'
      : isTimeout
        ? 'The request did not arrive in time.'
        : 'The request is not valid HTTP.',
  });
  const body = JSON.stringify(failure.toBody());
  const reason = isHeaders
    ? 'Request Header Fields Too Large'
    : isTimeout
      ? 'Request Timeout'
      : 'Bad Request';
  socket.end(
    `HTTP/1.1 ${failure.status} ${reason}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
