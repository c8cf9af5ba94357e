import type { AdminParts } from '../admin-parts.ts';
import type { AdminEmbeddingsCache, AdminStatus } from '../api-types.ts';
import type { LiveFeed } from '../live/live-feed.ts';

const RECENT_SECONDS = 60;

/** The state of the gateway as a whole. */
export function statusView(parts: AdminParts, feed: LiveFeed): AdminStatus {
  const { config, tokenManagers, upstreams } = parts.state();
  const { written, dropped, queued } = parts.requestLog.stats();
  const nowMs = parts.clock.wallMs();
  return {
    version: parts.version,
    node_version: process.versions.node,
    hostname: config.hostname,
    now_ms: nowMs,
    started_at_ms: Math.round(nowMs - process.uptime() * 1_000),
    phase: parts.phase(),
    degraded: parts.degraded(),
    base_url: parts.baseUrl(),
    base_path: config.base_path,
    needs_client_key: parts.needsClientKey(),
    configuration: {
      path: parts.configPath,
      loaded_at_ms: parts.loadedAtMs(),
      last_reload: parts.lastReload(),
    },
    log_level: parts.logLevel(),
    counts: {
      tokens: tokenManagers.size,
      upstreams: config.upstreams.length,
      clients: config.clients.length + config.authorization.length,
      in_flight: parts.inFlight(),
      waiting: upstreams.reduce(
        (sum, { limiter, pacers }) => sum + limiter.waiting + (pacers?.waiting ?? 0),
        0,
      ),
    },
    recent: feed.recent(RECENT_SECONDS),
    request_log: {
      type: config.dbtype,
      content: config.record.content,
      retention_ms: config.record.retention,
      written,
      dropped,
      waiting: queued,
      problem: parts.requestLog.problem,
    },
    embeddings_cache: config.embeddings_cache.size === 0 ? null : embeddingsCacheView(parts),
    alerts: config.notify.map(({ name }) => name),
  };
}

/** The embeddings cache as it is now. */
export function embeddingsCacheView({ embeddingsCache, state }: AdminParts): AdminEmbeddingsCache {
  const { size, path } = state().config.embeddings_cache;
  const { bytes, entries, evictions } = embeddingsCache.stats;
  const counts = [...embeddingsCache.counts.values()];
  return {
    path,
    max_bytes: size,
    bytes,
    entries,
    hits: counts.reduce((sum, { hits }) => sum + hits, 0),
    misses: counts.reduce((sum, { misses }) => sum + misses, 0),
    evictions,
    problem: embeddingsCache.problem,
  };
}
