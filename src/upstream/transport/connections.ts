import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { buildConnector, Client, type Dispatcher, Pool, ProxyAgent } from 'undici';
import { type ProxySetting, proxyFor } from '../../lib/net/proxy.ts';
import { readTls, type TlsSettings } from '../../lib/net/tls.ts';

/** How to reach one upstream's origin. Files are read when the connections are opened. */
export interface ConnectionSettings {
  /** Scheme, host and port. */
  readonly origin: string;
  readonly connectTimeoutMs: number;
  readonly maxHeaderBytes: number;
  readonly tls?: TlsSettings | undefined;
  readonly proxy?: ProxySetting | undefined;
}

/** A handler that learns over which connection its request goes. */
export interface ConnectionHandler extends Dispatcher.DispatchHandler {
  /** Set by the pool when a connection takes the request. */
  connection: Connection | null;
}

/**
 * The pooled connections to one upstream. Timeouts are off here: `AttemptTimer` owns them, since undici's own
 * timers are exact to half a second only and end with the headers or the body, not with first content.
 */
export class Connections {
  readonly origin: string;
  readonly isProxied: boolean;
  readonly #dispatcher: Dispatcher;
  /** One more pool of the same kind. Null behind a proxy, whose tunnels are not opened for one request alone. */
  readonly #newPool: (() => Dispatcher) | null;

  constructor(settings: ConnectionSettings) {
    const { origin, connectTimeoutMs, maxHeaderBytes } = settings;
    this.origin = origin;
    const tls = { ...readTls(settings.tls), timeout: connectTimeoutMs };
    const pool: Pool.Options = {
      headersTimeout: 0,
      bodyTimeout: 0,
      pipelining: 1,
      allowH2: false,
      maxHeaderSize: maxHeaderBytes,
      keepAliveTimeout: 10_000,
      keepAliveMaxTimeout: 60_000,
      factory: (target, options) => new Connection(target, options as Client.Options),
    };
    const proxy = proxyFor(origin, settings.proxy, process.env);
    if (proxy === null) {
      const connect = buildConnector({ ...tls, allowH2: false, autoSelectFamily: true });
      this.#newPool = () => new Pool(origin, { ...pool, connect });
      this.#dispatcher = this.#newPool();
      this.isProxied = false;
      return;
    }
    this.#newPool = null;
    this.isProxied = true;
    this.#dispatcher = new ProxyAgent({
      ...pool,
      uri: proxy,
      connectTimeout: connectTimeoutMs,
      requestTls: tls,
      // A proxy with a certificate of its own has it from the same authority (tls.ca).
      ...(tls.ca === undefined ? {} : { proxyTls: { ca: tls.ca } }),
      // Also for http://: the other way rewrites the request.
      proxyTunnel: true,
      factory: (target, options: object) => new Pool(target, { ...options, ...pool }),
    });
  }

  /** `options.origin` is this origin. */
  dispatch(options: Dispatcher.DispatchOptions, handler: ConnectionHandler): void {
    this.#dispatcher.dispatch(options, handler);
  }

  /**
   * Over a new connection, which is closed behind the response. For the second try after a stale one: a network that
   * dropped one idle connection has mostly dropped all that the pool holds.
   */
  dispatchAlone(options: Dispatcher.DispatchOptions, handler: ConnectionHandler): void {
    if (this.#newPool === null) {
      this.dispatch(options, handler);
      return;
    }
    const pool = this.#newPool();
    pool.dispatch(options, handler);
    // Lets the request finish first; its end is reported to its handler.
    pool.close().catch(() => undefined);
  }

  async close(): Promise<void> {
    await this.#dispatcher.destroy();
  }
}

/** One place of the pool: a socket at a time, one request at a time. */
export class Connection extends Client {
  #socket: Socket | null = null;
  #interim: InterimResponses | null = null;
  #bytesAtConnect = 0;
  #bytesAtRequest = 0;
  /** When the connection that is being opened was begun; 0: none is. */
  #connectingSinceMonoMs = 0;
  /** How long the connection took to open, until its first request is written. */
  #connectMs = 0;

  constructor(origin: string | URL, options: Client.Options) {
    const connect = options.connect as buildConnector.connector;
    super(origin, {
      ...options,
      connect: (target: buildConnector.Options, callback: buildConnector.Callback) => {
        const beganMonoMs = performance.now();
        this.#connectingSinceMonoMs = beganMonoMs;
        connect(target, (...outcome) => {
          this.#connectMs = performance.now() - beganMonoMs;
          if (outcome[0] === null) this.#watch(outcome[1] as Socket);
          callback(...outcome);
          // A failure is reported to the handler within the callback.
          this.#connectingSinceMonoMs = 0;
        });
      },
    });
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    (handler as ConnectionHandler).connection = this;
    return super.dispatch(options, handler);
  }

