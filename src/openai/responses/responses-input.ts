import { isJsonObject, type JsonObject, textFrom } from '../../lib/json/json-object.ts';
import { joinContents } from '../request/system-messages.ts';
import { impossibleAsChat, malformed, named } from '../request/translated-chat.ts';

/** Returns an output item of an earlier response by its id; null: unknown. */
export type Recall = (itemId: string) => JsonObject | null;

/** The roles of a Responses input; those of a chat are the same. */
const ROLES: ReadonlySet<unknown> = new Set(['user', 'assistant', 'system', 'developer']);
const LEADING_ROLES: ReadonlySet<unknown> = new Set(['system', 'developer']);

/**
 * `instructions` and `input` of a Responses request → the messages of a chat. Reasoning items are left out: it is the
 * model's own thinking of an earlier turn, and upstreams differ in whether they take it. Throws FerryError
 * `invalid_request` that names the item or part which a chat cannot express.
 */
export function messagesOf(instructions: unknown, input: unknown, recall: Recall): JsonObject[] {
  const messages = new Messages(recall);
  if (typeof instructions === 'string' && instructions !== '') {
    messages.add({ role: 'system', content: instructions });
  } else if (instructions !== undefined && instructions !== null && instructions !== '') {
    throw malformed('instructions', '"instructions" must be text.');
  }
  if (typeof input === 'string') messages.add({ role: 'user', content: input });
  else if (Array.isArray(input)) {
    for (const [position, item] of input.entries()) messages.addItem(item, `input[${position}]`);
  } else {
    throw malformed('input', 'The request has no "input": text, or a list of items.');
  }
  if (messages.all.length === 0) throw malformed('input', 'The input has no message.');
  return messages.all;
}

/** The messages so far; calls join the assistant's message before them, as a chat has them. */
class Messages {
  readonly all: JsonObject[] = [];
  readonly #recall: Recall;
  /** The calls of the last message; null: it has none. Thousands of calls in a row go into the one list. */
  #calls: JsonObject[] | null = null;
  /** Ids that were named: each brings its item once, so that a small request cannot become a huge one. */
  readonly #named = new Set<string>();

  constructor(recall: Recall) {
    this.#recall = recall;
  }

  add(message: JsonObject): void {
    // Templates of open models require a single system message at the beginning (vllm#41114).
    if (LEADING_ROLES.has(message.role)) {
      const [first] = this.all;
      if (first === undefined || !LEADING_ROLES.has(first.role)) this.all.unshift(message);
      else this.all[0] = { ...first, content: joinContents([first.content, message.content]) };
      return;
    }
    this.all.push(message);
    this.#calls = null;
  }

  addItem(item: unknown, param: string): void {
    if (!isJsonObject(item)) throw malformed(param, `${param} is not an item: it must be an object.`);
    const type = item.type ?? (item.role === undefined ? undefined : 'message');
    switch (type) {
      case 'message':
        this.add(messageOf(item, param));
        return;
      case 'function_call':
        this.#addCall(item, param);
        return;
      case 'function_call_output':
        this.add(outputOf(item, param));
        return;
      case 'reasoning':
        return;
      case 'item_reference':
        this.#addReferenced(item, param);
        return;
      default:
        throw impossibleAsChat(
          param,
          `${param} is of type ${named(type)}, which is not possible with this model: it only supports chats.`,
        );
    }
  }

