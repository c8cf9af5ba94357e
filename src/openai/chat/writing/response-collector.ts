import type { JsonObject } from '../../../lib/json/json-object.ts';
import type { Identity } from '../assembly/response-identity.ts';
import type { ChoiceExtras, ResponseSink, TextKind } from '../assembly/response-sink.ts';
import type { CallStep, OpenedCall } from '../calls/tool-calls.ts';
import type { FinishReason } from '../shapes/finish-reason.ts';
import { joinLogprobs } from '../shapes/logprobs.ts';

interface CollectedCall extends OpenedCall {
  arguments: string;
}

interface CollectedChoice {
  reasoning: string;
  content: string;
  refusal: string;
  readonly calls: CollectedCall[];
  logprobs: unknown;
  extensions: JsonObject;
  messageExtensions: JsonObject;
  reason: FinishReason;
}

/** Collects what a reply consists of into one JSON object (S27 to S35). */
export class ResponseCollector implements ResponseSink {
  readonly #choices: CollectedChoice[] = [];
  #extensions: JsonObject = {};

  attach(extensions: JsonObject): void {
    this.#extensions = { ...this.#extensions, ...extensions };
  }

  begin(choice: number): void {
    this.#choices[choice] ??= {
      reasoning: '',
      content: '',
      refusal: '',
      calls: [],
      logprobs: null,
      extensions: {},
      messageExtensions: {},
      reason: 'stop',
    };
  }

  text(choice: number, kind: TextKind, text: string, extras: ChoiceExtras | null): void {
    this.#choice(choice, extras)[kind] += text;
  }

  callStep(choice: number, step: CallStep, extras: ChoiceExtras | null): void {
    const { calls } = this.#choice(choice, extras);
    if (step.opens !== null) calls[step.call] = { ...step.opens, arguments: step.arguments };
    else (calls[step.call] as CollectedCall).arguments += step.arguments;
  }

  extension(choice: number, extras: ChoiceExtras): void {
    this.#choice(choice, extras);
  }

  finish(choice: number, reason: FinishReason, extras: ChoiceExtras | null): void {
    this.#choice(choice, extras).reason = reason;
  }

  chatReply(identity: Identity, usage: JsonObject | null, usesLegacyFunctions: boolean): JsonObject {
    const choices = this.#choices.map((choice, index) => ({
      index,
      message: messageOf(choice, usesLegacyFunctions),
      logprobs: choice.logprobs,
      finish_reason: usesLegacyFunctions && choice.reason === 'tool_calls' ? 'function_call' : choice.reason,
      ...choice.extensions,
    }));
    return this.#reply('chat.completion', identity, choices, usage);
  }

  textReply(identity: Identity, usage: JsonObject | null): JsonObject {
    const choices = this.#choices.map((choice, index) => ({
      index,
      text: choice.content + choice.refusal,
      logprobs: choice.logprobs,
      finish_reason: choice.reason === 'tool_calls' ? 'stop' : choice.reason,
      ...choice.extensions,
    }));
    return this.#reply('text_completion', identity, choices, usage);
  }

  #reply(
    object: string,
    identity: Identity,
    choices: readonly JsonObject[],
    usage: JsonObject | null,
  ): JsonObject {
    const { id, created, model } = identity;
    return { id, object, created, model, ...this.#extensions, choices, ...(usage && { usage }) };
  }

  #choice(index: number, extras: ChoiceExtras | null): CollectedChoice {
    const choice = this.#choices[index] as CollectedChoice;
    if (extras !== null) {
      choice.logprobs = joinLogprobs(choice.logprobs, extras.logprobs);
      choice.extensions = { ...choice.extensions, ...extras.extensions };
      choice.messageExtensions = { ...choice.messageExtensions, ...extras.deltaExtensions };
    }
    return choice;
  }
}

function messageOf(choice: CollectedChoice, usesLegacyFunctions: boolean): JsonObject {
  const { content, refusal, reasoning, calls } = choice;
  const isSilent = content === '' && (calls.length > 0 || refusal !== '');
  return {
    role: 'assistant',
    content: isSilent ? null : content,
    refusal: refusal === '' ? null : refusal,
    ...(reasoning !== '' && { reasoning_content: reasoning }),
    ...(calls.length > 0 && callMembers(calls, usesLegacyFunctions)),
    ...choice.messageExtensions,
  };
}

/** The legacy form knows one call only. */
function callMembers(calls: readonly CollectedCall[], usesLegacyFunctions: boolean): JsonObject {
  if (usesLegacyFunctions) return { function_call: { name: calls[0]?.name, arguments: calls[0]?.arguments } };
  return {
    tool_calls: calls.map(({ id, name, extensions, arguments: args }) => ({
      id,
      type: 'function',
      function: { name, arguments: args },
      ...extensions,
    })),
  };
}