  #watch(socket: Socket): void {
    this.#socket = socket;
    this.#interim = new InterimResponses(socket);
    this.#bytesAtConnect = socket.bytesRead;
    this.#bytesAtRequest = socket.bytesRead;
  }

  /**
   * For the handler: its request is about to be written. Returns how long the connection took to open, DNS and TLS included;
   * 0 for every request but the first over it.
   */
  requestStarts(): number {
    this.#bytesAtRequest = this.#socket?.bytesRead ?? 0;
    this.#interim?.expectResponse();
    const connectMs = this.#connectMs;
    this.#connectMs = 0;
    return connectMs;
  }

  /** For a handler whose request was not written: how long the connection has been opening; 0: it is not. */
  get connectingMs(): number {
    return this.#connectingSinceMonoMs === 0 ? 0 : performance.now() - this.#connectingSinceMonoMs;
  }

  /**
   * True: the connection had served before and ended without a byte in response to the request that was written last, so
   * the other side had closed it while it was idle, and sending the request again cannot repeat work.
   */
  get isStale(): boolean {
    const socket = this.#socket;
    return (
      socket?.destroyed === true &&
      this.#bytesAtRequest > this.#bytesAtConnect &&
      socket.bytesRead === this.#bytesAtRequest
    );
  }
}

/** The bytes that identify a 1xx status line: `HTTP/1.1 1xx`. */
const STATUS_LINE_BYTES = 12;
const STATUS_LINE_START = Buffer.from('HTTP/1.1 1');
const STATUS_INDEX = STATUS_LINE_START.length - 1;
const INTERIM_DIGIT = 0x31;
/** An interim response is a line and a few headers; a longer one is left to the parser and its limit. */
const MAX_INTERIM_BYTES = 64 * 1024;

/**
 * Removes interim responses (1xx) from what a connection receives before a response. RFC 9110 section 15.2 requires them to be
 * skipped even if not requested, and some servers send `100 Continue` before every response to a POST;
 * undici 8 treats that one as a bad response and destroys the socket. 101 is left to it: no upgrade was requested.
 *
 * Reads before undici, whose `readable` listener comes after ours, and hands the rest back with `unshift`. (Costs a
 * microsecond a response; replacing `socket.read` would cost none.)
 */
export class InterimResponses {
  readonly #socket: Readable;
  #isResponseDue = false;
  /** The beginning of what may be an interim response. */
  #held: Buffer | null = null;

  /** To be made before undici gets the socket, so that its listener is the first. */
  constructor(socket: Readable) {
    this.#socket = socket;
    socket.on('readable', () => {
      if (this.#isResponseDue) this.#skip();
    });
  }

  /** A request is sent: what comes next is its response, or interim ones. */
  expectResponse(): void {
    this.#isResponseDue = true;
  }

  #skip(): void {
    for (;;) {
      const chunk = this.#socket.read() as Buffer | null;
      if (chunk === null) return;
      let bytes = this.#held === null ? chunk : Buffer.concat([this.#held, chunk]);
      this.#held = null;
      // Nearly always `HTTP/1.1 2…` comes at once.
      if ((bytes[STATUS_INDEX] ?? INTERIM_DIGIT) === INTERIM_DIGIT) {
        for (let end = endOfInterim(bytes); end > 0; end = endOfInterim(bytes)) bytes = bytes.subarray(end);
        if (bytes.length === 0) continue;
        if (mayBeInterim(bytes) && bytes.length <= MAX_INTERIM_BYTES) {
          this.#held = bytes;
          continue;
        }
      }
      this.#isResponseDue = false;
      this.#socket.unshift(bytes);
      return;
    }
  }
}

function mayBeInterim(bytes: Buffer): boolean {
  const known = Math.min(bytes.length, STATUS_LINE_START.length);
  if (bytes.compare(STATUS_LINE_START, 0, known, 0, known) !== 0) return false;
  return (
    bytes.length < STATUS_LINE_BYTES ||
    bytes.toString('latin1', STATUS_LINE_START.length, STATUS_LINE_BYTES) !== '01'
  );
}

/** Where what follows a whole interim response begins; 0 when the bytes do not begin with one. */
function endOfInterim(bytes: Buffer): number {
  if (bytes.length < STATUS_LINE_BYTES || !mayBeInterim(bytes)) return 0;
  const end = bytes.indexOf('\r\n\r\n');
  return end === -1 ? 0 : end + 4;
}
