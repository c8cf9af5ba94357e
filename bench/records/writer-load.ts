import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../src/lib/clock.ts';
import type { RequestRecord } from '../../src/lib/request-record.ts';
import { SecretRegistry } from '../../src/lib/secret.ts';
import { createRequestLog } from '../../src/request-log/request-log.ts';
import { batchesOf, type RecordDatabase, rowWriter } from './record-database.ts';
import { sampleRows } from './sample-rows.ts';

const ROWS = 50_000;
/** Records a second that are offered. */
const RATES = [1_000, 5_000, 10_000, 20_000, 50_000, 200_000];
const SECONDS = 4;
/** As the records of the gateway come: in batches. */
const EVERY_MS = 100;
/** `record.queue` unless configured. */
const QUEUE_ROWS = 10_000;

export interface WriterResult {
  /** What one writer can insert. */
  readonly rowsPerSecond: number;
  readonly offered: readonly {
    readonly perSecond: number;
    readonly written: number;
    readonly dropped: number;
    readonly maxQueued: number;
    /** The longest time that a batch took of the thread that serves requests. */
    readonly slowestAcceptMs: number;
  }[];
}

/** How many rows a second can be written, and what becomes of more: they are dropped and counted, and nothing waits. */
export async function measureWriter(database: RecordDatabase): Promise<WriterResult> {
  const records = [...recordsOfNow()];
  const writer = rowWriter(database);
  let insertMs = 0;
  for (const batch of batchesOf(records)) {
    const startedMs = performance.now();
    await writer.insert(batch);
    insertMs += performance.now() - startedMs;
  }
  await writer.close();
  const offered: WriterResult['offered'][number][] = [];
  for (const perSecond of RATES) offered.push({ perSecond, ...(await offer(database, records, perSecond)) });
  return { rowsPerSecond: Math.round((ROWS / insertMs) * 1000), offered };
}

/** The sample records as if all of them were finished now. */
function* recordsOfNow(): Generator<RequestRecord> {
  const nowMs = Date.now();
  for (const record of sampleRows(ROWS, 1, nowMs))
    yield { ...record, id: `now_${record.id}`, createdAtMs: nowMs };
}

async function offer(
  { type, address }: RecordDatabase,
  records: readonly RequestRecord[],
  perSecond: number,
): Promise<Omit<WriterResult['offered'][number], 'perSecond'>> {
  const log = createRequestLog(
    { type, path: address, queueRows: QUEUE_ROWS, retentionMs: 0, maxBodyBytes: 65_536 },
    { clock: systemClock, secrets: new SecretRegistry(), random: Math.random, onEvent: () => undefined },
  );
  let [maxQueued, slowestAcceptMs, sent] = [0, 0, 0];
  const startedMs = performance.now();
  while (sent < perSecond * SECONDS) {
    const due = Math.min(perSecond * SECONDS, ((performance.now() - startedMs) * perSecond) / 1000);
    const batch: RequestRecord[] = [];
    for (; sent < due; sent++) batch.push(records[sent % records.length] as RequestRecord);
    const beginMs = performance.now();
    log.acceptRecords(batch);
    slowestAcceptMs = Math.max(slowestAcceptMs, performance.now() - beginMs);
    maxQueued = Math.max(maxQueued, log.stats().queued);
    await sleep(EVERY_MS);
  }
  await log.close(60_000);
  const { written, dropped } = log.stats();
  return { written, dropped, maxQueued, slowestAcceptMs };
}
