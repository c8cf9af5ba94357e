import { once } from 'node:events';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { isatty } from 'node:tty';
import { isDeepStrictEqual } from 'node:util';
import type { TryConfiguration } from '../admin/admin-parts.ts';
import type { AdminAlertTest } from '../admin/api-types.ts';
import type { Config } from '../config/config.ts';
import type { LoadedConfig } from '../config/load/load-config.ts';
import { EmbeddingsCache } from '../embeddings-cache/embeddings-cache.ts';
import { type AppParts, createAdminListener, createApp } from '../http/app.ts';
import { BodyReader, type BodyReaderSettings } from '../http/body/body-reader.ts';
import { ClientAuth } from '../http/middleware/client-auth.ts';
import { ClientQuotas } from '../http/middleware/client-quota.ts';
import { RunningRequests, restarting } from '../http/middleware/running-requests.ts';
import type { Readiness } from '../http/routes/health.ts';
import { systemClock } from '../lib/clock.ts';
import { asFerryError } from '../lib/errors/ferry-error.ts';
import type { RequestRecord } from '../lib/request-record.ts';
import { SecretRegistry } from '../lib/secret.ts';
import { counted, inSeconds } from '../lib/text/format.ts';
import { packageVersion } from '../lib/version.ts';
import { createLogger, type Logger, type LogLevel } from '../observability/logger.ts';
import { Metrics } from '../observability/metrics.ts';
import { RecordFanout } from '../observability/record-fanout.ts';
import type { Tracing } from '../observability/tracing/tracing.ts';
import { createRequestLog, type RequestLog, type RequestLogSettings } from '../request-log/request-log.ts';
import type { CircuitState } from '../routing/upstream-state/circuit.ts';
import type { TokenEvent } from '../tokens/manager/token-event.ts';
import type { TokenStatus } from '../tokens/manager/token-status.ts';
import { AdminGateway } from './admin.ts';
import { sendTestAlert } from './alert-channels.ts';
import { AlertReporting } from './alert-reporting.ts';
import { BodyLog } from './body-log.ts';
import { clientQuotaSettings, clientWithoutKey, needsClientKey } from './clients.ts';
import {
  createHttpServer,
  describeListening,
  listenAddress,
  readServerTls,
  replaceCertificate,
  type ServerTls,
  urlHost,
} from './http-server.ts';
import { degradedParts, type PartProblems, readinessOf } from './readiness.ts';
import { ConfigReloads } from './reload.ts';
import {
  RepairReports,
  reportCacheFault,
  reportCircuit,
  reportConfig,
  reportInternalError,
  reportLostRecords,
  reportLostSpans,
  reportMissingEndpoint,
  reportReload,
  reportRequestLogEvent,
  reportUncaughtError,
  requestLogProblem,
} from './reporting.ts';
import { Runtime, type RuntimeParts } from './runtime.ts';
import { TokenReporting, tokenGauges } from './token-reporting.ts';
import { upstreamGauges } from './upstreams.ts';

export interface ServiceOptions {
  readonly onTokenEvent?: (event: TokenEvent) => void;
  /** Called when an upstream starts to cool down or is back. */
  readonly onCircuit?: (upstream: string, state: CircuitState) => void;
  /** Gets the records of finished requests in batches, within 100 ms. */
  readonly onRecords?: (records: readonly RequestRecord[]) => void;
  /** File descriptor of the log; standard output unless given. */
  readonly logDescriptor?: number;
  /** Maximum silence within a request body, in milliseconds; 30 s unless given. */
  readonly bodyStallMs?: number;
  /** Maximum time for the headers of a request, in milliseconds; 50 s unless given. */
  readonly headersTimeoutMs?: number;
  /** Tries the configuration that the set-up of the page writes; without it the set-up only writes one. */
  readonly tryConfiguration?: TryConfiguration;
  /** Loads the configuration again; throws `ConfigError`. Without it the service never reloads. */
  readonly loadAgain?: () => LoadedConfig;
}

