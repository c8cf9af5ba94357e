import { createServer, type RequestListener, type Server } from 'node:http';
import { onlyWantedBodies } from '../http/middleware/expect-continue.ts';
import { refuseConnect, refuseMalformed } from '../http/middleware/malformed-request.ts';
import type { Clock } from '../lib/clock.ts';

interface HttpServerSettings {
  /** How long an idle connection of a client stays open. */
  readonly keepAliveMs: number;
  /** All headers of one request. */
  readonly maxHeaderBytes: number;
  /** The longest time that a request's headers may take. */
  readonly headersTimeoutMs: number;
  readonly clock: Clock;
}

/** Node looks for late headers only so often. */
const LATE_HEADERS_CHECK_MS = 5_000;

/** Node's server around the app, with bounds of ours and answers in our form to what never reaches the app. Does not listen yet. */
export function createHttpServer(app: RequestListener, settings: HttpServerSettings): Server {
  const { headersTimeoutMs } = settings;
  const server = createServer(
    {
      keepAliveTimeout: settings.keepAliveMs,
      maxHeaderSize: settings.maxHeaderBytes,
      headersTimeout: headersTimeoutMs,
      connectionsCheckingInterval: Math.min(headersTimeoutMs, LATE_HEADERS_CHECK_MS),
      // A slow upload is no attack by itself; limits.body and the longest silence within one bound it.
      requestTimeout: 0,
      // The app refuses it, in JSON.
      requireHostHeader: false,
      noDelay: true,
    },
    app,
  );
  server.on('checkContinue', onlyWantedBodies(app));
  // RFC 9110, 10.1.1: an expectation that nobody knows may be ignored; Node would answer a bare 417.
  server.on('checkExpectation', app);
  server.on('connect', (_request, socket) => refuseConnect(socket, settings.clock.wallMs()));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) =>
    refuseMalformed(error, socket, settings.clock.wallMs()),
  );
  return server;
}
