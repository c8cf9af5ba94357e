import { resolve } from 'node:path';
import type { Config } from '../config/config.ts';
import type { RequestFollower } from '../request-log/request-follower.ts';
import { followPostgres, followSqlite } from '../request-log/request-reader.ts';
import { type RequestFilter, type StoredRequest, StoreError } from '../request-log/request-store.ts';
import { CommandFailure, loadOrThrow, readArguments, UsageError, withUsage } from './config-argument.ts';
import { sinceMs } from './since.ts';

const USAGE = 'usage: tokenferry log [--config FILE] [--follow] [--errors] [--since 1h|TIME] [--limit 50]';
const FOLLOW_EVERY_MS = 1_000;

/** `tokenferry log`: requests from the record, oldest first; with `--follow` until interrupted. */
export async function log(args: readonly string[]): Promise<number> {
  return withUsage(USAGE, async () => {
    const { values } = readArguments(args, {
      follow: { type: 'boolean' },
      errors: { type: 'boolean' },
      since: { type: 'string' },
      limit: { type: 'string', default: '50' },
    });
    const { config } = loadOrThrow(values.config);
    const limit = Number(values.limit);
    if (!Number.isInteger(limit) || limit < 1) throw new UsageError('--limit is a number of requests.');
    const since = sinceArgument(values.since);
    const requests = await open(config);
    try {
      const filter = { onlyFailed: values.errors === true, sinceMs: since };
      const found = await requests.newest(filter, limit);
      for (const request of found.toReversed()) console.log(line(request));
      if (found.length === 0) console.error(nothingFound(filter));
      while (values.follow === true) {
        await new Promise((resolve) => setTimeout(resolve, FOLLOW_EVERY_MS));
        for (const request of await requests.news())
          if (!filter.onlyFailed || request.outcome !== 'ok') console.log(line(request));
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
      'No requests are recorded: the configuration says dbtype: none. Set dbtype: sqlite, or postgres, and restart tokenferry.',
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
    `There is no database ${resolve(dbaddr)}: no request was recorded yet, or tokenferry runs in another directory (a relative dbaddr counts from where it was started).`,
    error,
  );
}

function nothingFound({ onlyFailed, sinceMs: since }: RequestFilter): string {
  const which = onlyFailed === true ? 'failed request' : 'request';
  return `No ${which} is recorded${since === undefined ? '' : ` since ${new Date(since).toISOString()}`}.`;
}

function line(request: StoredRequest): string {
  const { createdAtMs, status, outcome, elapsedMs, firstTokenMs, client, model, upstream, attempts, path } =
    request;
  const time = new Date(createdAtMs).toISOString();
  const first = firstTokenMs === null ? '' : ` first ${Math.round(firstTokenMs)} ms`;
  const tries =
    attempts.length > 1
      ? ` (${attempts.map((attempt) => `${attempt.upstream}: ${attempt.outcome}`).join(', ')})`
      : '';
  const error = request.errorMessage === null ? '' : `  ${request.errorMessage}`;
  return `${time}  ${status} ${outcome}  ${path}  ${model ?? '-'}  ${client ?? '-'}  ${upstream ?? '-'}${tries}  ${Math.round(elapsedMs)} ms${first}${error}`;
}

function sinceArgument(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = sinceMs(text, Date.now());
  if (ms !== null) return ms;
  throw new UsageError(
    '--since is a duration (90, 5m, 2h, 7d: seconds without a unit) or a time (2026-11-21T10:30Z).',
  );
}
