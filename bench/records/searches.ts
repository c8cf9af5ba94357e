import { setTimeout as sleep } from 'node:timers/promises';
import type { AdminRequests, AdminStats } from '../../src/admin/api-types.ts';
import { followPostgres, followSqlite } from '../../src/request-log/request-follower.ts';
import { type RequestFilter, StoreError } from '../../src/request-log/request-store.ts';
import { runCommand } from '../../test/helpers/run-command.ts';
import { median } from '../report.ts';
import type { RecordDatabase } from './record-database.ts';
import { idOf, RARE } from './sample-rows.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** As the page shows them and as `log` prints them. */
const PAGE = 50;
const PAUSE_MS = 20;

/** The filters of `log` and of `GET /admin/requests`, alone and together, with frequent, rare and absent values. */
export function filtersOf(rows: number, nowMs: number): readonly (readonly [title: string, RequestFilter])[] {
  return [
    ['no filter', {}],
    ['client, frequent', { client: 'client-01' }],
    ['client, rare', { client: RARE.client }],
    ['client, no row', { client: 'nobody' }],
    ['model, frequent', { model: 'gpt-4o' }],
    ['model, rare', { model: RARE.model }],
    ['model, no row', { model: 'no-such-model' }],
    ['upstream, frequent', { upstream: 'dublin' }],
    ['upstream, rare', { upstream: RARE.upstream }],
    ['upstream, no row', { upstream: 'nowhere' }],
    ['errors', { onlyFailed: true }],
    ['status 200', { status: 200 }],
    ['status 429', { status: 429 }],
    ['status 503, rare', { status: RARE.status }],
    ['status 418, no row', { status: 418 }],
    ['status 206, rare success', { status: RARE.successStatus }],
    ['status 204, no row', { status: 204 }],
    ['since 1 h', { sinceMs: nowMs - HOUR_MS }],
    ['since 7 days', { sinceMs: nowMs - 7 * DAY_MS }],
    ['id, newest', { id: idOf(rows - 1) }],
    ['id, oldest', { id: idOf(0) }],
    ['id, no row', { id: 'req_none' }],
    ['model and status 429', { model: 'gpt-4o', status: 429 }],
    ['model and status 503', { model: 'gpt-4o-mini', status: RARE.status }],
    ['model, rare, and errors', { model: RARE.model, onlyFailed: true }],
    ['client and since 1 h', { client: 'client-02', sinceMs: nowMs - HOUR_MS }],
    [
      'client and status 503, 30 days',
      { client: 'client-02', status: RARE.status, sinceMs: nowMs - 30 * DAY_MS },
    ],
    ['client, least, and model', { client: 'client-19', model: 'claude-sonnet' }],
    ['client, rare, and model', { client: RARE.client, model: 'claude-sonnet' }],
    ['client and model, both rare', { client: RARE.client, model: RARE.model }],
    ['client and errors', { client: 'client-12', onlyFailed: true }],
    ['client, model and upstream', { client: 'client-10', model: 'deepseek-r1', upstream: 'azure' }],
    ['client and status 204', { client: 'client-01', status: 204 }],
    ['model and status 206', { model: 'gpt-4o', status: RARE.successStatus }],
    ['upstream and status 504', { upstream: 'azure', status: 504 }],
    ['outcome client_gone', { outcome: 'client_gone' }],
    ['outcome ok and client', { outcome: 'ok', client: 'client-15' }],
    ['until 20 days ago', { untilMs: nowMs - 20 * DAY_MS }],
    [
      'model, in one hour of last week',
      { model: 'bge-m3', sinceMs: nowMs - 7 * DAY_MS, untilMs: nowMs - 7 * DAY_MS + HOUR_MS },
    ],
    ['path, frequent', { path: '/v1/embeddings' }],
    ['path, rare', { path: RARE.path }],
    ['path, no row', { path: '/v1/audio/speech' }],
    ['text in errors', { text: 'stream_timeout' }],
    ['text in few errors', { text: 'maintenance window' }],
    ['text, no row', { text: 'zebra' }],
    ['beginning of an id', { text: idOf(rows - 2).slice(0, 22) }],
  ];
}

/** What one search took, in milliseconds. */
export interface SearchTime {
  readonly title: string;
  readonly found: number;
  /** False: the time for one search was over; the next page goes on. */
  readonly isComplete: boolean;
  /** The shortest is what the search costs; the others also have what else the machine did. */
  readonly bestMs: number;
  readonly medianMs: number;
  readonly maxMs: number;
}

function timeFacts(times: readonly number[]): Pick<SearchTime, 'bestMs' | 'medianMs' | 'maxMs'> {
  return { bestMs: Math.min(...times), medianMs: median(times), maxMs: Math.max(...times) };
}

/** Calls of `run` with a pause between them; the first one has nothing in a cache of ours. */
async function timesOf<Result>(rounds: number, run: () => Promise<Result>): Promise<[Result, number[]]> {
  const times: number[] = [];
  let result: Result | undefined;
  for (let round = 0; round < rounds; round++) {
    const startedMs = performance.now();
    result = await run();
    times.push(performance.now() - startedMs);
    await sleep(PAUSE_MS);
  }
  return [result as Result, times];
}

/** Each filter at `GET /admin/requests` of a running gateway. */
export async function measureAdminFilters(
  origin: string,
  filters: ReturnType<typeof filtersOf>,
  rounds: number,
): Promise<SearchTime[]> {
  const measured: SearchTime[] = [];
  for (const [title, filter] of filters) {
    const path = `/admin/requests?limit=${PAGE}&${queryOf(filter)}`;
    const [page, times] = await timesOf(rounds, () => getJson<AdminRequests>(origin + path));
    measured.push({
      title,
      found: page.requests.length,
      isComplete: page.searched_until_ms === null,
      ...timeFacts(times),
    });
  }
  return measured;
}

