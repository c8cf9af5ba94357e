import type { JsonObject } from '../../../lib/json/json-object.ts';
import type { ResponseIdentity } from '../assembly/response-identity.ts';
import type { ChoiceExtras } from '../assembly/response-sink.ts';
import type { FrameBuffer } from './frame-buffer.ts';

/** What the chat and the completions form of a chunk have in common: its head, the extensions, the usage chunk. */
export abstract class ChunkWriter {
  readonly #frames: FrameBuffer;
  readonly #identity: ResponseIdentity;
  readonly #object: string;
  /** `{"id":…,"model":…`, the same in every chunk. */
  #head: string | null = null;
  #attached: JsonObject | null = null;

  constructor(frames: FrameBuffer, identity: ResponseIdentity, object: string) {
    this.#frames = frames;
    this.#identity = identity;
    this.#object = object;
  }

  attach(extensions: JsonObject): void {
    this.#attached = this.#attached === null ? extensions : { ...this.#attached, ...extensions };
  }

  usage(usage: JsonObject): void {
    this.write('[]', `,"usage":${JSON.stringify(usage)}`);
  }

  /** Writes one chunk; `choices` is the JSON of the array, `tail` more members. */
  protected write(choices: string, tail = ''): void {
    const attached = this.#attached;
    this.#attached = null;
    const extensions = attached === null ? '' : `,${JSON.stringify(attached).slice(1, -1)}`;
    this.#frames.frame(`${this.#headText()}${extensions},"choices":${choices}${tail}}`);
  }

  #headText(): string {
    if (this.#head === null) {
      const { id, created, model } = this.#identity.fixed;
      this.#head = JSON.stringify({ id, object: this.#object, created, model }).slice(0, -1);
    }
    return this.#head;
  }
}

/** The JSON of a chunk's `choices` with one choice; `member` is where its form keeps what it says. */
export function choiceJson(
  index: number,
  member: 'delta' | 'text',
  value: unknown,
  extras: ChoiceExtras | null,
  finishReason: string | null,
): string {
  const choice = {
    index,
    [member]: value,
    logprobs: extras?.logprobs ?? null,
    finish_reason: finishReason,
    ...extras?.extensions,
  };
  return `[${JSON.stringify(choice)}]`;
}
