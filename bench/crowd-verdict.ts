import type { Reading } from './meter.ts';

export interface CrowdFacts {
  readonly streams: number;
  readonly left: number;
  readonly elapsedMs: number;
  /** What was wrong with streams. */
  readonly faults: readonly string[];
  /** Events that clients read in a second, all together. */
  readonly eventsPerSecond: number;
  readonly cpuShare: number;
  readonly before: Reading;
  readonly after: Reading;
  /** After all clients are gone. */
  readonly upstreamCalls: number;
  readonly inflight: number;
  /** Requests by the outcome that the gateway counted. */
  readonly outcomes: Readonly<Record<string, number>>;
}

const MAX_GROWTH = 0.1;
/** What a leak would be made of. */
const COUNTED = ['TCPSocketWrap', 'Timeout', 'Immediate', 'TCPConnectWrap', 'FSReqPromise'];

/** Prints each violated guarantee; true when there is none. */
export function crowdVerdict(facts: CrowdFacts): boolean {
  const { streams, left, faults, before, after, outcomes } = facts;
  const broken: string[] = [];
  if (faults.length > 0) broken.push(`${faults.length} streams were wrong: ${faults[0]}`);
  if (facts.upstreamCalls > 0) broken.push(`${facts.upstreamCalls} upstream calls go on`);
  if (facts.inflight > 0) broken.push(`${facts.inflight} requests are still counted as running`);
  if ((outcomes.client_gone ?? 0) !== left)
    broken.push(`${left} clients left, ${outcomes.client_gone ?? 0} were recorded`);
  if ((outcomes.ok ?? 0) !== streams - left)
    broken.push(`${streams - left} streams were whole, ${outcomes.ok ?? 0} were recorded`);
  for (const kind of COUNTED) {
    const [was, is] = [before.resources[kind] ?? 0, after.resources[kind] ?? 0];
    if (is > was) broken.push(`${kind}: ${was} before, ${is} after`);
  }
  if (heapGrowth(facts) > MAX_GROWTH) broken.push('the heap grew');
  for (const promise of broken) console.log(`BROKEN: ${promise}`);
  if (broken.length === 0) console.log('every promise was kept');
  return broken.length === 0;
}

export function printCrowd(seed: number, facts: CrowdFacts): void {
  const { before, after } = facts;
  const mebibytes = [before, after].map(({ heapBytes }) => (heapBytes / 1024 / 1024).toFixed(1));
  console.log(`seed ${seed}, ${(facts.elapsedMs / 1000).toFixed(1)} s`);
  console.log(`streams         ${facts.streams}, of them left by their clients ${facts.left}`);
  console.log(`wrong           ${facts.faults.length}`);
  console.log(`events          ${facts.eventsPerSecond.toFixed(0)} a second`);
  console.log(`CPU             ${(facts.cpuShare * 100).toFixed(0)} % of a core`);
  console.log(`resources       ${JSON.stringify(before.resources)} → ${JSON.stringify(after.resources)}`);
  console.log(`outcomes        ${JSON.stringify(facts.outcomes)}`);
  console.log(`heap            ${mebibytes.join(' → ')} MiB (${(heapGrowth(facts) * 100).toFixed(1)} %)`);
}

function heapGrowth({ before, after }: CrowdFacts): number {
  return after.heapBytes / before.heapBytes - 1;
}
