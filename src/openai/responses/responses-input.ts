import { isJsonObject, type JsonObject, textFrom } from '../../lib/json/json-object.ts';
import { reasoningOf } from '../messages/thinking-signature.ts';
import { joinContents } from '../request/system-messages.ts';
import { impossibleAsChat, malformed, named } from '../request/translated-chat.ts';
import { type ClientTool, customArguments, type ResponsesTools, toolOfItem } from './responses-tools.ts';

/** Returns an output item of an earlier response by its id; null: unknown. */
export type Recall = (itemId: string) => JsonObject | null;

/** What the items of an input refer to. */
interface InputContext {
  readonly recall: Recall;
  /** The request's tools. Those that come among the items are added. */
  readonly tools: ResponsesTools;
}

/** The messages of a chat that were made of an input. */
interface InputMessages {
  readonly messages: readonly JsonObject[];
  /** The types of items that were left out. */
  readonly dropped: readonly string[];
}

/** The roles of a Responses input; those of a chat are the same. */
const ROLES: ReadonlySet<unknown> = new Set(['user', 'assistant', 'system', 'developer']);
const LEADING_ROLES: ReadonlySet<unknown> = new Set(['system', 'developer']);

/** Calls of tools that OpenAI's service or another kind of client ran, and what only OpenAI's models can read. */
const FOREIGN_ITEM =
  /^(?:web_search|file_search|image_generation|code_interpreter|computer|local_shell|shell|apply_patch|mcp)_(?:call|call_output|list_tools|approval_request|approval_response)$|^(?:compaction|compaction_summary|context_compaction|ghost_snapshot)$/;

/**
 * `instructions` and `input` of a Responses request → the messages of a chat: one leading system message, since templates
 * of open models refuse a second one, and the results of calls directly behind them. Reasoning that another model wrote is
 * left out. Throws FerryError `invalid_request` that names the item or part which a chat cannot express.
 */
export function messagesOf(instructions: unknown, input: unknown, context: InputContext): InputMessages {
  const messages = new Messages(context);
  if (typeof instructions === 'string' && instructions !== '') {
    messages.add({ role: 'system', content: instructions });
  } else if (instructions !== undefined && instructions !== null && instructions !== '') {
    throw malformed('instructions', '"instructions" must be text.');
  }
  if (typeof input === 'string') messages.add({ role: 'user', content: input });
  else if (Array.isArray(input)) {
    // Their names have to be known before the calls in the history.
    for (const [position, item] of input.entries()) messages.survey(item, `input[${position}]`);
    for (const [position, item] of input.entries()) messages.addItem(item, `input[${position}]`);
  } else {
    throw malformed('input', 'The request has no "input": text, or a list of items.');
  }
  const all = messages.all();
  if (all.length === 0) throw malformed('input', 'The input has no message.');
  return { messages: all, dropped: messages.dropped };
}

/** The messages so far; calls join the assistant's message before them, as a chat has them. */
class Messages {
  readonly dropped: string[] = [];
  readonly #context: InputContext;
  #system: JsonObject | null = null;
  readonly #turns: JsonObject[] = [];
  /** The calls of the last assistant's message; null: it has none. Thousands of calls in a row go into the one list. */
  #calls: JsonObject[] | null = null;
  /** Ids of calls with a result among the items. */
  readonly #answered = new Set<string>();
  /** Ids of calls whose results are still to come. */
  readonly #open = new Set<string>();
  /** Messages that came between calls and their results. */
  #late: JsonObject[] = [];
  /** The reasoning that belongs to the assistant's next message. */
  #reasoning = '';
  /** Ids that were named: each brings its item once, so that a small request cannot become a huge one. */
  readonly #named = new Set<string>();

  constructor(context: InputContext) {
    this.#context = context;
  }

  all(): JsonObject[] {
    this.#closeCalls();
    return this.#system === null ? this.#turns : [this.#system, ...this.#turns];
  }

