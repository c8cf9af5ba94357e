import type { IncomingMessage } from 'node:http';
import { FerryError } from '../errors.ts';

/**
 * Refuses what Node lets through although it is no request of HTTP/1.x: a request line without a version (which Node
 * takes for HTTP/0.9, headers and body included) or with that of HTTP/2, over which proxies before us may think
 * otherwise, HTTP/1.1 without a `Host` (RFC 9112, 3.2; Node's own refusal would be a 400 without a body), and HTTP/1.0
 * with a coding that it does not know (RFC 9112, 6.1).
 */
export function refuseUnconforming({ headers, httpVersion }: IncomingMessage): void {
  const coding = headers['transfer-encoding'];
  // Node decodes the last coding alone: the body of any other would reach the upstream still coded.
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    throw invalid('The only Transfer-Encoding that is understood is chunked.');
  if (httpVersion === '1.1') {
    if (headers.host === undefined) throw invalid('The request has no Host header.');
  } else if (httpVersion !== '1.0') {
    throw invalid('The request is not HTTP/1.1.');
  } else if (coding !== undefined) {
    throw invalid('HTTP/1.0 has no Transfer-Encoding.');
  }
}

function invalid(message: string): FerryError {
  return new FerryError('invalid_request', { message });
}
