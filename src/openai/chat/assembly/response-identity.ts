import { type JsonObject, numberFrom, textFrom } from '../../../lib/json/json-object.ts';

interface IdentityOptions {
  readonly requestedModel: string;
  readonly replyModel: 'upstream' | 'requested';
  newId(): string;
  nowSeconds(): number;
}

interface Identity {
  readonly id: string;
  readonly created: number;
  readonly model: string;
}

/** Later than this many seconds is a number of milliseconds (year 5138). */
const MAX_SECONDS = 100_000_000_000;

/**
 * The id, created and model that every chunk of a response carries (S45). The upstream's first ones are taken, ours fill what
 * is missing; from the first chunk that is sent on they never change.
 */
export class ResponseIdentity {
  /** As the upstream named it first. */
  upstreamModel: string | null = null;
  readonly #options: IdentityOptions;
  #id: string | null = null;
  #created: number | null = null;
  #fixed: Identity | null = null;

  constructor(options: IdentityOptions) {
    this.#options = options;
  }

  /** As the upstream sent it first. */
  get upstreamId(): string | null {
    return this.#id;
  }

  /** Whether chunks of the upstream are sent with another model. */
  get isRenaming(): boolean {
    return this.#options.replyModel === 'requested' && this.upstreamModel !== this.#options.requestedModel;
  }

  /** Uses the identity of one chunk, where none was known before. */
  note(chunk: { readonly id?: unknown; readonly created?: unknown; readonly model?: unknown }): void {
    this.#id ??= textFrom(chunk.id) ?? (typeof chunk.id === 'number' ? String(chunk.id) : null);
    this.#created ??= secondsFrom(chunk.created);
    this.upstreamModel ??= textFrom(chunk.model);
  }

  /** The identity of the response, fixed from now on. */
  get fixed(): Identity {
    if (this.#fixed === null) {
      const { replyModel, requestedModel } = this.#options;
      this.#fixed = {
        id: this.#id ?? this.#options.newId(),
        created: this.#created ?? this.#options.nowSeconds(),
        model: replyModel === 'requested' ? requestedModel : (this.upstreamModel ?? requestedModel),
      };
    }
    return this.#fixed;
  }

  /** The upstream left out what every response has; known when it is over. */
  get isIncomplete(): boolean {
    return this.#id === null || this.#created === null || this.upstreamModel === null;
  }

  /**
   * The text of a chunk that carries exactly the response's identity, with the model renamed where the response names
   * another one than the upstream. null: the chunk must be rewritten.
   */
  textOf(chunk: JsonObject, text: string): string | null {
    const { id, created, model } = chunk;
    if (this.#fixed === null) {
      if (typeof id !== 'string' || typeof model !== 'string' || !isSeconds(created)) return null;
      this.#id ??= id || null;
      this.#created ??= created;
      this.upstreamModel ??= model || null;
    }
    const { fixed } = this;
    if (id !== fixed.id || created !== fixed.created) return null;
    if (model === fixed.model) return text;
    const isRenamed = this.#options.replyModel === 'requested' && typeof model === 'string';
    return isRenamed ? withModel(text, model, fixed.model) : null;
  }
}

/** Renames the model inside the text, so that the rest keeps every digit; null when its place is not certain. */
function withModel(text: string, model: string, ours: string): string | null {
  const member = `"model":${JSON.stringify(model)}`;
  const at = text.indexOf(member);
  // Before the first bracket a member is the chunk's own.
  if (at === -1 || /[{[]/.test(text.slice(1, at))) return null;
  return `${text.slice(0, at)}"model":${JSON.stringify(ours)}${text.slice(at + member.length)}`;
}

function isSeconds(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0 && (value as number) < MAX_SECONDS;
}

/** Seconds, milliseconds, numbers as text, ISO dates → integer seconds; null for nonsense. */
function secondsFrom(value: unknown): number | null {
  const number = numberFrom(value) ?? (typeof value === 'string' ? Date.parse(value) : Number.NaN);
  if (!(number > 0)) return null;
  const seconds = Math.floor(number < MAX_SECONDS ? number : number / 1000);
  return isSeconds(seconds) ? seconds : null;
}
