import { errorEvent, type FerryError } from '../../../lib/errors/ferry-error.ts';
import { isJsonObject, type JsonObject, parseJson } from '../../../lib/json/json-object.ts';
import { usageToWire } from '../../usage/usage.ts';
import type { UsageMeter } from '../../usage/usage-meter.ts';
import type { FinishReason } from '../../vendors/finish-reasons.ts';
import { mergeMembers } from '../assembly/member-merging.ts';
import type { ResponseIdentity } from '../assembly/response-identity.ts';
import type { CallStep, ChoiceExtras, StreamWriter, TextKind } from '../assembly/response-sink.ts';

interface ChunkWriterOptions {
  readonly identity: ResponseIdentity;
  /** The client requested a usage chunk. */
  readonly includeUsage: boolean;
  readonly legacyFunctions: boolean;
}

/** Writes `chat.completion.chunk`s as the strictest clients require them (S37 to S58). */
export class ChunkWriter implements StreamWriter {
  readonly failure = null;
  readonly #identity: ResponseIdentity;
  readonly #includeUsage: boolean;
  readonly #legacyFunctions: boolean;
  protected readonly object: string = 'chat.completion.chunk';
  #text = '';
  /** `{"id":…,"model":…`, the same in every chunk. */
  #head: string | null = null;
  #attached: JsonObject | null = null;

  constructor({ identity, includeUsage, legacyFunctions }: ChunkWriterOptions) {
    this.#identity = identity;
    this.#includeUsage = includeUsage;
    this.#legacyFunctions = legacyFunctions;
  }

  take(): string {
    const text = this.#text;
    this.#text = '';
    return text;
  }

  /** Writes one event; `json` is its data. */
  frame(json: string): void {
    this.#text += `data: ${json}\n\n`;
  }

  attach(extensions: JsonObject): void {
    this.#attached = this.#attached === null ? extensions : { ...this.#attached, ...extensions };
  }

  begin(choice: number): void {
    this.#delta(choice, { role: 'assistant', content: '' }, null);
  }

  text(choice: number, kind: TextKind, text: string, extras: ChoiceExtras | null): void {
    this.#delta(choice, { [kind === 'reasoning' ? 'reasoning_content' : kind]: text }, extras);
  }

  callStep(choice: number, step: CallStep, extras: ChoiceExtras | null): void {
    if (!this.#legacyFunctions) {
      this.#delta(choice, { tool_calls: [callDelta(step)] }, extras);
      return;
    }
    // The legacy form has only one call.
    if (step.call > 0) return;
    const name = step.opens === null ? {} : { name: step.opens.name };
    this.#delta(choice, { function_call: { ...name, arguments: step.arguments } }, extras);
  }

  extension(choice: number, extras: ChoiceExtras): void {
    this.#delta(choice, {}, extras);
  }

  finish(choice: number, reason: FinishReason, extras: ChoiceExtras | null): void {
    const ownReason = this.#legacyFunctions && reason === 'tool_calls' ? 'function_call' : reason;
    this.write(choiceJson(choice, 'delta', {}, extras, ownReason));
  }

  complete({ usage, frame }: UsageMeter): void {
    if (this.#includeUsage && usage !== null) {
      if (frame !== null) this.frame(frame);
      else this.write('[]', `,"usage":${JSON.stringify(usageToWire(usage))}`);
    }
    this.frame('[DONE]');
  }

  broken(error: FerryError): string {
    return errorEvent(error);
  }

  /** Writes one chunk; `choices` is the JSON of the array, `tail` more members. */
  protected write(choices: string, tail = ''): void {
    const attached = this.#attached;
    this.#attached = null;
    const extensions = attached === null ? '' : `,${JSON.stringify(attached).slice(1, -1)}`;
    if (this.#head === null) {
      const { id, created, model } = this.#identity.fixed;
      this.#head = JSON.stringify({ id, object: this.object, created, model }).slice(0, -1);
    }
    this.frame(`${this.#head}${extensions},"choices":${choices}${tail}}`);
  }

  #delta(choice: number, delta: JsonObject, extras: ChoiceExtras | null): void {
    const whole = extras?.deltaExtensions ? { ...delta, ...withIndexes(extras.deltaExtensions) } : delta;
    this.write(choiceJson(choice, 'delta', whole, extras, null));
  }
}

/** Writes chunks of `text_completion`: text only, since the form has no place for reasoning and calls. */
export class TextChunkWriter extends ChunkWriter {
  protected override readonly object = 'text_completion';

  override begin(): void {}

  override text(choice: number, kind: TextKind, text: string, extras: ChoiceExtras | null): void {
    if (kind !== 'reasoning') this.write(choiceJson(choice, 'text', text, extras, null));
  }

  override callStep(): void {}

  override extension(): void {}

  override finish(choice: number, reason: FinishReason, extras: ChoiceExtras | null): void {
    this.write(choiceJson(choice, 'text', '', extras, reason === 'tool_calls' ? 'stop' : reason));
  }
}

/** The JSON of a chunk's `choices` with one choice; `member` is where its form keeps the text. */
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

function callDelta(step: CallStep): JsonObject {
  if (step.opens === null) {
    const base = { index: step.call, function: { arguments: step.arguments } };
    return step.late === null ? base : mergeMembers(base, step.late);
  }
  const { id, name, extensions } = step.opens;
  const base = { index: step.call, id, type: 'function', function: { name, arguments: step.arguments } };
  return extensions === null ? base : mergeMembers(base, extensions);
}

/**
 * A chunk with empty `choices` to follow `events`, the canonical events sent last: the keep-alive for clients that
 * count only events which they can parse. It carries the same id, created and model. null: none may be sent here,
 * since `events` left the client within its reasoning block, which some clients would close (S43).
 */
export function keepAliveChunkAfter(events: string): string | null {
  const start = `\n${events}`.lastIndexOf('\ndata: {');
  const chunk = start === -1 ? undefined : parseJson(events.slice(start + 'data: '.length).trimEnd());
  if (!isJsonObject(chunk) || !Array.isArray(chunk.choices)) return null;
  const isReasoning = chunk.choices.some(
    (choice) =>
      isJsonObject(choice) && isJsonObject(choice.delta) && choice.delta.reasoning_content !== undefined,
  );
  if (isReasoning) return null;
  const { id, object, created, model } = chunk;
  return `data: ${JSON.stringify({ id, object, created, model, choices: [] })}\n\n`;
}

/**
 * Entries of `reasoning_details` in a delta get their position as `index` when they have none: openai for Python merges lists
 * of objects by it and ends the stream with an error where it is missing (`accumulate_delta` in its lib/streaming/_deltas.py).
 */
function withIndexes(extensions: JsonObject): JsonObject {
  const { reasoning_details: details } = extensions;
  if (!Array.isArray(details)) return extensions;
  const indexed = details.map((entry: unknown, index) =>
    isJsonObject(entry) && !Number.isInteger(entry.index) ? { ...entry, index } : entry,
  );
  return { ...extensions, reasoning_details: indexed };
}
