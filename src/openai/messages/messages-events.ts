import { FerryError } from '../../lib/errors/ferry-error.ts';
import { isJsonObject, type JsonObject, numberFrom, parseJson } from '../../lib/json/json-object.ts';
import type { CallStep, ChoiceExtras, StreamWriter, TextKind } from '../chat/assembly/response-sink.ts';
import { anthropicErrorEvent } from '../errors/anthropic-error.ts';
import type { Usage } from '../usage/usage.ts';
import type { UsageMeter } from '../usage/usage-meter.ts';
import type { FinishReason } from '../vendors/finish-reasons.ts';
import type { MessageExpectations } from './messages-request.ts';
import { thinkingSignature } from './thinking-signature.ts';
import { toolUseId } from './tool-names.ts';

interface MessageWriterOptions extends MessageExpectations {
  /** Called once, at the first event, when the upstream's model is known. */
  readonly head: () => MessageHead;
  /** The tokens of the prompt as far as they are known at the first event, which is when a stream is asked for them. */
  readonly promptTokens: () => number;
  /** False: only the message at the end is wanted. */
  readonly wantsEvents: boolean;
  /** The longest text that is kept for later, in UTF-16 units. */
  readonly maxLength: number;
  /** The id of the request, which an error of a stream repeats. */
  readonly requestId: string;
}

interface MessageHead {
  /** `msg_…`. */
  readonly id: string;
  readonly model: string;
}

type StopReason = 'end_turn' | 'max_tokens' | 'stop_sequence' | 'tool_use' | 'refusal';

/** Sent after `message_start`, as Anthropic does, and while the client waits. */
export const PING = `event: ping\ndata: {"type":"ping"}\n\n`;

/**
 * Writes a response as the events of Anthropic's Messages API: the whole chain, one content block after the
 * other, each with its start, its deltas and its end.
 */
export class MessageWriter implements StreamWriter {
  failure: FerryError | null = null;
  /** The message at its end; null before, and for a stream. */
  message: JsonObject | null = null;
  readonly #options: MessageWriterOptions;
  readonly #content: JsonObject[] = [];
  #head: MessageHead | null = null;
  /** How many blocks were opened. */
  #count = 0;
  #block: OpenBlock | null = null;
  /** Text that came before the open call was complete: blocks do not overlap. */
  #held: { readonly kind: TextKind; readonly text: string }[] = [];
  #keptLength = 0;
  #hasRefusal = false;
  #hasCalls = false;
  #finish: FinishReason = 'stop';
  #stopSequence: string | null = null;
  #events = '';

  constructor(options: MessageWriterOptions) {
    this.#options = options;
  }

  take(): string {
    const events = this.#events;
    this.#events = '';
    return events;
  }

  broken(error: FerryError): string {
    return anthropicErrorEvent(error, this.#options.requestId);
  }

  attach(): void {}

  begin(): void {
    this.#begun();
  }

  text(_choice: number, kind: TextKind, text: string, extras: ChoiceExtras | null): void {
    this.#noteStop(extras);
    if (this.#block?.type === 'tool_use') {
      if (!this.#block.isComplete) {
        this.#keep(text);
        this.#held.push({ kind, text });
        return;
      }
      this.#closeCall();
    }
    this.#addText(kind, text);
  }

  callStep(_choice: number, step: CallStep): void {
    if (step.opens !== null) {
      this.#closeCall();
      this.#close();
      this.#open('tool_use', {
        type: 'tool_use',
        id: toolUseId(step.opens),
        name: this.#options.names.original(step.opens.name),
        input: {},
      });
      this.#hasCalls = true;
    }
    // Behind complete arguments and a text there is nothing but white space.
    if (this.#block?.type !== 'tool_use' || step.arguments === '') return;
    this.#add(step.arguments, { type: 'input_json_delta', partial_json: step.arguments });
  }

  extension(): void {}

  finish(_choice: number, reason: FinishReason, extras: ChoiceExtras | null): void {
    this.#finish = reason;
    this.#noteStop(extras);
  }

