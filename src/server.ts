import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { createApp, type Installation } from './app.ts';
import { systemClock } from './clock.ts';
import type { Config } from './config/config.ts';
import type { LoadedConfig } from './config/load-config.ts';
import { FerryError } from './errors.ts';
import { BodyReader } from './http/body-reader.ts';
import { ClientLimits } from './http/client-limits.ts';
import type { Readiness } from './http/health-route.ts';
import { RequestPaths } from './http/request-path.ts';
import { RunningRequests } from './http/running-requests.ts';
import { createLogger, type Logger } from './observability/logger.ts';
import { Metrics } from './observability/metrics.ts';
import { RecordFanout } from './observability/record-fanout.ts';
import { createRequestLog, type RequestLog } from './request-log/request-log.ts';
import type { RoutedUpstream } from './routing/routed-upstream.ts';
import { UpstreamProbes } from './routing/upstream-probes.ts';
import { SecretRegistry } from './secret.ts';
import { clientQuotaSettings } from './service/clients.ts';
import { buildInstallation } from './service/installation.ts';
import { reportRequestLogEvent } from './service/request-log-reporting.ts';
import { reportTokenEvent, tokenGauges, tokenTrouble } from './service/token-reporting.ts';
import { buildHolders } from './service/tokens.ts';
import { buildUpstreams, type SkippedUpstream } from './service/upstreams.ts';
import type { HolderStatus } from './tokens/holder-status.ts';
import type { TokenEvent } from './tokens/token-event.ts';
import type { TokenHolder } from './tokens/token-holder.ts';

export interface ServiceOptions {
  readonly onTokenEvent?: (event: TokenEvent) => void;
  /** Where the log goes when not to standard output. */
  readonly logDescriptor?: number;
  /** The longest silence within a request body, in milliseconds; 30 s unless told. */
  readonly bodyStallMs?: number;
}

/** A service that listens. */
export interface RunningService {
  /** Without a trailing slash and without `/v1`. */
  readonly url: string;
  status(): { readonly tokens: readonly HolderStatus[] };
  /** Refuses new requests, lets running ones end within `shutdown_grace`, writes what waits. Never rejects. */
  close(): Promise<void>;
}

/** Builds everything from a configuration and listens. Rejects when the address cannot be had. */
export async function startService(
  loaded: LoadedConfig,
  options: ServiceOptions = {},
): Promise<RunningService> {
  const service = new Service(loaded, options);
  await service.listen();
  return service;
}

class Service implements RunningService {
  readonly #config: Config;
  readonly #logger: Logger;
  readonly #metrics: Metrics;
  readonly #requestLog: RequestLog;
  readonly #fanout: RecordFanout;
  readonly #holders: ReadonlyMap<string, TokenHolder>;
  readonly #upstreams: readonly RoutedUpstream[];
  readonly #skipped: readonly SkippedUpstream[];
  readonly #probes: UpstreamProbes;
  readonly #requests = new RunningRequests();
  readonly #clientLimits = new ClientLimits();
  readonly #bodies: BodyReader;
  readonly #server: Server;
  #phase: Readiness['phase'] = 'starting';
  /** Set by the first `close`; later calls wait for the same end. */
  #closing: Promise<void> | null = null;
  url = '';

