import type { TokenManager } from '../../tokens/manager/token-manager.ts';
import type { TokenStateName, TokenStatus } from '../../tokens/manager/token-status.ts';
import type { GatewayState } from '../admin-parts.ts';
import type { AdminToken } from '../api-types.ts';
import type { TokenHistory } from '../live/token-history.ts';

const LAST_EVENTS = 10;

/** One token source as it is now. */
export function tokenView(
  manager: TokenManager,
  state: GatewayState,
  history: TokenHistory,
  nowMs: number,
): AdminToken {
  const status = manager.status();
  const remainingMs = finite(status.remainingMs);
  return {
    name: status.name,
    kind: status.kind,
    state: status.state,
    description: describe(status),
    is_usable: status.isUsable,
    life_ms: finite(status.lifeMs),
    remaining_ms: remainingMs === null ? null : Math.max(0, remainingMs),
    obtained_at_ms: history.obtainedAtMs(status.name),
    expires_at_ms: remainingMs === null ? null : Math.round(nowMs + remainingMs),
    next_renewal_in_ms: finite(status.nextAttemptInMs),
    generation: status.generation,
    fingerprint: status.fingerprint,
    used_by: usersOf(status.name, state),
    consecutive_failures: status.consecutiveFailures,
    last_error: status.lastError,
    last_error_at_ms: status.lastErrorAtMs,
    waiting_requests: status.waiters,
    is_breaker_open: status.isBreakerOpen,
    suspicious_rejections: status.suspiciousRejections,
    issuer_latency: history.latency(status.name),
    counters: {
      acquired: status.counters.acquired,
      failed: status.counters.failed,
      rejected: status.counters.rejected,
      same_token: status.counters.sameToken,
      served_fresh: status.counters.servedFresh,
      served_renewing: status.counters.servedRenewing,
      served_degraded: status.counters.servedDegraded,
    },
    last_events: history.last(status.name, LAST_EVENTS),
  };
}

function usersOf(name: string, { config }: GatewayState): string[] {
  const upstreams = config.upstreams.filter(({ token }) => token === name).map((one) => one.name);
  const sources = Object.entries(config.tokens).flatMap(([other, source]) =>
    'token' in source && source.token === name ? [other] : [],
  );
  return [...upstreams, ...sources];
}

const DESCRIPTIONS: Readonly<Record<TokenStateName, string>> = {
  empty: 'no token was obtained yet',
  acquiring: 'the first token is being obtained',
  fresh: 'valid',
  renewing: 'valid; the next token is being obtained',
  degraded: 'valid, but its renewal fails',
  starved: 'no usable token: the issuer fails and requests wait',
  rejected: 'an upstream rejected it; the next token is being obtained',
  misconfigured: 'the issuer refuses the credentials',
  dormant: 'no requests for long: it is renewed with the next one',
  stopped: 'stopped',
};

function describe({ state }: TokenStatus): string {
  return DESCRIPTIONS[state];
}

function finite(ms: number | null): number | null {
  return ms === null || !Number.isFinite(ms) ? null : Math.round(ms);
}
