import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { buildConnector, type Dispatcher, Pool, ProxyAgent } from 'undici';
import type { Secret } from '../../lib/secret.ts';
import { InterimResponses } from './interim-responses.ts';
import { proxyOf } from './upstream-proxy.ts';

/** How to reach one upstream's origin. Files are read when the connections are opened. */
export interface ConnectionSettings {
  /** Scheme, host and port. */
  readonly origin: string;
  readonly connectTimeoutMs: number;
  readonly maxHeaderBytes: number;
  readonly tls?:
    | {
        readonly caFile?: string | undefined;
        readonly certFile?: string | undefined;
        readonly keyFile?: string | undefined;
        readonly servername?: string | undefined;
        readonly minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined;
      }
    | undefined;
  /** The URL of an HTTP CONNECT proxy, which may carry credentials; or `environment`. */
  readonly proxy?: Secret | undefined;
}

/**
 * The pooled connections to one upstream. Timeouts are off here: `AttemptTimer` owns them, since undici's own
 * clock ticks only every half second and knows nothing of first content.
 */
export class Connections {
  readonly #dispatcher: Dispatcher;
  /** One more pool of the same kind. Absent behind a proxy, whose tunnels are not opened for one request alone. */
  readonly #another: (() => Dispatcher) | null;
  readonly #origin: string;
  /** Errors of sockets that had already served a reply: the other side closed an idle connection under us. */
  readonly #staleErrors = new WeakSet<Error>();

  constructor(settings: ConnectionSettings) {
    this.#origin = settings.origin;
    const { origin, connectTimeoutMs, maxHeaderBytes } = settings;
    const tls = { ...readTls(settings), timeout: connectTimeoutMs };
    const pool = {
      headersTimeout: 0,
      bodyTimeout: 0,
      pipelining: 1,
      allowH2: false,
      maxHeaderSize: maxHeaderBytes,
      keepAliveTimeout: 10_000,
      keepAliveMaxTimeout: 60_000,
    };
    const proxy = proxyOf(origin, settings.proxy, process.env);
    if (proxy === null) {
      const connect = buildConnector({ ...tls, allowH2: false, autoSelectFamily: true });
      const watched = this.#watchStale(connect);
      this.#another = () => new Pool(origin, { ...pool, connect: watched });
      this.#dispatcher = this.#another();
      return;
    }
    this.#another = null;
    this.#dispatcher = new ProxyAgent({
      ...pool,
      uri: proxy,
      connectTimeout: connectTimeoutMs,
      requestTls: tls,
      // A proxy with a certificate of its own has it from the authority that we were told to trust.
      ...(tls.ca === undefined ? {} : { proxyTls: { ca: tls.ca } }),
      // Also for http://: the other way rewrites the request.
      proxyTunnel: true,
      factory: (target, options: object) => {
        const { connect } = options as { connect: buildConnector.connector };
        return new Pool(target, { ...options, connect: this.#watchStale(connect) });
      },
    });
  }

  dispatch(options: Omit<Dispatcher.DispatchOptions, 'origin'>, handler: Dispatcher.DispatchHandler): void {
    this.#dispatcher.dispatch({ ...options, origin: this.#origin } as Dispatcher.DispatchOptions, handler);
  }

  /**
   * Over a new connection, which is closed behind the reply. For the second try after a stale one: a network that
   * dropped one idle connection has mostly dropped all that the pool holds.
   */
  dispatchAlone(
    options: Omit<Dispatcher.DispatchOptions, 'origin'>,
    handler: Dispatcher.DispatchHandler,
  ): void {
    if (this.#another === null) {
      this.dispatch(options, handler);
      return;
    }
    const alone = this.#another();
    alone.dispatch({ ...options, origin: this.#origin } as Dispatcher.DispatchOptions, handler);
    // Lets the request finish first; how it ended is its handler's business.
    alone.close().catch(() => undefined);
  }

  /** True: the request never reached a living connection, so sending it again cannot repeat work. */
  isStaleSocket(error: unknown): boolean {
    return error instanceof Error && this.#staleErrors.has(error);
  }

  async close(): Promise<void> {
    await this.#dispatcher.destroy();
  }

  #watchStale(connect: buildConnector.connector): buildConnector.connector {
    return (options, callback) => {
      connect(options, (error, socket) => {
        if (error !== null) {
          callback(error, null);
          return;
        }
        this.#watch(socket as Socket);
        callback(null, socket);
      });
    };
  }

  #watch(socket: Socket): void {
    const bytesAtStart = socket.bytesRead;
    let bytesAtWrite = bytesAtStart;
    const interim = new InterimResponses();
    const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
    socket.write = (...args: unknown[]): boolean => {
      bytesAtWrite = socket.bytesRead;
      if (isRequestHead(args)) interim.expectAnswer();
      return write(...args);
    };
    const read = socket.read.bind(socket) as (size?: number) => Buffer | null;
    socket.read = (size?: number) => (interim.isDue ? interim.readPast(read) : read(size));
    // `destroy` sees every error of the connection, also those that undici makes itself ("other side closed")
    // and hands to its requests without the socket emitting them.
    const destroy = socket.destroy.bind(socket);
    const remember = (error: unknown): void => {
      // It served before, and not a byte came in answer to what was written last.
      const isUnheard = bytesAtWrite > bytesAtStart && socket.bytesRead === bytesAtWrite;
      if (error instanceof Error && isUnheard) this.#staleErrors.add(error);
    };
    socket.destroy = (error?: Error) => {
      remember(error);
      return destroy(error);
    };
    socket.on('error', remember);
  }
}

/** undici writes heads, and only them and the sizes of chunks, as latin1; a size comes behind a line end. */
function isRequestHead([data, encoding]: readonly unknown[]): boolean {
  return encoding === 'latin1' && typeof data === 'string' && data.charCodeAt(0) !== 0x0d;
}

/** Of Node's TLS, with every file read. */
type TlsOptions = Pick<SecureContextOptions, 'ca' | 'cert' | 'key' | 'minVersion'> & {
  readonly servername?: string;
};

function readTls(settings: ConnectionSettings): TlsOptions {
  const { tls } = settings;
  if (tls === undefined) return {};
  return {
    ...(tls.caFile === undefined ? {} : { ca: readFileSync(tls.caFile) }),
    ...(tls.certFile === undefined ? {} : { cert: readFileSync(tls.certFile) }),
    ...(tls.keyFile === undefined ? {} : { key: readFileSync(tls.keyFile) }),
    ...(tls.servername === undefined ? {} : { servername: tls.servername }),
    ...(tls.minVersion === undefined ? {} : { minVersion: tls.minVersion }),
  };
}
