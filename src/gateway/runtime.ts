import { randomUUID } from 'node:crypto';
import type { Config } from '../config/config.ts';
import type { EmbeddingsCache } from '../embeddings-cache/embeddings-cache.ts';
import type { RuntimeRoutes } from '../http/app.ts';
import type { BodyReader } from '../http/body/body-reader.ts';
import { ClientAuth } from '../http/middleware/client-auth.ts';
import type { ClientQuotas } from '../http/middleware/client-quota.ts';
import { type BodyLogging, ClientIds, type RecordingSettings } from '../http/middleware/request-context.ts';
import { RequestPaths } from '../http/middleware/request-path.ts';
import { UseCount } from '../http/middleware/running-requests.ts';
import type { Clock } from '../lib/clock.ts';
import type { RequestTracer } from '../lib/request-trace.ts';
import type { SecretRegistry } from '../lib/secret.ts';
import type { Repair } from '../openai/vendors/repairs.ts';
import type { AttemptPolicy } from '../routing/attempt-call.ts';
import { anyMatcherInAnyCase, type Matcher } from '../routing/glob.ts';
import { ModelList } from '../routing/model-list.ts';
import { Router } from '../routing/router.ts';
import type { CircuitState } from '../routing/upstream-state/circuit.ts';
import type { RoutedUpstream } from '../routing/upstream-state/routed-upstream.ts';
import { UpstreamProbes } from '../routing/upstream-state/upstream-probes.ts';
import type { TokenEvent } from '../tokens/manager/token-event.ts';
import type { TokenManager } from '../tokens/manager/token-manager.ts';
import { ClientAddresses } from './client-address.ts';
import { clientAuthSettings, isLoopbackOnly } from './clients.ts';
import { buildTokenManagers } from './tokens.ts';
import { buildUpstreams, type SkippedUpstream } from './upstreams.ts';

/** What outlives a runtime: it is handed from one configuration to the next. */
export interface RuntimeParts {
  readonly clock: Clock;
  readonly secrets: SecretRegistry;
  /** Directory that relative paths of the configuration start from. */
  readonly baseDir: string;
  readonly quotas: ClientQuotas;
  readonly bodies: BodyReader;
  readonly embeddingsCache: EmbeddingsCache;
  /** By token source: the keys that hold its credentials, for messages. */
  readonly credentialKeys: ReadonlyMap<string, readonly string[]>;
  /** By token source: equal when only its credentials were replaced. */
  readonly sourceIdentities: ReadonlyMap<string, string>;
  readonly onTokenEvent: (event: TokenEvent) => void;
  readonly onCircuit: (upstream: string, state: CircuitState) => void;
  /** An upstream was found not to have an endpoint. */
  readonly onMissingEndpoint: (upstream: string, path: string) => void;
  /** A repair that an upstream's response needed; at most once per response and kind. */
  readonly onRepair: (upstream: string, repair: Repair) => void;
  /** A request waited for a slot or for its turn at an upstream. */
  readonly onQueueWait: (upstream: string, waitedMs: number) => void;
  readonly records: RecordingSettings['records'];
  /** Whether bodies are logged now. */
  readonly bodyLogging: BodyLogging;
  /** Undefined: requests are not traced. */
  readonly tracer: RequestTracer | undefined;
  /** The runtime whose unchanged parts are taken over; null for the first one. */
  readonly previous: Runtime | null;
  /** The token managers of the runtime that is current at the time of the call. */
  readonly currentTokenManagers: () => ReadonlyMap<string, TokenManager>;
}

/** Everything that is built from one configuration and replaced with it: token managers, upstreams, settings of the routes. */
export class Runtime {
  readonly config: Config;
  readonly tokenManagers: ReadonlyMap<string, TokenManager>;
  readonly upstreams: readonly RoutedUpstream[];
  readonly skipped: readonly SkippedUpstream[];
  readonly routes: RuntimeRoutes;
  get models(): ModelList {
    return this.routes.models;
  }
  readonly #use = new UseCount();
  readonly #clock: Clock;
  #probes: UpstreamProbes | null = null;

  /** Opens and starts nothing; throws when the configuration cannot work. */
  constructor(config: Config, parts: RuntimeParts) {
    const { clock, secrets, baseDir, onCircuit, previous } = parts;
    this.config = config;
    this.#clock = clock;
    this.tokenManagers = buildTokenManagers(config, {
      secrets,
      clock,
      baseDir,
      credentialKeys: parts.credentialKeys,
      sourceIdentities: parts.sourceIdentities,
      onEvent: parts.onTokenEvent,
      inUse: parts.currentTokenManagers,
      ...(previous === null ? {} : { running: previous.tokenManagers }),
    });
    const { upstreams, skipped } = buildUpstreams(config, {
      tokenManagers: this.tokenManagers,
      clock,
      onCircuit,
      onMissingEndpoint: parts.onMissingEndpoint,
      ...(previous === null ? {} : { running: previous.upstreams }),
    });
    for (const { name, pausedAtMs } of previous?.upstreams ?? []) {
      if (pausedAtMs !== null) upstreams.find((upstream) => upstream.name === name)?.pause(pausedAtMs);
    }
    this.upstreams = upstreams;
    this.skipped = skipped;
    this.routes = buildRoutes(config, { upstreams, skipped, use: this.#use }, parts);
  }

  /** Starts what is new. Resolves when the first attempt of every token source has ended, with or without a token. */
  async start(): Promise<void> {
    await Promise.all(Array.from(this.tokenManagers.values(), (manager) => manager.start()));
  }

  /** True once every token source that an upstream uses has obtained a token. */
  hasHadTokens(): boolean {
    return this.upstreams.every(
      ({ client: { credentials } }) =>
        credentials.kind !== 'token' || credentials.manager.status().generation > 0,
    );
  }

  /** Starts to probe cooling upstreams. */
  beginProbing(): void {
    this.#probes ??= new UpstreamProbes(this.upstreams, {
      everyMs: this.config.probe.every,
      clock: this.#clock,
    });
  }

