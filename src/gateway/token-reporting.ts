import type { Degradation, DegradationCode } from '../admin/api-types.ts';
import type { Clock } from '../lib/clock.ts';
import { counted, times } from '../lib/text/format.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { TokenGauge } from '../observability/token-metrics.ts';
import {
  describeSharing,
  describeTokenEvent,
  NEW_TOKENS_REJECTED_HINT,
  type TokenEvent,
  type TokenEventKind,
} from '../tokens/manager/token-event.ts';
import type { TokenManager } from '../tokens/manager/token-manager.ts';
import { isShared } from '../tokens/manager/token-manager-settings.ts';

/** How loudly each event is logged; null: it is only counted, since it happens once a request. */
const LEVELS = {
  acquired: 'info',
  renewal_failed: 'warn',
  rejected: 'warn',
  starving: 'error',
  recovered: 'info',
  clock_jump: 'warn',
  same_token: 'debug',
  note: 'warn',
  shared_credential_suspected: 'warn',
  breaker_open: 'error',
  waited: null,
  dormant: 'info',
} as const satisfies Record<TokenEventKind, 'debug' | 'info' | 'warn' | 'error' | null>;

/** The same source is named as failing once in so long: a dead issuer is retried every few seconds. */
const FAILURE_LOG_EVERY_MS = 60_000;

/** Logs what token managers report and counts it in the metrics. */
export class TokenReporting {
  readonly #logger: Logger;
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  /** By source: its last failure that was logged. */
  readonly #failures = new Map<string, { readonly monoMs: number; readonly severity: string }>();

  constructor(logger: Logger, metrics: Metrics, clock: Clock) {
    this.#logger = logger;
    this.#metrics = metrics;
    this.#clock = clock;
  }

  report(event: TokenEvent): void {
    count(event, this.#metrics);
    const level = this.#levelOf(event);
    if (level === null) return;
    this.#logger[level](describeTokenEvent(event), { token: event.source, event: event.kind });
  }

  /** At `debug`: a static token that is read again, all but the first rejection of a token, repeated failures. */
  #levelOf(event: TokenEvent): (typeof LEVELS)[TokenEventKind] {
    if (event.kind === 'acquired') {
      this.#failures.delete(event.source);
      if (event.isSame) return 'debug';
    }
    if (event.kind === 'renewal_failed' && this.#isRecentFailure(event.source, event.severity))
      return 'debug';
    if (event.kind === 'rejected') {
      const isRepeated = event.isRepeated || event.outcome === 'joined' || event.outcome === 'superseded';
      if (isRepeated) return 'debug';
    }
    return LEVELS[event.kind];
  }

  /** Whether a failure of the same severity was logged a moment ago; else this one will be. */
  #isRecentFailure(source: string, severity: string): boolean {
    const monoMs = this.#clock.monoMs();
    const logged = this.#failures.get(source);
    if (logged?.severity === severity && monoMs - logged.monoMs < FAILURE_LOG_EVERY_MS) return true;
    this.#failures.set(source, { monoMs, severity });
    return false;
  }
}

function count(event: TokenEvent, { tokens }: Metrics): void {
  const { source } = event;
  switch (event.kind) {
    case 'acquired':
      tokens.acquired(source, event.reason, 'ok', event.durationMs / 1000);
      if (event.issuerSkewMs !== null) tokens.issuerSkew(source, event.issuerSkewMs / 1000);
      return;
    case 'renewal_failed':
      tokens.acquired(source, event.reason, event.severity, event.durationMs / 1000);
      return;
    case 'rejected':
      tokens.rejected(source, event.status);
      tokens.replayed(source, event.outcome);
      if (event.isEarly) tokens.rejectedEarly(source);
      return;
    case 'waited':
      tokens.waited(source, event.waitMs / 1000);
      return;
    case 'same_token':
      tokens.sameReturned(source);
      return;
    case 'clock_jump':
      tokens.clockJumped();
      return;
    default:
      return;
  }
}

/** The states of all token managers for the metrics. */
export function tokenGauges(tokenManagers: Iterable<TokenManager>): TokenGauge[] {
  return Array.from(tokenManagers, (manager) => {
    const { name, remainingMs, state, waiters, consecutiveFailures, counters } = manager.status();
    return {
      source: name,
      remainingSeconds: remainingMs === null ? null : remainingMs / 1000,
      state,
      waiters,
      consecutiveFailures,
      served: {
        fresh: counters.servedFresh,
        renewing: counters.servedRenewing,
        degraded: counters.servedDegraded,
      },
    };
  });
}

/** What is wrong with a token source: the sentence, and the same as a code with its facts. */
interface TokenTrouble extends Pick<Degradation, 'message' | 'facts'> {
  readonly code: Extract<DegradationCode, `token_${string}`>;
}

/** What is wrong with a source, in words for `/readyz`; null when it has a usable token and upstreams accept it. */
export function tokenTrouble(manager: TokenManager): TokenTrouble | null {
  const { name, state, isUsable, remainingMs, consecutiveFailures: failures, lastError } = manager.status();
  const because = lastError === null ? '' : `: ${lastError}`;
  const facts = { failures, ...(lastError === null ? {} : { error: lastError }) };
  if (!isUsable) {
    if (state === 'dormant') return null;
    if (state === 'rejected' && failures === 0) {
      const message = `token ${name}: an upstream rejected it, its renewal is running`;
      return { code: 'token_rejected', facts: {}, message };
    }
    return failures === 0
      ? { code: 'token_not_obtained', facts: {}, message: `token ${name}: not obtained yet` }
      : {
          code: 'token_missing',
          facts,
          message: `token ${name}: missing, ${counted(failures, 'failure')}${because}`,
        };
  }
  if (failures === 0) return rejectionTrouble(manager);
  const leftSeconds = Math.max(0, Math.floor((remainingMs ?? 0) / 1000));
  return {
    code: 'token_renewal_fails',
    facts: { ...facts, remaining_ms: leftSeconds * 1000 },
    message: `token ${name}: issuer has failed ${times(failures)}, token still valid for ${leftSeconds} s${because}`,
  };
}

/** Why upstreams reject a token that its issuer calls valid; null: they do not. */
function rejectionTrouble(manager: TokenManager): TokenTrouble | null {
  const { name, isBreakerOpen, suspiciousRejections } = manager.status();
  if (suspiciousRejections > 0) {
    const message = `token ${name}: ${describeSharing(suspiciousRejections, isShared(manager.settings))}`;
    return { code: 'token_rejected_early', facts: { rejections: suspiciousRejections }, message };
  }
  const message = `token ${name}: upstreams reject new tokens too. ${NEW_TOKENS_REJECTED_HINT}`;
  return isBreakerOpen ? { code: 'token_new_rejected', facts: {}, message } : null;
}
