import type { Span } from './issuer-faults.ts';
import type { Reading } from './meter.ts';

/** One request of the load. Times of the monotonic clock in milliseconds. */
export interface Sample {
  readonly kind: 'chat' | 'stream' | 'embeddings';
  readonly atMs: number;
  /** To the response's headers. */
  readonly firstMs: number;
  readonly endMs: number;
  readonly failure: string | null;
}

export interface SoakFacts {
  readonly elapsedMs: number;
  readonly tokenLifeMs: number;
  readonly samples: readonly Sample[];
  /** Requests that the upstream rejected with 401. */
  readonly refusals: number;
  readonly issuerCalls: number;
  /** Null with faults: retries while the issuer fails have bounds of their own. */
  readonly maxIssuerCalls: number | null;
  readonly renewalsMs: readonly number[];
  readonly starvedMs: readonly Span[];
  readonly heapGrowth: number;
  readonly heapBytes: readonly [number, number];
}

/** Promise of issue 3: T/(0.4·L)+2. */
export function issuerCallBound(elapsedMs: number, tokenLifeMs: number): number {
  return elapsedMs / (0.4 * tokenLifeMs) + 2;
}

export function heapGrowth(before: Reading, after: Reading): number {
  return after.heapBytes / before.heapBytes - 1;
}

/** Failures while a valid token could exist. A request that waited through an outage began within or before it. */
export function unexplained(facts: SoakFacts): Sample[] {
  return facts.samples.filter(
    ({ failure, atMs, endMs }) =>
      failure !== null && !facts.starvedMs.some(({ fromMs, toMs }) => endMs >= fromMs && atMs <= toMs),
  );
}

/** p99 of the time to the headers within 0.5 s of a renewal, and elsewhere. */
export function tails({ samples, renewalsMs }: SoakFacts): {
  near: number;
  elsewhere: number;
  nearCount: number;
} {
  const near: number[] = [];
  const elsewhere: number[] = [];
  for (const { atMs, firstMs, failure } of samples) {
    if (failure !== null) continue;
    (renewalsMs.some((at) => Math.abs(at - atMs) <= 500) ? near : elsewhere).push(firstMs);
  }
  return { near: p99(near), elsewhere: p99(elsewhere), nearCount: near.length };
}

function p99(values: number[]): number {
  values.sort((left, right) => left - right);
  return values[Math.floor(values.length * 0.99)] ?? Number.NaN;
}

/**
 * Heap after a forced collection. Every connection of the largest burst leaves a small client object in its pool (3.6 KB,
 * some hundreds with the issuer away for seconds), so that a few percent are no leak; a leak grows with the minutes.
 */
const MAX_GROWTH = 0.05;
const ALWAYS_ALLOWED_BYTES = 1024 * 1024;
/** Each side of the comparison needs so many; with fewer the tail is noise and is only printed. */
const FEWEST_SAMPLES = 5_000;

/** Prints each violated guarantee; true when there is none. */
export function verdict(facts: SoakFacts): boolean {
  const broken: string[] = [];
  const failures = unexplained(facts);
  if (failures.length > 0) broken.push(`${failures.length} requests failed: ${failures[0]?.failure}`);
  if (facts.maxIssuerCalls !== null) {
    if (facts.refusals > 0) broken.push(`the upstream refused ${facts.refusals} requests`);
    if (facts.issuerCalls > facts.maxIssuerCalls)
      broken.push(
        `${facts.issuerCalls} calls of the issuer, at most ${facts.maxIssuerCalls.toFixed(1)} are promised`,
      );
    const { near, elsewhere, nearCount } = tails(facts);
    const isMeasured = Math.min(nearCount, facts.samples.length - nearCount) >= FEWEST_SAMPLES;
    if (isMeasured && near > 1.2 * elsewhere + 5) broken.push('requests near a renewal are slower');
  }
  const grownBytes = facts.heapBytes[1] - facts.heapBytes[0];
  if (facts.heapGrowth > MAX_GROWTH && grownBytes > ALWAYS_ALLOWED_BYTES)
    broken.push(`the heap grew by ${(facts.heapGrowth * 100).toFixed(1)} %`);
  for (const promise of broken) console.log(`BROKEN: ${promise}`);
  if (broken.length === 0) console.log('every promise was kept');
  return broken.length === 0;
}

export function printReport(seed: number, facts: SoakFacts): void {
  const { samples, refusals, issuerCalls, maxIssuerCalls, starvedMs, heapBytes } = facts;
  const failed = samples.filter((sample) => sample.failure !== null).length;
  const { near, elsewhere, nearCount } = tails(facts);
  const mebibytes = heapBytes.map((bytes) => (bytes / 1024 / 1024).toFixed(1));
  const starvedSeconds = starvedMs.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0) / 1000;
  console.log(
    `seed ${seed}, ${(facts.elapsedMs / 1000).toFixed(1)} s, tokens of ${facts.tokenLifeMs / 1000} s`,
  );
  console.log(`requests        ${samples.length}`);
  console.log(`failed          ${failed}, of them unexplained ${unexplained(facts).length}`);
  console.log(`refusals        ${refusals}`);
  console.log(
    `issuer calls    ${issuerCalls}${maxIssuerCalls === null ? '' : ` (bound ${maxIssuerCalls.toFixed(1)})`}`,
  );
  console.log(`no valid token  ${starvedSeconds.toFixed(1)} s`);
  console.log(
    `p99 to headers  ${near.toFixed(1)} ms within 0.5 s of a renewal (${nearCount}), ${elsewhere.toFixed(1)} ms elsewhere`,
  );
  console.log(`heap            ${mebibytes.join(' → ')} MiB (${(facts.heapGrowth * 100).toFixed(1)} %)`);
}
