import { readFileSync } from 'node:fs';
import {
  type Config,
  type TokenSourceConfig,
  type UpstreamConfig,
  upstreamDefect,
} from '../config/config.ts';
import type { Clock } from '../lib/clock.ts';
import { sha256Hex } from '../lib/secret.ts';
import { settingsKey } from '../lib/settings-key.ts';
import type { UpstreamGauge } from '../observability/metrics.ts';
import type { Profile } from '../openai/request/profile.ts';
import { type AccessSettings, UpstreamAccess } from '../routing/upstream-access.ts';
import { Circuit, type CircuitState } from '../routing/upstream-state/circuit.ts';
import { LearnedDrops } from '../routing/upstream-state/learned-refusals.ts';
import { MissingEndpoints } from '../routing/upstream-state/missing-endpoints.ts';
import { ModelPauses } from '../routing/upstream-state/model-pauses.ts';
import { Pacers, type PaceSettings } from '../routing/upstream-state/pacers.ts';
import { RoutedUpstream, type UpstreamLimits } from '../routing/upstream-state/routed-upstream.ts';
import type { TokenManager } from '../tokens/manager/token-manager.ts';
import { UpstreamClient, type UpstreamCredentials } from '../upstream/client.ts';
import { UNSUPPORTED_PARAMETERS } from '../upstream/replicate/prediction-request.ts';
import { ReplicateClient } from '../upstream/replicate/replicate-client.ts';
import type { ConnectionSettings } from '../upstream/transport/connections.ts';
import { requestSigner } from './request-signers.ts';
import { given } from './settings.ts';

interface UpstreamParts {
  readonly tokenManagers: ReadonlyMap<string, TokenManager>;
  readonly clock: Clock;
  readonly onCircuit: (upstream: string, state: CircuitState) => void;
  /** An upstream was found not to have an endpoint. */
  readonly onMissingEndpoint?: (upstream: string, path: string) => void;
  /** On reload: the running upstreams; those whose settings did not change keep their state and connections. */
  readonly running?: readonly RoutedUpstream[];
}

/** A configured upstream that cannot serve anything, and why. */
export interface SkippedUpstream {
  readonly name: string;
  readonly defect: string;
  /** Which requests it would have served. */
  readonly access: UpstreamAccess;
}

/** Builds every upstream that has an endpoint and credentials; the others are returned as skipped, for the log. */
export function buildUpstreams(
  config: Config,
  parts: UpstreamParts,
): { readonly upstreams: readonly RoutedUpstream[]; readonly skipped: readonly SkippedUpstream[] } {
  const upstreams: RoutedUpstream[] = [];
  const skipped: SkippedUpstream[] = [];
  for (const upstream of config.upstreams) {
    const defect = upstreamDefect(upstream);
    if (defect !== null || upstream.endpoint === null)
      skipped.push({
        name: upstream.name,
        defect: defect ?? 'no endpoint',
        access: new UpstreamAccess(accessOf(upstream)),
      });
    else
      upstreams.push(
        runningUpstream(config, upstream, parts) ??
          buildUpstream(config, upstream, new URL(upstream.endpoint), parts),
      );
  }
  return { upstreams, skipped };
}

function runningUpstream(
  config: Config,
  upstream: UpstreamConfig,
  { running = [], tokenManagers }: UpstreamParts,
): RoutedUpstream | undefined {
  if (running.length === 0) return undefined;
  const recipe = recipeOf(config, upstream);
  return running.find(({ client, recipe: runningRecipe }) => {
    const { credentials } = client;
    const isSameManager =
      credentials.kind !== 'token' || credentials.manager === tokenManagers.get(upstream.token ?? '');
    return runningRecipe === recipe && isSameManager;
  });
}

/** Equal for upstreams that `buildUpstream` would build alike: everything that it reads, contents of files included. */
function recipeOf(config: Config, upstream: UpstreamConfig): string {
  const { tls } = upstream;
  const files = tls === null ? [] : [tls.ca, tls.cert, tls.key];
  return settingsKey({
    upstream,
    limits: limitsOf(config, upstream),
    connectTimeout: upstream.connect_timeout || config.connect_timeout,
    headerBytes: config.limits.header_bytes,
    coolDown: config.cool_down,
    source: upstream.token === null ? null : sourceFacts(config.tokens[upstream.token]),
    files: files.map((file) => (file === null ? null : sha256Hex(readFileSync(file, 'latin1')))),
  });
}

function sourceFacts(source: TokenSourceConfig | undefined) {
  return source === undefined
    ? null
    : {
        reject: source.reject,
        maxWait: source.refresh.max_wait,
        extra: 'extra' in source ? source.extra : null,
      };
}

