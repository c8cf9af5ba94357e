import { parseExactly } from '../../lib/json/exact-numbers.ts';
import { isJsonObject, type JsonObject, numberFrom, textFrom } from '../../lib/json/json-object.ts';
import type { ParsedRequest } from '../request/parsed-request.ts';
import { impossibleAsChat, malformed, translatedChat } from '../request/translated-chat.ts';
import { messagesOf, type Recall } from './responses-input.ts';

/** A Responses request as a chat, and the members that its response repeats. */
export interface ResponsesAsChat {
  readonly chat: ParsedRequest;
  /** The members of a Response object that repeat the request. */
  readonly echo: JsonObject;
  /** Parameters of the client that mean something and cannot be done in a chat (`x-tokenferry-dropped`). */
  readonly ignored: readonly string[];
}

/** Parameters that need stored responses or background work. */
const IMPOSSIBLE: Readonly<Record<string, string>> = {
  previous_response_id: 'responses are not stored. Send the earlier messages as "input"',
  conversation: 'conversations are not stored. Send the earlier messages as "input"',
  background: 'it responds while the client waits',
  prompt: 'prompts are not stored. Send "instructions" and "input"',
};

/** Parameters without a meaning in a chat; clients see in a header that they were left out. */
const IGNORED = ['truncation', 'max_tool_calls', 'context_management', 'top_logprobs'];
/** Values by which these ask for nothing. */
const NOTHING: readonly unknown[] = [undefined, null, false, '', 0, 'disabled'];

/** The parameters of the Responses API: translated, or not used by a chat. All others are the upstream's own and are passed on. */
const KNOWN: ReadonlySet<string> = new Set([
  ...Object.keys(IMPOSSIBLE),
  ...IGNORED,
  'input',
  'instructions',
  'model',
  'stream',
  'stream_options',
  'tools',
  'tool_choice',
  'text',
  'reasoning',
  'max_output_tokens',
  'include',
  'store',
  'metadata',
  'service_tier',
  'safety_identifier',
  'prompt_cache_key',
  'prompt_cache_retention',
  'prompt_cache_options',
  // A chat's: several choices cannot be one Response.
  'n',
  'messages',
]);

/**
 * A Responses request → the chat that asks the same, for upstreams that only chat (S124). `read` is its
 * body as `parseRequest` gives it. Throws FerryError `invalid_request` with code `unsupported_parameter` and the place
 * of what a chat cannot do.
 */
export function responsesAsChat(read: ParsedRequest, recall: Recall = () => null): ResponsesAsChat {
  const json = parseExactly(read.text) as JsonObject;
  for (const [name, why] of Object.entries(IMPOSSIBLE)) {
    if (NOTHING.includes(json[name])) continue;
    throw impossibleAsChat(name, `"${name}" is not possible with this model: ${why}.`);
  }
  const { stream } = read;
  const chat: JsonObject = {
    model: read.model,
    messages: messagesOf(json.instructions, json.input, recall),
    ...(stream && { stream, stream_options: { include_usage: true } }),
    ...chatToolsOf(json.tools, json.tool_choice),
    ...limitsOf(json),
    ...formatOf(json.text),
    ...ownMembers(json),
  };
  return {
    chat: translatedChat(chat, read),
    echo: echoOf(json),
    ignored: IGNORED.filter((name) => !NOTHING.includes(json[name])),
  };
}

function limitsOf(json: JsonObject): JsonObject {
  const effort = isJsonObject(json.reasoning) ? json.reasoning.effort : undefined;
  const most = json.max_output_tokens;
  return {
    // The older of the two names: an upstream without it refuses it and gets the other; upstreams without the newer one
    // often ignore it.
    ...(most !== undefined && most !== null && { max_tokens: most }),
    ...(effort !== undefined && effort !== null && { reasoning_effort: effort }),
  };
}

function formatOf(text: unknown): JsonObject {
  if (!isJsonObject(text)) return {};
  const { format, verbosity } = text;
  return {
    ...(typeof verbosity === 'string' && { verbosity }),
    ...(isJsonObject(format) && format.type !== 'text' && { response_format: responseFormatOf(format) }),
  };
}

function responseFormatOf(format: JsonObject): JsonObject {
  const { type, ...schema } = format;
  return type === 'json_schema' ? { type, json_schema: schema } : format;
}

/** Parameters with the same name in both APIs (temperature, top_p, user, parallel_tool_calls), and those of the upstream. */
function ownMembers(json: JsonObject): JsonObject {
  const entries = Object.entries(json).filter(([name, value]) => !KNOWN.has(name) && value !== null);
  return Object.fromEntries(entries);
}

