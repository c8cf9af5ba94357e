import type { Clock } from '../../lib/clock.ts';
import { FerryError } from '../../lib/errors/ferry-error.ts';
import { isTakeable } from '../candidates.ts';
import type { RoutedRequest } from '../routed-request.ts';
import type { RoutedUpstream } from './routed-upstream.ts';

/** What became of a candidate whose places were all taken. */
type Queued =
  | { readonly outcome: 'admitted' }
  /** It began to cool down meanwhile, and others are left: the place was given back. */
  | { readonly outcome: 'reconsider' }
  | { readonly outcome: 'refused'; readonly error: FerryError };

/**
 * Waits for a place at `upstream` up to the deadline of the request, before an attempt begins: no time limit of an
 * attempt runs meanwhile. Rejects with the signal's reason. A refusal is noted in the request's log.
 */
export async function queueFor(
  upstream: RoutedUpstream,
  request: RoutedRequest,
  left: readonly RoutedUpstream[],
  { deadlineMonoMs, clock }: { readonly deadlineMonoMs: number; readonly clock: Clock },
): Promise<Queued> {
  const startedMonoMs = clock.monoMs();
  const admission = await upstream.limiter.acquire({
    client: request.client.name ?? '',
    signal: request.signal,
    waitMs: Math.max(0, deadlineMonoMs - startedMonoMs),
  });
  if (admission === 'acquired') {
    const isWorse = !upstream.circuit.isOpenForRequests() && left.some((one) => isTakeable(one, request));
    if (!isWorse) return { outcome: 'admitted' };
    upstream.limiter.release();
    return { outcome: 'reconsider' };
  }
  const error = refusal(upstream.name, admission);
  request.log.turnedAway(upstream.name, upstream.upstreamModel(request.model), {
    upstream: upstream.name,
    outcome: error.kind,
    status: null,
    elapsedMs: clock.monoMs() - startedMonoMs,
    tokenRenewed: false,
    detail: error.message,
  });
  return { outcome: 'refused', error };
}

function refusal(name: string, admission: 'queue_full' | 'timed_out'): FerryError {
  return new FerryError('queue_full', {
    message:
      admission === 'queue_full'
        ? `Upstream "${name}" is busy and its queue is full (max_concurrency). Try again in a moment.`
        : `Upstream "${name}" was busy until the deadline of the request (max_concurrency). Try again in a moment.`,
  });
}