function buildUpstream(
  config: Config,
  upstream: UpstreamConfig,
  endpoint: URL,
  parts: UpstreamParts,
): RoutedUpstream {
  const Client = upstream.type === 'replicate' ? ReplicateClient : UpstreamClient;
  const client = new Client({
    name: upstream.name,
    connection: connectionSettings(config, upstream, endpoint.origin),
    paths: { endpoint, query: upstream.query, paths: given(upstream.paths) },
    headers: {
      headers: upstream.headers,
      forwardHeaders: upstream.forward_headers,
      isKeepingHeaders: upstream.keep_header,
    },
    credentials: credentialsOf(config, upstream, parts.tokenManagers),
    signer: requestSigner(config, upstream, endpoint),
  });
  const circuit = new Circuit(
    {
      failures: config.cool_down.failures,
      firstPauseMs: config.cool_down.first,
      maxPauseMs: config.cool_down.max,
    },
    parts.clock,
    (state) => parts.onCircuit(upstream.name, state),
  );
  return new RoutedUpstream(
    {
      ...accessOf(upstream),
      limits: limitsOf(config, upstream),
      profile: profileOf(upstream),
      maxConcurrency: upstream.max_concurrency,
      recipe: recipeOf(config, upstream),
      vectorSource: vectorSourceOf(upstream),
    },
    {
      client,
      circuit,
      pauses: new ModelPauses(parts.clock),
      pacers: upstream.pace === null ? null : new Pacers(paceOf(upstream.pace), parts.clock, Math.random),
      learnedDrops: new LearnedDrops(),
      missingEndpoints: new MissingEndpoints((path) => parts.onMissingEndpoint?.(upstream.name, path)),
    },
  );
}

/**
 * Null: under `sk: asis` the upstream decides for each client's own key what it may have, and with `keep_header` it may look at
 * any header of the client.
 */
function vectorSourceOf({
  endpoint,
  type,
  paths,
  query,
  headers,
  forward_headers,
  sk,
  keep_header,
}: UpstreamConfig) {
  if (sk === 'asis' || keep_header) return null;
  return {
    digest: settingsKey({ endpoint, type, path: paths?.embeddings ?? null, query, headers }),
    forwardedHeaders: forward_headers.map((name) => name.toLowerCase()).sort(),
  };
}

function paceOf({ rpm, tpm, max_wait: maxWaitMs }: NonNullable<UpstreamConfig['pace']>): PaceSettings {
  return { rpm, tpm, maxWaitMs };
}

function accessOf(upstream: UpstreamConfig): AccessSettings {
  const { authorization, clients } = upstream;
  return {
    name: upstream.name,
    allow: upstream.allow,
    deny: upstream.deny,
    aliases: upstream.models,
    keyDigests:
      authorization.length === 0 ? null : new Set(authorization.map((key) => sha256Hex(key.reveal()))),
    clients: clients === null ? null : new Set(clients),
    isOpenToAll: upstream.noauth,
  };
}

function credentialsOf(
  config: Config,
  upstream: UpstreamConfig,
  tokenManagers: ReadonlyMap<string, TokenManager>,
): UpstreamCredentials {
  if (upstream.sk !== null) {
    if (upstream.sk === 'asis') return { kind: 'as_is' };
    return { kind: 'key', key: upstream.sk, scheme: upstream.type === 'replicate' ? 'Token' : 'Bearer' };
  }
  const manager = upstream.token === null ? undefined : tokenManagers.get(upstream.token);
  const source = upstream.token === null ? undefined : config.tokens[upstream.token];
  if (manager === undefined || source === undefined) return { kind: 'none' };
  return { kind: 'token', manager, reject: source.reject, maxWaitMs: source.refresh.max_wait };
}

/** An upstream's own limit of 0 inherits the global one. */
function limitsOf(config: Config, upstream: UpstreamConfig): UpstreamLimits {
  return {
    timeoutMs: upstream.timeout || config.timeout,
    streamTimeoutMs: upstream.stream_timeout || config.stream_timeout,
    firstContentTimeoutMs: upstream.first_content_timeout || config.first_content_timeout,
    embeddingsTimeoutMs: upstream.embeddings_timeout || config.embeddings_timeout,
    idleTimeoutMs: upstream.idle_timeout || config.idle_timeout,
    streamTotalTimeoutMs: config.stream_total_timeout,
  };
}

function profileOf({ profile, type }: UpstreamConfig): Profile {
  const own = configuredProfile(profile);
  if (type === 'openai') return own;
  return {
    ...own,
    dropParams: [...own.dropParams, ...UNSUPPORTED_PARAMETERS],
    messageContent: 'text',
    responses: 'via_chat',
    messages: 'via_chat',
  };
}

function configuredProfile(profile: UpstreamConfig['profile']): Profile {
  return {
    thinkTags: profile.think_tags,
    cumulative: profile.cumulative,
    dropParams: profile.drop_params,
    renameParams: profile.rename_params,
    roles: profile.roles,
    messageContent: profile.message_content,
    system: profile.system,
    learn: profile.learn,
    alwaysStream: profile.always_stream,
    embeddingBatch: profile.embedding_batch,
    tokenIds: profile.token_ids,
    completions: profile.completions,
    responses: profile.responses,
    messages: profile.messages,
  };
}

function connectionSettings(config: Config, upstream: UpstreamConfig, origin: string): ConnectionSettings {
  const { tls, proxy } = upstream;
  return {
    origin,
    connectTimeoutMs: upstream.connect_timeout || config.connect_timeout,
    maxHeaderBytes: config.limits.header_bytes,
    ...given({ tls, proxy }),
  };
}

/** The state of each upstream for the metrics. */
export function upstreamGauges(upstreams: readonly RoutedUpstream[]): UpstreamGauge[] {
  return upstreams.map(({ name, circuit, limiter, pacers }) => ({
    upstream: name,
    isUp: circuit.state === 'closed',
    isCooling: circuit.state !== 'closed',
    waiting: limiter.waiting + (pacers?.waiting ?? 0),
    rates: pacers?.rates() ?? [],
  }));
}
