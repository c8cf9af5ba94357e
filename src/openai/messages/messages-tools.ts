import { isJsonObject, type JsonObject } from '../../lib/json/json-object.ts';
import { malformed, named } from '../request/translated-chat.ts';
import { clientToolOf } from './client-tools.ts';
import type { Conversation } from './messages-conversation.ts';
import type { ToolNames } from './tool-names.ts';

/** The tools of a chat and which of them the model is to use, as members of the request. */
interface ChatTools {
  readonly members: JsonObject;
  /** What was left out, by its type or name. */
  readonly dropped: readonly string[];
}

/**
 * `tools` and `tool_choice` of a Messages request → those of a chat. Tools that Anthropic's service runs are left out and
 * named: the model answers without them.
 */
export function chatToolsOf(json: JsonObject, { tools: changes }: Conversation, names: ToolNames): ChatTools {
  const { tools, tool_choice: choice } = json;
  if (tools !== undefined && tools !== null && !Array.isArray(tools))
    throw malformed('tools', '"tools" must be a list.');
  const all: unknown[] = [...((tools as unknown[] | null | undefined) ?? []), ...changes.defined];
  // A search that Anthropic's service runs would load what is deferred; without it everything is loaded.
  const isLoadedLater = !all.some((tool) => isJsonObject(tool) && /^tool_search_/.test(String(tool.type)));
  const functions: JsonObject[] = [];
  const dropped: string[] = [];
  for (const [position, tool] of all.entries()) {
    if (!isJsonObject(tool)) throw malformed(`tools.${position}`, `tools.${position} must be an object.`);
    const { type, name } = tool;
    const isOwn = type === undefined || type === null || type === 'custom';
    const facts = isOwn ? tool : clientToolOf(tool);
    if (facts === null) {
      dropped.push(String(type).slice(0, 64));
      continue;
    }
    if (typeof name !== 'string')
      throw malformed(`tools.${position}.name`, `tools.${position} needs a "name".`);
    const isWaiting = isLoadedLater && tool.defer_loading === true && !changes.loaded.has(name);
    if (!isWaiting && !changes.removed.has(name))
      functions.push(functionOf({ ...tool, ...facts }, names.sent(name)));
  }
  if (functions.length === 0) return { members: {}, dropped };
  const chosen = choiceOf(choice, functions, names);
  if (chosen === null) refuseUnknownTool(choice, all);
  if (chosen === null) dropped.push('tool_choice');
  const isSingle = isJsonObject(choice) && choice.disable_parallel_tool_use === true;
  return {
    members: {
      tools: functions,
      ...(chosen !== null && chosen !== undefined && { tool_choice: chosen }),
      ...(isSingle && { parallel_tool_calls: false }),
    },
    dropped,
  };
}

/** Throws for a choice of a tool that the request does not have. */
function refuseUnknownTool(choice: unknown, tools: readonly unknown[]): void {
  const name = isJsonObject(choice) ? choice.name : undefined;
  if (tools.some((tool) => isJsonObject(tool) && tool.name === name)) return;
  throw malformed(
    'tool_choice.name',
    `"tool_choice" is the tool ${named(name)}, which is not among the tools.`,
  );
}

function functionOf(tool: JsonObject, name: string): JsonObject {
  const { description, input_schema: schema, strict } = tool;
  return {
    type: 'function',
    function: {
      name,
      ...(typeof description === 'string' && { description }),
      ...(isJsonObject(schema) && { parameters: withProperties(schema) }),
      ...(typeof strict === 'boolean' && { strict }),
    },
  };
}

/** OpenAI refuses the schema of an object without `properties`, which Anthropic accepts for a tool without arguments. */
function withProperties(schema: JsonObject): JsonObject {
  const isBare = schema.type === 'object' && schema.properties === undefined;
  return isBare ? { ...schema, properties: {} } : schema;
}

/** undefined: the request chooses nothing; null: its choice is not among the tools of the chat. */
function choiceOf(choice: unknown, functions: readonly JsonObject[], names: ToolNames): unknown {
  if (choice === undefined || choice === null) return undefined;
  const { type, name } = isJsonObject(choice) ? choice : { type: choice, name: undefined };
  if (type === 'auto' || type === 'none') return type;
  if (type === 'any') return 'required';
  if (type !== 'tool' || typeof name !== 'string')
    throw malformed('tool_choice', '"tool_choice" must be of type auto, any, tool (with a name) or none.');
  const sent = names.sent(name);
  const isThere = functions.some((one) => isJsonObject(one.function) && one.function.name === sent);
  return isThere ? { type: 'function', function: { name: sent } } : null;
}
