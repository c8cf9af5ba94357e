import type { ParsedUrlQuery } from 'node:querystring';
import { FerryError, type Outcome } from '../lib/errors/ferry-error.ts';
import type { PageRequest, RequestFilter } from '../request-log/request-store.ts';

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
  const text = (name: string): string | undefined => {
    const value = query[name];
    const one = Array.isArray(value) ? value[0] : value;
    return one === undefined || one === '' ? undefined : one;
  };
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
