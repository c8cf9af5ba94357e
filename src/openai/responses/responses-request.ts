import { parseExactly } from '../../lib/json/exact-numbers.ts';
import { isJsonObject, type JsonObject, numberFrom, textFrom } from '../../lib/json/json-object.ts';
import type { ParsedRequest } from '../request/parsed-request.ts';
import { impossibleAsChat, translatedChat } from '../request/translated-chat.ts';
import { messagesOf, type Recall } from './responses-input.ts';
import { ResponsesTools } from './responses-tools.ts';

/** A Responses request as a chat, and the members that its response repeats. */
export interface ResponsesAsChat {
  readonly chat: ParsedRequest;
  /** The members of a Response object that repeat the request. */
  readonly echo: JsonObject;
  /** What the client sent that cannot be done in a chat: parameters, and types of tools and items (`x-tokenferry-dropped`). */
  readonly ignored: readonly string[];
  readonly tools: ResponsesTools;
  /** True: the client keeps reasoning and sends it back (`include: [reasoning.encrypted_content]`). */
  readonly hasEncryptedReasoning: boolean;
  /** False: the client said that it will not refer to items by their ids. */
  readonly isStored: boolean;
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
  'client_metadata',
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
  const tools = new ResponsesTools();
  tools.add(json.tools, 'tools');
  const { messages, dropped } = messagesOf(json.instructions, json.input, { recall, tools });
  const chatTools = tools.asChat(json.tool_choice);
  const own = ownMembers(json);
  // Refused where there are no tools.
  if (chatTools.tools === undefined) delete own.parallel_tool_calls;
  const chat: JsonObject = {
    model: read.model,
    messages,
    ...(stream && { stream, stream_options: { include_usage: true } }),
    ...chatTools,
    ...limitsOf(json),
    ...formatOf(json.text),
    ...own,
  };
  return {
    chat: translatedChat(chat, read),
    echo: echoOf(json),
    ignored: [...IGNORED.filter((name) => !NOTHING.includes(json[name])), ...tools.dropped, ...dropped],
    tools,
    hasEncryptedReasoning:
      Array.isArray(json.include) && json.include.includes('reasoning.encrypted_content'),
    isStored: json.store !== false,
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
function ownMembers(json: JsonObject): Record<string, unknown> {
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
