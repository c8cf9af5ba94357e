import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { FerryError } from '../../lib/errors/ferry-error.ts';

/** Holds requests to the form of HTTP/1.x, and remembers where one was refused. */
export class RequestForm {
  readonly #refused = new WeakSet<Socket>();

  /** Throws `invalid_request` for a request that is no HTTP/1.x, or that follows a refused one. */
  check(request: IncomingMessage): void {
    // It gets an answer although nobody will read it: Node stops reading by the answers that wait.
    if (this.#refused.has(request.socket))
      throw invalid('The request follows one that was refused on the same connection.');
    refuseUnconforming(request);
  }

  /** Where this request ends may be another question to whoever sent it on: what follows is not served. */
  refused({ socket }: IncomingMessage): void {
    this.#refused.add(socket);
  }
}

/**
 * Refuses what Node lets through although it is no request of HTTP/1.x: a request line without a version (which Node
 * takes for HTTP/0.9, headers and body included) or with that of HTTP/2, over which proxies before us may think
 * otherwise, HTTP/1.1 without a `Host` (RFC 9112, 3.2; Node's own refusal would be a 400 without a body), with two or
 * with one that names no host, and HTTP/1.0 with a coding that it does not know (RFC 9112, 6.1).
 */
function refuseUnconforming({ headers, httpVersion, rawHeaders }: IncomingMessage): void {
  const coding = headers['transfer-encoding'];
  // Node decodes the last coding alone: the body of any other would reach the upstream still coded.
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    throw invalid('The only Transfer-Encoding that is understood is chunked.');
  if (headers.host !== undefined && !HOST.test(headers.host))
    throw invalid('The Host header of the request names no host.');
  if (isTwice(rawHeaders, 'host')) throw invalid('The request has more than one Host header.');
  if (httpVersion === '1.1') {
    if (headers.host === undefined) throw invalid('The request has no Host header.');
  } else if (httpVersion !== '1.0') {
    throw invalid('The request is not HTTP/1.1.');
  } else if (coding !== undefined) {
    throw invalid('HTTP/1.0 has no Transfer-Encoding.');
  }
}

/** A name, an IPv4 address or an IPv6 address in brackets, and a port (RFC 3986, 3.2.2); may be empty. */
const HOST = /^(?:[\w.~!$&'()*+,;=%-]*|\[[\w.:%-]*\])(?::\d{0,5})?$/;

/** Of most headers that come twice Node tells the first alone, where another server may go by the last. */
function isTwice(rawHeaders: readonly string[], wanted: string): boolean {
  let found = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    if (name.length === wanted.length && name.toLowerCase() === wanted) found += 1;
  }
  return found > 1;
}

function invalid(message: string): FerryError {
  return new FerryError('invalid_request', { message });
}
