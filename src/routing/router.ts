import { findCandidates, type LoadBalancing } from './candidates.ts';
import { type FailOverSettings, failOver, type Service } from './failover.ts';
import type { RoutedRequest } from './routed-request.ts';
import type { UpstreamAccess } from './upstream-access.ts';
import type { RoutedUpstream } from './upstream-state/routed-upstream.ts';

interface RouterSettings extends FailOverSettings {
  readonly policy: LoadBalancing;
  readonly random: () => number;
  /** Upstreams of the configuration that cannot serve anything. */
  readonly skipped?: readonly UpstreamAccess[];
}

/** How many model names beyond the configured ones may become labels of metrics. */
const MOST_LEARNED_MODELS = 200;

/** The upstreams of one configuration, and the way from a request to one of them. */
export class Router {
  readonly upstreams: readonly RoutedUpstream[];
  readonly #settings: RouterSettings;
  readonly #knownModels: Set<string>;
  readonly #mostKnownModels: number;

  constructor(upstreams: readonly RoutedUpstream[], settings: RouterSettings) {
    this.upstreams = upstreams;
    this.#settings = settings;
    this.#knownModels = new Set(upstreams.flatMap((upstream) => upstream.namedModels));
    this.#mostKnownModels = this.#knownModels.size + MOST_LEARNED_MODELS;
  }

  /** In the order of `lb_policy` unless told another. Throws as `findCandidates` does. */
  candidates(request: RoutedRequest, policy: LoadBalancing = this.#settings.policy): RoutedUpstream[] {
    const { random, skipped } = this.#settings;
    return findCandidates(this.upstreams, request, policy, random, skipped);
  }

  /** Serves from the first candidate that can; throws the FerryError for the client when none does. */
  async run<Served>(
    request: RoutedRequest,
    service: Service<Served>,
    candidates: readonly RoutedUpstream[] = this.candidates(request),
  ): Promise<Served> {
    const served = await failOver(request, candidates, service, this.#settings);
    // Ids in the paths of requests without a model are no names of models.
    const isNamed = request.model !== request.path;
    if (isNamed && this.#knownModels.size < this.#mostKnownModels) this.#knownModels.add(request.model);
    return served;
  }

  /** True for a configured name, and for one of the first names that an upstream answered to. */
  isKnownModel(model: string): boolean {
    return this.#knownModels.has(model);
  }
}
