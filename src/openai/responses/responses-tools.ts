import { hash } from 'node:crypto';
import { isJsonObject, type JsonObject } from '../../lib/json/json-object.ts';
import { malformed } from '../request/translated-chat.ts';

/** A tool of the client as its calls name it. */
export interface ClientTool {
  /** `search`: Codex's own search among tools that were not sent yet (`tool_search` that the client executes). */
  readonly kind: 'function' | 'custom' | 'search';
  readonly name: string;
  /** The group that it stands in; null: none. */
  readonly namespace: string | null;
}

/** The tools of a chat and which of them the model is to use, as members of the request; empty without tools. */
interface ChatTools {
  readonly tools?: readonly JsonObject[];
  readonly tool_choice?: unknown;
}

/** OpenAI's pattern of a function's name in a chat. */
const VALID_NAME = /^[\w-]{1,64}$/;
const MAX_NAME = 64;
const DIGEST_LENGTH = 8;
/** The name of the tool that has none of its own. */
const SEARCH = 'tool_search';

/**
 * The tools of a Responses request as functions of a chat, which knows nothing else, and back: namespaces become a part of
 * the name, custom tools functions with one text. What OpenAI's service would run itself is left out and named in
 * `dropped`.
 */
export class ResponsesTools {
  /** The types of the tools that were left out. */
  readonly dropped: string[] = [];
  readonly #functions = new Map<string, JsonObject>();
  readonly #byName = new Map<string, ClientTool>();
  /** By kind, namespace and name. */
  readonly #names = new Map<string, string>();
  /** Of tools in namespaces, for models that leave the namespace out; null: several have it. */
  readonly #byShortName = new Map<string, ClientTool | null>();

  /** Adds the tools of a list. Throws FerryError `invalid_request` with the place of what is no tool. */
  add(tools: unknown, param: string, namespace: string | null = null): void {
    if (tools === undefined || tools === null) return;
    if (!Array.isArray(tools)) throw malformed(param, `"${param}" must be a list.`);
    for (const [position, tool] of tools.entries()) this.#addTool(tool, `${param}[${position}]`, namespace);
  }

  /** `tools` and `tool_choice` of the chat. */
  asChat(choice: unknown): ChatTools {
    const tools = [...this.#functions.values()];
    if (tools.length === 0) return {};
    if (isJsonObject(choice) && choice.type === 'allowed_tools') return this.#allowed(choice);
    const chosen = this.#choice(choice);
    return { tools, ...(chosen !== undefined && { tool_choice: chosen }) };
  }

  /** What the upstream calls a tool, also one that was not among the request's. */
  sentName(tool: ClientTool): string {
    const key = keyOf(tool);
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const name = this.#freeName(joined(tool), key);
    this.#names.set(key, name);
    this.#byName.set(name, tool);
    if (tool.namespace !== null)
      this.#byShortName.set(tool.name, this.#byShortName.has(tool.name) ? null : tool);
    return name;
  }

  /** The client's tool that the model called; one that nobody knows is a function of that name. */
  called(name: string): ClientTool {
    // Kimi K2 (2025-07) writes `functions.` before the names.
    for (const one of [name, name.replace(/^functions[.:]/, '')]) {
      const tool = this.#byName.get(one) ?? this.#byShortName.get(one);
      if (tool !== undefined && tool !== null) return tool;
    }
    return { kind: 'function', name, namespace: null };
  }

  #addTool(tool: unknown, param: string, namespace: string | null): void {
    if (!isJsonObject(tool)) throw malformed(param, `${param} is not a tool: it must be an object.`);
    const { type } = tool;
    if (type === 'namespace') {
      const name = nameOf(tool, param);
      this.add(tool.tools, `${param}.tools`, name);
      return;
    }
    // As chats have them; some clients write it here as well.
    const facts = type === 'function' && isJsonObject(tool.function) ? tool.function : tool;
    if (type === 'function' || type === 'custom') {
      const client: ClientTool = { kind: type, name: nameOf(facts, param), namespace };
      const parameters = type === 'custom' ? inputSchema(tool.format) : facts.parameters;
      this.#addFunction(client, { ...facts, parameters });
    } else if (type === SEARCH && tool.execution === 'client') {
      this.#addFunction({ kind: 'search', name: SEARCH, namespace: null }, tool);
    } else {
      this.#drop(typeof type === 'string' ? type.slice(0, 64) : 'a tool without a type');
    }
  }

