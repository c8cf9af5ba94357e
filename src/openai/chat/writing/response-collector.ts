import type { JsonObject } from '../../../lib/json/json-object.ts';
import { usageToWire } from '../../usage/usage.ts';
import type { UsageMeter } from '../../usage/usage-meter.ts';
import type { FinishReason } from '../../vendors/finish-reasons.ts';
import { joinLogprobs } from '../assembly/choice-state.ts';
import { joinDeltas, mergeMembers } from '../assembly/member-merging.ts';
import type { ResponseIdentity } from '../assembly/response-identity.ts';
import type {
  CallStep,
  ChoiceExtras,
  OpenedCall,
  StreamWriter,
  TextKind,
} from '../assembly/response-sink.ts';

interface CollectorOptions {
  readonly endpoint: 'chat' | 'completions';
  readonly identity: ResponseIdentity;
  readonly legacyFunctions: boolean;
}

interface CollectedCall extends Omit<OpenedCall, 'extensions'> {
  arguments: string;
  extensions: JsonObject | null;
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

/** Collects what a response consists of into one JSON object (S27 to S35). */
export class ResponseCollector implements StreamWriter {
  readonly failure = null;
  /** Set when the response is over. */
  response: JsonObject | null = null;
  readonly #options: CollectorOptions;
  readonly #choices: CollectedChoice[] = [];
  #extensions: JsonObject = {};

  constructor(options: CollectorOptions) {
    this.#options = options;
  }

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
    const call = calls[step.call];
    if (step.opens !== null) calls[step.call] = { ...step.opens, arguments: step.arguments };
    else if (call !== undefined) {
      call.arguments += step.arguments;
      if (step.late !== null) call.extensions = mergeMembers(call.extensions, step.late);
    }
  }

  extension(choice: number, extras: ChoiceExtras): void {
    this.#choice(choice, extras);
  }

  finish(choice: number, reason: FinishReason, extras: ChoiceExtras | null): void {
    this.#choice(choice, extras).reason = reason;
  }

  take(): string {
    return '';
  }

  complete({ usage }: UsageMeter): void {
    const { id, created, model } = this.#options.identity.fixed;
    const isChat = this.#options.endpoint === 'chat';
    this.response = {
      id,
      object: isChat ? 'chat.completion' : 'text_completion',
      created,
      model,
      ...this.#extensions,
      choices: this.#choices.map((choice, index) =>
        isChat ? this.#chatChoice(choice, index) : textChoice(choice, index),
      ),
      ...(usage !== null && { usage: usageToWire(usage) }),
    };
  }

  broken(): string {
    return '';
  }

  #chatChoice(choice: CollectedChoice, index: number): JsonObject {
    const { legacyFunctions } = this.#options;
    return {
      index,
      message: messageOf(choice, legacyFunctions),
      logprobs: choice.logprobs,
      finish_reason: legacyFunctions && choice.reason === 'tool_calls' ? 'function_call' : choice.reason,
      ...choice.extensions,
    };
  }

  #choice(index: number, extras: ChoiceExtras | null): CollectedChoice {
    const choice = this.#choices[index] as CollectedChoice;
    if (extras !== null) {
      choice.logprobs = joinLogprobs(choice.logprobs, extras.logprobs);
      choice.extensions = { ...choice.extensions, ...extras.extensions };
      if (extras.deltaExtensions !== null)
        choice.messageExtensions = joinDeltas(choice.messageExtensions, extras.deltaExtensions);
    }
    return choice;
  }
}

function textChoice(choice: CollectedChoice, index: number): JsonObject {
  return {
    index,
    text: choice.content + choice.refusal,
    logprobs: choice.logprobs,
    finish_reason: choice.reason === 'tool_calls' ? 'stop' : choice.reason,
    ...choice.extensions,
  };
}

function messageOf(choice: CollectedChoice, legacyFunctions: boolean): JsonObject {
  const { content, refusal, reasoning, calls } = choice;
  const isEmpty = content === '' && (calls.length > 0 || refusal !== '');
  return {
    role: 'assistant',
    content: isEmpty ? null : content,
    refusal: refusal === '' ? null : refusal,
    ...(reasoning !== '' && { reasoning_content: reasoning }),
    ...(calls.length > 0 && callMembers(calls, legacyFunctions)),
    ...choice.messageExtensions,
  };
}

/** The legacy form has only one call. */
function callMembers(calls: readonly CollectedCall[], legacyFunctions: boolean): JsonObject {
  if (legacyFunctions) return { function_call: { name: calls[0]?.name, arguments: calls[0]?.arguments } };
  return {
    tool_calls: calls.map(({ id, name, extensions, arguments: args }) => {
      const call = { id, type: 'function', function: { name, arguments: args } };
      return extensions === null ? call : mergeMembers(call, extensions);
    }),
  };
}