/** Each filter that `tokenferry log` has, with a connection of its own each time, as the command opens it. */
export async function measureLogFilters(
  { type, address }: RecordDatabase,
  filters: ReturnType<typeof filtersOf>,
  rounds: number,
): Promise<SearchTime[]> {
  const measured: SearchTime[] = [];
  for (const [title, filter] of filters.filter(([, filter]) => logArguments(filter) !== null)) {
    const [found, times] = await timesOf(rounds, async () => {
      const follower = type === 'sqlite' ? followSqlite(address) : await followPostgres(address, Date.now);
      try {
        return (await follower.newest(filter, PAGE)).length;
      } finally {
        await follower.close();
      }
    });
    measured.push({ title, found, isComplete: true, ...timeFacts(times) });
  }
  return measured;
}

/** The whole command `tokenferry log` with some filters, and a command that does nothing. */
export async function measureLogCommand(
  { type, address }: RecordDatabase,
  rounds: number,
): Promise<SearchTime[]> {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ['tokenferry log', []],
    ['tokenferry log --client (rare)', ['--client', RARE.client]],
    ['tokenferry log --status 204 (no row)', ['--status', '204']],
    ['tokenferry log --errors --model (rare)', ['--errors', '--model', RARE.model]],
  ];
  const config = {
    noauth: true,
    dbtype: type,
    dbaddr: address,
    upstreams: [{ endpoint: 'http://127.0.0.1:9/v1', token: 'none' }],
  };
  const measured: SearchTime[] = [];
  const [, none] = await timesOf(rounds, () => runCommand('log', config, { args: ['--help'] }));
  measured.push({
    title: 'tokenferry log --help',
    found: 0,
    isComplete: true,
    ...timeFacts(none),
  });
  for (const [title, args] of cases) {
    const [ended, times] = await timesOf(rounds, () =>
      runCommand('log', config, { args: [...args, '--json'] }),
    );
    if (ended.code !== 0) throw new Error(`${title} failed: ${ended.stderr}`);
    const found = ended.stdout.split('\n').filter((line) => line !== '').length;
    measured.push({ title, found, isComplete: true, ...timeFacts(times) });
  }
  return measured;
}

/** The sums that the view Usage shows, and longer ones, at `GET /admin/stats`. */
export async function measureStats(origin: string, nowMs: number, rounds: number): Promise<SearchTime[]> {
  const ranges = [
    ['last hour', HOUR_MS, 60],
    ['24 hours', DAY_MS, 1_800],
    ['7 days', 7 * DAY_MS, 14_400],
    ['30 days, by day', 30 * DAY_MS, 86_400],
    ['30 days, by hour', 30 * DAY_MS, 3_600],
    ['400 days, by day', 400 * DAY_MS, 86_400],
  ] as const;
  const measured: SearchTime[] = [];
  const measure = async (title: string, query: string): Promise<void> => {
    const [stats, times] = await timesOf(rounds, () => getJson<AdminStats>(`${origin}/admin/stats?${query}`));
    const found = stats.series.reduce((sum, { points }) => sum + points.length, 0);
    measured.push({ title, found, isComplete: true, ...timeFacts(times) });
  };
  for (const [title, ms, step] of ranges) {
    for (const by of ['none', 'model', 'client', 'upstream'])
      await measure(`${title}, ${by}`, `since=${nowMs - ms}&until=${nowMs}&step=${step}&by=${by}`);
  }
  const month = `since=${nowMs - 30 * DAY_MS}&until=${nowMs}&step=86400`;
  await measure('30 days, models of a client', `${month}&by=model&client=client-01`);
  await measure('30 days, clients of a model', `${month}&by=client&model=gpt-4o`);
  return measured;
}

async function getJson<Body>(url: string): Promise<Body> {
  const response = await fetch(url);
  if (response.status !== 200) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Body;
}

function queryOf(filter: RequestFilter): URLSearchParams {
  const { sinceMs, untilMs, onlyFailed, ...rest } = filter;
  const query = new URLSearchParams();
  if (sinceMs !== undefined) query.set('since', String(sinceMs));
  if (untilMs !== undefined) query.set('until', String(untilMs));
  if (onlyFailed === true) query.set('errors', '1');
  for (const [name, value] of Object.entries(rest)) query.set(name, String(value));
  return query;
}

/** Null: `log` does not have this filter. */
function logArguments({ path, text, outcome, untilMs }: RequestFilter): null | true {
  return path === undefined && text === undefined && outcome === undefined && untilMs === undefined
    ? true
    : null;
}

/** The time of the newest of `rows` sample records; null: the database does not have them. */
export async function newestOf({ type, address }: RecordDatabase, rows: number): Promise<number | null> {
  return timeOf({ type, address }, rows - 1);
}

/** The time of the sample record with this number; null: it is not in the database. */
export async function timeOf(
  { type, address }: Pick<RecordDatabase, 'type' | 'address'>,
  number: number,
): Promise<number | null> {
  try {
    const follower = type === 'sqlite' ? followSqlite(address) : await followPostgres(address, Date.now);
    try {
      return (await follower.newest({ id: idOf(number) }, 1))[0]?.createdAtMs ?? null;
    } finally {
      await follower.close();
    }
  } catch (error) {
    if (error instanceof StoreError && (error.code === 'NO_FILE' || error.code === 'NO_TABLE')) return null;
    throw error;
  }
}
