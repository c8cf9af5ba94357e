import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import type { Config } from '../config/config.ts';
import type { LoadedConfig } from '../config/load/load-config.ts';
import { createApp } from '../http/app.ts';
import { BodyReader, type BodyReaderSettings } from '../http/body/body-reader.ts';
import { ClientLimits } from '../http/middleware/client-limits.ts';
import { RunningRequests, restarting } from '../http/middleware/running-requests.ts';
import type { Readiness } from '../http/routes/health.ts';
import { systemClock } from '../lib/clock.ts';
import type { FerryError } from '../lib/errors/ferry-error.ts';
import { SecretRegistry } from '../lib/secret.ts';
import { createLogger, type Logger } from '../observability/logger.ts';
import { Metrics } from '../observability/metrics.ts';
import { RecordFanout } from '../observability/record-fanout.ts';
import { createRequestLog, type RequestLog } from '../request-log/request-log.ts';
import type { CircuitState } from '../routing/upstream-state/circuit.ts';
import type { HolderStatus } from '../tokens/manager/holder-status.ts';
import type { TokenEvent } from '../tokens/manager/token-event.ts';
import { clientQuotaSettings } from './clients.ts';
import { ConfigReloads } from './config-reloads.ts';
import { reportConfig, reportReload } from './config-reporting.ts';
import { reportDefect } from './defect-reporting.ts';
import { Deployment, type DeploymentParts } from './deployment.ts';
import { createHttpServer } from './http-server.ts';
import { listenAddress, urlHost } from './listen-address.ts';
import { readinessOf } from './readiness.ts';
import { reportRequestLogEvent } from './request-log-reporting.ts';
import { requestLogSettings } from './request-log-settings.ts';
import { reportTokenEvent, tokenGauges } from './token-reporting.ts';
import { reportCircuit, upstreamGauges } from './upstream-reporting.ts';

export interface ServiceOptions {
  readonly onTokenEvent?: (event: TokenEvent) => void;
  /** An upstream began to cool down, or is back. */
  readonly onCircuit?: (upstream: string, state: CircuitState) => void;
  /** Where the log goes when not to standard output. */
  readonly logDescriptor?: number;
  /** The longest silence within a request body, in milliseconds; 30 s unless told. */
  readonly bodyStallMs?: number;
  /** The longest time that a request's headers may take, in milliseconds; 60 s unless told. */
  readonly headersTimeoutMs?: number;
  /** Reads the configuration again; throws `ConfigError`. Without it the service never reloads. */
  readonly loadAgain?: () => LoadedConfig;
}

/** A service that listens. */
export interface RunningService {
  /** Without a trailing slash and without `/v1`. */
  readonly url: string;
  status(): { readonly tokens: readonly HolderStatus[] };
  /** Puts the configuration to use as its files are now. False: it stays as it was; the log says why. Never rejects. */
  reload(): Promise<boolean>;
  /** Logs a mistake of ours that nothing caught. The requests that it did not concern go on. */
  reportDefect(error: unknown): void;
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
  readonly #options: ServiceOptions;
  readonly #secrets = new SecretRegistry();
  readonly #logger: Logger;
  readonly #metrics: Metrics;
  readonly #requestLog: RequestLog;
  readonly #fanout: RecordFanout;
  /** What serves now; replaced on reload. */
  #deployment: Deployment;
  /** Those that served before and still have running requests, in their order. */
  readonly #retired = new Set<Deployment>();
  #retirement: Promise<void> = Promise.resolve();
  readonly #reloads: ConfigReloads | null;
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
    this.#options = options;
    this.#bodies = new BodyReader(this.#bodyBounds(config));
    this.#logger = createLogger({ ...config.log, secrets: this.#secrets, descriptor: options.logDescriptor });
    this.#requestLog = this.#openRequestLog(config);
    this.#deployment = this.#deploy(loaded, config, null);
    this.#fanout = this.#connectSinks();
    this.#metrics = this.#createMetrics();
    this.#clientLimits.update(clientQuotaSettings(config));
    this.#server = this.#createServer(config);
    this.#reloads = options.loadAgain === undefined ? null : this.#reloadsWith(options.loadAgain);
    this.#reloads?.follow(loaded.files);
    reportConfig(this.#deployment, loaded.warnings, this.#logger);
  }

  async listen(): Promise<void> {
    const { host, port } = listenAddress(this.#deployment.config.address);
    this.#server.listen({ port, ...(host === '' ? {} : { host }) });
    await once(this.#server, 'listening');
    const address = this.#server.address() as AddressInfo;
    this.url = `http://${urlHost(host)}:${address.port}${this.#deployment.config.base_path}`;
    this.#logger.info(`tokenferry listens on ${this.url}/v1`, {
      upstreams: this.#deployment.upstreams.length,
    });
    this.#deployment.beginProbing();
    void this.#startTokens();
  }

