import { resolve } from 'node:path';
import type { Config } from '../config/config.ts';
import type { IsNeeded } from '../config/load/load-config.ts';
import { followPostgres, followSqlite, type RequestFollower } from '../request-log/request-follower.ts';
import { type RequestFilter, type StoredRequest, StoreError } from '../request-log/request-store.ts';
import {
  CONFIG_OPTION,
  CommandFailure,
  loadOrThrow,
  readArguments,
  sinceMs,
  UsageError,
  withUsage,
} from './arguments.ts';

const USAGE = `usage: tokenferry log [--config FILE] [options]

  --follow           go on with new requests until interrupted, or until nobody reads the output
  --since 1h|TIME    requests since then
  --limit 50         at most this many, the newest ones
  --errors           only failed requests
  --id ID            one request, with its attempts on a time line; also the id of its trace
  --client NAME  --model NAME  --upstream NAME  --status 429
  --json | --csv     one JSON object a line, or CSV, in place of text`;

const FOLLOW_INTERVAL_MS = 1_000;

type Format = 'text' | 'json' | 'csv';

/** Of the configuration only the address of the database has to be resolved. */
const isUsed: IsNeeded = ([key]) => key === 'dbtype' || key === 'dbaddr';

/** `tokenferry log`: recorded requests, oldest first; with `--follow` until interrupted, or until nobody reads them. */
export async function log(args: readonly string[]): Promise<number> {
  return withUsage(USAGE, async () => {
    const text = { type: 'string' } as const;
    const flag = { type: 'boolean' } as const;
    const { values } = readArguments(args, {
      ...CONFIG_OPTION,
      follow: flag,
      errors: flag,
      json: flag,
      csv: flag,
      since: text,
      limit: { ...text, default: '50' },
      id: text,
      client: text,
      model: text,
      upstream: text,
      status: text,
    });
    const limit = Number(values.limit);
    if (!Number.isInteger(limit) || limit < 1) throw new UsageError('--limit must be a number of requests.');
    if (values.json === true && values.csv === true)
      throw new UsageError('--json and --csv exclude each other.');
    const filter: RequestFilter = {
      onlyFailed: values.errors === true,
      sinceMs: sinceArgument(values.since),
      id: values.id,
      client: values.client,
      model: values.model,
      upstream: values.upstream,
      status: statusArgument(values.status),
    };
    const format: Format = values.json === true ? 'json' : values.csv === true ? 'csv' : 'text';
    const { config } = loadOrThrow(values.config, isUsed);
    const requests = await open(config);
    let isRead = true;
    process.stdout.once('error', () => {
      isRead = false;
    });
    try {
      const found = await requests.newest(filter, limit);
      if (format === 'csv') console.log(CSV_COLUMNS.join(','));
      for (const request of found.toReversed()) print(request, format, values.id !== undefined);
      if (found.length === 0) console.error(nothingFound(filter));
      while (values.follow === true && isRead) {
        await new Promise((resolved) => setTimeout(resolved, FOLLOW_INTERVAL_MS));
        for (const request of await requests.news())
          if (matches(request, filter)) print(request, format, false);
      }
      return 0;
    } catch (error) {
      throw failure(error, config.dbaddr);
    } finally {
      await requests.close();
    }
  });
}

async function open({ dbtype, dbaddr }: Config): Promise<RequestFollower> {
  if (dbtype === 'none') {
    throw new CommandFailure(
      2,
      'No requests are recorded: the configuration has dbtype: none. Set dbtype: sqlite, or postgres, and restart tokenferry.',
    );
  }
  try {
    return dbtype === 'postgres' ? await followPostgres(dbaddr, Date.now) : followSqlite(dbaddr);
  } catch (error) {
    throw failure(error, dbaddr);
  }
}

function failure(error: unknown, dbaddr: string): unknown {
  if (!(error instanceof StoreError)) return error;
  if (error.code !== 'NO_FILE') return new CommandFailure(1, error.message, error);
  return new CommandFailure(
    1,
    `There is no database ${resolve(dbaddr)}: no request was recorded yet, or tokenferry runs in another directory (a relative dbaddr is relative to its working directory).`,
    error,
  );
}

