import NodeCache from 'node-cache';
import { FerryError } from '../lib/errors/ferry-error.ts';
import { type ListedModel, readModelsResponse } from '../openai/models/models-response.ts';
import { UpstreamStatusError } from '../upstream/response.ts';
import { mostActionable } from './retry-policy.ts';
import type { ClientIdentity } from './routed-request.ts';
import type { RoutedUpstream } from './upstream-state/routed-upstream.ts';

/** How long an upstream's list is cached, that it has none, and that it failed. */
const FRESH_SECONDS = 300;
const NO_LIST_SECONDS = 30;
const FAILED_SECONDS = 5;
/** Lists are fetched while a client waits for ours: RAGFlow and Open WebUI time out after ten seconds. */
const DISCOVERY_TIMEOUT_MS = 5_000;
const MAX_LIST_BYTES = 8 * 1024 * 1024;

/** What an upstream listed last, and why its list could not be fetched since. */
interface LastList {
  /** Of the settings of the upstream: a list of another one is of no use. */
  readonly recipe: string;
  /** Null: it never gave one. */
  readonly models: readonly ListedModel[] | null;
  readonly failure: FerryError | null;
}

/** The models of all upstreams: configured ones, aliases, and what upstreams list themselves where `allow` is open. */
export class ModelList {
  readonly #upstreams: readonly RoutedUpstream[];
  readonly #createdSeconds: number;
  readonly #discovered = new NodeCache({ stdTTL: FRESH_SECONDS, checkperiod: 0, useClones: false });
  /** By upstream. A list outlives its cache for when the upstream cannot be asked. */
  readonly #last = new Map<string, LastList>();
  /** One fetch a time from each upstream, however many clients ask. */
  readonly #fetching = new Map<string, Promise<readonly ListedModel[]>>();

  /** `previous`: the list of the configuration before this one, whose lists of unchanged upstreams are taken over. */
  constructor(upstreams: readonly RoutedUpstream[], createdSeconds: number, previous: ModelList | null) {
    this.#upstreams = upstreams;
    this.#createdSeconds = createdSeconds;
    if (previous === null) return;
    for (const { name, recipe } of upstreams) {
      const last = previous.#last.get(name);
      if (last?.recipe === recipe) this.#last.set(name, last);
    }
  }

  /**
   * What `client` may use, each id once, in the order of the upstreams. Never throws: an upstream that cannot be asked lists
   * what it listed last.
   */
  async listFor(client: ClientIdentity): Promise<readonly ListedModel[]> {
    const models = await this.#listOf(this.#upstreams.filter((upstream) => upstream.admitsClient(client)));
    return models.filter((model) => client.mayUseModel?.(model.id) !== false);
  }

  /** Why a list for `client` is empty; null: its upstreams have no lists, or no models for it. Call it after `listFor`. */
  failureFor(client: ClientIdentity): FerryError | null {
    const failures = this.#upstreams
      .filter((upstream) => upstream.isOpenEnded && upstream.admitsClient(client))
      .map(({ name }) => this.#last.get(name)?.failure ?? null)
      .filter((failure) => failure !== null);
    return mostActionable(failures) ?? null;
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

  /** A model that is not listed, since its name only matches a glob among the aliases; null: none does. */
  aliased(id: string, client: ClientIdentity): ListedModel | null {
    const isUsable = this.#upstreams.some(
      (upstream) =>
        upstream.globAliasOf(id) !== null &&
        upstream.admits(id, '/v1/models') &&
        upstream.admitsClient(client),
    );
    return isUsable && client.mayUseModel?.(id) !== false ? this.#configured(id) : null;
  }

  #configured(id: string): ListedModel {
    return { id, object: 'model', created: this.#createdSeconds, owned_by: 'tokenferry' };
  }

  async #modelsOf(upstream: RoutedUpstream): Promise<ListedModel[]> {
    const discovered = upstream.isOpenEnded ? await this.#discoveredOf(upstream) : [];
    const byId = new Map(discovered.map((model) => [model.id, model]));
    const named = upstream.namedModels.map(
      (id) =>
        byId.get(id) ?? {
          ...byId.get(upstream.upstreamModel(id)),
          ...this.#configured(id),
        },
    );
    return [...named, ...discovered].filter((model) => upstream.admits(model.id, '/v1/models'));
  }

  async #discoveredOf(upstream: RoutedUpstream): Promise<readonly ListedModel[]> {
    const known = this.#discovered.get<readonly ListedModel[]>(upstream.name);
    if (known !== undefined) return known;
    const last = this.#last.get(upstream.name)?.models ?? null;
    // Nobody waits for an issuer to get a list that is known.
    if (last !== null && !upstream.client.hasToken()) return last;
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
      this.#note(upstream, models, null);
      return models;
    } catch (error) {
      return this.#withoutList(upstream, listFailure(error, upstream.name));
    }
  }

  #withoutList(upstream: RoutedUpstream, failure: FerryError | null): readonly ListedModel[] {
    const models = failure === null ? null : (this.#last.get(upstream.name)?.models ?? null);
    this.#note(upstream, models, failure);
    const seconds = failure === null ? NO_LIST_SECONDS : FAILED_SECONDS;
    // A token may be there a moment later, and without one nothing is sent.
    if (failure?.kind !== 'token_unavailable') this.#discovered.set(upstream.name, models ?? [], seconds);
    return models ?? [];
  }

  #note({ name, recipe }: RoutedUpstream, models: LastList['models'], failure: FerryError | null): void {
    this.#last.set(name, { recipe, models, failure });
  }
}

/** Statuses of an upstream that was not reached, or not let in, and not of one without a list. */
function isFailureStatus(status: number): boolean {
  return status === 401 || status === 403 || status === 429 || (status >= 500 && status !== 501);
}

/** Null: it has no list, which is no failure: many gateways have no such path. */
function listFailure(error: unknown, name: string): FerryError | null {
  if (error instanceof UpstreamStatusError) {
    const { status } = error.response;
    if (!isFailureStatus(status)) return null;
    const message = `Upstream "${name}" responded to GET /models with status ${status}.`;
    return new FerryError('retryable_status', { status: 503, message, upstreamStatus: status });
  }
  if (!(error instanceof FerryError) || error.kind === 'invalid_response') return null;
  const { message, retryAfterMs, detail } = error;
  return new FerryError(error.kind, { status: 503, message, retryAfterMs, detail, cause: error });
}
