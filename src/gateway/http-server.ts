import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import { hostname } from 'node:os';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { Config } from '../config/config.ts';
import { type Address, isLoopback, parseAddress } from '../config/types/address.ts';
import { continueOnRead, refuseConnect, refuseMalformed } from '../http/middleware/http-conformance.ts';
import type { RunningRequests } from '../http/middleware/running-requests.ts';
import type { Clock } from '../lib/clock.ts';
import { readTls } from '../lib/net/tls.ts';

interface HttpServerSettings {
  /** How long an idle connection of a client stays open. */
  readonly keepAliveMs: number;
  /** Maximum size of all headers of one request. */
  readonly maxHeaderBytes: number;
  /** Maximum time for the headers of a request. */
  readonly headersTimeoutMs: number;
  readonly running: RunningRequests;
  readonly clock: Clock;
  /** HTTPS with this certificate; null: HTTP. */
  readonly tls: ServerTls | null;
}

/** The files of `tls`, read. */
export interface ServerTls extends Pick<SecureContextOptions, 'cert' | 'key' | 'ca'> {
  /** True: clients are asked for a certificate, which an authority in `ca` must have signed; one without it is not refused. */
  readonly requestCert: boolean;
}

/**
 * Reads the certificate, its key and the authorities of client certificates; null: no HTTPS. Throws an Error for files that
 * cannot be read and for what is no pair of certificate and key.
 */
export function readServerTls({ tls }: Config): ServerTls | null {
  if (tls === null) return null;
  const { cert, key, ca } = readTls({ cert: tls.cert, key: tls.key, ca: tls.client_ca });
  const read = {
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(ca === undefined ? {} : { ca }),
    requestCert: ca !== undefined,
  };
  try {
    createSecureContext(read);
  } catch (cause) {
    throw new Error(
      `tls: cert and key cannot be used (${(cause as Error).message}). cert must be the chain of the certificate that belongs to key.`,
      { cause },
    );
  }
  return read;
}

/** Uses another certificate for new connections; open ones keep theirs. */
export function replaceCertificate(server: Server | TlsServer, tls: ServerTls): void {
  if ('setSecureContext' in server) server.setSecureContext(tls);
}

/** How often Node looks for requests whose headers are late. */
const LATE_HEADERS_CHECK_MS = 5_000;

/** Node's HTTP server around the app, with our limits, and OpenAI-shaped errors for what is refused before the app. Does not listen yet. */
export function createHttpServer(app: RequestListener, settings: HttpServerSettings): Server | TlsServer {
  const { headersTimeoutMs, running, clock, tls } = settings;
  const options = {
    keepAliveTimeout: settings.keepAliveMs,
    maxHeaderSize: settings.maxHeaderBytes,
    headersTimeout: headersTimeoutMs,
    connectionsCheckingInterval: Math.min(headersTimeoutMs, LATE_HEADERS_CHECK_MS),
    // A slow upload is legitimate; limits.body and the stall limit of the body reader bound it.
    requestTimeout: 0,
    // The app refuses a missing Host header with a JSON error.
    requireHostHeader: false,
    noDelay: true,
  };
  const server =
    tls === null
      ? createServer(options, app)
      : // A client without a certificate may have a key.
        createTlsServer({ ...options, ...tls, rejectUnauthorized: false }, app);
  server.on('checkContinue', continueOnRead(app));
  // RFC 9110, 10.1.1: an unknown expectation may be ignored; Node would respond with an empty 417.
  server.on('checkExpectation', app);
  server.on('connect', (_request, socket) => refuseConnect(socket, running, clock.wallMs()));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) =>
    refuseMalformed(error, socket, running, clock.wallMs()),
  );
  return server;
}

/** The host and port of `address`. Throws for text that no checked configuration has. */
export function listenAddress(text: string): Address {
  const address = parseAddress(text);
  if (address === null) throw new Error(`the address ${text} is not host:port`);
  return address;
}

/** The URLs that reach a listening address, from this machine and, where that is possible, from others. */
export function describeListening(
  { host, port }: Address,
  scheme: 'http' | 'https',
  basePath: string,
): string {
  const url = (name: string) => `${scheme}://${urlHost(name)}:${port}${basePath}/v1`;
  if (isLoopback(host)) return `listening on ${url(host)}, for this machine only`;
  if (!isEveryInterface(host)) return `listening on ${url(host)}`;
  const names = `${url(hostname())} from other machines, ${url('')} from this one`;
  return `listening on port ${port} of every interface: ${names}`;
}

function isEveryInterface(host: string): boolean {
  return host === '' || host === '0.0.0.0' || host === '::';
}

/** The host part of a URL that reaches a listening address from this machine. */
export function urlHost(host: string): string {
  if (isEveryInterface(host)) return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}
