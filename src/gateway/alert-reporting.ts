import type { Config } from '../config/config.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import type { AttemptRecord, RequestRecord } from '../lib/request-record.ts';
import { settingsKey } from '../lib/settings-key.ts';
import { counted, times } from '../lib/text/format.ts';
import { shorten } from '../lib/text/sanitize.ts';
import { Alerts } from '../observability/alerts/alerts.ts';
import { PostgresSharedAlerts } from '../observability/alerts/postgres-shared-alerts.ts';
import type { SharedAlerts } from '../observability/alerts/shared-alerts.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { RequestLogEvent } from '../request-log/record-writer.ts';
import type { RoutedUpstream } from '../routing/upstream-state/routed-upstream.ts';
import type { TokenEvent } from '../tokens/manager/token-event.ts';
import type { TokenManager } from '../tokens/manager/token-manager.ts';
import {
  type AlertSharing,
  type BuiltChannel,
  buildChannels,
  type OnAlertOutcome,
} from './alert-channels.ts';
import { expiringCertificates } from './certificate-expiry.ts';
import type { ReloadResult } from './reload.ts';
import type { Runtime } from './runtime.ts';
import { tokenTrouble } from './token-reporting.ts';

interface AlertReportingParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Absolute; named in the commands of messages. */
  readonly configFile: string;
  /** The runtime in use. */
  readonly runtime: () => Runtime;
  readonly scrub: (text: string) => string;
  /** Attaches a sink of records until the returned function is called. */
  readonly followRecords: (sink: { acceptRecords(records: readonly RequestRecord[]): void }) => () => void;
}

/** A token source that fails this often in a row is worth an alert, although its token may still be valid. */
const TOKEN_FAILURES = 3;
/** How often a problem is looked at that may have ended without an event, as by a reload, and other replicas hear of it. */
const RECHECK_MS = 15_000;
const CERTIFICATES_EVERY_MS = 6 * 3_600_000;
const MAX_REASON_CHARS = 300;
/** Stands for all models that the configuration does not name. */
const OTHER_MODELS = 'other models';

/** Turns the changes of state of all parts into the problems of which `notify` tells. */
export class AlertReporting {
  readonly #parts: AlertReportingParts;
  readonly #alerts: Alerts;
  #built: readonly BuiltChannel[] = [];
  #prepared: readonly BuiltChannel[] = [];
  /** How replicas share the state of alerts; null: this process alone sends its messages. */
  #sharing: AlertSharing | null = null;
  #preparedSharing: AlertSharing | null = null;
  /** Ends the look at records; null while no channel wants `all_failed`. */
  #endRecords: (() => void) | null = null;
  /** Runs while there is a problem. */
  #recheckTimer: Timer | null = null;
  #certificateTimer: Timer | null = null;
  /** Subjects of `all_failed` that exist now; plain for the look at each record. */
  #failedModels = 0;

  constructor(config: Config, parts: AlertReportingParts) {
    this.#parts = parts;
    this.#alerts = new Alerts(config.hostname, parts.clock);
    this.prepare(config);
    this.apply(config);
  }

