import { FerryError } from '../../lib/errors/ferry-error.ts';
import { isJsonObject, type JsonObject, numberFrom, parseJson } from '../../lib/json/json-object.ts';
import type { CallStep, OpenedCall, StreamWriter, TextKind } from '../chat/assembly/response-sink.ts';
import { thinkingSignature } from '../messages/thinking-signature.ts';
import type { Usage } from '../usage/usage.ts';
import type { UsageMeter } from '../usage/usage-meter.ts';
import type { FinishReason } from '../vendors/finish-reasons.ts';
import { CustomInput } from './custom-input.ts';
import type { ResponsesTools } from './responses-tools.ts';

interface ResponseWriterOptions {
  /** Called once, at the first event, when the upstream's model is known. */
  readonly head: () => ResponseHead;
  /** False: only the Response at the end is wanted. */
  readonly wantsEvents: boolean;
  /** The longest response, in UTF-16 units: the Response at its end repeats it, so it is kept. */
  readonly maxLength: number;
  /** `msg` → an id for a new item, such as `msg_1f…`. */
  readonly newId: (prefix: string) => string;
  /** The tools of the request, by which calls get the client's names back. */
  readonly tools: ResponsesTools;
  /** True: reasoning items get a mark by which they are recognised when the client sends them back. */
  readonly hasEncryptedReasoning: boolean;
  /** Called with every item of the output when all are complete. */
  readonly onItem?: ((item: JsonObject) => void) | undefined;
}

/** Finish reasons of an incomplete Response, as the Responses API names them. */
const INCOMPLETE: Partial<Record<FinishReason, 'max_output_tokens' | 'content_filter'>> = {
  length: 'max_output_tokens',
  content_filter: 'content_filter',
};

/**
 * Writes a response as the events of the Responses API (S125): the whole chain, with a sequence number that has
 * no gaps, the same id in all events of an item, and the complete output in the last one.
 */
export class ResponseWriter implements StreamWriter {
  failure: FerryError | null = null;
  /** The Response at its end; null before. */
  response: JsonObject | null = null;
  readonly #options: ResponseWriterOptions;
  readonly #emit: Emit;
  #head: ResponseHead | null = null;
  #sequence = 0;
  /** How many items were opened. */
  #count = 0;
  /** By output index; holes are items that are still open. */
  readonly #output: JsonObject[] = [];
  /** The open message or reasoning item. */
  #content: MessageItem | ReasoningItem | null = null;
  /** Calls come one after the other, so that one at most is open. */
  #call: CallItem | CustomCallItem | SearchItem | null = null;
  #finish: FinishReason = 'stop';
  #length = 0;
  #events = '';