  #addFunction(client: ClientTool, { description, parameters, strict }: JsonObject): void {
    const name = this.sentName(client);
    this.#functions.set(name, {
      type: 'function',
      function: {
        name,
        ...(typeof description === 'string' && { description }),
        ...(isJsonObject(parameters) && { parameters }),
        ...(typeof strict === 'boolean' && { strict }),
      },
    });
  }

  #drop(what: string): void {
    if (!this.dropped.includes(what)) this.dropped.push(what);
  }

  /** A name that the chat allows and no other tool has. */
  #freeName(wanted: string, key: string): string {
    const isFree = (name: string) => !this.#byName.has(name);
    const plain = wanted.replace(/[^\w-]/g, '_');
    if (VALID_NAME.test(plain) && isFree(plain)) return plain;
    // The same in every turn of a conversation.
    const digest = hash('sha256', key, 'hex').slice(0, DIGEST_LENGTH);
    return `${plain.slice(0, MAX_NAME - DIGEST_LENGTH - 1)}_${digest}`;
  }

  /** undefined: the model decides. */
  #choice(choice: unknown): unknown {
    if (!isJsonObject(choice)) return choice ?? undefined;
    const name = this.#chosenName(choice);
    if (name !== null) return { type: 'function', function: { name } };
    this.#drop('tool_choice');
    return undefined;
  }

  /** `allowed_tools` is not known to every chat, but what it means is: these tools only. */
  #allowed(choice: JsonObject): ChatTools {
    const allowed: readonly unknown[] = Array.isArray(choice.tools) ? choice.tools : [];
    const tools = allowed.flatMap((one) => {
      const name = isJsonObject(one) ? this.#chosenName(one) : null;
      const tool = name === null ? undefined : this.#functions.get(name);
      return tool === undefined ? [] : [tool];
    });
    if (tools.length === 0)
      throw malformed('tool_choice', 'None of the allowed tools is among the tools of the request.');
    return { tools, tool_choice: choice.mode === 'required' ? 'required' : 'auto' };
  }

  /** The name at the upstream of the tool that a choice names; null: it is not among those of the chat. */
  #chosenName(choice: JsonObject): string | null {
    const facts = isJsonObject(choice.function) ? choice.function : choice;
    const kind = choice.type === SEARCH ? 'search' : choice.type;
    if (kind !== 'function' && kind !== 'custom' && kind !== 'search') return null;
    const name = kind === 'search' ? SEARCH : facts.name;
    if (typeof name !== 'string') return null;
    const namespace = typeof facts.namespace === 'string' ? facts.namespace : null;
    const sent = this.#names.get(keyOf({ kind, name, namespace }));
    return sent !== undefined && this.#functions.has(sent) ? sent : null;
  }
}

/** The tool that an item of the history names. */
export function toolOfItem(kind: ClientTool['kind'], { name, namespace }: JsonObject): ClientTool {
  const own = kind === 'search' ? SEARCH : String(name);
  return { kind, name: own, namespace: typeof namespace === 'string' && namespace !== '' ? namespace : null };
}

/** The arguments of a chat's function for the free text of a custom tool. */
export function customArguments(input: unknown): string {
  return JSON.stringify({ input: typeof input === 'string' ? input : JSON.stringify(input ?? '') });
}

function keyOf({ kind, name, namespace }: ClientTool): string {
  return JSON.stringify([kind, namespace, name]);
}

/** Codex 0.171 names the namespace of an MCP server `mcp__name`, earlier ones ended it with two underscores. */
function joined({ name, namespace }: ClientTool): string {
  if (namespace === null) return name;
  return `${namespace.replace(/_+$/, '')}__${name}`;
}

function nameOf({ name }: JsonObject, param: string): string {
  if (typeof name === 'string' && name !== '') return name;
  throw malformed(`${param}.name`, `${param} needs a "name".`);
}

/** A custom tool takes text, and a chat's function an object: the text is its only member, whose description is the grammar. */
function inputSchema(format: unknown): JsonObject {
  const grammar = isJsonObject(format) && typeof format.definition === 'string' ? format : null;
  const syntax = typeof grammar?.syntax === 'string' ? `${grammar.syntax} ` : '';
  const description =
    grammar === null
      ? 'The input of the tool as plain text.'
      : `The input of the tool as plain text that matches this ${syntax}grammar:\n${grammar.definition}`;
  return {
    type: 'object',
    properties: { input: { type: 'string', description } },
    required: ['input'],
    additionalProperties: false,
  };
}