/** New requests come unfiltered from the store. */
function matches(request: StoredRequest, filter: RequestFilter): boolean {
  return (
    (filter.onlyFailed !== true || request.outcome !== 'ok') &&
    (filter.id === undefined || [request.id, request.clientRequestId, request.traceId].includes(filter.id)) &&
    (['client', 'model', 'upstream', 'status'] as const).every(
      (key) => filter[key] === undefined || request[key] === filter[key],
    )
  );
}

function nothingFound(filter: RequestFilter): string {
  const which = filter.onlyFailed === true ? 'failed request' : 'request';
  const conditions = (['id', 'client', 'model', 'upstream', 'status'] as const).flatMap((key) =>
    filter[key] === undefined ? [] : [` with ${key} ${filter[key]}`],
  );
  const since = filter.sinceMs === undefined ? '' : ` since ${new Date(filter.sinceMs).toISOString()}`;
  return `No ${which}${conditions.join(' and')} is recorded${since}.`;
}

function print(request: StoredRequest, format: Format, isOpened: boolean): void {
  if (format === 'json') console.log(JSON.stringify(request));
  else if (format === 'csv') console.log(csvLine(request));
  else console.log(isOpened ? opened(request) : line(request));
}

function line(request: StoredRequest): string {
  const { createdAtMs, id, status, outcome, elapsedMs, firstTokenMs, client, model, upstream, attempts } =
    request;
  const time = new Date(createdAtMs).toISOString();
  const first = firstTokenMs === null ? '' : ` first ${Math.round(firstTokenMs)} ms`;
  const tries =
    attempts.length > 1
      ? ` (${attempts.map((attempt) => `${attempt.upstream}: ${attempt.outcome}`).join(', ')})`
      : '';
  const error = request.errorMessage === null ? '' : `  ${request.errorMessage}`;
  const adapted = request.adaptations.length === 0 ? '' : `  adapted ${changesOf(request)}`;
  return `${time}  ${id}  ${status} ${outcome}  ${request.path}  ${model ?? '-'}  ${client ?? '-'}  ${upstream ?? '-'}${tries}  ${Math.round(elapsedMs)} ms${first}${adapted}${error}`;
}

function changesOf({ adaptations }: StoredRequest): string {
  return [...new Set(adaptations.map(({ change }) => change))].join(', ');
}

/** A change of `x-tokenferry-dropped` in words. */
function describeChange(change: string): string {
  const [from = '', to] = change.split('>');
  if (to !== undefined) return `${from} sent as ${to}`;
  if (/^[\w.-]+=/.test(change))
    return `${change.slice(0, change.indexOf('='))} set to ${change.slice(change.indexOf('=') + 1)}`;
  if (change === 'input:cached') return 'inputs not asked for (input:cached)';
  if (change === 'messages:system')
    return 'system messages merged into one at the beginning (messages:system)';
  return change.includes(':') ? `rewritten (${change})` : `${change} left out`;
}

/** Characters of the time line. */
const TIME_LINE_WIDTH = 40;