  constructor(options: ResponseWriterOptions) {
    this.#options = options;
    this.#emit = (type, members) => {
      if (options.wantsEvents) this.#events += eventText(type, this.#sequence++, members);
    };
  }

  take(): string {
    const events = this.#events;
    this.#events = '';
    return events;
  }

  broken(error: FerryError): string {
    const output = this.#output.filter((item) => item !== undefined);
    const response = responseObject(this.#head ?? this.#options.head(), { ...BEGINNING, output });
    return responsesErrorEvents(error, { sequenceNumber: this.#sequence, response });
  }

  attach(): void {}

  begin(): void {
    this.#begun();
  }

  text(_choice: number, kind: TextKind, text: string): void {
    this.#note(text);
    if (kind === 'reasoning') this.#reasoning().add(text);
    else this.#message().add(kind, text);
  }

  callStep(_choice: number, step: CallStep): void {
    this.#note(step.arguments);
    if (step.opens !== null) {
      this.#closeContent('completed');
      this.#closeCall('completed');
      this.#call = this.#newCall(step.opens);
    }
    if (step.opens !== null || step.arguments !== '') this.#call?.add(step.arguments);
  }

  extension(): void {}

  #newCall({ id, name }: OpenedCall): CallItem | CustomCallItem | SearchItem {
    const tool = this.#options.tools.called(name);
    const call = { id, name: tool.name, namespace: tool.namespace };
    if (tool.kind === 'custom') return new CustomCallItem(this.#newPlace('ctc'), call, this.#emit);
    if (tool.kind === 'search') return new SearchItem(this.#newPlace('tsc'), call, this.#emit);
    return new CallItem(this.#newPlace('fc'), call, this.#emit);
  }

  finish(_choice: number, reason: FinishReason): void {
    this.#finish = reason;
  }

  /** Ends the response: closes open items and writes the final Response. */
  complete({ usage }: UsageMeter): void {
    const head = this.#begun();
    const reason = INCOMPLETE[this.#finish] ?? null;
    const status = reason === null ? 'completed' : 'incomplete';
    const isCallLast = (this.#call?.outputIndex ?? -1) > (this.#content?.outputIndex ?? -1);
    // Only the last item is incomplete, or a call whose arguments were unfinished when text came.
    this.#closeContent(isCallLast ? 'completed' : status);
    this.#closeCall(isCallLast || this.#call?.isWhole === false ? status : 'completed');
    this.response = responseObject(head, { status, output: this.#output, usage, reason });
    this.#emit(`response.${status}`, { response: this.response });
    const { onItem } = this.#options;
    if (onItem !== undefined) this.#output.forEach(onItem);
  }

  #note(text: string): void {
    const { maxLength } = this.#options;
    this.#length += text.length;
    if (this.#length > maxLength) this.failure ??= tooLong(maxLength);
  }

  #begun(): ResponseHead {
    if (this.#head !== null) return this.#head;
    const head = this.#options.head();
    this.#head = head;
    const response = responseObject(head, BEGINNING);
    this.#emit('response.created', { response });
    this.#emit('response.in_progress', { response });
    return head;
  }

  #reasoning(): ReasoningItem {
    if (this.#content instanceof ReasoningItem) return this.#content;
    this.#closeContent('completed');
    const { hasEncryptedReasoning } = this.#options;
    const item = new ReasoningItem(this.#newPlace('rs'), this.#emit, hasEncryptedReasoning);
    this.#content = item;
    return item;
  }

  #message(): MessageItem {
    if (this.#content instanceof MessageItem) return this.#content;
    this.#closeContent('completed');
    const item = new MessageItem(this.#newPlace('msg'), this.#emit);
    this.#content = item;
    return item;
  }

  #newPlace(prefix: string) {
    this.#begun();
    return { id: this.#options.newId(prefix), outputIndex: this.#count++ };
  }

  #closeContent(status: ItemStatus): void {
    this.#close(this.#content, status);
    this.#content = null;
  }

  #closeCall(status: ItemStatus): void {
    this.#close(this.#call, status);
    this.#call = null;
  }

  #close(item: OpenItem | null, status: ItemStatus): void {
    if (item !== null) this.#output[item.outputIndex] = item.close(status);
  }
}

function tooLong(maxLength: number): FerryError {
  return new FerryError('invalid_response', {
    message: `The upstream's response is longer than limits.response (${maxLength}). Raise the limit or ask for less.`,
  });
}

const BEGINNING: ResponseProgress = { status: 'in_progress', output: [], usage: null, reason: null };

/** Where a Responses stream broke. */
interface BrokenStream {
  /** The sequence number of the next event. */
  readonly sequenceNumber: number;
  /** The Response as far as it got. */
  readonly response: JsonObject;
  /** The code of the upstream's own error, which clients know; null or absent: it has none. */
  readonly upstreamCode?: string | null;
}

/**
 * The end of a Responses stream that fails after it began (S126): `response.failed`, which Codex and the specification
 * know, and then `error`, without which openai for Python and Node raise nothing. Of the flat members that the
 * specification has openai for Python raises nothing either, and of the nested ones others read no text: so both.
 */
export function responsesErrorEvents(error: FerryError, broken: BrokenStream): string {
  const { sequenceNumber } = broken;
  const { error: body } = error.toBody();
  const { code, message, param } = body;
  const failed = eventText('response.failed', sequenceNumber, { response: failedResponse(error, broken) });
  return failed + eventText('error', sequenceNumber + 1, { code, message, param, error: body });
}

/** Without a code of the upstream, such as Codex acts on, one of the two matching codes of the specification. */
function failedResponse(error: FerryError, { response, upstreamCode }: BrokenStream): JsonObject {
  const code = upstreamCode ?? (error.status === 429 ? 'rate_limit_exceeded' : 'server_error');
  return {
    ...response,
    status: 'failed',
    error: { code, message: error.clientMessage },
    incomplete_details: null,
    usage: null,
  };
}

function eventText(type: string, sequenceNumber: number, members: JsonObject): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequenceNumber, ...members })}\n\n`;
}

/** Writes one event; `members` without its type and sequence number. */
type Emit = (type: string, members: JsonObject) => void;

/** The position of an item in the output, by the id that all its events have. */
interface ItemPlace {
  readonly id: string;
  readonly outputIndex: number;
}

/** `incomplete`: the model was stopped within this item. */
type ItemStatus = 'completed' | 'incomplete';

/** One item of a Response's output while it is written: opened by its constructor, closed once. */
interface OpenItem {
  readonly outputIndex: number;
  /** Writes the item's last events, and returns it whole. */
  close(status: ItemStatus): JsonObject;
}

/** What the events of one item have in common. */
abstract class Item {
  readonly outputIndex: number;
  protected readonly id: string;
  protected readonly emit: Emit;

  constructor({ id, outputIndex }: ItemPlace, emit: Emit) {
    this.id = id;
    this.outputIndex = outputIndex;
    this.emit = emit;
  }

  protected emitFor(type: string, members: JsonObject): void {
    this.emit(type, { item_id: this.id, output_index: this.outputIndex, ...members });
  }

  protected added(item: JsonObject): void {
    this.emit('response.output_item.added', { output_index: this.outputIndex, item });
  }

  protected done(item: JsonObject): JsonObject {
    this.emit('response.output_item.done', { output_index: this.outputIndex, item });
    return item;
  }
}

/** The model's reasoning, as the summary that clients of Responses show. */
class ReasoningItem extends Item implements OpenItem {
  readonly #mark: JsonObject;
  #text = '';

  constructor(place: ItemPlace, emit: Emit, isMarked: boolean) {
    super(place, emit);
    this.#mark = isMarked ? { encrypted_content: thinkingSignature('') } : {};
    this.added({ id: this.id, type: 'reasoning', summary: [], ...this.#mark });
    this.emitFor('response.reasoning_summary_part.added', { summary_index: 0, part: summaryPart('') });
  }

  add(text: string): void {
    this.#text += text;
    this.emitFor('response.reasoning_summary_text.delta', { summary_index: 0, delta: text });
  }

  close(): JsonObject {
    const part = summaryPart(this.#text);
    this.emitFor('response.reasoning_summary_text.done', { summary_index: 0, text: this.#text });
    this.emitFor('response.reasoning_summary_part.done', { summary_index: 0, part });
    return this.done({ id: this.id, type: 'reasoning', summary: [part], ...this.#mark });
  }
}

type PartKind = 'content' | 'refusal';

/** The model's message: text, and a refusal as a part of its own. */
class MessageItem extends Item implements OpenItem {
  readonly #parts: JsonObject[] = [];
  #kind: PartKind | null = null;
  #text = '';

  constructor(place: ItemPlace, emit: Emit) {
    super(place, emit);
    this.added(this.#item('in_progress', []));
  }

  add(kind: PartKind, text: string): void {
    if (this.#kind !== kind) {
      this.#closePart();
      this.#kind = kind;
      this.#emitPart('response.content_part.added', { part: partOf(kind, '') });
    }
    this.#text += text;
    if (kind === 'refusal') this.#emitPart('response.refusal.delta', { delta: text });
    else this.#emitPart('response.output_text.delta', { delta: text, logprobs: [] });
  }

  close(status: ItemStatus): JsonObject {
    this.#closePart();
    return this.done(this.#item(status, this.#parts));
  }

  #closePart(): void {
    const text = this.#text;
    if (this.#kind === null) return;
    const part = partOf(this.#kind, text);
    if (this.#kind === 'refusal') this.#emitPart('response.refusal.done', { refusal: text });
    else this.#emitPart('response.output_text.done', { text, logprobs: [] });
    this.#emitPart('response.content_part.done', { part });
    this.#parts.push(part);
    this.#kind = null;
    this.#text = '';
  }

  #emitPart(type: string, members: JsonObject): void {
    this.emitFor(type, { content_index: this.#parts.length, ...members });
  }

  #item(status: string, content: readonly JsonObject[]): JsonObject {
    return { id: this.id, type: 'message', status, role: 'assistant', content };
  }
}

/** A call as the client knows its tool. */
interface ClientCall {
  readonly id: string;
  readonly name: string;
  readonly namespace: string | null;
}

/** The members of an item that name the call: Codex refuses a namespace within the name. */
function callMembers({ id, name, namespace }: ClientCall): JsonObject {
  return { call_id: id, ...(namespace !== null && { namespace }), name };
}

/** A call of one of the application's functions. */
class CallItem extends Item implements OpenItem {
  readonly #call: JsonObject;
  #arguments = '';

  constructor(place: ItemPlace, call: ClientCall, emit: Emit) {
    super(place, emit);
    this.#call = callMembers(call);
    this.added(this.#item('in_progress'));
  }

  add(text: string): void {
    if (text === '') return;
    this.#arguments += text;
    this.emitFor('response.function_call_arguments.delta', { delta: text });
  }

  /** Whether the arguments so far are complete JSON. */
  get isWhole(): boolean {
    return parseJson(this.#arguments) !== undefined;
  }

  close(status: ItemStatus): JsonObject {
    this.emitFor('response.function_call_arguments.done', {
      name: this.#call.name,
      arguments: this.#arguments,
    });
    return this.done(this.#item(status));
  }

  #item(status: string): JsonObject {
    return { id: this.id, type: 'function_call', status, ...this.#call, arguments: this.#arguments };
  }
}

/** A call of a custom tool, whose input is text. */
class CustomCallItem extends Item implements OpenItem {
  readonly #call: JsonObject;
  readonly #input = new CustomInput();

  constructor(place: ItemPlace, call: ClientCall, emit: Emit) {
    super(place, emit);
    this.#call = callMembers(call);
    this.added(this.#item('in_progress', ''));
  }

  add(piece: string): void {
    if (piece !== '') this.#emitDelta(this.#input.add(piece));
  }

  /** Whether nothing more of it is to come. */
  get isWhole(): boolean {
    return this.#input.isWhole;
  }

  close(status: ItemStatus): JsonObject {
    const { text, rest } = this.#input.end();
    this.#emitDelta(rest);
    this.emitFor('response.custom_tool_call_input.done', { input: text });
    return this.done(this.#item(status, text));
  }

  #emitDelta(delta: string): void {
    if (delta !== '') this.emitFor('response.custom_tool_call_input.delta', { delta });
  }

  #item(status: string, input: string): JsonObject {
    return { id: this.id, type: 'custom_tool_call', status, ...this.#call, input };
  }
}

/** A search among the client's tools that were not sent, which the client executes; its arguments are an object. */
class SearchItem extends Item implements OpenItem {
  readonly #callId: string;
  #arguments = '';

  constructor(place: ItemPlace, { id }: ClientCall, emit: Emit) {
    super(place, emit);
    this.#callId = id;
    this.added(this.#item('in_progress'));
  }

  add(piece: string): void {
    this.#arguments += piece;
  }

  get isWhole(): boolean {
    return parseJson(this.#arguments) !== undefined;
  }

  close(status: ItemStatus): JsonObject {
    return this.done(this.#item(status));
  }

  #item(status: string): JsonObject {
    const args = parseJson(this.#arguments);
    return {
      id: this.id,
      type: 'tool_search_call',
      status,
      call_id: this.#callId,
      execution: 'client',
      arguments: isJsonObject(args) ? args : {},
    };
  }
}

function summaryPart(text: string): JsonObject {
  return { type: 'summary_text', text };
}

function partOf(kind: PartKind, text: string): JsonObject {
  if (kind === 'refusal') return { type: 'refusal', refusal: text };
  return { type: 'output_text', text, annotations: [], logprobs: [] };
}

/** Members that all Response objects of one stream share. */
interface ResponseHead {
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
  /** The members that repeat the request. */
  readonly echo: JsonObject;
}

/** The state of a Response. */
interface ResponseProgress {
  readonly status: 'in_progress' | 'completed' | 'incomplete';
  readonly output: readonly JsonObject[];
  readonly usage: Usage | null;
  /** Why it is incomplete; null when it is not. */
  readonly reason: 'max_output_tokens' | 'content_filter' | null;
}

/** The Response object of OpenAI's specification, with all members also while it is in progress. */
function responseObject(head: ResponseHead, progress: ResponseProgress): JsonObject {
  const { status, output, usage, reason } = progress;
  return {
    id: head.id,
    object: 'response',
    created_at: head.created,
    status,
    error: null,
    incomplete_details: reason === null ? null : { reason },
    model: head.model,
    output,
    ...head.echo,
    usage: usage === null ? null : responsesUsage(usage),
  };
}

/** Usage under the names that the Responses API has for it. */
function responsesUsage({ promptTokens, completionTokens, totalTokens, extensions }: Usage): JsonObject {
  return {
    input_tokens: promptTokens,
    input_tokens_details: {
      cached_tokens: detailOf(extensions, 'prompt', 'input', 'cached_tokens'),
      cache_write_tokens: detailOf(extensions, 'prompt', 'input', 'cache_write_tokens'),
    },
    output_tokens: completionTokens,
    output_tokens_details: {
      reasoning_tokens: detailOf(extensions, 'completion', 'output', 'reasoning_tokens'),
    },
    total_tokens: totalTokens,
  };
}

function detailOf(extensions: JsonObject | undefined, chat: string, responses: string, name: string): number {
  const details = extensions?.[`${chat}_tokens_details`] ?? extensions?.[`${responses}_tokens_details`];
  const count = isJsonObject(details) ? numberFrom(details[name]) : null;
  return count === null || count < 0 ? 0 : Math.round(count);
}
