import type { Config } from '../config/config.ts';
import type { RequestFollower } from '../request-log/request-follower.ts';
import { followPostgres, followSqlite } from '../request-log/request-reader.ts';
import { type StoredRequest, StoreError } from '../request-log/request-store.ts';
import { loadOrThrow, readArguments, UsageError, withUsage } from './config-argument.ts';

const USAGE = 'usage: tokenferry log [--config FILE] [--follow] [--errors] [--since 1h] [--limit 50]';
const FOLLOW_EVERY_MS = 1_000;
const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

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
    const since = sinceMs(values.since);
    const requests = await open(config);
    try {
      const filter = { onlyFailed: values.errors === true, sinceMs: since };
      for (const request of (await requests.newest(filter, limit)).toReversed()) console.log(line(request));
      while (values.follow === true) {
        await new Promise((resolve) => setTimeout(resolve, FOLLOW_EVERY_MS));
        for (const request of await requests.news())
          if (!filter.onlyFailed || request.outcome !== 'ok') console.log(line(request));
      }
      return 0;
    } catch (error) {
      throw error instanceof StoreError ? new UsageError(error.message) : error;
    } finally {
      await requests.close();
    }
  });
}

async function open({ dbtype, dbaddr }: Config): Promise<RequestFollower> {
  if (dbtype === 'none') throw new UsageError('No records are kept (dbtype: none).');
  try {
    return dbtype === 'postgres' ? await followPostgres(dbaddr, Date.now) : followSqlite(dbaddr);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
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

function sinceMs(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const [, count = '', unit = ''] = /^(\d+)([smhd])$/.exec(text) ?? [];
  const unitMs = UNITS_MS[unit];
  if (unitMs === undefined) throw new UsageError('--since is a number with a unit: 30s, 10m, 1h, 7d.');
  return Date.now() - Number(count) * unitMs;
}