/** One request with everything that is recorded of it; attempts follow each other on a time line. */
function opened(request: StoredRequest): string {
  const { elapsedMs, firstTokenMs, attempts } = request;
  const facts: readonly (readonly [string, unknown])[] = [
    ['time', new Date(request.createdAtMs).toISOString()],
    ['status', `${request.status} ${request.outcome}`],
    ['error', request.errorCode === null ? null : `${request.errorCode}: ${request.errorMessage ?? ''}`],
    ['request', `${request.method} ${request.path}${request.isStream ? ' (stream)' : ''}`],
    ['model', request.model],
    ['sent as', request.upstreamModel === request.model ? null : request.upstreamModel],
    ['client', [request.client, request.ip, request.userAgent].filter(Boolean).join('  ')],
    ['its id', request.clientRequestId],
    ['trace', request.traceId],
    ['tokens', request.totalTokens === null ? null : `${request.promptTokens} + ${request.completionTokens}`],
    ['bytes', `${request.requestBytes} in, ${request.responseBytes} out`],
    ['gateway', request.hostname],
  ];
  const shown = facts.filter(([, value]) => value !== null && value !== '');
  const lines = [`request ${request.id}`, ...shown.map(([name, value]) => `  ${name.padEnd(9)}${value}`)];
  if (request.adaptations.length > 0) lines.push('  adapted');
  for (const { upstream, change, reason } of request.adaptations) {
    const who = change === 'input:cached' ? '' : 'upstream: ';
    lines.push(`    ${upstream}: ${describeChange(change)}${reason === null ? '' : ` (${who}${reason})`}`);
  }
  if (attempts.length > 0) lines.push('  attempts');
  const attemptsMs = attempts.reduce((sum, attempt) => sum + attempt.elapsedMs, 0);
  const totalMs = Math.max(elapsedMs, attemptsMs, 1);
  // Older versions recorded attempts with their durations alone: what is left is spent before the first one (queue, body).
  let startMs = Math.max(0, totalMs - attemptsMs);
  for (const attempt of attempts) {
    startMs = attempt.startMs ?? startMs;
    const from = Math.min(TIME_LINE_WIDTH - 1, Math.floor((startMs / totalMs) * TIME_LINE_WIDTH));
    const length = Math.max(1, Math.round((attempt.elapsedMs / totalMs) * TIME_LINE_WIDTH));
    const bar = `${' '.repeat(from)}${'█'.repeat(Math.min(length, TIME_LINE_WIDTH - from))}`;
    const status = attempt.status === null ? '' : ` ${attempt.status}`;
    const renewed = attempt.tokenRenewed ? ', token renewed' : '';
    const detail = attempt.detail === undefined ? '' : `\n${' '.repeat(4)}${attempt.detail}`;
    lines.push(
      `    |${bar.padEnd(TIME_LINE_WIDTH)}| ${Math.round(attempt.elapsedMs)} ms  ${attempt.upstream}: ${attempt.outcome}${status}${renewed}${detail}`,
    );
    startMs += attempt.elapsedMs;
  }
  const first = firstTokenMs === null ? '' : `, first content after ${Math.round(firstTokenMs)} ms`;
  lines.push(`  total    ${Math.round(elapsedMs)} ms${first}`);
  return lines.join('\n');
}

const CSV_COLUMNS = [
  'created_at',
  'id',
  'client',
  'method',
  'path',
  'model',
  'upstream',
  'status',
  'outcome',
  'attempts',
  'first_token_ms',
  'elapsed_ms',
  'prompt_tokens',
  'completion_tokens',
  'total_tokens',
  'error_code',
  'error_message',
  'adaptations',
] as const;

function csvLine(request: StoredRequest): string {
  const values: Readonly<Record<(typeof CSV_COLUMNS)[number], string | number | null>> = {
    created_at: new Date(request.createdAtMs).toISOString(),
    id: request.id,
    client: request.client,
    method: request.method,
    path: request.path,
    model: request.model,
    upstream: request.upstream,
    status: request.status,
    outcome: request.outcome,
    attempts: request.attempts.length,
    first_token_ms: request.firstTokenMs,
    elapsed_ms: request.elapsedMs,
    prompt_tokens: request.promptTokens,
    completion_tokens: request.completionTokens,
    total_tokens: request.totalTokens,
    error_code: request.errorCode,
    error_message: request.errorMessage,
    adaptations: request.adaptations.length === 0 ? null : changesOf(request),
  };
  return CSV_COLUMNS.map((column) => csvCell(values[column])).join(',');
}

/** RFC 4180; a leading `=`, `+`, `-` or `@` of text gets an apostrophe, because spreadsheets run it as a formula. */
function csvCell(value: string | number | null): string {
  if (value === null) return '';
  if (typeof value === 'number') return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function statusArgument(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-5]\d\d$/.test(text)) return Number(text);
  throw new UsageError('--status must be an HTTP status such as 429.');
}

function sinceArgument(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = sinceMs(text, Date.now());
  if (ms !== null) return ms;
  throw new UsageError(
    '--since must be a duration (90, 5m, 2h, 7d: seconds without a unit) or a time (2026-11-21T10:30Z).',
  );
}