/** A listening service. */
export interface RunningService {
  /** Without a trailing slash and without `/v1`. */
  readonly url: string;
  /** Of the page. */
  readonly adminUrl: string;
  status(): { readonly tokens: readonly TokenStatus[] };
  /** Loads the configuration again. False: the previous one stays in use; the log says why. Never rejects. */
  reload(): Promise<boolean>;
  /** Logs an error that nothing caught. Other requests continue. */
  reportUncaughtError(error: unknown): void;
  /** Refuses new requests, waits up to `shutdown_grace` for running ones, flushes the queues. Never rejects. */
  close(): Promise<void>;
}

/** Builds everything from a configuration and listens. Rejects when the address is not available. */
export async function startService(
  loaded: LoadedConfig,
  options: ServiceOptions = {},
): Promise<RunningService> {
  const service = new Service(loaded, options, await loadTracing(loaded.config));
  await service.listen();
  return service;
}

/** OpenTelemetry's SDK, loaded only when traces are configured; null: they are not. */
async function loadTracing({ tracing }: Config): Promise<TracingModule | null> {
  return tracing.otlp === null ? null : await import('../observability/tracing/tracing.ts');
}

type TracingModule = typeof import('../observability/tracing/tracing.ts');

class Service implements RunningService {
  readonly #options: ServiceOptions;
  readonly #secrets = new SecretRegistry();
  readonly #logger: Logger;
  readonly #metrics: Metrics;
  readonly #repairs: RepairReports;
  readonly #tokenReporting: TokenReporting;
  readonly #alerting: AlertReporting;
  readonly #bodyLog: BodyLog;
  /** Ends the log of bodies; null while it is off. */
  #endBodyLog: (() => void) | null = null;
  readonly #requestLog: RequestLog;
  readonly #fanout: RecordFanout;
  /** Null: requests are not traced. */
  readonly #tracing: Tracing | null;
  /** The current one; replaced on reload. */
  #runtime: Runtime;
  /** Previous runtimes that still have running requests, oldest first. */
  readonly #retired = new Set<Runtime>();
  #retirement: Promise<void> = Promise.resolve();
  readonly #reloads: ConfigReloads | null;
  readonly #requests = new RunningRequests();
  readonly #quotas = new ClientQuotas();
  readonly #bodies: BodyReader;
  readonly #embeddingsCache: EmbeddingsCache;
  readonly #server: Server;
  /** The certificate in use; null: HTTP. */
  #tls: ServerTls | null;
  /** Of the configuration that was read last. */
  #configuredTls: ServerTls | null = null;
  readonly #admin: AdminGateway;
  /** Of `admin.address`; null: the admin API has the address of the service. */
  #adminServer: Server | null = null;
  #logLevel: LogLevel = 'info';
  #playground: RequestListener | null = null;
  #phase: Readiness['phase'] = 'starting';
  /** Set by the first `close`; later calls wait for the same shutdown. */
  #closing: Promise<void> | null = null;
  url = '';
  adminUrl = '';