  add(message: JsonObject): void {
    if (LEADING_ROLES.has(message.role)) {
      const before = this.#system?.content;
      const content = before === undefined ? message.content : joinContents([before, message.content]);
      this.#system = { role: 'system', content };
      return;
    }
    if (message.role === 'tool') {
      this.#addResult(message);
      return;
    }
    if (this.#open.size === 0) this.#push(message);
    else if (!this.#joinsCalls(message)) this.#late.push(message);
  }

  /** Notes what has to be known before the items are added: tools, and which calls have a result. */
  survey(item: unknown, param: string): void {
    if (!isJsonObject(item)) return;
    const { type, tools, call_id: id } = item;
    if (typeof type === 'string' && type.endsWith('_output')) this.#answered.add(String(id));
    if (type === 'additional_tools' || type === 'tool_search_output')
      this.#context.tools.add(tools, `${param}.tools`);
  }

  addItem(item: unknown, param: string): void {
    if (!isJsonObject(item)) throw malformed(param, `${param} is not an item: it must be an object.`);
    const type = item.type ?? (item.role === undefined ? undefined : 'message');
    switch (type) {
      case 'message':
        this.add(messageOf(item, param));
        return;
      case 'function_call':
        this.#addCall(item, toolOfItem('function', item), argumentsOf(item), param);
        return;
      case 'custom_tool_call':
        this.#addCall(item, toolOfItem('custom', item), customArguments(item.input), param);
        return;
      case 'tool_search_call':
        this.#addCall(item, toolOfItem('search', item), argumentsOf(item), param);
        return;
      case 'function_call_output':
      case 'custom_tool_call_output':
        this.add(outputOf(item, param));
        return;
      case 'tool_search_output':
        this.add(outputOf({ ...item, output: foundTools(item) }, param));
        return;
      case 'reasoning':
        this.#reasoning += ownReasoning(item);
        return;
      case 'additional_tools':
        return;
      case 'item_reference':
        this.#addReferenced(item, param);
        return;
      default:
        if (typeof type !== 'string' || !FOREIGN_ITEM.test(type))
          throw impossibleAsChat(
            param,
            `${param} is of type ${named(type)}, which is not possible with this model: it only supports chats.`,
          );
        if (!this.dropped.includes(type)) this.dropped.push(type);
    }
  }

  #push(message: JsonObject): void {
    this.#calls = null;
    this.#turns.push(message.role === 'assistant' ? this.#withReasoning(message) : message);
  }

  /** Text of the assistant behind its calls belongs to their message (Codex sends such histories). */
  #joinsCalls({ role, content }: JsonObject): boolean {
    const last = this.#turns.at(-1);
    if (role !== 'assistant' || typeof content !== 'string' || last?.role !== 'assistant') return false;
    const { content: before } = last;
    if (before !== null && typeof before !== 'string') return false;
    this.#turns[this.#turns.length - 1] = { ...last, content: `${before ?? ''}${content}` };
    return true;
  }

  /** DeepSeek, Kimi and GLM require the reasoning of earlier turns where tools are used. */
  #withReasoning(message: JsonObject): JsonObject {
    const reasoning = this.#reasoning;
    this.#reasoning = '';
    return reasoning === '' ? message : { ...message, reasoning_content: reasoning };
  }

  #addCall(item: JsonObject, tool: ClientTool, args: string, param: string): void {
    const id = textFrom(item.call_id) ?? textFrom(item.id);
    if (id === null || tool.name === 'undefined')
      throw malformed(param, `${param} needs "call_id" and "name".`);
    const name = this.#context.tools.sentName(tool);
    const call = { id, type: 'function', function: { name, arguments: args } };
    if (this.#answered.has(id)) this.#open.add(id);
    if (this.#calls !== null) {
      this.#calls.push(call);
      return;
    }
    this.#calls = [call];
    const last = this.#turns.at(-1);
    if (last?.role === 'assistant' && this.#reasoning === '')
      this.#turns[this.#turns.length - 1] = { ...last, tool_calls: this.#calls };
    else this.#turns.push(this.#withReasoning({ role: 'assistant', content: null, tool_calls: this.#calls }));
  }

  #addResult(message: JsonObject): void {
    this.#turns.push(message);
    // Calls behind a result are another turn, unless results of the same are to come.
    this.#open.delete(String(message.tool_call_id));
    if (this.#open.size === 0) this.#closeCalls();
  }

  /** Messages that came too early follow the results. */
  #closeCalls(): void {
    this.#open.clear();
    this.#calls = null;
    const late = this.#late;
    this.#late = [];
    for (const message of late) this.#push(message);
  }

  /** Clients that rely on stored responses send an id instead of the item. */
  #addReferenced(item: JsonObject, param: string): void {
    const id = textFrom(item.id) ?? '';
    if (id.startsWith('rs_')) return;
    if (this.#named.has(id))
      throw malformed(param, `${param} refers to the same item as an earlier one: remove one of the two.`);
    this.#named.add(id);
    const recalled = this.#context.recall(id);
    if (recalled === null) {
      throw impossibleAsChat(
        param,
        `${param} refers to an earlier item by its id, which is unknown: responses are not stored with this model. Send the item itself: set "store" to false in the client.`,
      );
    }
    this.addItem(recalled, param);
  }
}

function argumentsOf({ arguments: args }: JsonObject): string {
  return typeof args === 'string' ? args : JSON.stringify(args ?? {});
}

/** What a search of the client's found; the tools themselves are among those of the chat. */
function foundTools({ tools }: JsonObject): string {
  const all: readonly unknown[] = Array.isArray(tools) ? tools : [];
  const names = all.flatMap((tool) =>
    isJsonObject(tool) && typeof tool.name === 'string' ? [tool.name] : [],
  );
  return names.length === 0 ? 'No tools were found.' : `These tools are available now: ${names.join(', ')}`;
}

/** The reasoning that an earlier response of this gateway has carried; '' for another's. */
function ownReasoning({ summary, encrypted_content: mark }: JsonObject): string {
  const parts: readonly unknown[] = Array.isArray(summary) ? summary : [];
  const texts = parts.map((part) => (isJsonObject(part) && typeof part.text === 'string' ? part.text : ''));
  return reasoningOf(texts.join('\n'), mark) ?? '';
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