  endProbing(): void {
    this.#probes?.close();
  }

  /** Waits for the requests that began with this runtime, then closes what `next` did not take over. */
  async retire(next: Runtime): Promise<void> {
    await this.#use.idle();
    await this.#close(new Set(next.tokenManagers.values()), new Set(next.upstreams));
  }

  /** Closes everything at once. */
  async close(): Promise<void> {
    this.endProbing();
    await this.#close(new Set(), new Set());
  }

  async #close(
    keptTokenManagers: ReadonlySet<TokenManager>,
    keptUpstreams: ReadonlySet<RoutedUpstream>,
  ): Promise<void> {
    const tokenManagers = [...this.tokenManagers.values()].filter(
      (manager) => !keptTokenManagers.has(manager),
    );
    const upstreams = this.upstreams.filter((upstream) => !keptUpstreams.has(upstream));
    this.routes.auth.close();
    await Promise.all(tokenManagers.map((manager) => manager.stop()));
    await Promise.all(upstreams.map(({ client }) => client.close()));
  }
}

interface BuiltUpstreams {
  readonly upstreams: readonly RoutedUpstream[];
  readonly skipped: readonly SkippedUpstream[];
  readonly use: UseCount;
}

/** What the middleware and the routes need of one configuration. */
function buildRoutes(config: Config, built: BuiltUpstreams, parts: RuntimeParts): RuntimeRoutes {
  const router = buildRouter(config, built, parts);
  const policy = attemptPolicy(config, parts);
  const addresses = new ClientAddresses(config.trusted_proxies);
  const { limits } = config;
  const { bodies } = parts;
  return {
    use: built.use,
    paths: new RequestPaths(config.base_path),
    auth: new ClientAuth(clientAuthSettings(config)),
    quotas: parts.quotas,
    bodies,
    models: new ModelList(
      built.upstreams,
      Math.floor(parts.clock.wallMs() / 1000),
      parts.previous?.models ?? null,
    ),
    chat: {
      router,
      policy,
      bodies,
      bodyLimitBytes: limits.body,
      earlyHeadersMs: config.early_headers,
      keepAliveMs: config.keep_alive_comments,
      keepAliveChunkMs: config.keep_alive_chunks,
    },
    embeddings: {
      router,
      policy,
      bodies,
      bodyLimitBytes: limits.body,
      cache: config.embeddings_cache.size > 0 ? parts.embeddingsCache : null,
    },
    passThrough: {
      router,
      policy,
      bodies,
      isDenied: deniedPaths(config.pass_through.deny),
      bodyLimitBytes: limits.body,
      replayLimitBytes: limits.replay,
      uploadLimitBytes: limits.upload,
    },
    recording: recordingSettings(config, parts),
    metricsNeedKey: config.metrics.access === 'key',
    isLoopbackOnly: isLoopbackOnly(config),
    maxRequests: limits.concurrency,
    clientIp: ({ socket, headers }) => addresses.of(socket.remoteAddress, headers['x-forwarded-for']),
  };
}

function recordingSettings(config: Config, parts: RuntimeParts): RecordingSettings {
  return {
    clock: parts.clock,
    hostname: config.hostname,
    clientIds: new ClientIds(),
    keptHeaders: config.record.keep_headers.map((name) => name.toLowerCase()),
    content: config.record.content,
    maxContent: config.record.max_body,
    bodyLogging: parts.bodyLogging,
    tracer: parts.tracer,
    onDisconnect: config.on_disconnect,
    records: parts.records,
  };
}

/**
 * Many servers route `/V1/Organization` like `/v1/organization`, so a pattern holds in any case. `/x/**` also denies `/x/`,
 * which is normalised to `/x` here.
 */
function deniedPaths(patterns: readonly string[]): Matcher {
  const written = patterns.map((pattern) => pattern.replace(/ +/, ' '));
  return anyMatcherInAnyCase(written.flatMap((pattern) => [pattern, pattern.replace(/\/\*\*$/, '')]));
}

function buildRouter(
  config: Config,
  { upstreams, skipped }: BuiltUpstreams,
  { clock, onQueueWait }: RuntimeParts,
): Router {
  return new Router(upstreams, {
    policy: config.lb_policy,
    random: Math.random,
    deadlineMs: config.deadline,
    sameUpstreamRetries: config.retry.same_upstream,
    backoffMs: config.retry.backoff,
    clock,
    onQueueWait,
    skipped: skipped.map(({ access }) => access),
  });
}

function attemptPolicy(config: Config, { secrets, clock, onRepair }: RuntimeParts): AttemptPolicy {
  const retryable = new Set(config.retry.statuses);
  return {
    replyModel: config.reply_model,
    wantsUsage:
      config.dbtype !== 'none' ||
      config.clients.some((client) => client.tpm > 0) ||
      config.upstreams.some(({ pace }) => pace !== null && pace.tpm > 0),
    maxResponseBytes: config.limits.response,
    isRetryable: (status) => retryable.has(status),
    scrub: (text) => secrets.scrub(text),
    onRepair,
    newId: () => `chatcmpl-${randomUUID().replaceAll('-', '')}`,
    nowSeconds: () => Math.floor(clock.wallMs() / 1000),
  };
}
