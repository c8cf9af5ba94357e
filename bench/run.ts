/**
 * `npm run bench`: what tokenferry costs beside a bare Node proxy that does nothing, measured in the same run.
 *
 * CPU time of the whole gateway process, worker threads included, on a core of its own; the load generator and the
 * upstream share another. Rounds alternate, so that a change of the machine's speed affects all alike.
 */
import { cpus } from 'node:os';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { toolOptions } from '../scripts/tool-options.ts';
import { Child, canPin } from './child.ts';
import { OpenPage } from './open-page.ts';
import { median, percentile, spread, table } from './report.ts';
import { startBareProxy, startTokenferry, type Target } from './targets.ts';
import { FRAMES, type WorkloadName } from './workloads.ts';

/** Until batches of records and logs are written; their cost belongs to the requests before. */
const SETTLE_MS = 600;

interface CpuCase {
  readonly title: string;
  readonly workload: WorkloadName;
  readonly requests: number;
  readonly concurrency: number;
}

const CPU_CASES: readonly CpuCase[] = [
  { title: 'chat, 1 KB in, 0.6 KB out', workload: 'chat', requests: 4000, concurrency: 16 },
  {
    title: `stream of ${FRAMES} frames, as fast as they come`,
    workload: 'burst',
    requests: 500,
    concurrency: 8,
  },
  { title: `stream of ${FRAMES} frames, one every 5 ms`, workload: 'paced', requests: 320, concurrency: 64 },
  { title: 'embeddings, 16 x 1536 floats, 300 KB', workload: 'embeddings', requests: 600, concurrency: 4 },
  { title: 'embeddings, 16 x 1536 as base64, 130 KB', workload: 'base64', requests: 600, concurrency: 4 },
];

/** Streams that are open while the time to the first token is measured, and rounds of them. */
const FIRST_TOKEN = { streams: 64, requests: 640 };

/** Steady chat requests while tokens are renewed every few seconds. */
const RENEWALS = { perSecond: 250, seconds: 60, nearMs: 500 };

/** Between these two numbers of open streams the memory is compared. */
const HELD = { few: 100, many: 600 };

const USAGE = `npm run bench -- [options]

  --quick            a third of the requests, fewer rounds: about two minutes
  --bare-only        the bare proxy on both sides: the accuracy of the measurement itself
  --against FOLDER   a third column: the gateway of another checkout, measured in the same rounds
  --pages N          a third column: this gateway while N pages at /ui/ are open
  --cpu-only         only the CPU time a request`;

const { values: flags } = toolOptions(USAGE, {
  options: {
    quick: { type: 'boolean', default: false },
    'bare-only': { type: 'boolean', default: false },
    against: { type: 'string' },
    pages: { type: 'string' },
    'cpu-only': { type: 'boolean', default: false },
  },
});
const rounds = flags.quick ? 3 : 7;
const scale = flags.quick ? 0.3 : 1;

const upstream = Child.start('rest', 'bench/upstream.ts', []);
const load = Child.start('rest', 'bench/load.ts', []);
const targets: Target[] = [];
const pages: OpenPage[] = [];
try {
  const upstreamOrigin = `http://127.0.0.1:${await upstream.port()}`;
  const starts = [
    () => startBareProxy(upstreamOrigin),
    () =>
      flags['bare-only'] ? startBareProxy(upstreamOrigin, 'bare again') : startTokenferry(upstreamOrigin),
  ];
  const { against } = flags;
  if (against !== undefined)
    starts.push(() => startTokenferry(upstreamOrigin, { folder: resolve(against), name: 'other checkout' }));
  const pageCount = Number(flags.pages ?? 0);
  if (pageCount > 0) starts.push(() => startTokenferry(upstreamOrigin, { name: `${pageCount} pages open` }));
  for (const start of starts) targets.push(await start());
  for (let page = 0; page < pageCount; page += 1) {
    const opened = new OpenPage(targets.at(-1)?.origin ?? '');
    pages.push(opened);
    await opened.open();
  }
  printHead(targets);
  await reportCpu(targets);
  if (!flags['cpu-only']) {
    await reportFirstToken(targets, upstreamOrigin);
    await Promise.all(targets.splice(0).map((target) => target.stop()));
    await reportMemory(starts);
    if (!flags['bare-only']) await reportRenewals(upstreamOrigin);
  }
} finally {
  for (const page of pages) page.close();
  await Promise.all([...targets, upstream, load].map((one) => one.stop()));
}

