import { isJsonObject, type JsonObject, textFrom } from '../../lib/json/json-object.ts';
import { impossibleAsChat, malformed, named } from '../request/translated-chat.ts';
import { reasoningOf } from './thinking-signature.ts';
import { callIdentityOf, type ToolNames } from './tool-names.ts';

/** What the messages of a request say about its tools (`tool_reference`, `tool_addition`, `tool_removal`). */
interface ToolChanges {
  /** Names of tools that a message has made available. */
  readonly loaded: Set<string>;
  readonly removed: Set<string>;
  /** Tools that messages define themselves. */
  readonly defined: unknown[];
}

/** The messages of a chat that were made of those of a Messages request. */
export interface Conversation {
  readonly messages: readonly JsonObject[];
  readonly tools: ToolChanges;
  /** Types of blocks that a chat cannot have and that were left out. */
  readonly dropped: ReadonlySet<string>;
}

/**
 * `system` and `messages` of a Messages request → the messages of a chat. Throws FerryError `invalid_request` that names
 * the block which a chat cannot express.
 */
export function conversationOf(system: unknown, messages: unknown, names: ToolNames): Conversation {
  if (!Array.isArray(messages) || messages.length === 0)
    throw malformed('messages', 'The request has no "messages": a list with at least one message.');
  const chat = new ChatBuilder(names);
  chat.addSystem(system, 'system');
  for (const [position, message] of messages.entries()) chat.add(message, `messages.${position}`);
  return chat.finish();
}

/** Blocks of server tools in the history, of which a chat has nothing: their outcome is in the text that follows them. */
const SERVER_BLOCKS =
  /^(?:server_tool_use|mcp_tool_use|mcp_tool_result|mcp_tool_listing|fallback|container_upload|\w+_tool_result)$/;

/** Claude Code 2.1 writes facts about itself for Anthropic's billing as the first text of the system prompt. */
const BILLING = 'x-anthropic-billing-header:';

/**
 * The turns so far. Anthropic joins messages of the same role in a row, and templates of open models refuse them, so that
 * they are one turn.
 */
class ChatBuilder {
  readonly #names: ToolNames;
  readonly #system: string[] = [];
  readonly #turns: (UserTurn | AssistantTurn)[] = [];
  readonly #tools: ToolChanges = { loaded: new Set(), removed: new Set(), defined: [] };
  readonly #dropped = new Set<string>();

  constructor(names: ToolNames) {
    this.#names = names;
  }

  add(message: unknown, param: string): void {
    if (!isJsonObject(message)) throw malformed(param, `${param} is not a message: it must be an object.`);
    const { role, content } = message;
    if (role === 'system') this.addSystem(content, `${param}.content`);
    else if (role === 'user') this.#addUser(content, `${param}.content`);
    else if (role === 'assistant') this.#addAssistant(content, `${param}.content`);
    else throw malformed(`${param}.role`, `${param} has the role ${named(role)}: use user or assistant.`);
  }

  addSystem(content: unknown, param: string): void {
    if (content === undefined || content === null) return;
    const texts: string[] = [];
    for (const [block, place] of blocksOf(content, param)) {
      if (block.type === 'tool_addition') this.#addTool(block.tool);
      else if (block.type === 'tool_removal') this.#removeTool(block.tool);
      else if (block.type !== 'text') throw unknownBlock(block, place);
      else if (textOf(block) !== '' && !textOf(block).startsWith(BILLING)) texts.push(textOf(block));
    }
    this.#system.push(...texts);
  }

  finish(): Conversation {
    // One at the beginning, also of those within the conversation: templates of open models take no other.
    const system = this.#system.length === 0 ? [] : [{ role: 'system', content: this.#system.join('\n\n') }];
    const turns = joined(this.#turns).flatMap((turn) => turn.messages());
    return { messages: [...system, ...turns], tools: this.#tools, dropped: this.#dropped };
  }

  /** The turn that goes on, or a new one. */
  #turnOf<Turn extends UserTurn | AssistantTurn>(kind: new () => Turn): Turn {
    const last = this.#turns.at(-1);
    if (last instanceof kind) return last;
    const turn = new kind();
    this.#turns.push(turn);
    return turn;
  }

  #addUser(content: unknown, param: string): void {
    const turn = this.#turnOf(UserTurn);
    for (const [block, place] of blocksOf(content, param)) {
      const { type } = block;
      if (type === 'tool_result') this.#addResult(turn, block, place);
      else if (type === 'tool_addition') this.#addTool(block.tool);
      else if (type === 'tool_removal') this.#removeTool(block.tool);
      else if (isLeftOut(type)) this.#dropped.add(type);
      else turn.parts.push(...partsOf(block, place));
    }
  }

