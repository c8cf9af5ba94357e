import { isJsonObject, type JsonObject } from '../../../lib/json/json-object.ts';
import { isCanonicalUsage } from '../../usage/usage.ts';
import { hasOwnText, saysBesideDelta } from '../shapes/choice-body.ts';
import { hasFilterHit } from '../shapes/chunk-facts.ts';
import { OTHER_REASONING_NAMES } from '../shapes/reasoning-text.ts';

interface CanonicalResponseRules {
  readonly endpoint: 'chat' | 'completions';
  /** The model that the reply must name; null: any. */
  readonly model: string | null;
  readonly usesLegacyFunctions: boolean;
  readonly splitsThinkTags: boolean;
  /** How many choices were asked for; undefined: not known. */
  readonly choiceCount: number | undefined;
}

const OTHER_NAMES = [...OTHER_REASONING_NAMES, 'reasoning_details'];
const REASONS = new Set(['stop', 'length', 'tool_calls', 'content_filter']);

/** Whether a whole reply fulfils S27 to S33 as it is, so that its own bytes can be sent. */
export function isCanonicalResponse(reply: JsonObject, rules: CanonicalResponseRules): boolean {
  if (reply.object !== (rules.endpoint === 'chat' ? 'chat.completion' : 'text_completion')) return false;
  if (reply.error !== undefined || reply.base_resp !== undefined) return false;
  if (typeof reply.id !== 'string' || reply.id === '' || typeof reply.model !== 'string') return false;
  if (reply.model === '' || (rules.model !== null && reply.model !== rules.model)) return false;
  if (!Number.isSafeInteger(reply.created) || (reply.created as number) <= 0) return false;
  if (!isCanonicalUsage(reply.usage) || !Array.isArray(reply.choices) || reply.choices.length === 0)
    return false;
  if (rules.choiceCount === 1 && reply.choices.length > 1) return false;
  return reply.choices.every((choice, index) => isCanonicalChoice(choice, index, rules));
}

function isCanonicalChoice(choice: unknown, index: number, rules: CanonicalResponseRules): boolean {
  if (
    !isJsonObject(choice) ||
    choice.index !== index ||
    choice.logprobs === undefined ||
    choice.error !== undefined
  )
    return false;
  const reason = choice.finish_reason;
  if (typeof reason !== 'string' || !REASONS.has(reason)) return false;
  if (rules.endpoint === 'completions') return typeof choice.text === 'string' && reason !== 'tool_calls';
  // Other places for what a choice says, of which the reader knows more.
  if (choice.delta !== undefined || hasOwnText(choice) || saysBesideDelta(choice)) return false;
  if (hasFilterHit(choice.content_filter_results)) return false;
  if (!isJsonObject(choice.message) || !isCanonicalMessage(choice.message, rules)) return false;
  return (reason === 'tool_calls') === (choice.message.tool_calls !== undefined);
}

function isCanonicalMessage(message: JsonObject, rules: CanonicalResponseRules): boolean {
  const { role, content, refusal, tool_calls: calls, reasoning_content: reasoning } = message;
  if (role !== 'assistant' || !(refusal === null || typeof refusal === 'string')) return false;
  if (!(typeof content === 'string' || (content === null && (calls !== undefined || refusal !== null))))
    return false;
  if (rules.splitsThinkTags && typeof content === 'string' && content.includes('think>')) return false;
  // Nothing at all: perhaps an error, or an answer in another place.
  if ((content === '' || content === null) && !refusal && calls === undefined) return false;
  const hasOtherReasoning = OTHER_NAMES.some((name) => message[name] !== undefined);
  if (hasOtherReasoning && reasoning === undefined) return false;
  if (Object.keys(message).some((name) => /[A-Z]/.test(name))) return false;
  if (reasoning !== undefined && (typeof reasoning !== 'string' || reasoning === '')) return false;
  if (message.function_call !== undefined || message.error !== undefined) return false;
  if (calls === undefined) return true;
  return !rules.usesLegacyFunctions && areCanonicalCalls(calls);
}

function areCanonicalCalls(calls: unknown): boolean {
  if (!Array.isArray(calls) || calls.length === 0 || !calls.every(isCanonicalCall)) return false;
  return new Set(calls.map((call: JsonObject) => call.id)).size === calls.length;
}

function isCanonicalCall(call: unknown): boolean {
  if (!isJsonObject(call) || !isJsonObject(call.function) || call.type !== 'function') return false;
  const { name, arguments: args } = call.function;
  if (
    typeof call.id !== 'string' ||
    call.id === '' ||
    typeof name !== 'string' ||
    name === '' ||
    typeof args !== 'string'
  )
    return false;
  try {
    return typeof JSON.parse(args) !== 'string';
  } catch {
    return false;
  }
}
