import v8 from 'node:v8';

/**
 * Preloaded (`--import`) into the process that is measured: responds to `meter` on the IPC channel with what the whole
 * process has used, worker threads included (getrusage). Needs `--expose-gc`.
 */
export interface Reading {
  /** User and system time since the start. Microseconds. */
  readonly cpuUs: number;
  /** Of the main thread alone. */
  readonly mainUs: number;
  /** After a full collection. Bytes. */
  readonly rssBytes: number;
  readonly heapBytes: number;
  /** What V8 holds for its heap, used or not, and what it knows of outside of it. Bytes. */
  readonly reservedHeapBytes: number;
  readonly externalBytes: number;
  /** Sockets, timers and other resources that keep the process alive: how many of each kind. */
  readonly resources: Readonly<Record<string, number>>;
}

/** What was allocated on the heap of the main thread between two questions. */
export interface Allocation {
  readonly bytes: number;
  /** What a young collection found alive and copied. */
  readonly survivedBytes: number;
  readonly gcUs: number;
}

const collect = (globalThis as { gc?: () => void }).gc;

process.on('message', (question) => {
  if (question === 'meter') answer();
  if (question === 'meter after collection') collectTwice();
  if (question === 'watch allocation') watchAllocation();
  if (question === 'allocation') process.send?.({ allocation: allocationSince() });
});

let profiler: v8.GCProfiler | null = null;
let usedBefore = 0;

function watchAllocation(): void {
  profiler = new v8.GCProfiler();
  profiler.start();
  usedBefore = process.memoryUsage().heapUsed;
  process.send?.({ watching: true });
}

/** Between two collections the heap grows by what is allocated. */
function allocationSince(): Allocation {
  const collections = profiler?.stop()?.statistics ?? [];
  let [used, bytes, survivedBytes, gcUs] = [usedBefore, 0, 0, 0];
  for (const { gcType, cost, beforeGC, afterGC } of collections) {
    bytes += beforeGC.heapStatistics.usedHeapSize - used;
    used = afterGC.heapStatistics.usedHeapSize;
    gcUs += cost;
    if (gcType !== 'Scavenge') continue;
    const [before, after] = [spacesOf(beforeGC), spacesOf(afterGC)];
    survivedBytes += after.young + Math.max(0, after.old - before.old);
  }
  bytes += process.memoryUsage().heapUsed - used;
  return { bytes, survivedBytes, gcUs };
}

function spacesOf({ heapSpaceStatistics }: v8.GCProfilerResult['statistics'][number]['beforeGC']): {
  young: number;
  old: number;
} {
  const used = (name: string): number =>
    heapSpaceStatistics.find(({ spaceName }) => spaceName === name)?.spaceUsedSize ?? 0;
  return { young: used('new_space'), old: used('old_space') };
}

/** The second time takes what finalizers of the first have let go of. */
function collectTwice(): void {
  collect?.();
  setTimeout(() => {
    collect?.();
    answer();
  }, 50);
}

function answer(): void {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
  const main = process.threadCpuUsage();
  const resources: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
  const reading: Reading = {
    cpuUs: user + system,
    mainUs: main.user + main.system,
    rssBytes: rss,
    heapBytes: heapUsed + external,
    reservedHeapBytes: heapTotal,
    externalBytes: external,
    resources,
  };
  process.send?.({ reading });
}

// The measured process ends as it would without a meter, and with the benchmark when that dies.
process.channel?.unref();
process.once('disconnect', () => process.exit());
