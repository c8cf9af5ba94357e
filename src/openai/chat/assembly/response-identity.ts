import { type JsonObject, numberFrom, textFrom } from '../../../lib/json/json-object.ts';

interface IdentityOptions {
  readonly requestedModel: string;
  readonly replyModel: 'upstream' | 'requested';
  newId(): string;
  nowSeconds(): number;
}

export interface Identity {
  readonly id: string;
  readonly created: number;
  readonly model: string;
}

/** Later than this many seconds is a number of milliseconds (year 5138). */
const MAX_SECONDS = 100_000_000_000;

/**
 * The id, created and model that every chunk of a reply carries. The upstream's first ones are taken, ours fill what
 * is missing; from the first chunk that is sent on they never change.
 */
export class ResponseIdentity {
  readonly #options: IdentityOptions;
  #id: string | null = null;
  #created: number | null = null;
  #upstreamModel: string | null = null;
  #fixed: Identity | null = null;

  constructor(options: IdentityOptions) {
    this.#options = options;
  }

  get upstreamModel(): string | null {
    return this.#upstreamModel;
  }

  /** Whether chunks of the upstream go out with another model than they came with. */
  get isRenaming(): boolean {
    return this.#options.replyModel === 'requested' && this.#upstreamModel !== this.#options.requestedModel;
  }

  /** Takes what one chunk says, where nothing was said before. */
  note(chunk: { readonly id?: unknown; readonly created?: unknown; readonly model?: unknown }): void {
    this.#id ??= textFrom(chunk.id) ?? (typeof chunk.id === 'number' ? String(chunk.id) : null);
    this.#created ??= secondsFrom(chunk.created);
    this.#upstreamModel ??= textFrom(chunk.model);
  }

  /** The identity of the reply, fixed from now on. */
  get fixed(): Identity {
    this.#fixed ??= {
      id: this.#id ?? this.#options.newId(),
      created: this.#created ?? this.#options.nowSeconds(),
      model: this.#modelFor(this.#upstreamModel),
    };
    return this.#fixed;
  }

  /**
   * The text of a chunk that carries exactly the reply's identity, with the model renamed where the reply names
   * another one than the upstream. null: the chunk must be written anew.
   */
  textOf(chunk: JsonObject, text: string): string | null {
    const { id, created, model } = chunk;
    if (this.#fixed === null) {
      if (typeof id !== 'string' || typeof model !== 'string' || !isSeconds(created)) return null;
      this.note(chunk);
    }
    const { fixed } = this;
    if (id !== fixed.id || created !== fixed.created) return null;
    if (model === fixed.model) return text;
    const isRenamed = this.#options.replyModel === 'requested' && typeof model === 'string';
    return isRenamed ? withModel(text, model, fixed.model) : null;
  }

  #modelFor(upstreamModel: string | null): string {
    const { replyModel, requestedModel } = this.#options;
    return replyModel === 'requested' ? requestedModel : (upstreamModel ?? requestedModel);
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
