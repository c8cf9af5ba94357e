import { isJsonObject, type JsonObject } from '../../../lib/json/json-object.ts';
import { readElements, readMembers } from '../../../lib/json/json-scanner.ts';
import { isCanonicalUsage } from '../../usage/usage.ts';
import { OTHER_REASONING_NAMES } from '../../vendors/member-names.ts';
import { hasFilterHit, hasMembersBesideDelta, hasOwnText } from '../shapes/chunk-facts.ts';

interface CanonicalResponseRules {
  readonly endpoint: 'chat' | 'completions';
  /** The model that the response must name; null: any. */
  readonly model: string | null;
  readonly legacyFunctions: boolean;
  readonly splitsThinkTags: boolean;
  /** The number of requested choices; undefined: unknown. */
  readonly choiceCount: number | undefined;
}

const OTHER_NAMES = [...OTHER_REASONING_NAMES, 'reasoning_details'];
const REASONS = new Set(['stop', 'length', 'tool_calls', 'content_filter']);

/** Whether a whole response fulfils S27 to S33 as it is, so that its own bytes can be sent. */
export function isCanonicalResponse(response: JsonObject, rules: CanonicalResponseRules): boolean {
  if (response.object !== (rules.endpoint === 'chat' ? 'chat.completion' : 'text_completion')) return false;
  if (response.error !== undefined || response.base_resp !== undefined) return false;
  if (typeof response.id !== 'string' || response.id === '' || typeof response.model !== 'string')
    return false;
  if (response.model === '' || (rules.model !== null && response.model !== rules.model)) return false;
  if (!Number.isSafeInteger(response.created) || (response.created as number) <= 0) return false;
  if (!isCanonicalUsage(response.usage) || !Array.isArray(response.choices) || response.choices.length === 0)
    return false;
  if (rules.choiceCount === 1 && response.choices.length > 1) return false;
  return response.choices.every((choice, index) => isCanonicalChoice(choice, index, rules));
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
  // Other places for the contents of a choice, which are parsed leniently.
  if (choice.delta !== undefined || hasOwnText(choice) || hasMembersBesideDelta(choice)) return false;
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
  // Nothing at all: perhaps an error, or content in another place.
  if ((content === '' || content === null) && !refusal && calls === undefined) return false;
  const hasOtherReasoning = OTHER_NAMES.some((name) => message[name] !== undefined);
  if (hasOtherReasoning && reasoning === undefined) return false;
  if (Object.keys(message).some((name) => /[A-Z]/.test(name))) return false;
  if (reasoning !== undefined && (typeof reasoning !== 'string' || reasoning === '')) return false;
  if (message.function_call !== undefined || message.error !== undefined) return false;
  if (calls === undefined) return true;
  return !rules.legacyFunctions && areCanonicalCalls(calls);
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

/**
 * Most servers leave `logprobs` and `refusal` out of a whole response when there are none; clients that check types
 * require the null (S28, S29). Puts them into the parsed `response`, and gives its text with them
 * spliced in, everything else byte for byte. The text is given back as it is when nothing was absent.
 */
export function withAbsentNulls(
  response: JsonObject,
  text: string,
  endpoint: 'chat' | 'completions',
): string {
  if (!Array.isArray(response.choices)) return text;
  const fills: { readonly choice: number; readonly isInMessage: boolean; readonly text: string }[] = [];
  for (const [index, choice] of response.choices.entries()) {
    if (!isMutableObject(choice)) continue;
    if (choice.logprobs === undefined) {
      choice.logprobs = null;
      fills.push({ choice: index, isInMessage: false, text: '"logprobs":null,' });
    }
    if (endpoint === 'chat' && isMutableObject(choice.message) && choice.message.refusal === undefined) {
      choice.message.refusal = null;
      fills.push({ choice: index, isInMessage: true, text: '"refusal":null,' });
    }
  }
  if (fills.length === 0) return text;
  const offsets = nullOffsetsIn(text, response.choices);
  let filled = text;
  // From the end to the start, so that the offsets before stay right; a message is inside its choice.
  for (const fill of fills.toSorted(
    (left, right) => right.choice - left.choice || Number(right.isInMessage) - Number(left.isInMessage),
  )) {
    const offset = offsets[fill.choice];
    const at = fill.isInMessage ? offset?.inMessage : offset?.inChoice;
    if (at !== undefined) filled = filled.slice(0, at) + fill.text + filled.slice(at);
  }
  return filled;
}

/** The parsed response has no other owner here, so that it may be changed in place. */
function isMutableObject(value: unknown): value is Record<string, unknown> {
  return isJsonObject(value);
}

interface NullOffsets {
  /** Behind the opening brace of the choice, and of its message. */
  readonly inChoice: number;
  readonly inMessage: number | undefined;
}

/** Both members of the one choice with a message that most responses have; the other forms are scanned. */
const CHOICE = /"choices"\s*:\s*\[\s*\{/g;
const MESSAGE = /"message"\s*:\s*\{/g;

function nullOffsetsIn(text: string, choices: readonly unknown[]): NullOffsets[] {
  if (choices.length === 1) {
    // A quote within a string is escaped, so that what is found is a member; the only one is the one that was parsed.
    const inChoice = endOfOnly(CHOICE, text);
    const inMessage = endOfOnly(MESSAGE, text);
    if (inChoice !== null && inMessage !== null) return [{ inChoice, inMessage }];
  }
  return scanNullOffsets(text);
}

/** Behind the only match of a global pattern; null when there is none, or a second one. */
function endOfOnly(pattern: RegExp, text: string): number | null {
  pattern.lastIndex = 0;
  if (!pattern.test(text)) return null;
  const end = pattern.lastIndex;
  return pattern.test(text) ? null : end;
}

function scanNullOffsets(text: string): NullOffsets[] {
  const choices = readMembers(text).findLast((member) => member.key === 'choices');
  if (choices === undefined) return [];
  return readElements(text, choices.valueStart).map(({ start }) => {
    const message = readMembers(text, start).findLast((member) => member.key === 'message');
    return { inChoice: start + 1, inMessage: message === undefined ? undefined : message.valueStart + 1 };
  });
}