function printHead(all: readonly Target[]): void {
  const pinned = canPin
    ? 'gateway pinned to one core, load and upstream to another'
    : 'not pinned: figures are rough';
  console.log(`Node ${process.versions.node}, ${cpus()[0]?.model.trim()} x ${cpus().length}, ${pinned}`);
  console.log(`${rounds} rounds, alternating; median (smallest–largest)`);
  for (const { name, startMs } of all) console.log(`${name}: ready ${startMs.toFixed(0)} ms after its start`);
}

/** CPU time a request, in microseconds. */
async function cpuOf(target: Target, one: CpuCase, requests: number): Promise<number> {
  const before = await target.child.meter();
  const { done } = await load.load({ ...one, kind: 'run', origin: target.origin, requests });
  await sleep(SETTLE_MS);
  const after = await target.child.meter();
  return (after.cpuUs - before.cpuUs) / done;
}

async function reportCpu(all: readonly Target[]): Promise<void> {
  const rows: string[][] = [];
  for (const one of CPU_CASES) {
    const requests = Math.ceil(one.requests * scale);
    for (const target of all) await cpuOf(target, one, requests); // warm-up: compiled and connected
    const measured = all.map((): number[] => []);
    for (let round = 0; round < rounds; round += 1) {
      for (const [index, target] of all.entries()) measured[index]?.push(await cpuOf(target, one, requests));
    }
    const [bare = Number.NaN, ours = Number.NaN] = measured.map(median);
    const isStream = one.workload === 'burst' || one.workload === 'paced';
    rows.push([
      one.title,
      ...measured.map((values) => spread(values)),
      (ours / bare).toFixed(2),
      bestRatio(measured),
      ...(measured[2] === undefined ? [] : [comparedRatio(measured[1] ?? [], measured[2])]),
      isStream ? ((ours - bare) / FRAMES).toFixed(1) : '',
    ]);
  }
  const names = all.map(({ name }) => `${name}, µs`);
  console.log(`\nCPU time of the gateway process a request\n`);
  const compared =
    all.length > 2 ? [pages.length > 0 ? 'with pages, to without' : 'to the other checkout'] : [];
  console.log(table(['', ...names, 'ratio', 'ratio of the best', ...compared, 'more a frame, µs'], rows));
}

/** To the other checkout; or what open pages add. */
function comparedRatio(ours: readonly number[], third: readonly number[]): string {
  return pages.length > 0 ? pairedRatio(third, ours) : pairedRatio(ours, third);
}

/** The median of the ratios round by round: what remains when the speed of the machine changes between rounds. */
function pairedRatio(ours: readonly number[], others: readonly number[]): string {
  return median(ours.map((value, round) => value / (others[round] ?? Number.NaN))).toFixed(3);
}

/** The ratio of the quietest rounds, which other work on the machine disturbed least. */
function bestRatio(measured: readonly number[][]): string {
  const [bare = Number.NaN, ours = Number.NaN] = measured.map((values) => Math.min(...values));
  return (ours / bare).toFixed(2);
}

