import type { Clock, Timer } from '../../lib/clock.ts';
import { type Alert, type AlertEvent, PROBLEMS } from './alert.ts';
import type { AlertSender, PreparedMessage } from './alert-sender.ts';
import type { SharedAlerts } from './shared-alerts.ts';

/** One item of `notify`. */
interface ChannelSettings {
  readonly name: string;
  readonly type: string;
  readonly events: ReadonlySet<AlertEvent>;
  /** Between two messages about the same change of the same part. */
  readonly everyMs: number;
}

/** What became of one alert: `dropped`: too many were waiting. */
export type AlertOutcome = 'sent' | 'failed' | 'dropped';

/** How replicas agree on the one that sends a message. */
interface ChannelSharing {
  readonly alerts: SharedAlerts;
  /** Of this channel: the same in each replica, different for each service. */
  readonly key: string;
}

interface ChannelParts {
  readonly sender: AlertSender;
  readonly clock: Clock;
  /** Null: this process sends all messages itself. */
  readonly sharing: ChannelSharing | null;
  /** `words`: what came back last. */
  readonly onOutcome: (channel: AlertChannel, alert: Alert, outcome: AlertOutcome, words: string) => void;
}

/** What happens within this time is one message. */
const GROUP_MS = 1_000;
const MAX_GROUP = 20;
/** Alerts that wait while the service does not respond. */
const MAX_WAITING = 100;
/** Pauses before the second and the third try. */
const RETRY_PAUSES_MS = [1_000, 5_000];
const MAX_RETRY_AFTER_MS = 60_000;
/** A change whose message failed is sent again after this at the earliest. */
const MIN_RESEND_MS = 60_000;
/** At shutdown. */
const MAX_CLOSE_MS = 2_000;

/** What the service was told about one part, and what it has to be told. */
interface PartState {
  readonly key: string;
  latest: Alert;
  isOpen: boolean;
  /** What the last message said; also set when that change causes no message. */
  isToldOpen: boolean;
  openToldMonoMs: number;
  endToldMonoMs: number;
  /** Changes since the last message. */
  changes: number;
  /** The last evidence of the problem. */
  failedMonoMs: number;
  /** Runs while a change waits for its time. */
  hold: Timer | null;
  /** Other replicas may count on a report of this one. */
  isShared: boolean;
  /** When it was certain that the service knows of the problem. */
  confirmedMonoMs: number;
  /** A report to the other replicas is on its way. */
  isReporting: boolean;
}

/**
 * Decides when the changes of state become messages to one service, and sends them one after the other. Nothing waits for
 * it: a service that hangs costs its own messages.
 */
export class AlertChannel {
  readonly settings: ChannelSettings;
  readonly #parts: ChannelParts;
  readonly #states = new Map<string, PartState>();
  #waiting: Alert[] = [];
  #groupTimer: Timer | null = null;
  /** The loop that empties `#waiting`; null while there is nothing to send. */
  #sending: Promise<void> | null = null;
  /** Reports to the other replicas that are on their way. */
  readonly #reports = new Set<Promise<void>>();
  #isClosed = false;
  /** Ends the pause before a retry at shutdown. */
  #endPause: (() => void) | null = null;

  constructor(settings: ChannelSettings, parts: ChannelParts) {
    this.settings = settings;
    this.#parts = parts;
  }

  /** A problem began or ended. */
  changed(alert: Alert): void {
    const key = keyOf(alert);
    let state = this.#states.get(key);
    if (state === undefined) {
      state = {
        key,
        latest: alert,
        isOpen: false,
        isToldOpen: false,
        openToldMonoMs: Number.NEGATIVE_INFINITY,
        endToldMonoMs: Number.NEGATIVE_INFINITY,
        changes: 0,
        failedMonoMs: 0,
        hold: null,
        isShared: false,
        confirmedMonoMs: 0,
        isReporting: false,
      };
      this.#states.set(key, state);
    }
    state.latest = alert;
    state.isOpen = !alert.isResolved;
    if (state.isOpen) state.failedMonoMs = this.#parts.clock.monoMs();
    state.changes += 1;
    this.#settle(state);
  }

