import type { ErrorKind } from '../../lib/errors/ferry-error.ts';
import type { Profile } from '../../openai/request/profile.ts';
import type { UpstreamClient } from '../../upstream/client.ts';
import { isExact } from '../glob.ts';
import { type AccessSettings, UpstreamAccess } from '../upstream-access.ts';
import type { Circuit } from './circuit.ts';
import { ConcurrencyLimiter } from './concurrency-limiter.ts';
import { BatchLimits, type LearnedDrops } from './learned-refusals.ts';
import type { MissingEndpoints } from './missing-endpoints.ts';
import type { ModelPauses } from './model-pauses.ts';
import type { Pacer } from './pacer.ts';
import type { Pacers } from './pacers.ts';

/** The time limits of one upstream in milliseconds; 0 = none. */
export interface UpstreamLimits {
  readonly timeoutMs: number;
  readonly streamTimeoutMs: number;
  readonly firstContentTimeoutMs: number;
  readonly embeddingsTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly streamTotalTimeoutMs: number;
}

/** The keys of the configuration that set them. */
export const LIMIT_KEYS: Readonly<Record<keyof UpstreamLimits, string>> = {
  timeoutMs: 'timeout',
  streamTimeoutMs: 'stream_timeout',
  firstContentTimeoutMs: 'first_content_timeout',
  embeddingsTimeoutMs: 'embeddings_timeout',
  idleTimeoutMs: 'idle_timeout',
  streamTotalTimeoutMs: 'stream_total_timeout',
};

export interface RoutedUpstreamSettings extends AccessSettings {
  readonly limits: UpstreamLimits;
  readonly profile: Profile;
  /** Maximum of attempts at once; 0 = no limit. */
  readonly maxConcurrency: number;
  /** Equal for upstreams that were built from equal settings. */
  readonly recipe: string;
  /** Absent: its vectors are never cached. */
  readonly vectorSource?: VectorSource | null;
}

/** Where vectors come from, for the embeddings cache. */
interface VectorSource {
  /** Of the address and of what is sent there with every request. */
  readonly digest: string;
  /** Lower-case names of headers of clients that it gets. */
  readonly forwardedHeaders: readonly string[];
}

/** The state of one upstream that is built before it. */
interface UpstreamState {
  readonly client: UpstreamClient;
  readonly circuit: Circuit;
  readonly pauses: ModelPauses;
  /** Null: `pace: off`. */
  readonly pacers: Pacers | null;
  readonly learnedDrops: LearnedDrops;
  readonly missingEndpoints: MissingEndpoints;
}

/** Why an attempt failed. */
interface UpstreamError {
  readonly atMs: number;
  readonly kind: ErrorKind;
  readonly status: number | null;
  readonly message: string;
}

/** One upstream for routing: its access rules, its health, its slots, and the client that calls it. */
export class RoutedUpstream extends UpstreamAccess {
  readonly recipe: string;
  /** Null: its vectors are never cached. */
  readonly vectorSource: VectorSource | null;
  readonly client: UpstreamClient;
  readonly circuit: Circuit;
  readonly pauses: ModelPauses;
  /** Null: a 429 pauses the model instead (`pace: off`). */
  readonly pacers: Pacers | null;
  readonly learnedDrops: LearnedDrops;
  /** True: an administrator paused it, so that it gets no requests. */
  isPaused = false;
  pausedAtMs: number | null = null;
  /** The last failed attempt that was not the client's fault. */
  lastError: UpstreamError | null = null;
  /** Its responses have a `refusal`, so that those of a history come back to it; set by what is seen of them. */
  sendsRefusal = false;
  /** Each attempt holds one slot. */
  readonly limiter: ConcurrencyLimiter;
  readonly limits: UpstreamLimits;
  readonly profile: Profile;
  readonly batchLimits: BatchLimits;
  /** What `auto` in its profile has found out. */
  readonly missingEndpoints: MissingEndpoints;
  /** Model names that the configuration spells out: aliases, models behind globs, and patterns without wildcards. */
  readonly namedModels: readonly string[];
  /** True: `allow` permits models that the configuration does not name. */
  readonly isOpenEnded: boolean;

  constructor(settings: RoutedUpstreamSettings, parts: UpstreamState) {
    super(settings);
    this.recipe = settings.recipe;
    this.vectorSource = settings.vectorSource ?? null;
    this.client = parts.client;
    this.circuit = parts.circuit;
    this.pauses = parts.pauses;
    this.pacers = parts.pacers;
    this.learnedDrops = parts.learnedDrops;
    this.missingEndpoints = parts.missingEndpoints;
    this.limiter = new ConcurrencyLimiter(settings.maxConcurrency);
    this.limits = settings.limits;
    this.profile = settings.profile;
    this.batchLimits = new BatchLimits(settings.profile.embeddingBatch);
    const models = settings.allow.filter((pattern) => !pattern.startsWith('/'));
    const exact = models.filter(isExact);
    const aliases = Object.entries(settings.aliases).map(([name, model]) => (isExact(name) ? name : model));
    this.namedModels = [...new Set([...aliases, ...exact])];
    this.isOpenEnded = settings.allow.length === 0 || exact.length < models.length;
  }

  /** Attempts under way and requests that wait for a slot or their turn. */
  get load(): number {
    return this.limiter.running + this.limiter.waiting + (this.pacers?.waiting ?? 0);
  }

  pause(nowMs: number): void {
    this.isPaused = true;
    this.pausedAtMs = nowMs;
  }

  resume(): void {
    this.isPaused = false;
    this.pausedAtMs = null;
  }

  /** What limits the rate of calls for a model, by its name at clients; null: nothing. */
  pacerOf(model: string): Pacer | null {
    const { pacers } = this;
    return pacers?.isActive === true ? pacers.find(this.upstreamModel(model)) : null;
  }
}
