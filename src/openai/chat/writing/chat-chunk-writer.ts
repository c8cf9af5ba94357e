import type { JsonObject } from '../../../lib/json/json-object.ts';
import type { ResponseIdentity } from '../assembly/response-identity.ts';
import type { ChoiceExtras, ResponseSink, TextKind } from '../assembly/response-sink.ts';
import type { CallStep } from '../calls/tool-calls.ts';
import type { FinishReason } from '../shapes/finish-reason.ts';
import { ChunkWriter, choiceJson } from './chunk-writer.ts';
import type { FrameBuffer } from './frame-buffer.ts';

/** Writes `chat.completion.chunk`s as the strictest clients want them. */
export class ChatChunkWriter extends ChunkWriter implements ResponseSink {
  readonly #usesLegacyFunctions: boolean;

  constructor(frames: FrameBuffer, identity: ResponseIdentity, usesLegacyFunctions: boolean) {
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

function callDelta(step: CallStep): JsonObject {
  if (step.opens === null) return { index: step.call, function: { arguments: step.arguments } };
  const { id, name, extensions } = step.opens;
  return {
    index: step.call,
    id,
    type: 'function',
    function: { name, arguments: step.arguments },
    ...extensions,
  };
}