async function reportFirstToken(all: readonly Target[], upstreamOrigin: string): Promise<void> {
  const requests = Math.ceil(FIRST_TOKEN.requests * scale);
  const ways = [{ name: 'direct', origin: upstreamOrigin }, ...all];
  const waits = ways.map((): number[] => []);
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, { origin }] of ways.entries()) {
      const order = {
        kind: 'run',
        origin,
        workload: 'paced',
        requests,
        concurrency: FIRST_TOKEN.streams,
      } as const;
      waits[index]?.push(...(await load.load(order)).firstContentMs);
    }
  }
  const directMs = median(waits[0] ?? []);
  const rows = ways.map(({ name }, index) => {
    const values = waits[index] ?? [];
    const [middle, late] = [median(values), percentile(values, 0.99)];
    return [name, middle.toFixed(2), late.toFixed(2), (middle - directMs).toFixed(2)];
  });
  console.log(`\nTime to the first token with ${FIRST_TOKEN.streams} streams open, ms\n`);
  console.log(table(['', 'median', 'p99', 'added to the median'], rows));
}

/** In fresh processes: one that has worked holds more memory than it needs, and growth would not show. */
async function reportMemory(starts: readonly (() => Promise<Target>)[]): Promise<void> {
  const rows: string[][] = [];
  for (const start of starts) {
    const [resident, heap]: [number[], number[]] = [[], []];
    let name = '';
    for (let round = 0; round < Math.ceil(rounds / 3); round += 1) {
      const target = await start();
      name = target.name;
      try {
        const few = await heldReading(target, HELD.few);
        const many = await heldReading(target, HELD.many - HELD.few);
        const perKibibyte = (HELD.many - HELD.few) * 1024;
        resident.push((many.rssBytes - few.rssBytes) / perKibibyte);
        heap.push((many.heapBytes - few.heapBytes) / perKibibyte);
        await load.load({ kind: 'release' });
      } finally {
        await target.stop();
      }
    }
    rows.push([name, spread(resident, 1), spread(heap, 1)]);
  }
  console.log(
    `\nMemory of an open stream (from ${HELD.few} to ${HELD.many} of them, after collection), KiB\n`,
  );
  console.log(table(['', 'resident', 'heap and buffers'], rows));
}

/** Opens so many more streams, lets them tick, and reads the meter. */
async function heldReading(target: Target, streams: number): ReturnType<Child['meter']> {
  await load.load({ kind: 'hold', origin: target.origin, streams });
  await sleep(1500);
  return target.child.meter(true);
}

/** Whether a renewal is felt by the requests around it. */
async function reportRenewals(upstreamOrigin: string): Promise<void> {
  const target = await startTokenferry(upstreamOrigin, { tokenPath: '/oauth2/short-token' });
  const { perSecond, nearMs } = RENEWALS;
  const seconds = Math.ceil(RENEWALS.seconds * scale);
  try {
    await load.load({ kind: 'run', origin: target.origin, workload: 'chat', requests: 2000, concurrency: 8 });
    const { sentAtMs = [], firstContentMs } = await load.load({
      kind: 'steady',
      origin: target.origin,
      perSecond,
      seconds,
    });
    const issuedAtMs = (await (await fetch(`${upstreamOrigin}/issued`)).json()) as number[];
    const isNear = (atMs: number): boolean =>
      issuedAtMs.some((issuedMs) => Math.abs(issuedMs - atMs) <= nearMs);
    const near = firstContentMs.filter((_, index) => isNear(sentAtMs[index] ?? 0));
    const far = firstContentMs.filter((_, index) => !isNear(sentAtMs[index] ?? 0));
    const row = (name: string, values: readonly number[]): string[] => [
      name,
      String(values.length),
      median(values).toFixed(2),
      percentile(values, 0.99).toFixed(2),
    ];
    console.log(`\nChat at ${perSecond} requests a second while tokens are renewed, ms\n`);
    const rows = [row(`within ${nearMs / 1000} s of a renewal`, near), row('all others', far)];
    console.log(table(['', 'requests', 'median', 'p99'], rows));
  } finally {
    await target.stop();
  }
}
