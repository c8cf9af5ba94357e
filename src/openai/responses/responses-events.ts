import type { FerryError } from '../../lib/errors/ferry-error.ts';
import type { JsonObject } from '../../lib/json/json-object.ts';
import type { ResponseSink, TextKind } from '../chat/assembly/response-sink.ts';
import type { CallStep } from '../chat/calls/tool-calls.ts';
import type { FinishReason } from '../chat/shapes/finish-reason.ts';
import type { Usage } from '../usage/usage.ts';
import {
  CallItem,
  type Emit,
  type ItemStatus,
  MessageItem,
  type OpenItem,
  ReasoningItem,
} from './responses-items.ts';
import { type ResponseHead, type ResponseProgress, responseObject } from './responses-object.ts';

interface ResponseWriterOptions {
  /** Asked for once, at the first event: the upstream has named its model by then. */
  readonly head: () => ResponseHead;
  /** Takes the events' text; null: only the Response at the end is wanted. */
  readonly write: ((text: string) => void) | null;
  /** `msg` → an id for a new item, such as `msg_1f…`. */
  readonly newId: (prefix: string) => string;
  /** Told every item of the output when all are complete. */
  readonly onItem?: ((item: JsonObject) => void) | undefined;
}

/** Which of the reasons to finish leave an answer incomplete, in the words of the Responses API. */
const INCOMPLETE: Partial<Record<FinishReason, 'max_output_tokens' | 'content_filter'>> = {
  length: 'max_output_tokens',
  content_filter: 'content_filter',
};

/**
 * Tells a reply as the events of the Responses API (S125): the whole chain, with a sequence number that has
 * no gaps, the same id in all events of an item, and the complete output in the last one.
 */
export class ResponseWriter implements ResponseSink {
  readonly #options: ResponseWriterOptions;
  readonly #emit: Emit;
  #head: ResponseHead | null = null;
  #sequence = 0;
  /** How many items were opened. */
  #count = 0;
  /** By output index; holes are items that are still open. */
  readonly #output: JsonObject[] = [];
  /** What the model is saying or thinking. */
  #said: MessageItem | ReasoningItem | null = null;
  /** Calls come one after the other, so that one at most is open. */
  #call: CallItem | null = null;
  #finish: FinishReason = 'stop';
  #response: JsonObject | null = null;

  constructor(options: ResponseWriterOptions) {
    this.#options = options;
    const { write } = options;
    this.#emit =
      write === null ? () => undefined : (type, members) => write(eventText(type, this.#sequence++, members));
  }

  /** The Response at its end; null before. */
  get response(): JsonObject | null {
    return this.#response;
  }

  /** The place of an event that follows all others. */
  get nextSequenceNumber(): number {
    return this.#sequence;
  }

  attach(): void {}

  begin(): void {
    this.#begun();
  }

  text(_choice: number, kind: TextKind, text: string): void {
    if (kind === 'reasoning') this.#reasoning().add(text);
    else this.#message().add(kind, text);
  }

  callStep(_choice: number, step: CallStep): void {
    if (step.opens !== null) {
      this.#closeSaid('completed');
      this.#closeCall('completed');
      this.#call = new CallItem(this.#newPlace('fc'), step.opens, this.#emit);
    }
    this.#call?.add(step.arguments);
  }

  extension(): void {}

  finish(_choice: number, reason: FinishReason): void {
    this.#finish = reason;
  }

  /** The reply is over: closes what is open and tells the Response. */
  complete(usage: Usage | null): void {
    const head = this.#begun();
    const reason = INCOMPLETE[this.#finish] ?? null;
    const status = reason === null ? 'completed' : 'incomplete';
    const isCallLast = (this.#call?.outputIndex ?? -1) > (this.#said?.outputIndex ?? -1);
    // Only the last item was cut, or a call whose arguments had not ended when text came.
    this.#closeSaid(isCallLast ? 'completed' : status);
    this.#closeCall(isCallLast || this.#call?.isWhole === false ? status : 'completed');
    this.#response = responseObject(head, { status, output: this.#output, usage, reason });
    this.#emit(`response.${status}`, { response: this.#response });
    const { onItem } = this.#options;
    if (onItem !== undefined) this.#output.forEach(onItem);
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
    if (this.#said instanceof ReasoningItem) return this.#said;
    this.#closeSaid('completed');
    const item = new ReasoningItem(this.#newPlace('rs'), this.#emit);
    this.#said = item;
    return item;
  }

  #message(): MessageItem {
    if (this.#said instanceof MessageItem) return this.#said;
    this.#closeSaid('completed');
    const item = new MessageItem(this.#newPlace('msg'), this.#emit);
    this.#said = item;
    return item;
  }

  #newPlace(prefix: string) {
    this.#begun();
    return { id: this.#options.newId(prefix), outputIndex: this.#count++ };
  }

  #closeSaid(status: ItemStatus): void {
    this.#close(this.#said, status);
    this.#said = null;
  }

  #closeCall(status: ItemStatus): void {
    this.#close(this.#call, status);
    this.#call = null;
  }

  #close(item: OpenItem | null, status: ItemStatus): void {
    if (item !== null) this.#output[item.outputIndex] = item.close(status);
  }
}

const BEGINNING: ResponseProgress = { status: 'in_progress', output: [], usage: null, reason: null };

/**
 * The end of a Responses stream that fails after it began (S126). Of the flat members that the
 * specification knows openai for Python raises nothing, and of the nested ones others read no text: so both.
 */
export function responsesErrorEvent(error: FerryError, sequenceNumber: number): string {
  const { error: body } = error.toBody();
  const { code, message, param } = body;
  return eventText('error', sequenceNumber, { code, message, param, error: body });
}

function eventText(type: string, sequenceNumber: number, members: JsonObject): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequenceNumber, ...members })}\n\n`;
}
