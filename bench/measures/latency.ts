import { setTimeout as sleep } from 'node:timers/promises';
import { median, percentile } from '../report.ts';
import { startTokenferry, type Target } from '../targets.ts';
import type { BenchRun } from './bench-run.ts';

/** Streams that are open while the time to the first token is measured, and requests of a round. */
const FIRST_TOKEN = { streams: 64, requests: 640 };

/** Open streams of a frame every 50 ms: how many at once. */
const CROWDS: readonly number[] = [200, 2000];

/** Steady chat requests while something happens every few seconds; `nearMs` around it is compared with the rest. */
const STEADY = { perSecond: 250, seconds: 60, nearMs: 500 };

/** An upstream fails for a while, then responds again. */
const STORM_MS = 2000;

/** The time that a gateway adds to the first token. */
export async function measureFirstToken(run: BenchRun, targets: readonly Target[]): Promise<void> {
  const requests = Math.ceil(FIRST_TOKEN.requests * run.scale);
  const ways = [{ name: 'direct', origin: run.upstreamOrigin }, ...targets];
  const waits = ways.map((): number[] => []);
  for (let round = 0; round < run.rounds; round += 1) {
    for (const [index, { origin }] of ways.entries()) {
      const { firstContentMs } = await run.load.load({
        kind: 'run',
        origin,
        workload: 'paced',
        requests,
        concurrency: FIRST_TOKEN.streams,
      });
      waits[index]?.push(...firstContentMs);
    }
  }
  const directMs = median(waits[0] ?? []);
  run.results.add(
    `Time to the first token with ${FIRST_TOKEN.streams} streams open, ms`,
    ['', 'median', 'p99', 'added to the median'],
    ways.map(({ name }, index) => {
      const values = waits[index] ?? [];
      const middle = median(values);
      return [name, middle.toFixed(2), percentile(values, 0.99).toFixed(2), (middle - directMs).toFixed(2)];
    }),
  );
}

/** How long streams take when many are open, beside one alone. */
export async function measureCrowds(run: BenchRun, targets: readonly Target[]): Promise<void> {
  const ways = [{ name: 'direct', origin: run.upstreamOrigin }, ...targets];
  const rows: string[][] = [];
  for (const streams of [1, ...CROWDS]) {
    for (const { name, origin } of ways) {
      const { wholeMs } = await run.load.load({
        kind: 'run',
        origin,
        workload: 'crowd',
        requests: streams,
        concurrency: streams,
      });
      rows.push([
        String(streams),
        name,
        median(wholeMs).toFixed(0),
        percentile(wholeMs, 0.99).toFixed(0),
        Math.max(...wholeMs).toFixed(0),
      ]);
    }
  }
  run.results.add(
    'Length of a stream of 40 frames, one every 50 ms, ms',
    ['streams at once', '', 'median', 'p99', 'slowest'],
    rows,
  );
}

/** Whether a renewal of the token is felt by the requests around it. */
export async function measureRenewals(run: BenchRun): Promise<void> {
  const target = await startTokenferry(run.upstreamOrigin, { tokenPath: '/oauth2/short-token' });
  try {
    const waits = await steadyChat(run, target);
    const issuedAtMs = (await (await fetch(`${run.upstreamOrigin}/issued`)).json()) as number[];
    addSteady(run, 'while tokens are renewed', 'a renewal', waits, issuedAtMs);
  } finally {
    await target.stop();
  }
}

/** Whether the requests around it feel that the first of two upstreams begins or ends to fail. */
export async function measureFailover(run: BenchRun): Promise<void> {
  const { upstreamOrigin } = run;
  const target = await startTokenferry(upstreamOrigin, {
    config: {
      upstreams: [
        { name: 'failing', endpoint: `${upstreamOrigin}/failing/v1`, token: 'bench' },
        { name: 'bench', endpoint: `${upstreamOrigin}/v1`, token: 'bench' },
      ],
    },
  });
  const switchedAtMs: number[] = [];
  let isOver = false;
  const storms = (async () => {
    for (let isFailing = true; !isOver; isFailing = !isFailing) {
      await sleep(STORM_MS);
      switchedAtMs.push(Date.now());
      await fetch(`${upstreamOrigin}/failing/${isFailing ? 'on' : 'off'}`);
    }
    await fetch(`${upstreamOrigin}/failing/off`);
  })();
  try {
    const waits = await steadyChat(run, target);
    addSteady(
      run,
      'while the first of two upstreams fails every other two seconds',
      'a change',
      waits,
      switchedAtMs,
    );
  } finally {
    isOver = true;
    await storms;
    await target.stop();
  }
}

interface SteadyWaits {
  readonly sentAtMs: readonly number[];
  readonly waitMs: readonly number[];
}

async function steadyChat({ load, scale }: BenchRun, { origin }: Target): Promise<SteadyWaits> {
  await load.load({ kind: 'run', origin, workload: 'chat', requests: 2000, concurrency: 8 });
  const { sentAtMs = [], firstContentMs } = await load.load({
    kind: 'steady',
    origin,
    perSecond: STEADY.perSecond,
    seconds: Math.ceil(STEADY.seconds * scale),
  });
  return { sentAtMs, waitMs: firstContentMs };
}

function addSteady(
  { results }: BenchRun,
  when: string,
  event: string,
  { sentAtMs, waitMs }: SteadyWaits,
  eventsAtMs: readonly number[],
): void {
  const { perSecond, nearMs } = STEADY;
  const isNear = (atMs: number): boolean => eventsAtMs.some((eventMs) => Math.abs(eventMs - atMs) <= nearMs);
  const near = waitMs.filter((_, index) => isNear(sentAtMs[index] ?? 0));
  const far = waitMs.filter((_, index) => !isNear(sentAtMs[index] ?? 0));
  const row = (name: string, values: readonly number[]): string[] => [
    name,
    String(values.length),
    ...[0.5, 0.99, 0.999].map((share) => percentile(values, share).toFixed(2)),
  ];
  results.add(
    `Chat at ${perSecond} requests a second ${when}, ms`,
    ['', 'requests', 'p50', 'p99', 'p99.9'],
    [row(`within ${nearMs / 1000} s of ${event}`, near), row('all others', far)],
  );
}
