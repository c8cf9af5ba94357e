import { FerryError } from '../lib/errors/ferry-error.ts';
import { shorten } from '../lib/text/sanitize.ts';
import type { RoutedRequest } from './routed-request.ts';
import type { UpstreamAccess } from './upstream-access.ts';
import type { RoutedUpstream } from './upstream-state/routed-upstream.ts';

export type LoadBalancing = 'order' | 'random' | 'least_busy';

/**
 * The upstreams that may serve `request`, in the order of the policy. Throws `model_not_found` when none admits the
 * model, `not_permitted` when only the key is what is missing, and `upstream_misconfigured` when `skipped` ones, which
 * lack an endpoint or credentials, are all that there is.
 */
export function findCandidates(
  upstreams: readonly RoutedUpstream[],
  request: RoutedRequest,
  policy: LoadBalancing,
  random: () => number,
  skipped: readonly UpstreamAccess[] = [],
): RoutedUpstream[] {
  const { client, model, path } = request;
  const candidates: RoutedUpstream[] = [];
  let isAdmitted = false;
  for (const upstream of upstreams) {
    if (!upstream.admits(model, path)) continue;
    isAdmitted = true;
    if (upstream.admitsClient(client)) candidates.push(upstream);
  }
  if (!isAdmitted) throw misconfigured(skipped, request) ?? noSuchModel(model);
  if (candidates.length === 0 || !client.mayUseModel(model) || !client.mayUsePath(path))
    throw notPermitted(request);
  return arrange(candidates, policy, random);
}

function arrange(
  candidates: RoutedUpstream[],
  policy: LoadBalancing,
  random: () => number,
): RoutedUpstream[] {
  if (candidates.length === 1 || policy === 'order') return candidates;
  if (policy === 'least_busy') return candidates.sort((left, right) => left.load - right.load);
  for (let last = candidates.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [candidates[last], candidates[other]] = [
      candidates[other] as RoutedUpstream,
      candidates[last] as RoutedUpstream,
    ];
  }
  return candidates;
}

/**
 * Takes the best of `left` out of it: healthy with a token, and of those one with a free slot, then healthy, then cooling
 * (tried only when nothing else is left), then those whose queue is full. Upstreams that are rate limited for this model
 * are not tried at all; null when only such are left.
 */
export function takeNext(left: RoutedUpstream[], request: RoutedRequest): RoutedUpstream | null {
  let best = -1;
  let bestRank = Number.POSITIVE_INFINITY;
  for (let index = 0; index < left.length && bestRank > 0; index++) {
    const rank = rankOf(left[index] as RoutedUpstream, request);
    if (rank < bestRank) {
      bestRank = rank;
      best = index;
    }
  }
  if (best === -1) return null;
  return (best === left.length - 1 ? left.pop() : left.splice(best, 1)[0]) ?? null;
}

/** False: it is rate limited for this model. */
export function isTakeable(upstream: RoutedUpstream, request: RoutedRequest): boolean {
  return Number.isFinite(rankOf(upstream, request));
}

function rankOf(upstream: RoutedUpstream, request: RoutedRequest): number {
  const pause = upstream.pauses.get(upstream.upstreamModel(request.model));
  if (pause !== null) return pause.reason === 'model_not_found' ? 6 : Number.POSITIVE_INFINITY;
  const { hasFreeSlot } = upstream.limiter;
  if (!hasFreeSlot && upstream.limiter.isQueueFull) return 5;
  if (!upstream.circuit.isOpenForRequests()) return 4;
  return (upstream.client.hasToken() ? 0 : 2) + (hasFreeSlot ? 0 : 1);
}

/** 429 when all that is left is rate limited, with the shortest remaining time; `quota_exhausted` when that is why for all. */
export function allPaused(left: readonly RoutedUpstream[], request: RoutedRequest): FerryError {
  const pauses = left
    .map((upstream) => upstream.pauses.get(upstream.upstreamModel(request.model)))
    .filter((pause) => pause !== null);
  const retryAfterMs = pauses.length === 0 ? 1_000 : Math.min(...pauses.map((pause) => pause.remainingMs));
  const isQuota = pauses.length > 0 && pauses.every(({ reason }) => reason === 'quota_exhausted');
  if (isQuota) {
    return new FerryError('quota_exhausted', {
      message: `The quota of every upstream for model "${shorten(request.model)}" is exhausted (429).`,
      retryAfterMs,
    });
  }
  return new FerryError('rate_limited', {
    message: `Every upstream for model "${shorten(request.model)}" is rate limited (429). Retry after the time in retry-after.`,
    retryAfterMs,
  });
}

/** Amazon's resource names are the longest that providers have. UTF-16 units. */
const MAX_MODEL_NAME = 2048;

/** Throws `model_not_found` for a name of many megabytes: what is learned of models is kept by their names. */
export function refuseLongModelName(model: string): void {
  if (model.length > MAX_MODEL_NAME) throw noSuchModel(model);
}

/** `model_not_found`: no upstream serves `model`, or none that this client may use. */
export function noSuchModel(model: string): FerryError {
  return new FerryError('model_not_found', {
    message: `The model "${shorten(model)}" does not exist here. GET /v1/models lists the models that do.`,
    param: 'model',
  });
}

/** Null: no skipped upstream would serve this request of this client. */
function misconfigured(
  skipped: readonly UpstreamAccess[],
  { client, model, path }: RoutedRequest,
): FerryError | null {
  if (!client.mayUseModel(model) || !client.mayUsePath(path)) return null;
  const skippedOnes = skipped.filter((one) => one.admits(model, path) && one.admitsClient(client));
  if (skippedOnes.length === 0) return null;
  const names = skippedOnes.map(({ name }) => `"${name}"`).join(', ');
  return new FerryError('upstream_misconfigured', {
    message: `The model "${shorten(model)}" has only upstreams that are misconfigured: ${names} has no endpoint or no credentials. Run "tokenferry check" on the gateway.`,
  });
}

function notPermitted(request: RoutedRequest): FerryError {
  if (request.client.keyDigest === null && !request.client.isGlobal) {
    return new FerryError('invalid_api_key', {
      message: `The model "${shorten(request.model)}" needs an API key: send it as "Authorization: Bearer <key>".`,
    });
  }
  return new FerryError('not_permitted', {
    message: `This API key may not use the model "${shorten(request.model)}" on ${shorten(request.path)}.`,
    param: 'model',
  });
}