  /**
   * vLLM 0.9 and SGLang 0.4 tell the sequence that ended the text: `stop_reason`, `matched_stop`. In a whole response it comes
   * beside the text.
   */
  #noteStop(extras: ChoiceExtras | null): void {
    if (extras === null || extras.extensions === null) return;
    const { stop_reason: reason, matched_stop: matched } = extras.extensions;
    this.#stopSequence ??=
      this.#options.stopSequences.find((stop) => stop === reason || stop === matched) ?? null;
  }

  /** Ends the message: closes the open block and writes the stop reason and the usage. */
  complete({ usage }: UsageMeter): void {
    const head = this.#begun();
    this.#closeCall();
    this.#close();
    const end = this.#ending();
    const counts = usage === null ? NO_USAGE : messageUsage(usage);
    this.#emit('message_delta', { delta: { ...end, container: null }, usage: counts });
    this.#emit('message_stop', {});
    if (!this.#options.wantsEvents)
      this.message = messageObject(head, { content: this.#content, end, usage: counts });
  }

  #ending(): MessageEnd {
    const reason = this.#stopReason();
    return {
      stop_reason: reason,
      stop_sequence: reason === 'stop_sequence' ? this.#stopSequence : null,
      stop_details: reason === 'refusal' ? { type: 'refusal', category: null, explanation: null } : null,
    };
  }

  #stopReason(): StopReason {
    if (this.#finish === 'length') return 'max_tokens';
    if (this.#finish === 'content_filter' || this.#hasRefusal) return 'refusal';
    if (this.#hasCalls) return 'tool_use';
    return this.#stopSequence === null ? 'end_turn' : 'stop_sequence';
  }

  #begun(): MessageHead {
    if (this.#head !== null) return this.#head;
    const head = this.#options.head();
    this.#head = head;
    const { wantsEvents, promptTokens } = this.#options;
    if (!wantsEvents) return head;
    // `message_delta` has the counts. Clients that take the prompt's from here alone (LobeChat 1.143, Anthropic's SDK for
    // Node before 0.50) would show none.
    const usage = usageObject({ ...NO_COUNTS, input: promptTokens() });
    this.#emit('message_start', { message: messageObject(head, { content: [], end: NO_END, usage }) });
    this.#events += PING;
    return head;
  }

  #addText(kind: TextKind, text: string): void {
    const type = kind === 'reasoning' ? 'thinking' : 'text';
    if (kind === 'refusal') this.#hasRefusal = true;
    if (this.#block?.type !== type) {
      this.#close();
      if (type === 'text') this.#open(type, { type, text: '', citations: null });
      else this.#open(type, { type, thinking: '', signature: '' });
    }
    if (type === 'text') this.#add(text, { type: 'text_delta', text });
    else if (this.#options.showsThinking) this.#add(text, { type: 'thinking_delta', thinking: text });
    else this.#add(text, null);
  }

  /** Closes an open call, and writes what came before its end. */
  #closeCall(): void {
    if (this.#block?.type === 'tool_use') this.#close();
    const held = this.#held;
    this.#held = [];
    for (const { kind, text } of held) this.#addText(kind, text);
  }

  #open(type: OpenBlock['type'], start: JsonObject): void {
    this.#begun();
    this.#block = new OpenBlock(type, start);
    this.#emit('content_block_start', { index: this.#count, content_block: start });
    this.#count += 1;
  }

  /** Adds to the open block; `delta` null: the client does not see it. */
  #add(text: string, delta: JsonObject | null): void {
    const block = this.#block as OpenBlock;
    if (block.type === 'tool_use' || delta === null || !this.#options.wantsEvents) {
      this.#keep(text);
      block.text += text;
    }
    if (delta !== null) this.#emitInBlock('content_block_delta', { delta });
  }

  #close(): void {
    const block = this.#block;
    if (block === null) return;
    const { showsThinking, wantsEvents } = this.#options;
    const signature = block.type === 'thinking' ? thinkingSignature(showsThinking ? '' : block.text) : null;
    if (signature !== null)
      this.#emitInBlock('content_block_delta', { delta: { type: 'signature_delta', signature } });
    this.#emitInBlock('content_block_stop', {});
    if (!wantsEvents) this.#content.push(block.whole(signature, showsThinking));
    this.#block = null;
  }

  #keep(text: string): void {
    const { maxLength } = this.#options;
    this.#keptLength += text.length;
    if (this.#keptLength > maxLength) this.failure ??= tooLong(maxLength);
  }

  #emitInBlock(type: string, members: JsonObject): void {
    this.#emit(type, { index: this.#count - 1, ...members });
  }

  #emit(type: string, members: JsonObject): void {
    if (this.#options.wantsEvents)
      this.#events += `event: ${type}\ndata: ${JSON.stringify({ type, ...members })}\n\n`;
  }
}

