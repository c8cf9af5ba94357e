import { isJsonObject, type JsonObject, parseJson } from '../../../lib/json/json-object.ts';
import { isCanonicalUsage, usageInVendorMember } from '../../usage/usage.ts';
import type { UsageMeter } from '../../usage/usage-meter.ts';
import type { FinishReason } from '../../vendors/finish-reasons.ts';
import type { ChoiceState } from '../assembly/choice-state.ts';
import type { ResponseAssembler } from '../assembly/response-assembler.ts';
import type { ResponseIdentity } from '../assembly/response-identity.ts';
import type { TextKind } from '../assembly/response-sink.ts';
import { MAX_DELTA_LENGTH } from '../assembly/text-pieces.ts';
import { hasFilterHit, hasMembersBesideDelta, hasOwnText } from '../shapes/chunk-facts.ts';
import { toolFragmentsOf } from '../shapes/tool-fragments.ts';
import type { ChunkWriter } from './chunk-writer.ts';

interface RelayOptions {
  readonly endpoint: 'chat' | 'completions';
  readonly legacyFunctions: boolean;
  readonly writer: ChunkWriter;
  readonly identity: ResponseIdentity;
  readonly assembler: ResponseAssembler;
  readonly meter: UsageMeter;
  readonly onRefusalMember: (() => void) | undefined;
}

/** Where a relayed frame has its text. */
interface TextOfFrame {
  readonly state: ChoiceState;
  readonly kind: TextKind;
  readonly member: string;
  readonly value: string;
}

const CANONICAL_REASONS: ReadonlySet<unknown> = new Set<FinishReason>([
  'stop',
  'length',
  'tool_calls',
  'content_filter',
]);

const MEMBER_OF_KIND: Readonly<Record<TextKind, string>> = {
  content: 'content',
  reasoning: 'reasoning_content',
  refusal: 'refusal',
};
const KIND_OF_MEMBER: ReadonlyMap<string, TextKind> = new Map([
  ['content', 'content'],
  ['reasoning_content', 'reasoning'],
  ['refusal', 'refusal'],
]);

/** Where an error may be beside a finish reason; other frames skip the check. */
const ERROR_MEMBERS = ['code', 'status', 'success', 'errors', 'Error', 'err', 'fault'];

/**
 * Sends chunks that are canonical already as their own text: parsing and writing them again would change
 * 12345678901234567890 and 1.0, and costs time. A chunk is canonical when the assembler, which takes it all the same,
 * would write exactly its contents. `false`: nothing was used, the chunk must be parsed leniently.
 */
