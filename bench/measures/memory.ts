import { setTimeout as sleep } from 'node:timers/promises';
import type { Reading } from '../meter.ts';
import { spread } from '../report.ts';
import type { Target } from '../targets.ts';
import type { BenchRun } from './bench-run.ts';

/** Between these numbers of open streams the memory is compared: V8's young generation grows with the first of them. */
const HELD: readonly number[] = [100, 600, 1100];

const PER_KIB = (streams: number): number => streams * 1024;

/** In fresh processes: one that has worked holds more memory than it needs, and growth would not show. */
export async function measureMemory(
  run: BenchRun,
  starts: readonly (() => Promise<Target>)[],
): Promise<void> {
  const rows: string[][] = [];
  for (const start of starts) {
    const idle: number[] = [];
    const steps = HELD.slice(1).map(() => ({
      resident: [] as number[],
      heap: [] as number[],
      native: [] as number[],
    }));
    let name = '';
    for (let round = 0; round < Math.ceil(run.rounds / 3); round += 1) {
      const target = await start();
      if (target.child === null) {
        await target.stop();
        continue;
      }
      name = target.name;
      try {
        idle.push((await target.meter()).rssBytes / 2 ** 20);
        let before: Reading | null = null;
        let open = 0;
        for (const [index, streams] of HELD.entries()) {
          await run.load.load({ kind: 'hold', origin: target.origin, streams: streams - open });
          await sleep(1500);
          const now = await target.meter(true);
          const step = steps[index - 1];
          if (before !== null && step !== undefined) {
            const kib = PER_KIB(streams - open);
            step.resident.push((now.rssBytes - before.rssBytes) / kib);
            step.heap.push((now.heapBytes - before.heapBytes) / kib);
            step.native.push(nativeBytes(now, before) / kib);
          }
          before = now;
          open = streams;
        }
        await run.load.load({ kind: 'release' });
      } finally {
        await target.stop();
      }
    }
    if (name === '') continue;
    for (const [index, { resident, heap, native }] of steps.entries())
      rows.push([
        `${HELD[index]} to ${HELD[index + 1]}`,
        name,
        spread(resident, 1),
        spread(heap, 1),
        spread(native, 1),
        spread(idle),
      ]);
  }
  run.results.add(
    'Memory of an open stream after collection, KiB; and of the process at rest, MiB',
    ['streams', '', 'resident', 'heap and buffers', 'outside of V8', 'process at rest'],
    rows,
  );
}

/** What is resident and neither the reserved heap nor known to V8: sockets, allocators, fragmentation. */
function nativeBytes(now: Reading, before: Reading): number {
  const of = ({ rssBytes, reservedHeapBytes, externalBytes }: Reading): number =>
    rssBytes - reservedHeapBytes - externalBytes;
  return of(now) - of(before);
}