  #addResult(turn: UserTurn, block: JsonObject, param: string): void {
    const id = textFrom(block.tool_use_id);
    if (id === null) throw malformed(param, `${param} needs "tool_use_id".`);
    const texts: string[] = [];
    const parts: JsonObject[] = [];
    for (const [item, place] of blocksOf(block.content ?? '', `${param}.content`)) {
      const name = item.type === 'tool_reference' ? textFrom(item.tool_name) : null;
      if (name !== null) {
        this.#load(name);
        texts.push(`The tool "${this.#names.sent(name)}" is available now.`);
        continue;
      }
      for (const part of resultPartsOf(item, place)) {
        if (typeof part.text === 'string') texts.push(part.text);
        else parts.push(part);
      }
    }
    turn.addResult(callIdentityOf(id).id, { texts, parts, isError: block.is_error === true });
  }

  #addAssistant(content: unknown, param: string): void {
    const turn = this.#turnOf(AssistantTurn);
    for (const [block, place] of blocksOf(content, param)) {
      const { type } = block;
      if (type === 'text') turn.addText(textOf(block));
      else if (type === 'tool_use') turn.addCall(this.#callOf(block, place));
      else if (type === 'thinking') turn.addReasoning(reasoningOf(block.thinking, block.signature));
      else if (type === 'redacted_thinking') continue;
      // The summary of what was before it.
      else if (type === 'compaction') turn.addText(typeof block.content === 'string' ? block.content : '');
      else if (isLeftOut(type)) this.#dropped.add(type);
      else throw unknownBlock(block, place);
    }
  }

  #callOf({ id, name, input }: JsonObject, param: string): JsonObject {
    if (textFrom(id) === null || textFrom(name) === null)
      throw malformed(param, `${param} needs "id" and "name".`);
    const args = JSON.stringify(input ?? {});
    const { id: own, extensions } = callIdentityOf(id as string);
    const { function: inFunction, ...beside } = extensions ?? {};
    const called = { name: this.#names.sent(name as string), arguments: args };
    return {
      ...beside,
      id: own,
      type: 'function',
      function: isJsonObject(inFunction) ? { ...inFunction, ...called } : called,
    };
  }

  #addTool(tool: unknown): void {
    if (!isJsonObject(tool)) return;
    if (tool.type === 'tool_definition') {
      this.#tools.defined.push(tool.definition);
      if (isJsonObject(tool.definition)) this.#load(tool.definition.name);
    } else this.#load(tool.name);
  }

  #load(name: unknown): void {
    if (typeof name !== 'string') return;
    this.#tools.loaded.add(name);
    this.#tools.removed.delete(name);
  }

  #removeTool(tool: unknown): void {
    if (isJsonObject(tool) && typeof tool.name === 'string') this.#tools.removed.add(tool.name);
  }
}

/** Without turns of the model of which nothing is left (another model's thinking alone), and the user's around them as one. */
function joined(turns: readonly (UserTurn | AssistantTurn)[]): (UserTurn | AssistantTurn)[] {
  const kept: (UserTurn | AssistantTurn)[] = [];
  for (const turn of turns) {
    const last = kept.at(-1);
    if (turn instanceof AssistantTurn && turn.isEmpty) continue;
    if (turn instanceof UserTurn && last instanceof UserTurn) last.join(turn);
    else kept.push(turn);
  }
  return kept;
}

/** What a tool gave back. */
interface ToolOutput {
  readonly texts: readonly string[];
  /** Images and files, which a chat only takes from the user. */
  readonly parts: readonly JsonObject[];
  readonly isError: boolean;
}

/** Output that begins like this is known as an error without our word. */
const SAYS_ERROR = /^\W{0,3}(?:\w+[ _])?error\b/i;

/** The user's turn: outputs of tools come first, right behind the calls, and what the user says behind all of them. */
class UserTurn {
  readonly parts: JsonObject[] = [];
  readonly #results: JsonObject[] = [];
  readonly #resultParts: JsonObject[] = [];

  addResult(callId: string, { texts, parts, isError }: ToolOutput): void {
    const note = parts.length === 0 ? [] : ['(The output continues in the next message of the user.)'];
    const text = [...texts, ...note].join('\n');
    const content = isError && !SAYS_ERROR.test(text) ? `Error: ${text}` : text;
    this.#results.push({ role: 'tool', tool_call_id: callId, content });
    if (parts.length > 0)
      this.#resultParts.push({ type: 'text', text: `Output of the tool call ${callId}:` }, ...parts);
  }

  /** Takes what a later turn of the user has. */
  join(later: UserTurn): void {
    this.parts.push(...later.parts);
    this.#results.push(...later.#results);
    this.#resultParts.push(...later.#resultParts);
  }

  messages(): JsonObject[] {
    const parts = [...this.#resultParts, ...this.parts];
    if (parts.length === 0) return this.#results.length > 0 ? this.#results : [{ role: 'user', content: '' }];
    // Text alone becomes one string, which every upstream takes.
    const isText = parts.every((part) => part.type === 'text');
    return [
      ...this.#results,
      { role: 'user', content: isText ? parts.map((part) => part.text).join('\n') : parts },
    ];
  }
}

/** The model's turn: one message with its text, its calls and its reasoning. */
class AssistantTurn {
  #text: string | null = null;
  #reasoning = '';
  readonly #calls: JsonObject[] = [];
  #isAfterCall = false;