export class CanonicalRelay {
  readonly #options: RelayOptions;
  readonly #object: string;
  readonly #repeated = new RepeatedFrame();
  /** Where the last relayed frame had its text; null before the first. */
  #last: TextOfFrame | null = null;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#object = options.endpoint === 'chat' ? 'chat.completion.chunk' : 'text_completion';
  }

  /** Sends a frame that is like the last relayed one but for its text, without parsing it. */
  relayAgain(frame: string): boolean {
    const text = this.#repeated.textIn(frame);
    if (text === null || this.#last === null) return false;
    return this.#passes(this.#last.state, this.#last.kind, text) && this.#send(frame);
  }

  /** Takes a chunk of one choice or of the usage; `text` is its JSON. */
  relay(chunk: JsonObject, text: string): boolean {
    const { choices } = chunk;
    if (!Array.isArray(choices) || chunk.object !== this.#object) return false;
    if (chunk.error !== undefined || chunk.base_resp !== undefined) return false;
    if (text.includes('\n') || text.includes('\r')) return false;
    if (choices.length === 0) return this.#holdUsage(chunk, text);
    const choice: unknown = choices[0];
    if (choices.length !== 1 || chunk.usage != null || !isPlainChoice(choice)) return false;
    const isChat = this.#options.endpoint === 'chat';
    const value = isChat ? choice.delta : choice.text;
    if (isChat ? !isJsonObject(value) : typeof value !== 'string') return false;
    const own = this.#options.identity.textOf(chunk, text);
    if (own === null) return false;
    const { assembler } = this.#options;
    assembler.noteBody();
    const state = assembler.choice(choice.index);
    if (state.index !== choice.index) return false;
    if (choice.finish_reason !== null) {
      if ((isChat && hasOwnText(choice)) || hasErrorMember(chunk)) return false;
      if (!this.#holdFinish(state, value, choice.finish_reason, own)) return false;
      // Groq and others put it there; looked for in this frame alone, text frames do not pay for it.
      this.#options.meter.reportBeside(usageInVendorMember(chunk));
      return true;
    }
    if (isChat && !state.hasBegun && hasOwnText(choice)) return false;
    return isChat
      ? this.#relayDelta(state, value as JsonObject, own)
      : this.#relayText(state, value as string, own);
  }

  #holdUsage(chunk: JsonObject, text: string): boolean {
    if (!isCanonicalUsage(chunk.usage)) return false;
    const own = this.#options.identity.textOf(chunk, text);
    if (own === null) return false;
    this.#options.meter.report(chunk.usage, own);
    return true;
  }

  /** `delta` has one member that is not empty; further ones only if OpenAI does not have them. */
  #relayDelta(state: ChoiceState, delta: JsonObject, text: string): boolean {
    if (!state.hasBegun) return this.#relayRole(state, delta, text);
    let kind: TextKind | undefined;
    let hasCalls = false;
    for (const member in delta) {
      const known = KIND_OF_MEMBER.get(member);
      if (known !== undefined && kind === undefined && !hasCalls) kind = known;
      else if (member === 'tool_calls' && kind === undefined) hasCalls = true;
      else return false;
    }
    if (hasCalls) return this.#relayCall(state, delta, text);
    if (kind === undefined) return false;
    const member = MEMBER_OF_KIND[kind];
    const value = delta[member];
    if (typeof value !== 'string' || !this.#passes(state, kind, value)) return false;
    state.noteDelta(kind);
    this.#expectMore(text, { state, kind, member, value });
    return this.#send(text);
  }

  #relayRole(state: ChoiceState, delta: JsonObject, text: string): boolean {
    if (delta.role !== 'assistant' || delta.content !== '') return false;
    for (const member in delta) {
      if (member !== 'role' && member !== 'content' && !(member === 'refusal' && delta.refusal === null))
        return false;
    }
    state.hasBegun = true;
    if (delta.refusal === null) this.#options.onRefusalMember?.();
    return this.#send(text);
  }

  #relayText(state: ChoiceState, value: string, text: string): boolean {
    if (!this.#passes(state, 'content', value)) return false;
    state.hasBegun = true;
    this.#expectMore(text, { state, kind: 'content', member: 'text', value });
    return this.#send(text);
  }

  /** More frames like this one may come. One whose model was renamed is none that an upstream sends. */
  #expectMore(frame: string, of: TextOfFrame): void {
    if (this.#options.identity.isRenaming) return;
    this.#repeated.note(frame, of.member, of.value);
    this.#last = of;
  }

  /** Only whole texts that need no change are taken; the check must come before any of the text was taken. */
  #passes(state: ChoiceState, kind: TextKind, text: string): boolean {
    if (text === '' || text.length > MAX_DELTA_LENGTH || !state.relays(kind, text)) return false;
    this.#options.assembler.noteContent(text);
    return true;
  }

  #relayCall(state: ChoiceState, delta: JsonObject, text: string): boolean {
    const calls = delta.tool_calls;
    if (this.#options.legacyFunctions || !Array.isArray(calls) || calls.length !== 1) return false;
    if (!isCanonicalCall(calls[0])) return false;
    const fragment = toolFragmentsOf(delta, ignoreRepair)[0];
    if (fragment === undefined || !state.relaysCall(fragment)) return false;
    this.#options.assembler.noteContent((fragment.name ?? '') + fragment.arguments);
    return this.#send(text);
  }

  /** The finish is sent at the end, when it is sure that nothing comes after it. */
  #holdFinish(state: ChoiceState, value: unknown, reason: unknown, text: string): boolean {
    if ((!state.hasBegun && this.#options.endpoint === 'chat') || state.holdsLogprobs) return false;
    const isEmpty = typeof value === 'string' ? value === '' : Object.keys(value as JsonObject).length === 0;
    if (!isEmpty || !CANONICAL_REASONS.has(reason)) return false;
    // The legacy form has another word for it.
    if (reason === 'tool_calls' && this.#options.legacyFunctions) return false;
    this.#options.assembler.endChoice(state, reason as FinishReason, text);
    return true;
  }

  #send(text: string): boolean {
    this.#options.writer.frame(text);
    return true;
  }
}

