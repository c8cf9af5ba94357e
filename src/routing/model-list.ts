import NodeCache from 'node-cache';
import { type ListedModel, readModelsResponse } from '../openai/models/models-response.ts';
import type { ClientIdentity } from './routed-request.ts';
import type { RoutedUpstream } from './upstream-state/routed-upstream.ts';

/** How long an upstream's list is cached, and how long its failure to give one. */
const FRESH_SECONDS = 300;
const FAILED_SECONDS = 30;
/** Lists are fetched while a client waits for ours: RAGFlow and Open WebUI time out after ten seconds. */
const DISCOVERY_TIMEOUT_MS = 5_000;
const MAX_LIST_BYTES = 8 * 1024 * 1024;

/** The models of all upstreams: configured ones, aliases, and what upstreams list themselves where `allow` is open. */
export class ModelList {
  readonly #upstreams: readonly RoutedUpstream[];
  readonly #createdSeconds: number;
  readonly #discovered = new NodeCache({ stdTTL: FRESH_SECONDS, checkperiod: 0, useClones: false });
  /** One fetch a time from each upstream, however many clients ask. */
  readonly #fetching = new Map<string, Promise<readonly ListedModel[]>>();

  constructor(upstreams: readonly RoutedUpstream[], createdSeconds: number) {
    this.#upstreams = upstreams;
    this.#createdSeconds = createdSeconds;
  }

  /** What `client` may use, each id once, in the order of the upstreams. Never throws: an upstream that does not respond lists nothing. */
  async listFor(client: ClientIdentity): Promise<readonly ListedModel[]> {
    const models = await this.#listOf(this.#upstreams.filter((upstream) => upstream.admitsClient(client)));
    return models.filter((model) => client.mayUseModel?.(model.id) !== false);
  }

  /** The models of all upstreams, whoever may use them. */
  listAll(): Promise<readonly ListedModel[]> {
    return this.#listOf(this.#upstreams);
  }

  /** Each id once. */
  async #listOf(upstreams: readonly RoutedUpstream[]): Promise<readonly ListedModel[]> {
    const lists = await Promise.all(upstreams.map((upstream) => this.#modelsOf(upstream)));
    const models = new Map<string, ListedModel>();
    for (const model of lists.flat()) if (!models.has(model.id)) models.set(model.id, model);
    return [...models.values()];
  }

  async #modelsOf(upstream: RoutedUpstream): Promise<ListedModel[]> {
    const discovered = upstream.isOpenEnded ? await this.#discoveredOf(upstream) : [];
    const byId = new Map(discovered.map((model) => [model.id, model]));
    const named = upstream.namedModels.map(
      (id) =>
        byId.get(id) ?? {
          ...byId.get(upstream.upstreamModel(id)),
          id,
          object: 'model' as const,
          created: this.#createdSeconds,
          owned_by: 'tokenferry',
        },
    );
    return [...named, ...discovered].filter((model) => upstream.admits(model.id, '/v1/models'));
  }

  async #discoveredOf(upstream: RoutedUpstream): Promise<readonly ListedModel[]> {
    const known = this.#discovered.get<readonly ListedModel[]>(upstream.name);
    if (known !== undefined) return known;
    let fetching = this.#fetching.get(upstream.name);
    if (fetching === undefined) {
      fetching = this.#fetch(upstream).finally(() => this.#fetching.delete(upstream.name));
      this.#fetching.set(upstream.name, fetching);
    }
    return fetching;
  }

  async #fetch(upstream: RoutedUpstream): Promise<readonly ListedModel[]> {
    try {
      const { client } = upstream;
      const response = await client.fetchModels(DISCOVERY_TIMEOUT_MS);
      const body = await response.body.readAll(MAX_LIST_BYTES);
      if (client.hasBodyMatchers && client.rejectsTokenIn(response, body.toString()))
        client.reportRejected(response);
      const models = readModelsResponse(body, this.#createdSeconds);
      this.#discovered.set(upstream.name, models);
      return models;
    } catch {
      // Not listing is no failure of the upstream: many gateways have no such path.
      this.#discovered.set(upstream.name, [], FAILED_SECONDS);
      return [];
    }
  }
}