/** The members that repeat the request; values of invalid types, which the upstream will reject, become null. */
function echoOf(json: JsonObject): JsonObject {
  const reasoning = isJsonObject(json.reasoning) ? json.reasoning : {};
  const text = isJsonObject(json.text) ? json.text : {};
  return {
    background: false,
    instructions: json.instructions ?? null,
    max_output_tokens: numberIn(json.max_output_tokens),
    max_tool_calls: numberIn(json.max_tool_calls),
    metadata: isJsonObject(json.metadata) ? json.metadata : {},
    parallel_tool_calls: json.parallel_tool_calls !== false,
    previous_response_id: null,
    reasoning: { effort: textFrom(reasoning.effort), summary: textFrom(reasoning.summary) },
    // With any request: nothing is stored.
    store: false,
    temperature: numberIn(json.temperature),
    text: { ...text, format: isJsonObject(text.format) ? text.format : { type: 'text' } },
    tool_choice: isToolChoice(json.tool_choice) ? json.tool_choice : 'auto',
    tools: json.tools ?? [],
    top_p: numberIn(json.top_p),
    truncation: json.truncation === 'auto' ? 'auto' : 'disabled',
    ...(typeof json.user === 'string' && { user: json.user }),
  };
}

function isToolChoice(value: unknown): boolean {
  return value === 'none' || value === 'required' || isJsonObject(value);
}

function numberIn(value: unknown): number | null {
  return typeof value === 'string' ? null : numberFrom(value);
}

/** The tools of a chat and which of them the model is to use, as members of the request; empty without tools. */
interface ChatTools {
  readonly tools?: readonly JsonObject[];
  readonly tool_choice?: unknown;
}

/**
 * `tools` and `tool_choice` of a Responses request → those of a chat: functions are flat there and nested here.
 * Throws `invalid_request` that names the first tool which only OpenAI's own service runs.
 */
function chatToolsOf(tools: unknown, choice: unknown): ChatTools {
  if (tools === undefined || tools === null) return {};
  if (!Array.isArray(tools)) throw malformed('tools', '"tools" must be a list.');
  const functions = tools.map((tool, position) => functionOf(tool, `tools[${position}]`));
  if (functions.length === 0) return {};
  if (isJsonObject(choice) && choice.type === 'allowed_tools') return allowedOf(functions, choice);
  const chosen = choiceOf(choice);
  return { tools: functions, ...(chosen !== undefined && { tool_choice: chosen }) };
}

function functionOf(tool: unknown, param: string): JsonObject {
  if (!isJsonObject(tool)) throw malformed(param, `${param} is not a tool: it must be an object.`);
  if (tool.type !== 'function') {
    const type = typeof tool.type === 'string' ? `"${tool.type.slice(0, 64)}"` : 'without a type';
    throw impossibleAsChat(
      param,
      `The tool ${type} is not possible with this model: it only supports functions of the application.`,
    );
  }
  // As chats have them; some clients write it here as well.
  if (isJsonObject(tool.function)) return { type: 'function', function: tool.function };
  const { name, description, parameters, strict } = tool;
  if (typeof name !== 'string') throw malformed(`${param}.name`, `${param} needs a "name".`);
  return {
    type: 'function',
    function: {
      name,
      ...(typeof description === 'string' && { description }),
      ...(isJsonObject(parameters) && { parameters }),
      ...(typeof strict === 'boolean' && { strict }),
    },
  };
}

function choiceOf(choice: unknown): unknown {
  if (!isJsonObject(choice)) return choice ?? undefined;
  if (choice.type === 'function') {
    return typeof choice.name === 'string' ? { type: 'function', function: { name: choice.name } } : choice;
  }
  throw impossibleAsChat(
    'tool_choice',
    'This "tool_choice" is not possible with this model: it supports auto, none, required, allowed_tools or one function.',
  );
}

/** `allowed_tools` is not known to every chat, but what it means is: these tools only. */
function allowedOf(functions: readonly JsonObject[], choice: JsonObject): ChatTools {
  const allowed = Array.isArray(choice.tools) ? choice.tools : [];
  const names = new Set(allowed.map((tool: unknown) => (isJsonObject(tool) ? tool.name : undefined)));
  const tools = functions.filter((tool) => isJsonObject(tool.function) && names.has(tool.function.name));
  if (tools.length === 0)
    throw malformed('tool_choice', 'None of the allowed tools is among the tools of the request.');
  return { tools, tool_choice: choice.mode === 'required' ? 'required' : 'auto' };
}
