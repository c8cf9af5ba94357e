import { isJsonObject, type JsonObject } from '../../lib/json/json-object.ts';
import { impossibleAsChat, malformed } from './responses-refusal.ts';

/** The tools of a chat and which of them the model is to use, as members of the request; empty without tools. */
interface ChatTools {
  readonly tools?: readonly JsonObject[];
  readonly tool_choice?: unknown;
}

/**
 * `tools` and `tool_choice` of a Responses request → those of a chat: functions lie flat there and are nested here.
 * Throws `invalid_request` that names the first tool which only OpenAI's own service runs.
 */
export function chatToolsOf(tools: unknown, choice: unknown): ChatTools {
  if (tools === undefined || tools === null) return {};
  if (!Array.isArray(tools)) throw malformed('tools', '"tools" must be a list.');
  const functions = tools.map((tool, position) => functionOf(tool, `tools[${position}]`));
  if (functions.length === 0) return {};
  if (isJsonObject(choice) && choice.type === 'allowed_tools') return allowedOf(functions, choice);
  const chosen = choiceOf(choice);
  return { tools: functions, ...(chosen !== undefined && { tool_choice: chosen }) };
}

function functionOf(tool: unknown, param: string): JsonObject {
  if (!isJsonObject(tool)) throw malformed(param, `${param} is no tool: an object is needed.`);
  if (tool.type !== 'function') {
    const type = typeof tool.type === 'string' ? `"${tool.type.slice(0, 64)}"` : 'without a type';
    throw impossibleAsChat(
      param,
      `The tool ${type} is not possible with this model: it only knows functions of the application.`,
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
    'This "tool_choice" is not possible with this model: it takes auto, none, required, allowed_tools or one function.',
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
