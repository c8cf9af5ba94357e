import { isJsonObject, type JsonObject } from '../../lib/json/json-object.ts';

/** Names of the model's reasoning besides `reasoning_content`. */
export const OTHER_REASONING_NAMES: readonly string[] = [
  // Q85: vLLM 0.9 and later, OpenRouter; Groq, Cerebras (freellmapi#1070).
  'reasoning',
  // The following are in the tests and have no recorded vendor.
  'thinking',
  'reasoning_text',
  'thinking_content',
  'thought',
  'thoughts',
];

/** Names of token counts. */
export const USAGE_NAMES = {
  prompt: [
    'prompt_tokens',
    // Responses, Anthropic, DashScope (Q71, Q102).
    'input_tokens',
    // Ollama (Q69).
    'prompt_eval_count',
    // No recorded vendor (Q102: camelCase).
    'promptTokens',
    // Bedrock.
    'inputTokens',
    // Gemini.
    'promptTokenCount',
    // Bedrock's invocation metrics.
    'inputTokenCount',
  ],
  completion: [
    'completion_tokens',
    'output_tokens',
    'eval_count',
    'completionTokens',
    'outputTokens',
    'candidatesTokenCount',
    'outputTokenCount',
  ],
  total: ['total_tokens', 'totalTokens', 'totalTokenCount'],
} as const;

/** Members that are counts themselves: `amazon-bedrock-invocationMetrics`, Gemini's `usageMetadata`, `billed_units` in Cohere's `meta`. */
export const USAGE_MEMBERS = /(?:invocation_?metrics|usage_?metadata|token_?usage|billed_units|^usage)$/i;

const OWN_NAMES =
  'id object created model choices index delta message role content text refusal reasoning_content reasoning reasoning_details thinking tool_calls function_call function name arguments type finish_reason stop_reason done_reason logprobs usage prompt_tokens completion_tokens total_tokens input_tokens output_tokens error code param data output response result';

/** Without underscores and in lower case → as OpenAI spells it. */
const SPELLING: ReadonlyMap<string, string> = new Map(
  OWN_NAMES.split(' ').map((name) => [name.replaceAll('_', ''), name]),
);

/** Where members of ours are; what a model wrote (arguments) and what is unknown keeps its names. */
const CONTAINERS: ReadonlySet<string> = new Set(
  'choices delta message content reasoning_details tool_calls function_call function usage error data output response result'.split(
    ' ',
  ),
);

/** A member's name with a capital, as Java (`finishReason`) and C# (`FinishReason`) write it. */
const CAPITAL_IN_NAME = /"(?=[a-z_]*[A-Z])\w{2,32}"\s*:/;

/**
 * A JSON value with OpenAI's names of its members, in any style of the server's language. `text` is
 * the value's JSON, by which nearly every value is seen to need nothing; null when it is not known.
 */
export function withOwnNames(value: unknown, text: string | null): unknown {
  if (text !== null && !CAPITAL_IN_NAME.test(text)) return value;
  return renamed(value);
}

/** `value` itself when nothing in it has another name. */
function renamed(value: unknown): unknown {
  if (Array.isArray(value)) {
    const items = value.map(renamed);
    return items.every((item, index) => item === value[index]) ? value : items;
  }
  if (!isJsonObject(value)) return value;
  const result: Record<string, unknown> = {};
  let isChanged = false;
  for (const given of Object.keys(value)) {
    const name = ownNameOf(given, value);
    const member = value[given];
    result[name] = CONTAINERS.has(name) ? renamed(member) : member;
    isChanged ||= name !== given || result[name] !== member;
  }
  return isChanged ? result : value;
}

function ownNameOf(given: string, object: JsonObject): string {
  const name = SPELLING.get(given.replaceAll('_', '').toLowerCase());
  return name === undefined || name in object ? given : name;
}