  status(): { readonly tokens: readonly HolderStatus[] } {
    return { tokens: Array.from(this.#deployment.holders.values(), (holder) => holder.status()) };
  }

  reload(): Promise<boolean> {
    return this.#reloads?.reload() ?? Promise.resolve(false);
  }

  reportDefect(error: unknown): void {
    reportDefect(this.#logger, error, this.#deployment.config.tokens);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Ready when each source's first attempt is settled: the service serves meanwhile, requests wait for their token. */
  async #startTokens(): Promise<void> {
    const { tokens } = this.#deployment.config;
    const longestWaitMs = Math.max(0, ...Object.values(tokens).map((source) => source.refresh.max_wait));
    await Promise.race([this.#deployment.start(), wait(longestWaitMs)]);
    if (this.#phase === 'starting') this.#phase = 'serving';
  }

  async #close(): Promise<void> {
    this.#phase = 'draining';
    this.#reloads?.close();
    // It listens on, so that whoever still comes hears a 503 and probes see it drain.
    this.#requests.refuseNew();
    const hasEnded = await this.#requests.drained(this.#deployment.config.shutdown_grace);
    if (!hasEnded) {
      this.#requests.abortAll(restarting());
      await this.#requests.drained(LAST_WORDS_MS);
    }
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
    for (const deployment of [this.#deployment, ...this.#retired]) await deployment.close();
    this.#fanout.flush();
    await this.#requestLog.close();
    this.#logger.info('tokenferry has ended');
    await this.#logger.close();
  }

  /** Builds what serves a configuration, taking over from `inUse` what did not change; throws when it cannot work. */
  #deploy({ secrets, files }: LoadedConfig, config: Config, inUse: Deployment | null): Deployment {
    for (const secret of secrets) this.#secrets.add(secret.reveal());
    const parts: DeploymentParts = {
      secrets: this.#secrets,
      clock: systemClock,
      baseDir: dirname(files[0] ?? '.'),
      clientLimits: this.#clientLimits,
      bodies: this.#bodies,
      takesOverFrom: inUse,
      holdersInUse: () => this.#deployment.holders,
      onRecord: (record) => this.#fanout.add(record),
      onTokenEvent: (event) => {
        reportTokenEvent(event, this.#logger, this.#metrics);
        this.#options.onTokenEvent?.(event);
      },
      onNote: (upstream, note) => this.#logger.debug(`upstream ${upstream}: ${note}`, { upstream }),
      onCircuit: (upstream, state) => {
        reportCircuit(upstream, state, this.#logger);
        this.#options.onCircuit?.(upstream, state);
      },
    };
    return new Deployment(config, parts);
  }

  #reloadsWith(load: () => LoadedConfig): ConfigReloads {
    return new ConfigReloads({
      clock: systemClock,
      load,
      inUse: () => this.#deployment,
      build: (loaded, config) => this.#deploy(loaded, config, this.#deployment),
      swap: (next) => this.#swap(next),
      report: (result) => reportReload(result, this.#logger, this.#metrics),
    });
  }

  #swap(next: Deployment): void {
    const previous = this.#deployment;
    this.#deployment = next;
    this.#bodies.adjust(this.#bodyBounds(next.config));
    this.#logger.setLevel(next.config.log.level);
    this.#clientLimits.update(clientQuotaSettings(next.config));
    this.#server.keepAliveTimeout = next.config.keep_alive_timeout;
    previous.endProbing();
    next.beginProbing();
    this.#retired.add(previous);
    // One after the other: what the second of two retired ones has no successor for may still serve the first.
    this.#retirement = this.#retirement.then(async () => {
      await previous.giveWay(next);
      this.#retired.delete(previous);
    });
  }

  #bodyBounds({ limits }: Config): BodyReaderSettings {
    return {
      mostBufferedBytes: limits.buffered,
      stallMs: this.#options.bodyStallMs ?? BODY_STALL_MS,
    };
  }

  #openRequestLog(config: Config): RequestLog {
    return createRequestLog(requestLogSettings(config), {
      clock: systemClock,
      secrets: this.#secrets,
      random: Math.random,
      onEvent: (event) => reportRequestLogEvent(event, this.#logger),
    });
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
      tokenGauges: () => tokenGauges(this.#deployment.holders.values()),
      upstreamGauges: () => upstreamGauges(this.#deployment.upstreams),
    });
  }

  #createServer({ keep_alive_timeout: keepAliveMs, limits }: Config): Server {
    const app = createApp({
      requests: this.#requests,
      installation: () => this.#deployment.installation,
      readiness: () => readinessOf(this.#deployment, this.#phase, this.#reloads?.problem ?? null),
      metrics: async () => ({ text: await this.#metrics.text(), contentType: this.#metrics.contentType }),
      onInflight: (step) => this.#metrics.inflight(step),
      onInternalError: (error) =>
        this.#logger.error('a request failed by a mistake of ours', internalFacts(error)),
    });
    return createHttpServer(app, {
      keepAliveMs,
      maxHeaderBytes: limits.header_bytes,
      headersTimeoutMs: this.#options.headersTimeoutMs ?? HEADERS_TIMEOUT_MS,
      clock: systemClock,
    });
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

function wait(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs).unref();
  });
}
