import { FerryError } from '../lib/errors/ferry-error.ts';
import { nearestWord } from '../lib/text/nearest-word.ts';
import { shorten } from '../lib/text/sanitize.ts';
import { Failover, type FailoverSettings, upstreamsPaused } from './failover.ts';
import type { ClientIdentity, RoutedRequest } from './routed-request.ts';
import type { UpstreamAccess } from './upstream-access.ts';
import type { RoutedUpstream } from './upstream-state/routed-upstream.ts';

type LoadBalancing = 'order' | 'random' | 'least_busy';

interface RouterSettings extends FailoverSettings {
  readonly policy: LoadBalancing;
  readonly random: () => number;
  /** Upstreams of the configuration that lack an endpoint or credentials. */
  readonly skipped?: readonly UpstreamAccess[];
}

/** How many model names beyond the configured ones may become labels of metrics. */
const MAX_LEARNED_MODELS = 200;

/** The upstreams of one configuration: which of them may serve a request, and the fail-over through them. */
export class Router {
  readonly upstreams: readonly RoutedUpstream[];
  readonly #settings: RouterSettings;
  readonly #knownModels: Set<string>;
  readonly #maxKnownModels: number;

  constructor(upstreams: readonly RoutedUpstream[], settings: RouterSettings) {
    this.upstreams = upstreams;
    this.#settings = settings;
    this.#knownModels = new Set(upstreams.flatMap((upstream) => upstream.namedModels));
    this.#maxKnownModels = this.#knownModels.size + MAX_LEARNED_MODELS;
  }

  /** In the order of `policy`, by default of `lb_policy`. Throws as `findCandidates` does. */
  candidates(request: RoutedRequest, policy: LoadBalancing = this.#settings.policy): RoutedUpstream[] {
    const { random, skipped } = this.#settings;
    return findCandidates(this.upstreams, request, policy, random, skipped);
  }

  /** The way of a request through its candidates; nothing is sent yet. Throws as `candidates` does. */
  begin(request: RoutedRequest, candidates: readonly RoutedUpstream[] = this.candidates(request)): Failover {
    return new Failover(request, candidates, this.#settings);
  }

  /** An upstream served the request, so that its model exists. True: the model may be a label of metrics. */
  served({ model, path }: RoutedRequest): boolean {
    // Requests without a model have their path as its name, and ids in paths are no names of models.
    if (model !== path && this.#knownModels.size < this.#maxKnownModels) this.#knownModels.add(model);
    return this.#knownModels.has(model);
  }

  /** True for a configured name, and for one of the first names that an upstream served. */
  isKnownModel(model: string): boolean {
    return this.#knownModels.has(model);
  }
}

/**
 * The upstreams that may serve `request`, in the order of the policy. Throws `model_not_found` when none admits the
 * model, `not_permitted` when only the key is what is missing, `upstream_paused` when an administrator paused all of them, and `upstream_misconfigured` when `skipped` ones, which
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
  let isPermitted = false;
  for (const upstream of upstreams) {
    if (!upstream.admits(model, path)) continue;
    isAdmitted = true;
    if (!upstream.admitsClient(client)) continue;
    isPermitted = true;
    if (!upstream.isPaused) candidates.push(upstream);
  }
  if (!isAdmitted)
    throw (
      misconfigured(skipped, request) ?? noSuchModel(model, { nearest: nearestModel(upstreams, request) })
    );
  if (!isPermitted || isForbidden(client, model, path)) throw notPermitted(request);
  if (candidates.length === 0) throw upstreamsPaused(model);
  return candidates.length === 1 ? candidates : arrange(candidates, policy, random);
}

function arrange(
  candidates: RoutedUpstream[],
  policy: LoadBalancing,
  random: () => number,
): RoutedUpstream[] {
  if (policy === 'order') return candidates;
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

/** Amazon's resource names are the longest that providers have. UTF-16 units. */
const MAX_MODEL_NAME = 2048;

/** Throws `model_not_found` for a name of many megabytes: what is learned of models is kept by their names. */
export function refuseLongModelName(model: string): void {
  if (model.length > MAX_MODEL_NAME) throw noSuchModel(model);
}

/** A longer name is compared with nothing: the cost grows with its length. UTF-16 units. */
const MAX_COMPARED_NAME = 64;

/** The configured model that the client probably means, of those that it may use; null when none is near. */
function nearestModel(upstreams: readonly RoutedUpstream[], { client, model }: RoutedRequest): string | null {
  if (model.length > MAX_COMPARED_NAME) return null;
  const usable = upstreams
    .filter((upstream) => upstream.admitsClient(client))
    .flatMap((upstream) => upstream.namedModels)
    .filter((name) => client.mayUseModel?.(name) !== false);
  return nearestWord(model, usable);
}

interface ModelErrorFacts {
  /** What an upstream said of the model. */
  readonly cause?: FerryError;
  /** The model that is probably meant. */
  readonly nearest?: string | null;
}

/** `model_not_found`: no upstream serves `model`, or none that this client may use. */
export function noSuchModel(model: string, { cause, nearest = null }: ModelErrorFacts = {}): FerryError {
  const hint = nearest === null ? '' : ` Did you mean "${nearest}"?`;
  return new FerryError('model_not_found', {
    message: `The model "${shorten(model)}" does not exist here.${hint} GET /v1/models lists the models that do.`,
    param: 'model',
    upstreamStatus: cause?.upstreamStatus,
    detail: cause?.detail ?? cause?.message,
    cause,
  });
}

/** Null: no skipped upstream would serve this request of this client. */
function misconfigured(
  skipped: readonly UpstreamAccess[],
  { client, model, path }: RoutedRequest,
): FerryError | null {
  if (isForbidden(client, model, path)) return null;
  const skippedOnes = skipped.filter((one) => one.admits(model, path) && one.admitsClient(client));
  if (skippedOnes.length === 0) return null;
  const names = skippedOnes.map(({ name }) => `"${name}"`).join(', ');
  return new FerryError('upstream_misconfigured', {
    message: `The model "${shorten(model)}" has only upstreams that are misconfigured: ${names} has no endpoint or no credentials. Run "tokenferry check" on the gateway.`,
  });
}

function isForbidden({ mayUseModel, mayUsePath }: ClientIdentity, model: string, path: string): boolean {
  return mayUseModel?.(model) === false || mayUsePath?.(path) === false;
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