interface PlainChoice extends JsonObject {
  readonly index: number;
}

function hasErrorMember(chunk: JsonObject): boolean {
  for (const name of ERROR_MEMBERS) if (name in chunk) return true;
  return false;
}

/** A canonical call needs none. */
function ignoreRepair(): void {}

/** A choice with an index and nothing that must be taken out or acted upon. */
function isPlainChoice(choice: unknown): choice is PlainChoice {
  if (!isJsonObject(choice) || !Number.isSafeInteger(choice.index) || (choice.index as number) < 0)
    return false;
  if (choice.message !== undefined || choice.usage !== undefined || choice.error !== undefined) return false;
  if (hasMembersBesideDelta(choice)) return false;
  if (choice.logprobs != null && !isJsonObject(choice.logprobs)) return false;
  return choice.content_filter_results === undefined || !hasFilterHit(choice.content_filter_results);
}

/** The two forms of S70 and S71, without any null. */
function isCanonicalCall(call: unknown): boolean {
  if (!isJsonObject(call) || !isJsonObject(call.function) || !Number.isSafeInteger(call.index)) return false;
  const { name, arguments: args } = call.function;
  if (typeof args !== 'string' || Object.keys(call.function).length !== (name === undefined ? 1 : 2))
    return false;
  const members = Object.keys(call).length;
  if (name === undefined) return members === 2 && args !== '';
  return members >= 4 && isNonEmpty(name) && isNonEmpty(call.id) && call.type === 'function';
}

/** Some write `""` for what they sent in an earlier delta. */
function isNonEmpty(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

/** Frames that differed from the one before in more than their text, in a row, until nothing is expected any more. */
const MAX_MISSES = 16;

/** What ends a JSON string, may not be in one, or needs decoding. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids exactly these inside of strings.
const NOT_PLAIN = /["\\\u0000-\u001f]/;

/**
 * Recognises frames that equal the last relayed one except for their text, as nearly all of a stream do:
 * comparing them costs a tenth of parsing them. What is before and after the text was parsed once, so that a frame
 * with another JSON string in the same place is as canonical as that one was.
 */
export class RepeatedFrame {
  /** Of the last frame; '' when there is none that another could repeat. */
  #beforeText = '';
  #afterText = '';
  /** Notes since the last frame that was recognised; some upstreams put something random into each frame. */
  #misses = 0;

  /** Takes a frame that was relayed, with the member that holds `text`. */
  note(frame: string, member: string, text: string): void {
    this.#beforeText = '';
    if (this.#misses >= MAX_MISSES) return;
    this.#misses++;
    const start = startOfOnlyText(frame, member);
    if (start === -1) return;
    const source = JSON.stringify(text);
    // A text that JSON can write in several ways is found at its next occasion.
    if (!frame.startsWith(source, start)) return;
    this.#beforeText = frame.slice(0, start + 1);
    this.#afterText = frame.slice(start + source.length - 1);
  }

  /** The text of a frame that is like the last one but for its text; null: it must be parsed. */
  textIn(frame: string): string | null {
    const before = this.#beforeText;
    const after = this.#afterText;
    const end = frame.length - after.length;
    if (before === '' || end < before.length) return null;
    // Slices cost nothing and are compared a word at a time; startsWith goes by characters and costs as much as parsing.
    if (frame.slice(0, before.length) !== before || frame.slice(end) !== after) return null;
    const source = frame.slice(before.length, end);
    const text = NOT_PLAIN.test(source) ? parseJson(`"${source}"`) : source;
    if (typeof text !== 'string') return null;
    this.#misses = 0;
    return text;
  }
}

/** Where the value of the only member of this name begins that is a text: at its quote. -1: none, or more than one. */
function startOfOnlyText(frame: string, member: string): number {
  const name = `"${member}":`;
  const at = frame.indexOf(name);
  if (at === -1 || frame.indexOf(name, at + 1) !== -1) return -1;
  const start = at + name.length;
  return frame.charCodeAt(start) === 0x20 ? start + 1 : start;
}