/** A content block while it is written. */
class OpenBlock {
  readonly type: 'text' | 'thinking' | 'tool_use';
  /** Kept of a call, of thinking that the client does not see, and of a whole message. */
  text = '';
  readonly #start: JsonObject;

  constructor(type: OpenBlock['type'], start: JsonObject) {
    this.type = type;
    this.#start = start;
  }

  /** Whether the arguments of a call are complete JSON. */
  get isComplete(): boolean {
    return this.text.endsWith('}') && parseJson(this.text) !== undefined;
  }

  /** The block as a whole message has it. */
  whole(signature: string | null, showsThinking: boolean): JsonObject {
    const { text } = this;
    if (this.type === 'text') return { ...this.#start, text };
    if (this.type === 'thinking') return { ...this.#start, thinking: showsThinking ? text : '', signature };
    return { ...this.#start, input: inputOf(text) };
  }
}

/** Arguments that are no object are told as they are: the application's check of its schema shows them to the model. */
function inputOf(text: string): JsonObject {
  if (text.trim() === '') return {};
  const input = parseJson(text);
  if (isJsonObject(input)) return input;
  return input === null ? {} : { invalid_arguments: text };
}

interface MessageEnd {
  readonly stop_reason: StopReason | null;
  readonly stop_sequence: string | null;
  readonly stop_details: JsonObject | null;
}

const NO_END: MessageEnd = { stop_reason: null, stop_sequence: null, stop_details: null };

interface MessageProgress {
  readonly content: readonly JsonObject[];
  readonly end: MessageEnd;
  readonly usage: JsonObject;
}

/** A message of Anthropic's API, with all members also at its start. */
function messageObject({ id, model }: MessageHead, { content, end, usage }: MessageProgress): JsonObject {
  return { id, type: 'message', role: 'assistant', model, content, ...end, container: null, usage };
}

const NO_COUNTS: MessageCounts = { input: 0, created: 0, read: 0, output: 0 };
const NO_USAGE = usageObject(NO_COUNTS);

/** Usage under Anthropic's names, of which `input_tokens` are those that no cache had. */
function messageUsage({ promptTokens, completionTokens, extensions }: Usage): JsonObject {
  const read = cacheCount(extensions, 'cached_tokens', CACHE_READ);
  const created = cacheCount(extensions, 'cache_write_tokens', CACHE_WRITE);
  const thinking = detailOf(extensions, ['completion', 'output'], 'reasoning_tokens');
  const cached = Math.min(promptTokens, read + created);
  return {
    ...usageObject({
      input: promptTokens - cached,
      created: Math.min(created, cached),
      read: cached - Math.min(created, cached),
      output: completionTokens,
    }),
    ...(thinking !== null && { output_tokens_details: { thinking_tokens: thinking } }),
  };
}

interface MessageCounts {
  readonly input: number;
  readonly created: number;
  readonly read: number;
  readonly output: number;
}

function usageObject({ input, created, read, output }: MessageCounts): JsonObject {
  return {
    input_tokens: input,
    cache_creation_input_tokens: created,
    cache_read_input_tokens: read,
    output_tokens: output,
    cache_creation: null,
    server_tool_use: null,
    service_tier: null,
  };
}

/** Beside OpenAI's details: LiteLLM's names in its usage, DeepSeek's. */
const CACHE_READ = ['cache_read_input_tokens', 'prompt_cache_hit_tokens'];
const CACHE_WRITE = ['cache_creation_input_tokens'];

function cacheCount(extensions: JsonObject | undefined, detail: string, names: readonly string[]): number {
  const found =
    detailOf(extensions, ['prompt', 'input'], detail) ??
    names.map((name) => numberFrom(extensions?.[name])).find((count) => count !== null);
  return Math.max(0, Math.round(found ?? 0));
}

function detailOf(extensions: JsonObject | undefined, kinds: readonly string[], name: string): number | null {
  for (const kind of kinds) {
    const details = extensions?.[`${kind}_tokens_details`];
    const count = isJsonObject(details) ? numberFrom(details[name]) : null;
    if (count !== null && count >= 0) return Math.round(count);
  }
  return null;
}

function tooLong(maxLength: number): FerryError {
  return new FerryError('invalid_response', {
    message: `The upstream's response is longer than limits.response (${maxLength}). Raise the limit or ask for less.`,
  });
}