  #addCall(item: JsonObject, param: string): void {
    const id = textFrom(item.call_id) ?? textFrom(item.id);
    const name = textFrom(item.name);
    if (id === null || name === null) throw malformed(param, `${param} needs "call_id" and "name".`);
    const args = typeof item.arguments === 'string' ? item.arguments : JSON.stringify(item.arguments ?? {});
    const call = { id, type: 'function', function: { name, arguments: args } };
    if (this.#calls !== null) {
      this.#calls.push(call);
      return;
    }
    const calls = [call];
    const last = this.all.at(-1);
    if (last?.role === 'assistant') this.all[this.all.length - 1] = { ...last, tool_calls: calls };
    else this.all.push({ role: 'assistant', content: null, tool_calls: calls });
    this.#calls = calls;
  }

  /** Clients that rely on stored responses send an id instead of the item. */
  #addReferenced(item: JsonObject, param: string): void {
    const id = textFrom(item.id) ?? '';
    if (id.startsWith('rs_')) return;
    if (this.#named.has(id))
      throw malformed(param, `${param} refers to the same item as an earlier one: remove one of the two.`);
    this.#named.add(id);
    const recalled = this.#recall(id);
    if (recalled === null) {
      throw impossibleAsChat(
        param,
        `${param} refers to an earlier item by its id, which is unknown: responses are not stored with this model. Send the item itself: set "store" to false in the client.`,
      );
    }
    this.addItem(recalled, param);
  }
}

function messageOf(item: JsonObject, param: string): JsonObject {
  const { role } = item;
  if (!ROLES.has(role)) throw malformed(`${param}.role`, `${param} has the role ${named(role)}.`);
  return { role, content: contentOf(item.content, `${param}.content`, role === 'assistant' ? '' : '\n') };
}

function outputOf(item: JsonObject, param: string): JsonObject {
  const id = textFrom(item.call_id);
  if (id === null) throw malformed(param, `${param} needs "call_id".`);
  const { output } = item;
  const isText = typeof output === 'string' || Array.isArray(output);
  const content = isText ? contentOf(output, `${param}.output`, '\n') : JSON.stringify(output ?? '');
  return { role: 'tool', tool_call_id: id, content };
}

/** Text alone becomes one string, which every upstream takes; with images or files the parts stay parts. */
function contentOf(content: unknown, param: string, separator: string): unknown {
  if (typeof content === 'string') return content;
  if (content === null || content === undefined) return '';
  if (!Array.isArray(content)) throw malformed(param, `${param} must be text or a list of parts.`);
  const parts = content.map((part, position) => partOf(part, `${param}[${position}]`));
  const texts = parts.map((part) => (part.type === 'text' ? (part.text as string) : null));
  return texts.includes(null) ? parts : texts.join(separator);
}

function partOf(part: unknown, param: string): JsonObject {
  if (!isJsonObject(part)) throw malformed(param, `${param} is not a part: it must be an object.`);
  switch (part.type) {
    case 'input_text':
    case 'output_text':
    case 'text':
    case 'summary_text':
      return { type: 'text', text: typeof part.text === 'string' ? part.text : '' };
    case 'refusal':
      return { type: 'text', text: typeof part.refusal === 'string' ? part.refusal : '' };
    case 'input_image':
      return imageOf(part, param);
    case 'input_file':
      return fileOf(part, param);
    case 'input_audio':
      return { type: 'input_audio', input_audio: part.input_audio };
    default:
      throw impossibleAsChat(
        param,
        `${param} is of type ${named(part.type)}, which is not possible with this model.`,
      );
  }
}

function imageOf({ image_url: url, detail }: JsonObject, param: string): JsonObject {
  const address = isJsonObject(url) ? url.url : url;
  if (typeof address !== 'string')
    throw impossibleAsChat(param, `${param} needs "image_url": a chat cannot use stored files as images.`);
  return {
    type: 'image_url',
    image_url: { url: address, ...(typeof detail === 'string' && { detail }) },
  };
}

function fileOf(part: JsonObject, param: string): JsonObject {
  const { file_data: data, filename, file_id: id } = part;
  if (typeof data !== 'string' && typeof id !== 'string')
    throw impossibleAsChat(param, `${param} needs "file_data": a chat cannot fetch files.`);
  const file = typeof data === 'string' ? { file_data: data } : { file_id: id };
  return { type: 'file', file: { ...(typeof filename === 'string' && { filename }), ...file } };
}
