import { setTimeout as sleep } from 'node:timers/promises';
import { median, percentile, spread } from '../report.ts';
import type { Target } from '../targets.ts';
import { FRAMES, TOOL_FRAMES, type WorkloadName } from '../workloads.ts';
import type { BenchRun } from './bench-run.ts';

/** Until batches of records and logs are written; their cost belongs to the requests before. */
const SETTLE_MS = 600;

interface CpuCase {
  readonly title: string;
  readonly workload: WorkloadName;
  readonly requests: number;
  readonly concurrency: number;
  /** Of a stream. */
  readonly frames?: number;
  /** True: also measured by a quick run. */
  readonly isQuick?: boolean;
}

const CPU_CASES: readonly CpuCase[] = [
  { title: 'chat, 1 KB in, 0.6 KB out', workload: 'chat', requests: 4000, concurrency: 16, isQuick: true },
  { title: 'chat, 100 KB in, 0.6 KB out', workload: 'large', requests: 800, concurrency: 16 },
  {
    title: `stream of ${FRAMES} frames, as fast as they come`,
    workload: 'burst',
    requests: 500,
    concurrency: 8,
    frames: FRAMES,
    isQuick: true,
  },
  {
    title: `stream of ${FRAMES} frames, one every 5 ms`,
    workload: 'paced',
    requests: 320,
    concurrency: 64,
    frames: FRAMES,
    isQuick: true,
  },
  {
    title: `stream of ${TOOL_FRAMES} frames with five tool calls`,
    workload: 'tools',
    requests: 120,
    concurrency: 8,
    frames: TOOL_FRAMES,
  },
  {
    title: 'embeddings, 16 x 1536 floats, 300 KB',
    workload: 'embeddings',
    requests: 600,
    concurrency: 4,
    isQuick: true,
  },
  {
    title: 'embeddings, 16 x 1536 as base64, 130 KB',
    workload: 'base64',
    requests: 600,
    concurrency: 4,
    isQuick: true,
  },
  { title: 'embeddings, 64 x 1024 floats, 780 KB', workload: 'many_floats', requests: 240, concurrency: 4 },
  {
    title: 'embeddings, 64 x 1024 as base64, 350 KB',
    workload: 'many_base64',
    requests: 240,
    concurrency: 4,
  },
];

/** One round of one target, each a request. */
interface Cost {
  readonly cpuUs: number;
  readonly mainUs: number;
  readonly wholeMs: readonly number[];
}

/** What a target is compared with in each round; both are positions of `targets`. */
export interface Comparison {
  readonly title: string;
  readonly of: number;
  readonly to: number;
}

/**
 * CPU time a request of every target, `targets[0]` the bare proxy and `targets[1]` the gateway, in alternating rounds, so
 * that a change of the machine's speed affects all alike. Returns the compared ratio of each case.
 */
export async function measureCpu(
  run: BenchRun,
  targets: readonly Target[],
  { isQuick, compared }: { readonly isQuick: boolean; readonly compared: Comparison | null },
): Promise<Map<string, number>> {
  const ratios = new Map<string, number>();
  const [costs, details]: [string[][], string[][]] = [[], []];
  for (const one of CPU_CASES.filter((each) => !isQuick || each.isQuick === true)) {
    const requests = Math.ceil(one.requests * run.scale);
    for (const target of targets) await costOf(run, target, one, requests); // warm-up: compiled and connected
    const measured = targets.map((): Cost[] => []);
    for (let round = 0; round < run.rounds; round += 1) {
      for (const [index, target] of targets.entries())
        measured[index]?.push(await costOf(run, target, one, requests));
    }
    const cpu = measured.map((rounds) => rounds.map(({ cpuUs }) => cpuUs));
    const [bare = Number.NaN, ours = Number.NaN] = cpu.map(median);
    const ratio = compared === null ? null : pairedRatio(cpu[compared.of] ?? [], cpu[compared.to] ?? []);
    if (ratio !== null) ratios.set(one.title, ratio);
    costs.push([
      one.title,
      ...cpu.map((values) => spread(values)),
      pairedRatio(cpu[1] ?? [], cpu[0] ?? []).toFixed(2),
      bestRatio(cpu),
      one.frames === undefined ? '' : ((ours - bare) / one.frames).toFixed(1),
      ...(ratio === null ? [] : [ratio.toFixed(3)]),
    ]);
    for (const [index, target] of targets.entries())
      details.push([
        one.title,
        target.name,
        ...(await detailOf(run, target, one, requests, measured[index] ?? [])),
      ]);
  }
  const names = targets.map(({ name }) => `${name}, µs`);
  run.results.add(
    'CPU time of the gateway process a request',
    [
      '',
      ...names,
      'ratio',
      'ratio of the best',
      'more a frame, µs',
      ...(compared === null ? [] : [compared.title]),
    ],
    costs,
  );
  run.results.add(
    'Of the main thread, a request; and the time to the end of the response, ms',
    [
      '',
      'target',
      'main thread, µs',
      'allocated, KB',
      'survives, KB',
      'collecting, µs',
      'p50',
      'p99',
      'p99.9',
    ],
    details,
  );
  return ratios;
}

async function costOf(run: BenchRun, target: Target, one: CpuCase, requests: number): Promise<Cost> {
  const before = await target.meter();
  const { done, wholeMs } = await run.load.load({ ...one, kind: 'run', origin: target.origin, requests });
  await sleep(SETTLE_MS);
  const after = await target.meter();
  return {
    cpuUs: (after.cpuUs - before.cpuUs) / done,
    mainUs: (after.mainUs - before.mainUs) / done,
    wholeMs,
  };
}

/** One more round for the heap, as watching it costs time. */
async function detailOf(
  run: BenchRun,
  { child, origin }: Target,
  one: CpuCase,
  requests: number,
  rounds: readonly Cost[],
): Promise<string[]> {
  const times = rounds.flatMap(({ wholeMs }) => wholeMs);
  const waits = [0.5, 0.99, 0.999].map((share) => percentile(times, share).toFixed(2));
  if (child === null) return ['', '', '', '', ...waits];
  const { bytes, survivedBytes, gcUs } = await child.allocation(() =>
    run.load.load({ ...one, kind: 'run', origin, requests }),
  );
  return [
    median(rounds.map(({ mainUs }) => mainUs)).toFixed(0),
    (bytes / requests / 1024).toFixed(1),
    (survivedBytes / requests / 1024).toFixed(2),
    (gcUs / requests).toFixed(1),
    ...waits,
  ];
}

/** The median of the ratios round by round: what remains when the speed of the machine changes between rounds. */
function pairedRatio(ours: readonly number[], others: readonly number[]): number {
  return median(ours.map((value, round) => value / (others[round] ?? Number.NaN)));
}

/** The ratio of the quietest rounds, which other work on the machine disturbed least. */
function bestRatio(measured: readonly (readonly number[])[]): string {
  const [bare = Number.NaN, ours = Number.NaN] = measured.map((values) => Math.min(...values));
  return (ours / bare).toFixed(2);
}
