import { existsSync } from 'node:fs';
import { systemClock } from '../clock.ts';
import type { Config } from '../config/config.ts';
import { createRequestLog, type RequestLog } from '../request-log/request-log.ts';
import type { StoredRequest } from '../request-log/request-store.ts';
import { SecretRegistry } from '../secret.ts';
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
    const requestLog = openStore(config);
    try {
      const filter = { onlyFailed: values.errors === true, sinceMs: sinceMs(values.since) };
      let shownUntilMs = await show(requestLog, filter, limit);
      while (values.follow === true) {
        await new Promise((resolve) => setTimeout(resolve, FOLLOW_EVERY_MS));
        shownUntilMs = await show(requestLog, { ...filter, sinceMs: shownUntilMs + 1 }, 1_000, shownUntilMs);
      }
      return 0;
    } finally {
      await requestLog.close();
    }
  });
}

function openStore({ dbtype, dbaddr, record }: Config): RequestLog {
  if (dbtype !== 'sqlite')
    throw new UsageError(`The records are kept in ${dbtype}; this command reads SQLite.`);
  if (!existsSync(dbaddr)) throw new UsageError(`There is no record yet at ${dbaddr} (dbaddr).`);
  return createRequestLog(
    { type: 'sqlite', path: dbaddr, queueRows: 1, retentionMs: 0, maxBodyBytes: record.max_body },
    { clock: systemClock, secrets: new SecretRegistry(), random: Math.random, onEvent: () => {} },
  );
}

/** Prints one page, oldest first; resolves with the arrival of the newest request that was printed. */
async function show(
  requestLog: RequestLog,
  filter: { readonly onlyFailed: boolean; readonly sinceMs: number | undefined },
  limit: number,
  shownUntilMs = 0,
): Promise<number> {
  const { requests } = await requestLog.recent(filter, { limit });
  for (const request of requests.toReversed()) console.log(line(request));
  return requests[0]?.createdAtMs ?? shownUntilMs;
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
