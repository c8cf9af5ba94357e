import { type JsonObject, numberFrom, textFrom } from './json-object.ts';

export interface IdentityOptions {
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
export class ReplyIdentity {
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

  /** Whether a chunk carries exactly the reply's identity, so that its own text can be sent. */
  matches(chunk: JsonObject): boolean {
    if (this.#fixed === null) {
      if (typeof chunk.id !== 'string' || typeof chunk.model !== 'string' || !isSeconds(chunk.created))
        return false;
      this.note(chunk);
    }
    const fixed = this.fixed;
    return chunk.id === fixed.id && chunk.model === fixed.model && chunk.created === fixed.created;
  }

  #modelFor(upstreamModel: string | null): string {
    const { replyModel, requestedModel } = this.#options;
    return replyModel === 'requested' ? requestedModel : (upstreamModel ?? requestedModel);
  }
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
