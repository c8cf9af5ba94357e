import { findCandidates, type LoadBalancing } from './candidates.ts';
import { Failover, type FailoverSettings } from './failover.ts';
import type { RoutedRequest } from './routed-request.ts';
import type { UpstreamAccess } from './upstream-access.ts';
import type { RoutedUpstream } from './upstream-state/routed-upstream.ts';

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
