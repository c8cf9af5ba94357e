/**
 * `npm run bench`: what tokenferry costs beside a bare Node proxy that does nothing, measured in the same run.
 *
 * CPU time of the whole gateway process, worker threads included, on a core of its own; the load generator and the
 * upstream share another. Rounds alternate, so that a change of the machine's speed affects all alike.
 */
import { cpus } from 'node:os';
import { toolOptions } from '../scripts/tool-options.ts';
import { packageVersion } from '../src/lib/version.ts';
import { type Checkout, checkoutOf } from './checkout.ts';
import { Child, canPin } from './child.ts';
import { type BenchRun, Results } from './measures/bench-run.ts';
import { type Comparison, measureCpu } from './measures/cpu.ts';
import { measureCrowds, measureFailover, measureFirstToken, measureRenewals } from './measures/latency.ts';
import { measureMemory } from './measures/memory.ts';
import { hasNginx, startNginx } from './nginx.ts';
import { OpenPage } from './open-page.ts';
import { startBareProxy, startTokenferry, type Target } from './targets.ts';

const USAGE = `npm run bench -- [options]

  --quick            a third of the requests, fewer rounds and cases: about two minutes
  --bare-only        the bare proxy on both sides: the accuracy of the measurement itself
  --against WHAT     one more column: the gateway of another checkout (a folder, or a revision of git), measured in the
                     same rounds; ends with 1 when a request costs over 10 % more CPU time than there
  --pages N          one more column: this gateway while N pages at /ui/ are open
  --cpu-only         only the CPU time a request
  --json FILE        the tables as JSON, too
                     nginx is measured as well when it is installed`;

const { values: flags } = toolOptions(USAGE, {
  options: {
    quick: { type: 'boolean', default: false },
    'bare-only': { type: 'boolean', default: false },
    against: { type: 'string' },
    pages: { type: 'string' },
    'cpu-only': { type: 'boolean', default: false },
    json: { type: 'string' },
  },
});

/** By how much a request may cost more than at the other checkout. */
const MAX_RATIO = 1.1;

const upstream = Child.start('rest', 'bench/upstream.ts', []);
const load = Child.start('rest', 'bench/load.ts', []);
const targets: Target[] = [];
const pages: OpenPage[] = [];
let other: Checkout | null = null;
try {
  const run: BenchRun = {
    upstreamOrigin: `http://127.0.0.1:${await upstream.port()}`,
    load,
    rounds: flags.quick ? 3 : 7,
    scale: flags.quick ? 0.3 : 1,
    results: new Results(),
  };
  if (flags.against !== undefined) other = await checkoutOf(flags.against);
  const pageCount = Number(flags.pages ?? 0);
  const starts = startsOf(run.upstreamOrigin, other?.folder ?? null, pageCount);
  for (const start of starts) targets.push(await start());
  for (let page = 0; page < pageCount; page += 1) {
    const opened = new OpenPage(targets[2]?.origin ?? '');
    pages.push(opened);
    await opened.open();
  }
  printHead(targets, run.rounds);
  const compared = comparisonOf(pageCount, other !== null);
  const ratios = await measureCpu(run, targets, { isQuick: flags.quick, compared });
  if (!flags['cpu-only']) {
    await measureFirstToken(run, targets);
    if (!flags.quick) await measureCrowds(run, targets);
    await Promise.all(targets.splice(0).map((target) => target.stop()));
    await measureMemory(run, starts.slice(0, 2));
    if (!flags['bare-only']) {
      await measureRenewals(run);
      await measureFailover(run);
    }
  }
  if (flags.json !== undefined) await run.results.writeJson(flags.json, factsOf());
  if (other !== null) guard(ratios);
} finally {
  for (const page of pages) page.close();
  await Promise.all([...targets, upstream, load].map((one) => one.stop()));
  await other?.remove();
}

/** The bare proxy first, then this gateway, then what it is compared with, then nginx. */
function startsOf(
  upstreamOrigin: string,
  otherFolder: string | null,
  pageCount: number,
): (() => Promise<Target>)[] {
  const starts = [
    () => startBareProxy(upstreamOrigin),
    () =>
      flags['bare-only'] ? startBareProxy(upstreamOrigin, 'bare again') : startTokenferry(upstreamOrigin),
  ];
  if (otherFolder !== null)
    starts.push(() => startTokenferry(upstreamOrigin, { folder: otherFolder, name: 'other checkout' }));
  else if (pageCount > 0)
    starts.push(() => startTokenferry(upstreamOrigin, { name: `${pageCount} pages open` }));
  if (hasNginx) starts.push(() => startNginx(upstreamOrigin));
  return starts;
}

function comparisonOf(pageCount: number, hasOther: boolean): Comparison | null {
  if (hasOther) return { title: 'to the other checkout', of: 1, to: 2 };
  return pageCount > 0 ? { title: 'with pages, to without', of: 2, to: 1 } : null;
}

/** Fails the run when a case became more than a tenth dearer. */
function guard(ratios: ReadonlyMap<string, number>): void {
  const dearer = [...ratios].filter(([, ratio]) => ratio > MAX_RATIO);
  for (const [title, ratio] of dearer)
    console.error(`${title}: ${ratio.toFixed(2)} times the CPU time of the other checkout.`);
  if (dearer.length > 0) process.exitCode = 1;
}

function printHead(all: readonly Target[], rounds: number): void {
  const pinned = canPin
    ? 'gateway pinned to one core, load and upstream to another'
    : 'not pinned: figures are rough';
  console.log(`Node ${process.versions.node}, ${cpus()[0]?.model.trim()} x ${cpus().length}, ${pinned}`);
  console.log(`${rounds} rounds, alternating; median (smallest–largest)`);
  for (const { name, startMs } of all) console.log(`${name}: ready ${startMs.toFixed(0)} ms after its start`);
}

function factsOf(): object {
  const [{ model = '' } = {}, ...more] = cpus();
  return {
    version: packageVersion(),
    node: process.versions.node,
    cpu: `${model.trim()} x ${more.length + 1}`,
    measuredAt: new Date().toISOString(),
  };
}
