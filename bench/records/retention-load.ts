import { Child } from '../child.ts';
import { median, percentile } from '../report.ts';
import { startTokenferry, type Target } from '../targets.ts';
import type { RecordDatabase } from './record-database.ts';
import { timeOf } from './searches.ts';

const DELETED_ROWS = 100_000;
const PER_SECOND = 100;
const SECONDS_A_STEP = 10;
const MAX_SECONDS = 300;
const SLOW_MS = 50;

export interface LoadSummary {
  readonly requests: number;
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly over50Ms: number;
}

export interface RetentionResult {
  readonly deleted: number;
  readonly seconds: number;
  readonly without: LoadSummary;
  readonly during: LoadSummary;
}

/** Chat requests at an even rate, first without retention, then while it deletes the oldest rows. */
export async function measureRetention(
  database: RecordDatabase,
  upstreamOrigin: string,
  rows: number,
): Promise<RetentionResult> {
  const first = await oldestNumber(database, rows);
  const last = Math.min(rows - 1, first + DELETED_ROWS - 1);
  const beforeMs = ((await timeOf(database, last)) ?? 0) + 1;
  const load = Child.start('rest', 'bench/load.ts', []);
  const { type: dbtype, address: dbaddr } = database;
  const start = (retention: number): Promise<Target> =>
    startTokenferry(upstreamOrigin, { config: { dbtype, dbaddr, record: { retention } } });
  const steady = async ({ origin }: Target): Promise<readonly number[]> => {
    const order = { kind: 'steady', origin, perSecond: PER_SECOND, seconds: SECONDS_A_STEP } as const;
    return (await load.load(order)).firstContentMs;
  };
  const warmUp = ({ origin }: Target): Promise<unknown> =>
    load.load({ kind: 'run', origin, workload: 'chat', requests: 1_000, concurrency: 4 });
  try {
    const idle = await start(0);
    const without: number[] = [];
    try {
      await warmUp(idle);
      for (let step = 0; step < 3; step++) without.push(...(await steady(idle)));
    } finally {
      await idle.stop();
    }
    const during: number[] = [];
    const busy = await start((Date.now() - beforeMs) / 1000);
    const startedMs = performance.now();
    let seconds = 0;
    try {
      await warmUp(busy);
      do {
        during.push(...(await steady(busy)));
        seconds = (performance.now() - startedMs) / 1000;
        if (seconds > MAX_SECONDS) throw new Error(`the rows were not deleted in ${MAX_SECONDS} s`);
      } while ((await timeOf(database, last)) !== null);
    } finally {
      await busy.stop();
    }
    return { deleted: last - first + 1, seconds, without: summaryOf(without), during: summaryOf(during) };
  } finally {
    await load.stop();
  }
}

/** The number of the oldest sample record that is left; an earlier measurement deleted those before it. */
async function oldestNumber(database: RecordDatabase, rows: number): Promise<number> {
  let [deleted, left] = [-1, rows - 1];
  while (left - deleted > 1) {
    const middle = Math.floor((deleted + left) / 2);
    if ((await timeOf(database, middle)) === null) deleted = middle;
    else left = middle;
  }
  return left;
}

function summaryOf(times: readonly number[]): LoadSummary {
  return {
    requests: times.length,
    medianMs: median(times),
    p99Ms: percentile(times, 0.99),
    maxMs: Math.max(...times),
    over50Ms: times.filter((ms) => ms > SLOW_MS).length,
  };
}
