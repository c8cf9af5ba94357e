import { type JsonObject, parseJson } from '../../lib/json/json-object.ts';

/** Tells one event; `members` without its type and sequence number. */
export type Emit = (type: string, members: JsonObject) => void;

/** Where an item stands in the output, under the id that all its events carry. */
interface ItemPlace {
  readonly id: string;
  readonly outputIndex: number;
}

/** `incomplete`: the model was stopped within this item. */
export type ItemStatus = 'completed' | 'incomplete';

/** One item of a Response's output while it is written: opened by its constructor, closed once. */
export interface OpenItem {
  readonly outputIndex: number;
  /** Tells that the item is over, and gives it whole. */
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

  protected tell(type: string, members: JsonObject): void {
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

/** The model's thinking, as the summary that clients of Responses show. */
export class ReasoningItem extends Item implements OpenItem {
  #text = '';

  constructor(place: ItemPlace, emit: Emit) {
    super(place, emit);
    this.added({ id: this.id, type: 'reasoning', summary: [] });
    this.tell('response.reasoning_summary_part.added', { summary_index: 0, part: summaryPart('') });
  }

  add(text: string): void {
    this.#text += text;
    this.tell('response.reasoning_summary_text.delta', { summary_index: 0, delta: text });
  }

  close(): JsonObject {
    const part = summaryPart(this.#text);
    this.tell('response.reasoning_summary_text.done', { summary_index: 0, text: this.#text });
    this.tell('response.reasoning_summary_part.done', { summary_index: 0, part });
    return this.done({ id: this.id, type: 'reasoning', summary: [part] });
  }
}

type PartKind = 'content' | 'refusal';

/** What the model says: text, and a refusal as a part of its own. */
export class MessageItem extends Item implements OpenItem {
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
      this.#tellPart('response.content_part.added', { part: partOf(kind, '') });
    }
    this.#text += text;
    if (kind === 'refusal') this.#tellPart('response.refusal.delta', { delta: text });
    else this.#tellPart('response.output_text.delta', { delta: text, logprobs: [] });
  }

  close(status: ItemStatus): JsonObject {
    this.#closePart();
    return this.done(this.#item(status, this.#parts));
  }

  #closePart(): void {
    const text = this.#text;
    if (this.#kind === null) return;
    const part = partOf(this.#kind, text);
    if (this.#kind === 'refusal') this.#tellPart('response.refusal.done', { refusal: text });
    else this.#tellPart('response.output_text.done', { text, logprobs: [] });
    this.#tellPart('response.content_part.done', { part });
    this.#parts.push(part);
    this.#kind = null;
    this.#text = '';
  }

  #tellPart(type: string, members: JsonObject): void {
    this.tell(type, { content_index: this.#parts.length, ...members });
  }

  #item(status: string, content: readonly JsonObject[]): JsonObject {
    return { id: this.id, type: 'message', status, role: 'assistant', content };
  }
}

/** A call of one of the application's functions. */
export class CallItem extends Item implements OpenItem {
  readonly #call: { readonly call_id: string; readonly name: string };
  #arguments = '';

  constructor(place: ItemPlace, call: { readonly id: string; readonly name: string }, emit: Emit) {
    super(place, emit);
    this.#call = { call_id: call.id, name: call.name };
    this.added(this.#item('in_progress'));
  }

  add(text: string): void {
    if (text === '') return;
    this.#arguments += text;
    this.tell('response.function_call_arguments.delta', { delta: text });
  }

  /** Whether the arguments so far are JSON that nobody cut. */
  get isWhole(): boolean {
    return parseJson(this.#arguments) !== undefined;
  }

  close(status: ItemStatus): JsonObject {
    this.tell('response.function_call_arguments.done', {
      name: this.#call.name,
      arguments: this.#arguments,
    });
    return this.done(this.#item(status));
  }

  #item(status: string): JsonObject {
    return { id: this.id, type: 'function_call', status, ...this.#call, arguments: this.#arguments };
  }
}

function summaryPart(text: string): JsonObject {
  return { type: 'summary_text', text };
}

function partOf(kind: PartKind, text: string): JsonObject {
  if (kind === 'refusal') return { type: 'refusal', refusal: text };
  return { type: 'output_text', text, annotations: [], logprobs: [] };
}