  /** A problem still exists: tells the replicas that share it, of which another one may have sent its end. */
  stillOpen(problem: Pick<Alert, 'kind' | 'subject'>, failedAgoMs: number): void {
    const { sharing, clock } = this.#parts;
    const state = this.#states.get(keyOf(problem));
    if (sharing === null || state === undefined || this.#isClosed || !this.#isWanted(state.latest)) return;
    state.failedMonoMs = clock.monoMs() - failedAgoMs;
    if (!state.isReporting && state.hold === null) this.#report(state, sharing);
  }

  /** Sends what waits, for at most two seconds. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { hold } of this.#states.values()) hold?.cancel();
    this.#groupTimer?.cancel();
    this.#endPause?.();
    const { promise: expired, resolve } = Promise.withResolvers<void>();
    const timer = this.#parts.clock.schedule(resolve, MAX_CLOSE_MS);
    await Promise.race([Promise.all(this.#reports).then(() => this.#drained()), expired]);
    timer.cancel();
    await this.#parts.sender.close();
  }

  /** Brings what the service was told in line with the state, now or when `every` permits. */
  #settle(state: PartState): void {
    if (this.#isClosed) return;
    const { sharing } = this.#parts;
    if (sharing === null) this.#settleAlone(state);
    else if (!state.isReporting) this.#settleShared(state, sharing);
  }

  #settleAlone(state: PartState): void {
    if (state.isOpen === state.isToldOpen) {
      state.hold?.cancel();
      state.hold = null;
      return;
    }
    if (!this.#isWanted(state.latest)) {
      this.#noteTold(state, state.isOpen);
      return;
    }
    const nowMs = this.#parts.clock.monoMs();
    const toldMs = state.isOpen ? state.openToldMonoMs : state.endToldMonoMs;
    const dueMs = toldMs + this.settings.everyMs;
    if (dueMs > nowMs) this.#holdFor(state, dueMs - nowMs);
    else this.#tell(state, state.latest);
  }

  #settleShared(state: PartState, sharing: ChannelSharing): void {
    state.hold?.cancel();
    state.hold = null;
    if (state.isOpen ? this.#isWanted(state.latest) : state.isShared || state.isToldOpen)
      this.#report(state, sharing);
    else this.#settleAlone(state);
  }