  addText(text: string): void {
    this.#text = (this.#text ?? '') + (this.#isAfterCall && this.#text !== null ? '\n\n' : '') + text;
    this.#isAfterCall = false;
  }

  addCall(call: JsonObject): void {
    this.#calls.push(call);
    this.#isAfterCall = true;
  }

  /** Null: another model's. */
  addReasoning(reasoning: string | null): void {
    this.#reasoning += reasoning ?? '';
  }

  get isEmpty(): boolean {
    return this.#text === null && this.#calls.length === 0 && this.#reasoning === '';
  }

  messages(): JsonObject[] {
    const hasCalls = this.#calls.length > 0;
    return [
      {
        role: 'assistant',
        content: this.#text || (hasCalls ? null : ''),
        // DeepSeek, Kimi and GLM require the reasoning of earlier turns where tools are used.
        ...(this.#reasoning !== '' && { reasoning_content: this.#reasoning }),
        ...(hasCalls && { tool_calls: this.#calls }),
      },
    ];
  }
}

/** The blocks of a content with their places; text alone is one block. */
function blocksOf(content: unknown, param: string): [block: JsonObject, place: string][] {
  if (typeof content === 'string') return [[{ type: 'text', text: content }, param]];
  if (!Array.isArray(content)) throw malformed(param, `${param} must be text or a list of blocks.`);
  return content.map((block, position) => {
    const place = `${param}.${position}`;
    if (typeof block === 'string') return [{ type: 'text', text: block }, place];
    if (!isJsonObject(block)) throw malformed(place, `${place} is not a block: it must be an object.`);
    return [block, place];
  });
}

function isLeftOut(type: unknown): type is string {
  return typeof type === 'string' && SERVER_BLOCKS.test(type);
}

function textOf({ text }: JsonObject): string {
  return typeof text === 'string' ? text : '';
}

/** The parts of a chat for one block of the user. */
function partsOf(block: JsonObject, param: string): JsonObject[] {
  switch (block.type) {
    case 'text':
      return [textPart(textOf(block))];
    case 'image':
      return [imageOf(block, param)];
    case 'document':
      return documentOf(block, param);
    case 'search_result':
      return [textPart(searchResultText(block))];
    default:
      throw unknownBlock(block, param);
  }
}

/** The same for a block of a tool's output, where a type that is not known is told to the model as it is. */
function resultPartsOf(block: JsonObject, param: string): JsonObject[] {
  const isKnown = /^(?:text|image|document|search_result)$/.test(String(block.type));
  return isKnown ? partsOf(block, param) : [textPart(JSON.stringify(block))];
}

function textPart(text: string): JsonObject {
  return { type: 'text', text };
}

function imageOf({ source }: JsonObject, param: string): JsonObject {
  return { type: 'image_url', image_url: { url: addressOf(source, param, 'image') } };
}

/** A `data:` URI, or the address that the client gave. */
function addressOf(source: unknown, param: string, what: string): string {
  if (isJsonObject(source)) {
    const { type, data, media_type: mediaType, url } = source;
    if (type === 'base64' && typeof data === 'string' && typeof mediaType === 'string')
      return `data:${mediaType};base64,${data}`;
    if (type === 'url' && typeof url === 'string') return url;
    if (type === 'file')
      throw impossibleAsChat(
        `${param}.source`,
        `${param} refers to a stored file, which is not possible with this model: send the ${what} itself (source type base64).`,
      );
  }
  throw malformed(`${param}.source`, `${param} needs a "source" of type base64 or url.`);
}

function documentOf(block: JsonObject, param: string): JsonObject[] {
  const { source, title, context } = block;
  const heading = [title, context].filter((text) => typeof text === 'string' && text !== '').join('\n');
  const before = heading === '' ? [] : [textPart(heading)];
  if (!isJsonObject(source)) throw malformed(`${param}.source`, `${param} needs a "source".`);
  if (source.type === 'text')
    return [...before, textPart(typeof source.data === 'string' ? source.data : '')];
  if (source.type === 'content') {
    const inner = blocksOf(source.content ?? '', `${param}.source.content`);
    return [...before, ...inner.flatMap(([item, place]) => partsOf(item, place))];
  }
  if (source.type === 'url')
    throw impossibleAsChat(
      `${param}.source`,
      `${param} is a document by its URL, which is not possible with this model: send the document itself (source type base64).`,
    );
  const filename = typeof title === 'string' && title !== '' ? title : 'document.pdf';
  const file = { filename, file_data: addressOf(source, param, 'document') };
  return [
    ...(typeof context === 'string' && context !== '' ? [textPart(context)] : []),
    { type: 'file', file },
  ];
}

function searchResultText({ title, source, content }: JsonObject): string {
  const texts = Array.isArray(content) ? content.filter(isJsonObject).map(textOf) : [];
  return [title, source, ...texts].filter((text) => typeof text === 'string' && text !== '').join('\n');
}

function unknownBlock({ type }: JsonObject, param: string): Error {
  return impossibleAsChat(
    param,
    `${param} is of type ${named(type)}, which is not possible with this model: it only supports chats.`,
  );
}