  constructor(loaded: LoadedConfig, options: ServiceOptions, tracing: TracingModule | null) {
    const { config } = loaded;
    this.#options = options;
    this.#bodies = new BodyReader(this.#bodyBounds(config));
    this.#logger = createLogger({
      ...config.log,
      format: config.log.format ?? defaultLogFormat(config, options.logDescriptor),
      secrets: this.#secrets,
      descriptor: options.logDescriptor,
    });
    this.#bodyLog = new BodyLog(config, this.#logger);
    this.#requestLog = this.#openRequestLog(config);
    this.#tracing = tracing === null ? null : this.#openTracing(tracing, config);
    this.#embeddingsCache = new EmbeddingsCache({
      clock: systemClock,
      onFault: (fault) => reportCacheFault(fault, this.#logger),
    });
    this.#embeddingsCache.update(config.embeddings_cache);
    this.#metrics = this.#createMetrics();
    this.#fanout = this.#connectSinks();
    this.#runtime = this.#buildRuntime(loaded, config, null);
    this.#repairs = new RepairReports(this.#logger, this.#metrics);
    this.#tokenReporting = new TokenReporting(this.#logger, this.#metrics, systemClock);
    this.#alerting = this.#createAlerting(loaded);
    this.#logLevel = config.log.level;
    this.#followBodies(config);
    this.#quotas.update(clientQuotaSettings(config));
    this.#admin = this.#createAdmin(loaded);
    this.#tls = readServerTls(config);
    this.#server = this.#createServer(config);
    this.#reloads = options.loadAgain === undefined ? null : this.#reloadsWith(options.loadAgain);
    this.#reloads?.follow(loaded.files);
    reportConfig(this.#runtime, loaded.warnings, this.#logger);
  }

  async listen(): Promise<void> {
    const { host, port } = listenAddress(this.#runtime.config.address);
    this.#server.listen({ port, ...(host === '' ? {} : { host }) });
    await once(this.#server, 'listening');
    const address = this.#server.address() as AddressInfo;
    const scheme = this.#tls === null ? 'http' : 'https';
    this.url = `${scheme}://${urlHost(host)}:${address.port}${this.#runtime.config.base_path}`;
    const { base_path: basePath } = this.#runtime.config;
    this.#logger.info(describeListening({ host, port: address.port }, scheme, basePath), {
      upstreams: this.#runtime.upstreams.length,
    });
    await this.#listenForAdmin();
    this.#runtime.beginProbing();
    void this.#runtime.start();
  }

  /** Opens `admin.address`, when there is one. */
  async #listenForAdmin(): Promise<void> {
    const { admin, keep_alive_timeout: keepAliveMs, limits } = this.#runtime.config;
    this.adminUrl = `${this.url}/ui/`;
    if (admin.address === null) return;
    const { host, port } = listenAddress(admin.address);
    const listener = createAdminListener(() => this.#runtime.routes.paths, this.#admin.listener);
    this.#adminServer = createHttpServer(listener, {
      keepAliveMs,
      maxHeaderBytes: limits.header_bytes,
      running: this.#requests,
      headersTimeoutMs: this.#options.headersTimeoutMs ?? HEADERS_TIMEOUT_MS,
      clock: systemClock,
      tls: this.#tls,
    });
    this.#adminServer.listen({ port, ...(host === '' ? {} : { host }) });
    await once(this.#adminServer, 'listening');
    const address = this.#adminServer.address() as AddressInfo;
    this.adminUrl = `${this.#tls === null ? 'http' : 'https'}://${urlHost(host)}:${address.port}/ui/`;
    this.#logger.info(`the admin API and the page listen on ${this.adminUrl}`);
  }

  async #closeAdminServer(): Promise<void> {
    if (this.#adminServer === null) return;
    const closed = once(this.#adminServer, 'close');
    this.#adminServer.close();
    this.#adminServer.closeAllConnections();
    await closed;
  }

  status(): { readonly tokens: readonly TokenStatus[] } {
    return { tokens: Array.from(this.#runtime.tokenManagers.values(), (manager) => manager.status()) };
  }

  reload(): Promise<boolean> {
    return this.#reloads?.reload() ?? Promise.resolve(false);
  }

  reportUncaughtError(error: unknown): void {
    reportUncaughtError(this.#logger, error, this.#runtime.config.tokens);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Starting until every source that an upstream uses has had a token once: a rollout with bad credentials stops here. */
  #currentPhase(): Readiness['phase'] {
    if (this.#phase === 'starting' && this.#runtime.hasHadTokens()) this.#phase = 'serving';
    return this.#phase;
  }

  async #close(): Promise<void> {
    this.#phase = 'draining';
    this.#reloads?.close();
    // Keeps listening, so that new requests get a 503 and probes see that the service drains.
    const running = this.#requests.refuseNew();
    if (running > 0) {
      const graceMs = this.#runtime.config.shutdown_grace;
      this.#logger.info(
        `shutting down: waiting up to ${inSeconds(graceMs)} for ${counted(running, 'running request')}; a second signal aborts them at once`,
      );
    }
    const hasEnded = await this.#requests.drained(this.#runtime.config.shutdown_grace);
    if (!hasEnded) {
      this.#requests.abortAll(restarting());
      await this.#requests.drained(FINAL_EVENTS_MS);
    }
    this.#admin.close();
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
    await this.#closeAdminServer();
    for (const runtime of [this.#runtime, ...this.#retired]) await runtime.close();
    this.#fanout.flush();
    await this.#alerting.close();
    await this.#tracing?.close(Math.min(this.#runtime.config.shutdown_grace, MAX_TRACE_FLUSH_MS));
    await this.#embeddingsCache.close();
    const { dropped } = this.#requestLog.stats();
    await this.#requestLog.close();
    reportLostRecords(this.#requestLog, dropped, this.#logger);
    this.#logger.info('shutdown complete');
    await this.#logger.close();
  }

  /** Builds the runtime of a configuration and takes over what did not change from `inUse`; throws when it cannot work. */
  #buildRuntime(
    { secrets, files, credentialKeys, sourceIdentities }: LoadedConfig,
    config: Config,
    inUse: Runtime | null,
  ): Runtime {
    for (const secret of secrets) this.#secrets.add(secret.reveal());
    const parts: RuntimeParts = {
      secrets: this.#secrets,
      clock: systemClock,
      baseDir: dirname(files[0] ?? '.'),
      credentialKeys,
      sourceIdentities,
      quotas: this.#quotas,
      bodies: this.#bodies,
      embeddingsCache: this.#embeddingsCache,
      previous: inUse,
      currentTokenManagers: () => this.#runtime.tokenManagers,
      records: this.#fanout,
      bodyLogging: this.#bodyLog.logging,
      tracer: this.#tracing ?? undefined,
      onTokenEvent: (event) => {
        this.#tokenReporting.report(event);
        this.#alerting.token(event);
        this.#admin.tokenEvent(event);
        this.#options.onTokenEvent?.(event);
      },
      onQueueWait: (upstream, waitedMs) => this.#metrics.queueWaited(upstream, waitedMs),
      onRepair: (upstream, repair) => this.#repairs.report(upstream, repair),
      onMissingEndpoint: (upstream, path) => reportMissingEndpoint(upstream, path, this.#logger),
      onCircuit: (upstream, state) => {
        reportCircuit(upstream, state, this.#logger);
        this.#alerting.circuit(upstream, state !== 'closed');
        this.#admin.circuitChanged(
          upstream,
          state,
          this.#runtime.upstreams.find(({ name }) => name === upstream),
        );
        this.#options.onCircuit?.(upstream, state);
      },
    };
    return new Runtime(config, parts);
  }

  #reloadsWith(load: () => LoadedConfig): ConfigReloads {
    return new ConfigReloads({
      clock: systemClock,
      load,
      current: () => this.#runtime,
      build: (loaded, config) => {
        // Refuses the reload when the certificate and its key do not belong together, as while both are being replaced.
        this.#configuredTls = readServerTls(config);
        const next = this.#buildRuntime(loaded, config, this.#runtime);
        this.#alerting.prepare(config);
        return next;
      },
      swap: (next) => this.#swap(next),
      report: (result) => {
        reportReload(result, this.#logger, this.#metrics);
        this.#alerting.reload(result);
        this.#admin.reloaded(result);
      },
    });
  }

  #swap(next: Runtime): void {
    const previous = this.#runtime;
    this.#runtime = next;
    this.#bodies.adjust(this.#bodyBounds(next.config));
    // A level that an administrator has set stays until the file has another one.
    if (next.config.log.level !== previous.config.log.level) this.#setLogLevel(next.config.log.level);
    else this.#followBodies(next.config);
    this.#quotas.update(clientQuotaSettings(next.config));
    this.#embeddingsCache.update(next.config.embeddings_cache);
    this.#alerting.apply(next.config);
    this.#server.keepAliveTimeout = next.config.keep_alive_timeout;
    this.#renewCertificate();
    previous.endProbing();
    next.beginProbing();
    this.#retired.add(previous);
    // One after the other: a part that the second of two retired runtimes closes may still be in use by the first.
    this.#retirement = this.#retirement.then(async () => {
      await previous.retire(next);
      this.#retired.delete(previous);
    });
  }

  #renewCertificate(): void {
    const tls = this.#configuredTls;
    if (tls === null || isDeepStrictEqual(tls, this.#tls)) return;
    this.#tls = tls;
    for (const server of [this.#server, this.#adminServer])
      if (server !== null) replaceCertificate(server, tls);
    this.#logger.info('tls: the certificate was replaced; new connections get the new one');
  }

  #bodyBounds({ limits }: Config): BodyReaderSettings {
    return {
      maxBufferedBytes: limits.buffered,
      stallMs: this.#options.bodyStallMs ?? BODY_STALL_MS,
    };
  }

  #openRequestLog(config: Config): RequestLog {
    return createRequestLog(requestLogSettings(config), {
      clock: systemClock,
      secrets: this.#secrets,
      random: Math.random,
      onEvent: (event) => {
        reportRequestLogEvent(event, this.#logger);
        this.#alerting.requestLog(event);
      },
    });
  }

  #openTracing({ Tracing: OpenTracing }: TracingModule, { tracing, hostname, tls }: Config): Tracing {
    return new OpenTracing({
      endpoint: tracing.otlp === 'env' ? null : tracing.otlp,
      version: packageVersion(),
      hostname,
      scheme: tls === null ? 'http' : 'https',
      clock: systemClock,
      scrub: (text) => this.#secrets.scrub(text),
      onLoss: (loss) => reportLostSpans(loss, this.#logger),
    });
  }

  #connectSinks(): RecordFanout {
    const { onRecords } = this.#options;
    return new RecordFanout({
      clock: systemClock,
      sinks: {
        log: this.#logger,
        metrics: this.#metrics.requests,
        'request log': this.#requestLog,
        ...(onRecords === undefined ? {} : { observer: { acceptRecords: onRecords } }),
      },
      onFault: (sink, error) =>
        this.#logger.error(`the ${sink} failed on a batch of records`, { error: String(error) }),
    });
  }

  #createAlerting({ config, files }: LoadedConfig): AlertReporting {
    return new AlertReporting(config, {
      clock: systemClock,
      logger: this.#logger,
      metrics: this.#metrics,
      configFile: files[0] ?? 'config.yaml',
      runtime: () => this.#runtime,
      scrub: (text) => this.#secrets.scrub(text),
      followRecords: (sink) => this.#fanout.attach('alerts', sink),
    });
  }

  #createMetrics(): Metrics {
    return new Metrics({
      version: packageVersion(),
      secrets: this.#secrets,
      beforeText: () => this.#fanout.flush(),
      recordCounts: () => this.#requestLog.stats(),
      spanCounts: () => this.#tracing?.stats() ?? { exported: 0, dropped: 0 },
      droppedLogLines: () => this.#logger.droppedLines,
      tokenGauges: () => tokenGauges(this.#runtime.tokenManagers.values()),
      upstreamGauges: () => upstreamGauges(this.#runtime.upstreams),
      embeddingsCache: () => this.#cacheGauge(),
    });
  }

  #cacheGauge() {
    const { stats, faults, counts } = this.#embeddingsCache;
    const upstreams = Array.from(counts, ([upstream, found]) => ({ upstream, ...found }));
    return { ...stats, faults, upstreams };
  }

  #problems(): PartProblems {
    return {
      configuration: this.#reloads?.problem ?? null,
      requestLog: requestLogProblem(this.#requestLog),
      embeddingsCache: this.#embeddingsCache.problem,
    };
  }

  #createAdmin(loaded: LoadedConfig): AdminGateway {
    let loadedAtMs = systemClock.wallMs();
    const { admin, log } = loaded.config;
    this.#logLevel = log.level;
    return new AdminGateway({
      clock: systemClock,
      version: packageVersion(),
      configPath: loaded.files[0] ?? null,
      key: admin.key,
      requestLog: this.#requestLog,
      embeddingsCache: this.#embeddingsCache,
      state: () => this.#runtime,
      phase: () => this.#currentPhase(),
      baseUrl: () => `${this.url}/v1`,
      needsClientKey: () => needsClientKey(this.#runtime.config),
      loadedAtMs: () => loadedAtMs,
      inFlight: () => this.#requests.count,
      degraded: () => degradedParts(this.#runtime, this.#problems()),
      repairs: () => this.#repairs.list(),
      reload: async () => {
        if (this.#reloads === null) return false;
        const isOk = await this.#reloads.reload();
        if (isOk) loadedAtMs = systemClock.wallMs();
        return true;
      },
      logLevel: () => this.#logLevel,
      setLogLevel: (level) => this.#setLogLevel(level),
      testAlert: (name) => this.#testAlert(name),
      playground: (request, response) => this.#servePlayground(request, response),
      tryConfiguration: this.#options.tryConfiguration ?? (async () => []),
      scrub: (text) => this.#secrets.scrub(text),
      audit: (message, facts) => this.#logger.warn(message, facts),
      onInternalError: (error) => reportInternalError(asFerryError(error), this.#logger),
      clientIp: (request) => this.#runtime.routes.clientIp(request),
      followRecords: (sink) => this.#fanout.attach('admin API', sink),
    });
  }

  /** Bodies are logged exactly while the level is `debug`. */
  #followBodies({ log }: Config): void {
    this.#bodyLog.setLevel(this.#logLevel, log.bodies);
    const { isOn } = this.#bodyLog.logging;
    if (isOn) this.#endBodyLog ??= this.#fanout.attach('log of bodies', this.#bodyLog);
    else {
      this.#endBodyLog?.();
      this.#endBodyLog = null;
    }
  }

  async #testAlert(name: string): Promise<AdminAlertTest | null> {
    const { notify, hostname } = this.#runtime.config;
    const channel = notify.find((one) => one.name === name);
    if (channel === undefined) return null;
    const results = await sendTestAlert(channel, hostname, systemClock);
    const message = this.#secrets.scrub(results.map(({ words }) => words).join(' '));
    return { is_ok: results.every(({ isAccepted }) => isAccepted), message };
  }

  #setLogLevel(level: LogLevel): void {
    this.#logLevel = level;
    this.#logger.setLevel(level);
    this.#followBodies(this.#runtime.config);
  }

  #appParts(): AppParts {
    return {
      requests: this.#requests,
      runtime: () => this.#runtime.routes,
      readiness: () => readinessOf(this.#runtime, this.#currentPhase(), this.#problems()),
      metrics: async () => ({ text: await this.#metrics.text(), contentType: this.#metrics.contentType }),
      onInflight: (step) => this.#metrics.inflight(step),
      admin: this.#runtime.config.admin.address === null ? this.#admin.listener : null,
      onInternalError: (error) => reportInternalError(error, this.#logger),
    };
  }

  /** The same app for the one client that the admin API lets in; made when the playground is first used. */
  #servePlayground(request: IncomingMessage, response: ServerResponse): void {
    this.#playground ??= createApp({
      ...this.#appParts(),
      runtime: () => ({ ...this.#runtime.routes, auth: PLAYGROUND_AUTH, isLoopbackOnly: false }),
      admin: null,
    });
    this.#playground(request, response);
  }

  #createServer({ keep_alive_timeout: keepAliveMs, limits }: Config): Server {
    const app = createApp(this.#appParts());
    return createHttpServer(app, {
      keepAliveMs,
      maxHeaderBytes: limits.header_bytes,
      running: this.#requests,
      headersTimeoutMs: this.#options.headersTimeoutMs ?? HEADERS_TIMEOUT_MS,
      clock: systemClock,
      tls: this.#tls,
    });
  }
}

/** Who calls models from the page. */
const PLAYGROUND_AUTH = new ClientAuth({
  identities: new Map(),
  anonymous: clientWithoutKey('playground'),
  tokens: null,
  certificates: null,
});
/** Slow headers are an attack (slowloris). */
const HEADERS_TIMEOUT_MS = 50_000;
/** A body without progress for this long is aborted. */
const BODY_STALL_MS = 30_000;
/** For the last spans: a collector that does not respond must not use up the grace of an orchestrator. */
const MAX_TRACE_FLUSH_MS = 3_000;
/** Between the error events of a shutdown and the close of the connections. */
const FINAL_EVENTS_MS = 1_000;

/** The configuration of the record as settings of `request-log/`. */
export function requestLogSettings({ record, dbtype, dbaddr }: Config): RequestLogSettings {
  return {
    type: dbtype,
    path: dbaddr,
    queueRows: record.queue,
    retentionMs: record.retention,
    maxBodyBytes: record.max_body,
    content: record.content,
    keepHeaders: record.keep_headers,
    include: record.include,
    redact: record.redact.map((pattern) => pattern.source),
  };
}

/** People read text in a terminal; everything else that reads standard output parses JSON. */
function defaultLogFormat({ log }: Config, descriptor: number | undefined): 'json' | 'text' {
  return log.file === null && isatty(descriptor ?? 1) ? 'text' : 'json';
}
