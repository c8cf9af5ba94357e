import type { Clock } from '../../lib/clock.ts';
import { describeTokenEvent, type TokenEvent } from '../../tokens/manager/token-event.ts';
import type { AdminToken, AdminTokenEvent, AdminTokenHistory, MessageFacts } from '../api-types.ts';

const DAY_MS = 86_400_000;
/** A token of a minute is renewed about 3,000 times a day; of shorter ones the history is shorter than a day. */
const MAX_EVENTS = 3_000;
/** Of sources that a reload removed. */
const MAX_SOURCES = 1_000;

interface SourceHistory {
  readonly events: AdminTokenEvent[];
  /** From when on nothing is missing. */
  sinceMs: number;
}

/** What happened to each token source within a day, bounded. */
export class TokenHistory {
  readonly #clock: Clock;
  readonly #startedAtMs: number;
  readonly #bySource = new Map<string, SourceHistory>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedAtMs = clock.wallMs();
  }

  /** Null: an event that happens too often to be kept. */
  add(event: TokenEvent): AdminTokenEvent | null {
    const entry = entryOf(event, this.#clock.wallMs());
    if (entry === null) return null;
    let history = this.#bySource.get(event.source);
    if (history === undefined) {
      if (this.#bySource.size >= MAX_SOURCES) return entry;
      history = { events: [], sinceMs: this.#startedAtMs };
      this.#bySource.set(event.source, history);
    }
    history.events.push(entry);
    if (history.events.length > MAX_EVENTS) this.#shorten(history, MAX_EVENTS - 500);
    return entry;
  }

  of(source: string): AdminTokenHistory {
    const nowMs = this.#clock.wallMs();
    const history = this.#bySource.get(source);
    const sinceMs = Math.max(history?.sinceMs ?? this.#startedAtMs, nowMs - DAY_MS);
    const events = history?.events.filter(({ at_ms }) => at_ms >= sinceMs) ?? [];
    return { token: source, now_ms: nowMs, since_ms: sinceMs, events };
  }

  /** The newest ones, newest first. */
  last(source: string, count: number): AdminTokenEvent[] {
    return this.#bySource.get(source)?.events.slice(-count).toReversed() ?? [];
  }

  /** When the newest token was obtained; null: unknown. */
  obtainedAtMs(source: string): number | null {
    return this.#bySource.get(source)?.events.findLast(({ kind }) => kind === 'acquired')?.at_ms ?? null;
  }

  latency(source: string): AdminToken['issuer_latency'] {
    const durations = (this.#bySource.get(source)?.events ?? []).flatMap(({ kind, duration_ms }) =>
      kind === 'acquired' && duration_ms !== null ? [duration_ms] : [],
    );
    if (durations.length === 0) return null;
    const sum = durations.reduce((left, right) => left + right, 0);
    return {
      last_ms: Math.round(durations.at(-1) ?? 0),
      mean_ms: Math.round(sum / durations.length),
      max_ms: Math.round(Math.max(...durations)),
    };
  }

  #shorten(history: SourceHistory, kept: number): void {
    history.events.splice(0, history.events.length - kept);
    history.sinceMs = history.events[0]?.at_ms ?? this.#clock.wallMs();
  }
}

function entryOf(event: TokenEvent, at_ms: number): AdminTokenEvent | null {
  const common = {
    at_ms,
    token: event.source,
    facts: factsOf(event),
    message: describeTokenEvent(event).slice(event.source.length + 2),
  };
  const plain = { ...common, reason: null, duration_ms: null, life_ms: null };
  switch (event.kind) {
    case 'acquired':
      return {
        ...common,
        kind: 'acquired',
        reason: event.reason,
        duration_ms: Math.round(event.durationMs),
        life_ms: finite(event.lifeMs),
      };
    case 'renewal_failed':
      return {
        ...common,
        kind: 'failed',
        reason: event.reason,
        duration_ms: Math.round(event.durationMs),
        life_ms: null,
      };
    case 'rejected':
      // While renewals are denied every request would add one.
      return event.isRepeated ? null : { ...plain, kind: 'rejected' };
    case 'starving':
    case 'recovered':
    case 'breaker_open':
    case 'dormant':
      return { ...plain, kind: event.kind };
    case 'clock_jump':
    case 'note':
    case 'shared_credential_suspected':
      return { ...plain, kind: 'note' };
    case 'same_token':
    case 'waited':
      return null;
  }
}

/** What the sentence of an event says beside its reason and times. */
function factsOf(event: TokenEvent): MessageFacts {
  switch (event.kind) {
    case 'renewal_failed': {
      const { failures, message, remainingMs, nextAttemptInMs } = event;
      return {
        failures,
        error: message,
        ...known({ remaining_ms: remainingMs, next_in_ms: nextAttemptInMs }),
      };
    }
    case 'rejected':
      return {
        outcome: event.outcome,
        is_early: event.isEarly ? 1 : 0,
        ...known({ status: event.status, remaining_ms: event.remainingMs }),
      };
    case 'starving':
      return { failures: event.failures, error: event.message };
    case 'recovered':
      return { failures: event.failures, failed_for_ms: Math.round(event.failedForMs) };
    case 'breaker_open':
      return { pause_ms: Math.round(event.pauseMs) };
    case 'dormant':
      return { idle_ms: Math.round(event.idleMs) };
    default:
      return {};
  }
}

function known(facts: Readonly<Record<string, number | null>>): MessageFacts {
  return Object.fromEntries(
    Object.entries(facts).flatMap(([name, value]) =>
      value === null || !Number.isFinite(value) ? [] : [[name, Math.round(value)]],
    ),
  );
}

function finite(ms: number): number | null {
  return Number.isFinite(ms) ? Math.round(ms) : null;
}
