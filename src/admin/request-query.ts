import type { ParsedUrlQuery } from 'node:querystring';
import { FerryError, type Outcome } from '../lib/errors/ferry-error.ts';
import type { PageRequest, RequestFilter, StatsQuery } from '../request-log/request-store.ts';

const OUTCOMES: readonly Outcome[] = [
  'ok',
  'client_error',
  'upstream_error',
  'stream_broken',
  'client_gone',
  'rate_limited',
];
const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 200;

/** The filter and the page of a query of `GET /admin/requests`. Throws `invalid_request`. */
export function parseRequestQuery(query: ParsedUrlQuery): {
  readonly filter: RequestFilter;
  readonly page: PageRequest;
} {
  const text = textsOf(query);
  const outcome = text('outcome');
  if (outcome !== undefined && !OUTCOMES.includes(outcome as Outcome))
    throw invalid('outcome', `must be one of ${OUTCOMES.join(', ')}`);
  return {
    filter: {
      sinceMs: timeOf('since', text('since')),
      untilMs: timeOf('until', text('until')),
      onlyFailed: text('errors') === '1' || text('errors') === 'true',
      outcome: outcome as Outcome | undefined,
      status: numberOf('status', text('status'), 100, 599),
      id: text('id'),
      client: text('client'),
      model: text('model'),
      upstream: text('upstream'),
      path: text('path'),
      text: text('text'),
    },
    page: {
      limit: numberOf('limit', text('limit'), 1, MAX_LIMIT) ?? DEFAULT_LIMIT,
      after: cursorOf(text('cursor')),
    },
  };
}

/** Milliseconds since 1970 or ISO 8601. */
function timeOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = /^\d{1,15}$/.test(text) ? Number(text) : Date.parse(text);
  if (Number.isNaN(ms))
    throw invalid(name, 'must be milliseconds since 1970 or a time such as 2026-11-21T10:30Z');
  return ms;
}

function numberOf(name: string, text: string | undefined, min: number, max: number): number | undefined {
  if (text === undefined) return undefined;
  const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= min && number <= max)) throw invalid(name, `must be a number from ${min} to ${max}`);
  return number;
}

function cursorOf(text: string | undefined): PageRequest['after'] {
  if (text === undefined) return undefined;
  const [, time, id] = /^(\d{1,15})-(.*)$/s.exec(text) ?? [];
  if (time === undefined || id === undefined) throw invalid('cursor', 'must be the next_cursor of a page');
  return { createdAtMs: Number(time), id };
}

function invalid(name: string, what: string): FerryError {
  return new FerryError('invalid_request', { message: `Invalid parameter ${name}: ${what}.`, param: name });
}

/** The values of a query by name; one that is empty counts as absent. */
function textsOf(query: ParsedUrlQuery): (name: string) => string | undefined {
  return (name) => {
    const value = query[name];
    const one = Array.isArray(value) ? value[0] : value;
    return one === undefined || one === '' ? undefined : one;
  };
}

const GROUPS: readonly StatsQuery['by'][] = ['none', 'client', 'model', 'upstream'];
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
/** Minutes are kept for two days. */
const MINUTES_KEPT_MS = 2 * 24 * HOUR_MS;
const MAX_STEPS = 1_500;
const DEFAULT_STEPS = 60;

/** The query of `GET /admin/stats`: its times widened to whole steps. Throws `invalid_request`. */
export function parseStatsQuery(query: ParsedUrlQuery, nowMs: number): StatsQuery {
  const text = textsOf(query);
  const untilMs = timeOf('until', text('until')) ?? nowMs;
  const sinceMs = timeOf('since', text('since')) ?? untilMs - HOUR_MS;
  if (sinceMs >= untilMs) throw invalid('since', 'must be before until');
  const by = text('by') ?? 'none';
  if (!GROUPS.some((group) => group === by)) throw invalid('by', `must be one of ${GROUPS.join(', ')}`);
  const seconds = numberOf('step', text('step'), 60, 999_999_999);
  if (seconds !== undefined && seconds % 60 !== 0) throw invalid('step', 'must be a multiple of 60 seconds');
  // Older steps have whole hours only.
  const unitMs = sinceMs < nowMs - MINUTES_KEPT_MS + HOUR_MS ? HOUR_MS : MINUTE_MS;
  const wantedMs = seconds === undefined ? (untilMs - sinceMs) / DEFAULT_STEPS : seconds * 1_000;
  const stepMs = Math.max(unitMs, Math.ceil(wantedMs / unitMs) * unitMs);
  if ((untilMs - sinceMs) / stepMs > MAX_STEPS)
    throw invalid('step', `is too short: at most ${MAX_STEPS} steps are given`);
  const beginMs = sinceMs - (sinceMs % stepMs);
  return {
    sinceMs: beginMs,
    untilMs: beginMs + Math.ceil((untilMs - beginMs) / stepMs) * stepMs,
    stepMs,
    by: by as StatsQuery['by'],
    client: text('client'),
    model: text('model'),
    upstream: text('upstream'),
  };
}