  constructor(loaded: LoadedConfig, options: ServiceOptions) {
    const { config } = loaded;
    const secrets = new SecretRegistry();
    for (const secret of loaded.secrets) secrets.add(secret.reveal());
    this.#config = config;
    this.#bodies = new BodyReader({
      mostBufferedBytes: config.limits.buffered,
      stallMs: options.bodyStallMs ?? BODY_STALL_MS,
    });
    this.#logger = createLogger({ ...config.log, secrets, descriptor: options.logDescriptor });
    this.#requestLog = this.#openRequestLog(secrets);
    this.#holders = buildHolders(config, {
      secrets,
      clock: systemClock,
      baseDir: dirname(loaded.files[0] ?? '.'),
      onEvent: (event) => {
        reportTokenEvent(event, this.#logger, this.#metrics);
        options.onTokenEvent?.(event);
      },
    });
    const { upstreams, skipped } = buildUpstreams(config, {
      holders: this.#holders,
      clock: systemClock,
      onCircuit: (upstream, state) =>
        this.#logger.warn(`upstream ${upstream} is ${state === 'closed' ? 'back' : 'cooling down'}`, {
          upstream,
          state,
        }),
    });
    this.#upstreams = upstreams;
    this.#skipped = skipped;
    this.#probes = new UpstreamProbes(upstreams, { everyMs: config.probe.every, clock: systemClock });
    this.#fanout = this.#connectSinks();
    this.#metrics = this.#createMetrics();
    this.#clientLimits.update(clientQuotaSettings(config));
    const installation = buildInstallation(config, upstreams, {
      secrets,
      clock: systemClock,
      clientLimits: this.#clientLimits,
      bodies: this.#bodies,
      onRecord: (record) => this.#fanout.add(record),
    });
    this.#server = this.#createServer(installation);
    this.#reportStart(loaded.warnings);
  }

  async listen(): Promise<void> {
    const { host, port } = splitAddress(this.#config.address);
    this.#server.listen({ port, ...(host === '' ? {} : { host }) });
    await once(this.#server, 'listening');
    const address = this.#server.address() as AddressInfo;
    this.url = `http://${urlHost(host)}:${address.port}${this.#config.base_path}`;
    this.#logger.info(`tokenferry listens on ${this.url}/v1`, { upstreams: this.#upstreams.length });
    void this.#startTokens();
  }

  status(): { readonly tokens: readonly HolderStatus[] } {
    return { tokens: Array.from(this.#holders.values(), (holder) => holder.status()) };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Ready when each source's first attempt is settled: the service serves meanwhile, requests wait for their token. */
  async #startTokens(): Promise<void> {
    const holders = [...this.#holders.values()];
    const longestWaitMs = Math.max(
      0,
      ...Object.values(this.#config.tokens).map((source) => source.refresh.max_wait),
    );
    await Promise.race([Promise.all(holders.map((holder) => holder.start())), wait(longestWaitMs)]);
    if (this.#phase === 'starting') this.#phase = 'serving';
  }

  async #close(): Promise<void> {
    this.#phase = 'draining';
    this.#requests.refuseNew();
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeIdleConnections();
    const hasEnded = await this.#requests.drained(this.#config.shutdown_grace);
    if (!hasEnded) {
      this.#requests.abortAll(
        new FerryError('shutting_down', { message: 'tokenferry is being restarted. Try again.' }),
      );
      await this.#requests.drained(LAST_WORDS_MS);
    }
    this.#server.closeAllConnections();
    await closed;
    this.#probes.close();
    await Promise.all(Array.from(this.#holders.values(), (holder) => holder.stop()));
    await Promise.all(this.#upstreams.map((upstream) => upstream.client.close()));
    this.#fanout.flush();
    await this.#requestLog.close();
    this.#logger.info('tokenferry has ended');
    await this.#logger.close();
  }

  #openRequestLog(secrets: SecretRegistry): RequestLog {
    const { record, dbtype, dbaddr } = this.#config;
    return createRequestLog(
      {
        type: dbtype === 'sqlite' ? 'sqlite' : 'none',
        path: dbaddr,
        queueRows: record.queue,
        retentionMs: record.retention,
        maxBodyBytes: record.max_body,
        content: record.content,
        keepHeaders: record.keep_headers,
        include: record.include,
        redact: record.redact.map((pattern) => pattern.source),
      },
      {
        clock: systemClock,
        secrets,
        random: Math.random,
        onEvent: (event) => reportRequestLogEvent(event, this.#logger),
      },
    );
  }

  #connectSinks(): RecordFanout {
    return new RecordFanout({
      clock: systemClock,
      sinks: [
        { name: 'log', accept: (records) => this.#logger.requests(records) },
        { name: 'metrics', accept: (records) => this.#metrics.observeRequests(records) },
        { name: 'request log', accept: (records) => this.#requestLog.write(records) },
      ],
      onFault: (sink, error) =>
        this.#logger.error(`the ${sink} failed on a batch of records`, { error: String(error) }),
    });
  }

  #createMetrics(): Metrics {
    return new Metrics({
      beforeText: () => this.#fanout.flush(),
      recordCounts: () => this.#requestLog.stats(),
      droppedLogLines: () => this.#logger.droppedLines,
      tokenGauges: () => tokenGauges(this.#holders.values()),
      upstreamGauges: () =>
        this.#upstreams.map(({ name, circuit }) => ({
          upstream: name,
          isUp: circuit.state === 'closed',
          isCooling: circuit.state !== 'closed',
        })),
    });
  }

  #createServer(installation: Installation): Server {
    const { keep_alive_timeout: keepAliveMs, limits, base_path: basePath } = this.#config;
    const app = createApp({
      paths: new RequestPaths(basePath),
      requests: this.#requests,
      installation: () => installation,
      readiness: () => this.#readiness(),
      metrics: async () => ({ text: await this.#metrics.text(), contentType: this.#metrics.contentType }),
      onInflight: (step) => this.#metrics.inflight(step),
      onInternalError: (error) =>
        this.#logger.error('a request failed by a mistake of ours', internalFacts(error)),
    });
    const server = createServer(
      {
        keepAliveTimeout: keepAliveMs,
        maxHeaderSize: limits.header_bytes,
        headersTimeout: HEADERS_TIMEOUT_MS,
        // A slow upload is no attack by itself; limits.body and the longest silence within one bound it.
        requestTimeout: 0,
        noDelay: true,
      },
      app,
    );
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => refuseMalformed(error, socket));
    return server;
  }

  #readiness(): Readiness {
    const degraded: string[] = [];
    for (const holder of this.#holders.values()) {
      const trouble = tokenTrouble(holder);
      if (trouble !== null) degraded.push(trouble);
    }
    for (const { name, circuit } of this.#upstreams) {
      if (circuit.state !== 'closed')
        degraded.push(`upstream ${name}: cooling down after ${circuit.failuresInRow} failures`);
    }
    for (const { name, defect } of this.#skipped) degraded.push(`upstream ${name}: skipped, ${defect}`);
    const tokens = this.status().tokens.map(({ name, state, remainingMs }) => ({
      name,
      state,
      remaining_seconds: remainingMs === null ? null : Math.max(0, Math.round(remainingMs / 1000)),
    }));
    return { isReady: this.#phase === 'serving', phase: this.#phase, degraded, tokens };
  }

  #reportStart(warnings: readonly string[]): void {
    for (const warning of warnings) this.#logger.warn(warning);
    for (const { name, defect } of this.#skipped)
      this.#logger.error(`upstream ${name} is skipped: ${defect}`, { upstream: name });
  }
}

/** A client that has not sent its headers by then is not going to (slowloris). */
const HEADERS_TIMEOUT_MS = 60_000;
/** A body that makes no progress for so long is not going to be whole. */
const BODY_STALL_MS = 30_000;
/** Between the error events of a shutdown and the end of the connections. */
const LAST_WORDS_MS = 1_000;

function internalFacts(error: FerryError): object {
  const cause = error.cause instanceof Error ? error.cause.stack : undefined;
  return { error: error.detail ?? error.message, stack: cause ?? error.stack };
}

/** ":8888", "host:8888" or "[::1]:8888". */
function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const at = address.lastIndexOf(':');
  return { host: address.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(address.slice(at + 1)) };
}

function urlHost(host: string): string {
  if (host === '' || host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}

function wait(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs).unref();
  });
}

/** What Node could not parse as HTTP never reaches the app; it still gets an OpenAI-shaped answer. */
function refuseMalformed(error: NodeJS.ErrnoException, socket: import('node:stream').Duplex): void {
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