  #report(state: PartState, sharing: ChannelSharing): void {
    const report = this.#askReplicas(state, sharing).finally(() => this.#reports.delete(report));
    this.#reports.add(report);
  }

  /** Asks whether this replica is the one that sends the message. Never rejects. */
  async #askReplicas(state: PartState, { alerts, key }: ChannelSharing): Promise<void> {
    const { isOpen, latest: alert } = state;
    const isWanted = this.#isWanted(alert);
    const nowMs = this.#parts.clock.monoMs();
    state.isReporting = true;
    const decision = await alerts
      .report(`${key}\n${state.key}`, {
        isOpen,
        failedAgoMs: nowMs - state.failedMonoMs,
        toldAgoMs: state.isToldOpen ? nowMs - state.confirmedMonoMs : null,
        everyMs: isWanted ? this.settings.everyMs : 0,
      })
      .catch(() => null);
    state.isReporting = false;
    if (decision !== null) state.isShared = isOpen || decision.kind === 'wait';
    if (decision?.kind === 'send' && isWanted) this.#tell(state, alert);
    else if (decision !== null && decision.kind !== 'wait')
      this.#noteTold(state, isOpen && decision.kind !== 'ended');
    // It changed meanwhile.
    if (state.isOpen !== isOpen) this.#settle(state);
    else if (decision?.kind === 'wait') this.#holdFor(state, decision.ms);
    // A message that is sent twice is better than one that is never sent.
    else if (decision === null && !this.#isClosed) this.#settleAlone(state);
  }

  #tell(state: PartState, alert: Alert): void {
    const unsentChanges = Math.max(0, state.changes - 1);
    this.#noteTold(state, !alert.isResolved);
    this.#enqueue({ ...alert, unsentChanges });
  }

  #noteTold(state: PartState, isOpen: boolean): void {
    const nowMs = this.#parts.clock.monoMs();
    state.confirmedMonoMs = nowMs;
    state.changes = 0;
    if (isOpen && !state.isToldOpen) state.openToldMonoMs = nowMs;
    if (!isOpen && state.isToldOpen) state.endToldMonoMs = nowMs;
    state.isToldOpen = isOpen;
  }

  #holdFor(state: PartState, delayMs: number): void {
    state.hold?.cancel();
    state.hold = null;
    if (this.#isClosed) return;
    state.hold = this.#parts.clock.schedule(() => {
      state.hold = null;
      this.#settle(state);
    }, delayMs);
  }

  #isWanted({ kind, isResolved }: Alert): boolean {
    if (kind === 'test') return true;
    const { events, type } = this.settings;
    if (!isResolved) return events.has(kind);
    const { recovery, isListed } = PROBLEMS[kind];
    // An incident of PagerDuty stays open until it is resolved.
    if (!isListed || type === 'pagerduty') return events.has(kind);
    return (events as ReadonlySet<string>).has(recovery);
  }

  #enqueue(alert: Alert): void {
    this.#waiting.push(alert);
    if (this.#waiting.length > MAX_WAITING) {
      const oldest = this.#waiting.shift();
      if (oldest !== undefined) this.#parts.onOutcome(this, oldest, 'dropped', 'too many alerts wait');
    }
    // `close` sends what waits.
    if (this.#isClosed) return;
    this.#groupTimer ??= this.#parts.clock.schedule(() => {
      this.#groupTimer = null;
      void this.#drained();
    }, GROUP_MS);
  }

  /** Sends everything that waits. Never rejects. */
  #drained(): Promise<void> {
    this.#sending ??= this.#sendWaiting();
    return this.#sending;
  }

  async #sendWaiting(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, MAX_GROUP);
      try {
        for (const message of this.#parts.sender.prepare(group)) await this.#deliver(message);
      } catch (error) {
        // A template that cannot be rendered.
        for (const alert of group) this.#finish(alert, false, (error as Error).message);
      }
    }
    this.#sending = null;
  }

  async #deliver(message: PreparedMessage): Promise<void> {
    for (let tries = 0; ; tries++) {
      const { verdict, words } = await message.send();
      const pauseMs = RETRY_PAUSES_MS[tries];
      if (verdict.isAccepted || !verdict.isRetryable || pauseMs === undefined || this.#isClosed) {
        for (const alert of message.alerts) this.#finish(alert, verdict.isAccepted, words);
        return;
      }
      await this.#pause(Math.min(Math.max(pauseMs, verdict.retryAfterMs ?? 0), MAX_RETRY_AFTER_MS));
    }
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = this.#parts.clock.schedule(resolve, ms);
      this.#endPause = () => {
        timer.cancel();
        resolve();
      };
    });
    this.#endPause = null;
  }

  /** A message that failed was not told: the state is told later, if it still differs then. */
  #finish(alert: Alert, isSent: boolean, words: string): void {
    this.#parts.onOutcome(this, alert, isSent ? 'sent' : 'failed', words);
    if (isSent) return;
    const { sharing } = this.#parts;
    sharing?.alerts.withdraw(`${sharing.key}\n${keyOf(alert)}`).catch(() => {});
    if (this.#isClosed) return;
    const state = this.#states.get(keyOf(alert));
    if (state === undefined || state.isToldOpen === alert.isResolved) return;
    state.isToldOpen = alert.isResolved;
    if (state.isOpen !== state.isToldOpen)
      this.#holdFor(state, Math.max(this.settings.everyMs, MIN_RESEND_MS));
  }
}

function keyOf({ kind, subject }: Pick<Alert, 'kind' | 'subject'>): string {
  return `${kind}\n${subject}`;
}
