import { randomUUID } from 'node:crypto';
import type { Config } from '../config/config.ts';
import type { Installation } from '../http/app.ts';
import type { BodyReader } from '../http/body/body-reader.ts';
import { ClientAuth } from '../http/middleware/client-auth.ts';
import type { ClientLimits } from '../http/middleware/client-limits.ts';
import type { RecordingSettings } from '../http/middleware/request-context.ts';
import { RequestPaths } from '../http/middleware/request-path.ts';
import type { UseCount } from '../http/middleware/use-count.ts';
import type { Clock } from '../lib/clock.ts';
import type { RequestRecord } from '../lib/request-record.ts';
import type { SecretRegistry } from '../lib/secret.ts';
import { anyMatcherInAnyCase, type Matcher } from '../routing/glob.ts';
import { ModelList } from '../routing/model-list.ts';
import { Router } from '../routing/router.ts';
import type { ServingSettings } from '../routing/services/attempt-policy.ts';
import type { RoutedUpstream } from '../routing/upstream-state/routed-upstream.ts';
import { ClientAddresses } from './client-address.ts';
import { clientAuthSettings, isLoopbackOnly } from './clients.ts';
import type { SkippedUpstream } from './upstreams.ts';

export interface InstallationParts {
  /** What was odd about an upstream's reply, for the log; at most once per reply and kind. */
  readonly onNote?: (upstream: string, note: string) => void;
  readonly secrets: SecretRegistry;
  readonly clock: Clock;
  readonly clientLimits: ClientLimits;
  readonly bodies: BodyReader;
  readonly use: UseCount;
  /** Upstreams of the configuration that lack what they need. */
  readonly skipped: readonly SkippedUpstream[];
  readonly onRecord: (record: RequestRecord) => void;
}

/** What the routes need of one configuration. */
export function buildInstallation(
  config: Config,
  upstreams: readonly RoutedUpstream[],
  parts: InstallationParts,
): Installation {
  const router = buildRouter(config, upstreams, parts);
  const serving = servingSettings(config, parts);
  const addresses = new ClientAddresses(config.trusted_proxies);
  const { limits } = config;
  const { bodies } = parts;
  return {
    use: parts.use,
    paths: new RequestPaths(config.base_path),
    auth: new ClientAuth(clientAuthSettings(config)),
    clientLimits: parts.clientLimits,
    bodies,
    models: new ModelList(upstreams, Math.floor(parts.clock.wallMs() / 1000)),
    chat: {
      router,
      serving,
      bodies,
      bodyLimitBytes: limits.body,
      earlyHeadersMs: config.early_headers,
      keepAliveMs: config.keep_alive_comments,
      keepAliveChunkMs: config.keep_alive_chunks,
    },
    embeddings: { router, serving, bodies, bodyLimitBytes: limits.body },
    passThrough: {
      router,
      serving,
      bodies,
      isDenied: refusing(config.pass_through.deny),
      bodyLimitBytes: limits.body,
      replayLimitBytes: limits.replay,
      uploadLimitBytes: limits.upload,
    },
    recording: recordingSettings(config, parts),
    metricsNeedKey: config.metrics.access === 'key',
    isLoopbackOnly: isLoopbackOnly(config),
    mostRequests: limits.concurrency,
    clientIp: ({ socket, headers }) => addresses.of(socket.remoteAddress, headers['x-forwarded-for']),
  };
}

function recordingSettings(config: Config, parts: InstallationParts): RecordingSettings {
  return {
    clock: parts.clock,
    hostname: config.hostname,
    keptHeaders: config.record.keep_headers.map((name) => name.toLowerCase()),
    content: config.record.content,
    mostContent: config.record.max_body,
    onDisconnect: config.on_disconnect,
    onRecord: parts.onRecord,
  };
}

/**
 * Many servers route `/V1/Organization` like `/v1/organization`: a refusal has to hold for both. `/x/**` is meant to
 * refuse `/x/` as well, which we know as `/x`.
 */
function refusing(patterns: readonly string[]): Matcher {
  const written = patterns.map((pattern) => pattern.replace(/ +/, ' '));
  return anyMatcherInAnyCase(written.flatMap((pattern) => [pattern, pattern.replace(/\/\*\*$/, '')]));
}

function buildRouter(
  config: Config,
  upstreams: readonly RoutedUpstream[],
  { clock, skipped }: InstallationParts,
): Router {
  return new Router(upstreams, {
    policy: config.lb_policy,
    random: Math.random,
    deadlineMs: config.deadline,
    sameUpstreamRetries: config.retry.same_upstream,
    backoffMs: config.retry.backoff,
    clock,
    skipped: skipped.map(({ admission }) => admission),
  });
}

function servingSettings(config: Config, parts: InstallationParts): ServingSettings {
  const retryable = new Set(config.retry.statuses);
  return {
    replyModel: config.reply_model,
    wantsUsage: config.dbtype !== 'none' || config.clients.some((client) => client.tpm > 0),
    maxResponseBytes: config.limits.response,
    isRetryable: (status) => retryable.has(status),
    scrub: (text) => parts.secrets.scrub(text),
    onNote: (upstream, note) => parts.onNote?.(upstream, note),
    newId: () => `chatcmpl-${randomUUID().replaceAll('-', '')}`,
    nowSeconds: () => Math.floor(parts.clock.wallMs() / 1000),
  };
}
