import type { FinishReason } from './finish-reason.ts';
import type { JsonObject } from './json-object.ts';
import type { ReplyIdentity } from './reply-identity.ts';
import type { ChoiceExtras, ReplySink, TextKind } from './reply-sink.ts';
import type { CallStep } from './tool-calls.ts';

/** The frames of one push, in their order, as one text. */
export class FrameBuffer {
  #text = '';

  frame(json: string): void {
    this.#text += `data: ${json}\n\n`;
  }

  take(): string {
    const text = this.#text;
    this.#text = '';
    return text;
  }
}

/** What the chat and the completions form of a chunk have in common: its head, the extensions, the usage chunk. */
abstract class ChunkWriter {
  readonly #frames: FrameBuffer;
  readonly #identity: ReplyIdentity;
  readonly #object: string;
  /** `{"id":…,"model":…`, the same in every chunk. */
  #head: string | null = null;
  #attached: JsonObject | null = null;

  constructor(frames: FrameBuffer, identity: ReplyIdentity, object: string) {
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

/** Writes `chat.completion.chunk`s (clients.md 2.3 and 2.4). */
export class ChatChunkWriter extends ChunkWriter implements ReplySink {
  readonly #usesLegacyFunctions: boolean;

  constructor(frames: FrameBuffer, identity: ReplyIdentity, usesLegacyFunctions: boolean) {
    super(frames, identity, 'chat.completion.chunk');
    this.#usesLegacyFunctions = usesLegacyFunctions;
  }

  begin(choice: number): void {
    this.#delta(choice, { role: 'assistant', content: '' }, null);
  }

  text(choice: number, kind: TextKind, text: string, extras: ChoiceExtras | null): void {
    this.#delta(choice, { [kind === 'reasoning' ? 'reasoning_content' : kind]: text }, extras);
  }

  callStep(choice: number, step: CallStep, extras: ChoiceExtras | null): void {
    if (this.#usesLegacyFunctions) this.#legacyStep(choice, step, extras);
    else this.#delta(choice, { tool_calls: [callDelta(step)] }, extras);
  }

  extension(choice: number, extras: ChoiceExtras): void {
    this.#delta(choice, {}, extras);
  }

  finish(choice: number, reason: FinishReason, extras: ChoiceExtras | null): void {
    const ownReason = this.#usesLegacyFunctions && reason === 'tool_calls' ? 'function_call' : reason;
    this.write(choiceJson(choice, 'delta', {}, extras, ownReason));
  }

  #delta(choice: number, delta: JsonObject, extras: ChoiceExtras | null): void {
    const whole = extras?.deltaExtensions ? { ...delta, ...extras.deltaExtensions } : delta;
    this.write(choiceJson(choice, 'delta', whole, extras, null));
  }

  /** The legacy form knows one call only. */
  #legacyStep(choice: number, step: CallStep, extras: ChoiceExtras | null): void {
    if (step.call > 0) return;
    const name = step.opens === null ? {} : { name: step.opens.name };
    this.#delta(choice, { function_call: { ...name, arguments: step.arguments } }, extras);
  }
}

/** Writes chunks of `text_completion`: text only, since the form has no place for reasoning and calls. */
export class TextChunkWriter extends ChunkWriter implements ReplySink {
  constructor(frames: FrameBuffer, identity: ReplyIdentity) {
    super(frames, identity, 'text_completion');
  }

  begin(): void {}

  text(choice: number, kind: TextKind, text: string, extras: ChoiceExtras | null): void {
    if (kind !== 'reasoning') this.write(choiceJson(choice, 'text', text, extras, null));
  }

  callStep(): void {}

  extension(): void {}

  finish(choice: number, reason: FinishReason, extras: ChoiceExtras | null): void {
    this.write(choiceJson(choice, 'text', '', extras, reason === 'tool_calls' ? 'stop' : reason));
  }
}

function callDelta(step: CallStep): JsonObject {
  if (step.opens === null) return { index: step.call, function: { arguments: step.arguments } };
  const { id, name } = step.opens;
  return { index: step.call, id, type: 'function', function: { name, arguments: step.arguments } };
}

function choiceJson(
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
