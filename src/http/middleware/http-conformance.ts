import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { FerryError } from '../../lib/errors/ferry-error.ts';
import { ALLOWED_METHODS, CORS_HEADERS } from './cross-origin.ts';
import { newRequestId } from './request-context.ts';
import type { RunningRequests } from './running-requests.ts';

/** Refuses requests that are not valid HTTP/1.x, and everything after a refused one on its connection. */
export class RequestForm {
  readonly #refused = new WeakSet<Socket>();

  /** Throws `invalid_request` for a request that is no valid HTTP/1.x, or that follows a refused one. */
  check(request: IncomingMessage): void {
    // It gets a response although it is not read: Node limits what it reads by the responses that are queued.
    if (this.#refused.has(request.socket))
      throw invalid('The request follows a refused one on the same connection. Open a new connection.');
    refuseUnconforming(request);
  }

  /** A proxy before us may disagree on where this request ends: what follows on the connection is refused. */
  refused({ socket }: IncomingMessage): void {
    this.#refused.add(socket);
  }
}

/**
 * Refuses what Node lets through although it is no request of HTTP/1.x: a request line without a version (which Node
 * treats as HTTP/0.9, headers and body included) or with that of HTTP/2, which proxies before us may parse differently;
 * HTTP/1.1 without a `Host` (RFC 9112, 3.2; Node's own refusal would be a 400 without a body), with two or with an
 * invalid one; and HTTP/1.0 with a transfer coding, which it does not have (RFC 9112, 6.1).
 */
function refuseUnconforming({ headers, httpVersion, rawHeaders }: IncomingMessage): void {
  const coding = headers['transfer-encoding'];
  // Node decodes the last coding alone: the body of any other would reach the upstream still coded.
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    throw invalid('Unsupported Transfer-Encoding: only chunked is supported.');
  if (headers.host !== undefined && !HOST.test(headers.host)) throw invalid('Invalid Host header.');
  if (isTwice(rawHeaders, 'host')) throw invalid('The request has more than one Host header.');
  if (httpVersion === '1.1') {
    if (headers.host === undefined) throw invalid('The Host header is missing.');
  } else if (httpVersion !== '1.0') {
    throw invalid('Unsupported HTTP version: use HTTP/1.1.');
  } else if (coding !== undefined) {
    throw invalid('HTTP/1.0 does not support Transfer-Encoding.');
  }
}

/** Other versions of HTTP and TLS, which a server may ignore (RFC 9110, 7.8). Java's HttpClient offers `h2c` on every plain connection. */
const IGNORED_PROTOCOL = /^\s*(?:h2c|(?:http|tls)\/[\d.]+)?\s*$/i;

/**
 * Throws `upgrade_not_supported` for a request to switch to another protocol (WebSocket on `/v1/realtime`): it is no request
 * of the API, and nothing of it goes to an upstream. A proxy may have removed `upgrade`, which belongs to one connection.
 */
export function refuseUpgrade({ headers }: IncomingMessage): void {
  const { upgrade, 'sec-websocket-key': key } = headers;
  if (upgrade === undefined && key === undefined) return;
  const isWebSocket = key !== undefined || /websocket/i.test(upgrade ?? '');
  if (!isWebSocket && (upgrade ?? '').split(',').every((protocol) => IGNORED_PROTOCOL.test(protocol))) return;
  throw new FerryError('upgrade_not_supported', {
    message: `${isWebSocket ? 'WebSocket is' : 'Protocol upgrades are'} not supported: use plain HTTP requests, with "stream": true for a stream.`,
  });
}

/** A name, an IPv4 address or an IPv6 address in brackets, and a port (RFC 3986, 3.2.2); may be empty. */
const HOST = /^(?:[\w.~!$&'()*+,;=%-]*|\[[\w.:%-]*\])(?::\d{0,5})?$/;

/** Of most repeated headers Node keeps the first alone, where another server may go by the last. */
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

/**
 * Serves clients that wait for `100 Continue` before they send a body: they get it when the body is first read, so that
 * what is refused by its headers is never sent. Node alone would ask for every body at once.
 */
export function continueOnRead(serve: RequestListener): RequestListener {
  return (request, response) => {
    const { shouldKeepAlive } = response;
    let isAsked = false;
    // Unless the body was requested, the next bytes may be the body or another request.
    response.shouldKeepAlive = false;
    request.on('newListener', (event) => {
      if (event !== 'data' || isAsked || response.headersSent) return;
      isAsked = true;
      response.shouldKeepAlive = shouldKeepAlive;
      response.writeContinue();
    });
    serve(request, response);
  };
}

/** Sends an OpenAI-shaped error, with the headers of all responses, for what Node could not parse as HTTP. */
export function refuseMalformed(
  error: NodeJS.ErrnoException,
  socket: Duplex,
  running: RunningRequests,
  nowMs: number,
): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const response = running.responseOn(socket);
  if (response !== null && (response.headersSent || response.req.complete)) {
    endAfter(response, socket as Socket);
    return;
  }
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      sendAndEnd(
        socket,
        new FerryError('headers_too_large', {
          message: 'Request headers too large: they exceed limits.header_bytes, or there are too many.',
        }),
        'Request Header Fields Too Large',
        nowMs,
      );
      break;
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      sendAndEnd(
        socket,
        new FerryError('request_timeout', { message: 'Request timeout: it did not arrive in time.' }),
        'Request Timeout',
        nowMs,
      );
      break;
    default:
      sendAndEnd(socket, invalid('Malformed HTTP request.'), 'Bad Request', nowMs);
  }
}

/** Refuses CONNECT, of which Node would close the connection without a response. */
export function refuseConnect(socket: Duplex, running: RunningRequests, nowMs: number): void {
  const response = running.responseOn(socket);
  if (response !== null) {
    endAfter(response, socket as Socket);
    return;
  }
  const failure = new FerryError('method_not_allowed', {
    message: 'CONNECT is not supported: this is not a forward proxy.',
  });
  sendAndEnd(socket, failure, 'Method Not Allowed', nowMs, ['allow', ALLOWED_METHODS]);
}

/** How long a connection stays open behind such a response, so that a client which is still sending can read it. */
const LINGER_MS = 2_000;

/** Responds to a request that never reaches the app; `extra` are flat headers. */
function sendAndEnd(
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
  let lines = '';
  for (let at = 0; at < headers.length; at += 2) lines += `${headers[at]}: ${headers[at + 1]}\r\n`;
  // A client that continues to send would keep its connection after `connection: close`.
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
  socket.end(`HTTP/1.1 ${failure.status} ${reason}\r\n${lines}\r\n${body}`);
}

/**
 * Malformed bytes came after a request whose response is not finished: a second response would be parsed as a part of
 * the first, or for that of another request.
 */
function endAfter(response: ServerResponse, socket: Socket): void {
  socket.pause();
  if (response.writableEnded) socket.destroySoon();
  else if (response.req.complete) response.once('finish', () => socket.destroySoon());
  else socket.destroy();
}