  /** Builds the channels of a configuration; throws when one cannot work. Nothing changes until `apply`. */
  prepare(config: Config): void {
    const { clock } = this.#parts;
    this.#preparedSharing = this.#sharingOf(config);
    this.#prepared = buildChannels(config.notify, this.#built, {
      clock,
      sharing: this.#preparedSharing,
      onOutcome: this.#onOutcome,
    });
  }

  /** Logs that the shared database is not available, and that it is again. */
  #logged(alerts: SharedAlerts): SharedAlerts {
    const { logger } = this.#parts;
    let isAvailable = true;
    const report: SharedAlerts['report'] = async (problem, view) => {
      try {
        const decision = await alerts.report(problem, view);
        if (!isAvailable) logger.info('alerts: the shared database is available again');
        isAvailable = true;
        return decision;
      } catch (error) {
        if (isAvailable)
          logger.warn(
            `alerts: the shared database is not available: ${this.#reason((error as Error).message)}. Each replica sends its own messages.`,
          );
        isAvailable = false;
        throw error;
      }
    };
    return { report, withdraw: (problem) => alerts.withdraw(problem), close: () => alerts.close() };
  }

  /** That of `shared`; the running one when it is the same. */
  #sharingOf({ shared, shared_key: sharedKey, notify }: Config): AlertSharing | null {
    if (shared === null || sharedKey === null || notify.length === 0) return null;
    const key = settingsKey({ shared, sharedKey });
    if (this.#sharing?.key === key) return this.#sharing;
    return { key, alerts: this.#logged(new PostgresSharedAlerts(shared, sharedKey)) };
  }

  /** Puts the prepared channels into use. */
  apply(config: Config): void {
    const previous = this.#built;
    const previousSharing = this.#sharing;
    this.#built = this.#prepared;
    this.#sharing = this.#preparedSharing;
    this.#alerts.setChannels(this.#built.map(({ channel }) => channel));
    const ended = previous.filter((one) => !this.#built.includes(one));
    const closed = Promise.all(ended.map(({ channel }) => channel.close()));
    if (previousSharing !== this.#sharing) void closed.then(() => previousSharing?.alerts.close());
    this.#followRecords(config.notify.some(({ events }) => events.includes('all_failed')));
    if (config.notify.length > 0) this.#checkCertificates();
    this.#recheckSoon(0);
  }

  circuit(name: string, isDown: boolean): void {
    const upstream = this.#upstream(name);
    if (!isDown) {
      this.#alerts.clear('upstream_down', name, {
        title: `upstream ${name} is back`,
        serving: this.#serving(),
      });
      return;
    }
    const reason = upstream?.lastError?.message ?? 'it fails';
    const failures = upstream?.circuit.failuresInRow ?? 1;
    this.#raise('upstream_down', name, {
      title: `upstream ${name} is down: ${this.#reason(reason)}`,
      tried: `${counted(failures, 'failure')} in a row; it is tried again by itself`,
      serving: this.#serving(),
      command: this.#command('check'),
    });
  }

  token(event: TokenEvent): void {
    if (event.kind === 'waited') return;
    const isTrouble =
      event.kind === 'starving' ||
      event.kind === 'breaker_open' ||
      event.kind === 'shared_credential_suspected' ||
      (event.kind === 'renewal_failed' &&
        (event.severity === 'credentials' || event.failures >= TOKEN_FAILURES));
    if (!isTrouble) {
      // The event precedes the change of the state.
      if (this.#alerts.isOpen('token_failing', event.source)) this.#recheckSoon(0);
      return;
    }
    const manager = this.#parts.runtime().tokenManagers.get(event.source);
    const {
      lastErrorDetail = null,
      consecutiveFailures = 0,
      isUsable = false,
      remainingMs = null,
    } = manager?.status() ?? {};
    const message =
      'message' in event ? event.message : (lastErrorDetail ?? troubleOf(manager, event.source));
    const leftSeconds = Math.max(0, Math.floor((remainingMs ?? 0) / 1_000));
    this.#raise('token_failing', event.source, {
      title: `token source ${event.source} is failing: ${this.#reason(message)}`,
      tried: `its issuer has failed ${times(Math.max(consecutiveFailures, 'failures' in event ? event.failures : 0))}`,
      serving: isUsable
        ? `the token in use, valid for ${leftSeconds} s`
        : `no token: upstreams with it serve nothing; ${this.#serving()}`,
      command: this.#command(`token ${event.source}`),
    });
  }

  requestLog(event: RequestLogEvent): void {
    if (event.kind === 'available') {
      for (const subject of this.#alerts.subjectsOf('store_unavailable'))
        this.#alerts.clear('store_unavailable', subject, {
          title: `the request log is written again: ${counted(event.droppedRows, 'record')} lost`,
        });
      return;
    }
    // Rows that the database refuses for themselves are logged: nothing ends that.
    if (event.kind === 'refused') return;
    const isLosing = event.kind === 'dropping';
    this.#raise('store_unavailable', isLosing ? 'loss' : '', {
      title: `the request log ${isLosing ? 'loses records' : 'is not available'}: ${this.#reason(event.message)}`,
      tried: 'writing is retried by itself',
      serving: 'all requests; only their records wait in memory or are lost',
      command: this.#command('check'),
    });
  }

  reload(result: ReloadResult): void {
    if (result.kind === 'ok') {
      this.#alerts.clear('reload_failed', '', { title: 'the configuration is loaded again' });
      return;
    }
    this.#raise('reload_failed', '', {
      title: `the changed configuration is not in use: ${this.#reason(result.message)}`,
      serving: 'everything, with the previous configuration',
      command: this.#command('check'),
    });
  }

  async close(): Promise<void> {
    this.#endRecords?.();
    this.#recheckTimer?.cancel();
    this.#certificateTimer?.cancel();
    await Promise.all(this.#built.map(({ channel }) => channel.close()));
    await this.#sharing?.alerts.close();
  }

  /** Of each request only its outcome is looked at. */
  #acceptRecords(records: readonly RequestRecord[]): void {
    for (const record of records) {
      if (record.outcome === 'upstream_error') this.#requestFailed(record);
      else if (this.#failedModels > 0 && record.outcome === 'ok') this.#requestServed(record);
    }
  }

  #requestFailed(record: RequestRecord): void {
    if (record.errorCode === 'internal_error') return;
    const subject = subjectOf(record);
    if (this.#alerts.countAgain('all_failed', subject)) return;
    this.#raise('all_failed', subject, {
      title: `no upstream could serve ${subject}: ${this.#reason(record.errorMessage ?? 'all attempts failed')}`,
      tried: record.attempts.length === 0 ? 'no upstream was called' : describeAttempts(record.attempts),
      serving: this.#serving(),
      command: this.#command(`log --errors --id ${record.id}`),
    });
    this.#failedModels = this.#alerts.subjectsOf('all_failed').length;
  }

  #requestServed(record: RequestRecord): void {
    const subject = subjectOf(record);
    this.#alerts.clear('all_failed', subject, {
      title: `${subject} is served again by upstream ${record.upstream ?? 'none'}`,
    });
    this.#failedModels = this.#alerts.subjectsOf('all_failed').length;
  }

  #followRecords(isWanted: boolean): void {
    if (isWanted === (this.#endRecords !== null)) return;
    this.#endRecords?.();
    this.#endRecords = isWanted
      ? this.#parts.followRecords({ acceptRecords: (records) => this.#acceptRecords(records) })
      : null;
  }

  #raise(
    kind: Parameters<Alerts['raise']>[0]['kind'],
    subject: string,
    facts: Omit<Parameters<Alerts['raise']>[0], 'kind' | 'subject'>,
  ): void {
    const { scrub } = this.#parts;
    const { title, tried, serving, command } = facts;
    this.#alerts.raise({
      kind,
      subject,
      title: scrub(title),
      tried: tried === undefined ? undefined : scrub(tried),
      serving,
      command,
    });
    this.#recheckSoon(RECHECK_MS);
  }

  #recheckSoon(delayMs: number): void {
    if (delayMs === 0) this.#recheckTimer?.cancel();
    else if (this.#recheckTimer !== null) return;
    this.#recheckTimer = this.#parts.clock.schedule(() => {
      this.#recheckTimer = null;
      this.#recheck();
    }, delayMs);
  }

  /** Ends the problems of parts that work again, or that a reload removed. */
  #recheck(): void {
    const { tokenManagers } = this.#parts.runtime();
    const down = this.#alerts.subjectsOf('upstream_down');
    for (const name of down) {
      const upstream = this.#upstream(name);
      if (upstream === undefined)
        this.#alerts.clear('upstream_down', name, { title: `upstream ${name} is no longer configured` });
      else if (upstream.circuit.state === 'closed') this.circuit(name, false);
    }
    const failing = this.#alerts.subjectsOf('token_failing');
    for (const name of failing) {
      const manager = tokenManagers.get(name);
      if (manager === undefined)
        this.#alerts.clear('token_failing', name, { title: `token source ${name} is no longer configured` });
      else if (tokenTrouble(manager) === null)
        this.#alerts.clear('token_failing', name, {
          title: `token source ${name} works again`,
          serving: this.#serving(),
        });
    }
    if (this.#alerts.refresh()) this.#recheckSoon(RECHECK_MS);
  }

  #checkCertificates(): void {
    const { clock, runtime } = this.#parts;
    const nowMs = clock.wallMs();
    const found = new Map(expiringCertificates(runtime().config, nowMs).map((one) => [one.key, one]));
    for (const { key, validUntilMs } of found.values()) {
      const date = new Date(validUntilMs).toISOString().slice(0, 10);
      this.#raise('certificate_expiring', key, {
        title: `the TLS certificate of ${key} ${validUntilMs < nowMs ? 'expired' : 'expires'} on ${date}`,
        serving: validUntilMs < nowMs ? 'connections with it fail' : 'everything, until then',
        command: this.#command('check'),
      });
    }
    for (const key of this.#alerts.subjectsOf('certificate_expiring'))
      if (!found.has(key))
        this.#alerts.clear('certificate_expiring', key, {
          title: `the TLS certificate of ${key} is renewed`,
        });
    this.#certificateTimer?.cancel();
    this.#certificateTimer = clock.schedule(() => this.#checkCertificates(), CERTIFICATES_EVERY_MS);
  }

  readonly #onOutcome: OnAlertOutcome = ({ settings: { name, type } }, alert, outcome, words) => {
    const { logger, metrics } = this.#parts;
    metrics.alerted(type, alert.event, outcome);
    if (outcome === 'sent') {
      logger.info(`alert sent to ${name}: ${alert.title}`, { channel: name, event: alert.event });
      return;
    }
    logger.warn(
      `alert not sent to ${name}: ${shorten(words, MAX_REASON_CHARS)}. Test it: tokenferry alert test ${name}`,
      { channel: name, event: alert.event },
    );
  };

  #upstream(name: string): RoutedUpstream | undefined {
    return this.#parts.runtime().upstreams.find((one) => one.name === name);
  }

  /** The upstreams that requests go to now. */
  #serving(): string {
    const { upstreams, skipped } = this.#parts.runtime();
    const healthy = upstreams.filter(({ circuit, isPaused }) => circuit.state === 'closed' && !isPaused);
    const total = upstreams.length + skipped.length;
    if (healthy.length === 0) return `no upstream (0 of ${total})`;
    return `${healthy.map(({ name }) => name).join(', ')} (${healthy.length} of ${counted(total, 'upstream')})`;
  }

  #reason(text: string): string {
    return shorten(this.#parts.scrub(text).replace(/\s+/g, ' ').trim(), MAX_REASON_CHARS);
  }

  #command(words: string): string {
    return `tokenferry ${words} --config ${this.#parts.configFile}`;
  }
}

function subjectOf({ model, isKnownModel }: RequestRecord): string {
  return model !== null && isKnownModel ? model : OTHER_MODELS;
}

/** `chat: unreachable; spare: retryable_status 503`. */
function describeAttempts(attempts: readonly AttemptRecord[]): string {
  return attempts
    .map(({ upstream, outcome, status }) => `${upstream}: ${outcome}${status === null ? '' : ` (${status})`}`)
    .join('; ');
}

function troubleOf(manager: TokenManager | undefined, source: string): string {
  const trouble = manager === undefined ? null : tokenTrouble(manager);
  return trouble?.message.replace(`token ${source}: `, '') ?? 'upstreams reject its tokens';
}
