import type { Profile } from '../../openai/request/profile.ts';
import type { UpstreamClient } from '../../upstream/client.ts';
import type { ClientIdentity } from '../routed-request.ts';
import { type AccessSettings, UpstreamAccess } from '../upstream-access.ts';
import type { Circuit } from './circuit.ts';
import { ConcurrencyLimiter } from './concurrency-limiter.ts';
import type { LearnedDrops } from './learned-refusals.ts';
import { BatchLimits } from './learned-refusals.ts';
import type { ModelPauses } from './model-pauses.ts';

/** The time limits of one upstream in milliseconds; 0 = none. */
export interface UpstreamLimits {
  readonly timeoutMs: number;
  readonly streamTimeoutMs: number;
  readonly firstContentTimeoutMs: number;
  readonly embeddingsTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly streamTotalTimeoutMs: number;
}

export interface RoutedUpstreamSettings extends AccessSettings {
  readonly limits: UpstreamLimits;
  readonly profile: Profile;
  /** Most attempts at once; 0 = no limit. */
  readonly maxConcurrency: number;
  /** Equal for upstreams that were built from equal settings. */
  readonly recipe: string;
}

/** One upstream as routing sees it: who may use it for what, its health, and the client that talks to it. */
export class RoutedUpstream {
  readonly name: string;
  readonly recipe: string;
  readonly client: UpstreamClient;
  readonly circuit: Circuit;
  readonly pauses: ModelPauses;
  readonly learnedDrops: LearnedDrops;
  /** Whoever begins an attempt has taken one. */
  readonly limiter: ConcurrencyLimiter;
  readonly limits: UpstreamLimits;
  readonly profile: Profile;
  /** Most inputs of one embeddings call. */
  readonly batchLimits: BatchLimits;
  /** Model names that the configuration spells out: aliases and patterns without wildcards. */
  readonly namedModels: readonly string[];
  readonly #allow: readonly string[];
  readonly #admission: UpstreamAccess;

  constructor(
    settings: RoutedUpstreamSettings,
    parts: { client: UpstreamClient; circuit: Circuit; pauses: ModelPauses; learnedDrops: LearnedDrops },
  ) {
    this.name = settings.name;
    this.recipe = settings.recipe;
    this.client = parts.client;
    this.circuit = parts.circuit;
    this.pauses = parts.pauses;
    this.learnedDrops = parts.learnedDrops;
    this.limiter = new ConcurrencyLimiter(settings.maxConcurrency);
    this.limits = settings.limits;
    this.profile = settings.profile;
    this.batchLimits = new BatchLimits(settings.profile.embeddingBatch);
    this.#allow = settings.allow;
    this.#admission = new UpstreamAccess(settings);
    const exact = settings.allow.filter((pattern) => !pattern.startsWith('/') && !/[*?]/.test(pattern));
    this.namedModels = [...new Set([...Object.keys(settings.aliases), ...exact])];
  }

  /** Calls under way and requests that wait for a place. */
  get load(): number {
    return this.limiter.running + this.limiter.waiting;
  }

  /** True: `allow` leaves room for models that the configuration does not spell out. */
  get isOpenEnded(): boolean {
    const allow = this.#allow;
    return allow.length === 0 || allow.some((pattern) => !pattern.startsWith('/') && /[*?]/.test(pattern));
  }

  /** The upstream's own name for what the client calls `model`. */
  upstreamModel(model: string): string {
    return this.#admission.upstreamModel(model);
  }

  /** First allow, then deny; the model under either of its names, or the normalised path. */
  admits(model: string, path: string): boolean {
    return this.#admission.admits(model, path);
  }

  admitsClient(client: ClientIdentity): boolean {
    return this.#admission.admitsClient(client);
  }
}
