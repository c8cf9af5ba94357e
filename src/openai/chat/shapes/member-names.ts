import { isJsonObject, type JsonObject } from '../../../lib/json/json-object.ts';

const OWN_NAMES =
  'id object created model choices index delta message role content text refusal reasoning_content reasoning reasoning_details thinking tool_calls function_call function name arguments type finish_reason stop_reason done_reason logprobs usage prompt_tokens completion_tokens total_tokens input_tokens output_tokens error code param data output response result';

/** Without underscores and in lower case → as OpenAI spells it. */
const SPELLING: ReadonlyMap<string, string> = new Map(
  OWN_NAMES.split(' ').map((name) => [name.replaceAll('_', ''), name]),
);

/** Where members of ours are; what a model wrote (arguments) and what nobody knows keeps its names. */
const CONTAINER_NAMES =
  'choices delta message content reasoning_details tool_calls function_call function usage error data output response result';
const CONTAINERS: ReadonlySet<string> = new Set(CONTAINER_NAMES.split(' '));

/** A member's name with a capital, as Java (`finishReason`) and C# (`FinishReason`) write it. */
const CAPITAL_IN_NAME = /"(?=[a-z_]*[A-Z])\w{2,32}"\s*:/;

/**
 * A JSON value whose members are called as OpenAI calls them, whatever the style of the server's language. `text` is
 * the value's JSON, by which nearly every value is seen to need nothing; null when it is not known.
 */
export function withOwnNames(value: unknown, text: string | null): unknown {
  if (text !== null && !CAPITAL_IN_NAME.test(text)) return value;
  return renamed(value);
}

function renamed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(renamed);
  if (!isJsonObject(value)) return value;
  const result: Record<string, unknown> = {};
  for (const given of Object.keys(value)) {
    const name = ownNameOf(given, value);
    const member = value[given];
    result[name] = CONTAINERS.has(name) ? renamed(member) : member;
  }
  return result;
}

function ownNameOf(given: string, object: JsonObject): string {
  const name = SPELLING.get(given.replaceAll('_', '').toLowerCase());
  return name === undefined || name in object ? given : name;
}
