import { hasInexactNumber, parseExactly } from '../../../lib/json/exact-numbers.ts';
import {
  isJsonObject,
  type JsonObject,
  listFrom,
  numberFrom,
  otherMembers,
  parseJson,
  textFrom,
} from '../../../lib/json/json-object.ts';
import type { OnRepair } from '../../vendors/repairs.ts';
import { textWithin } from './delta-texts.ts';

/** One piece of a tool call, as an upstream sent it. */
export interface ToolFragment {
  readonly index: number | null;
  readonly id: string | null;
  readonly name: string | null;
  /** A piece of the arguments' text; '' when there is none. */
  readonly arguments: string;
  /** The arguments are the input of a custom tool: any text, not JSON. */
  readonly isFreeText: boolean;
  /**
   * Other members of the call, and in a member `function` those of its function. Gemini's `extra_content` holds a signature
   * that the next request must bring back, LiteLLM has it in `function.provider_specific_fields`.
   */
  readonly extensions: JsonObject | null;
}

const CALL_MEMBERS = new Set(
  'index id type function custom name arguments args input parameters params'.split(' '),
);
const FUNCTION_MEMBERS = new Set('name arguments args input parameters params'.split(' '));

/** The tool calls of a delta or message; the legacy `function_call` is the call number 0. */
export function toolFragmentsOf(delta: JsonObject, onRepair: OnRepair): readonly ToolFragment[] {
  const calls = delta.tool_calls;
  if (calls === undefined || calls === null) return legacyFragments(delta.function_call, onRepair);
  if (!Array.isArray(calls)) onRepair('tool_call_form');
  const listed = listFrom(typeof calls === 'string' ? parseJson(calls) : calls).flat();
  const fragments = listed
    .filter(isJsonObject)
    .map((call) => fragmentOf(call, onRepair))
    .filter(hasPart);
  return fragments.length > 0 ? fragments : legacyFragments(delta.function_call, onRepair);
}

/** A fragment without any part of a call is a placeholder. */
function hasPart({ id, name, arguments: args, extensions }: ToolFragment): boolean {
  return id !== null || name !== null || args !== '' || extensions !== null;
}

function legacyFragments(value: unknown, onRepair: OnRepair): readonly ToolFragment[] {
  const [call] = listFrom(typeof value === 'string' ? parseJson(value) : value);
  if (!isJsonObject(call)) return [];
  onRepair('tool_call_legacy');
  const args = argumentsText(argumentsOf(call), onRepair);
  const name = textFrom(call.name);
  return [{ index: 0, id: null, name, arguments: args, isFreeText: false, extensions: null }];
}

function fragmentOf(call: JsonObject, onRepair: OnRepair): ToolFragment {
  const body = bodyOf(call);
  if (body !== call.function) onRepair('tool_call_form');
  const index = numberFrom(call.index);
  const id = textFrom(call.id) ?? (typeof call.id === 'number' ? String(call.id) : null);
  return {
    index: index !== null && Number.isInteger(index) ? index : null,
    // "0" means "none" at some servers, and is the same for every call.
    id: id === '0' ? null : id,
    name: textFrom(textWithin(body.name)) ?? textFrom(call.name),
    arguments: argumentsText(argumentsOf(body) ?? argumentsOf(call), onRepair),
    isFreeText: isJsonObject(call.custom),
    extensions: extensionsOf(call, body),
  };
}

function extensionsOf(call: JsonObject, body: JsonObject): JsonObject | null {
  const ofCall = otherMembers(call, CALL_MEMBERS);
  const ofFunction = body === call ? null : otherMembers(body, FUNCTION_MEMBERS);
  const kept = ofFunction === null ? null : historyMembers(ofFunction);
  return kept === null ? ofCall : { ...ofCall, function: kept };
}

/**
 * Of unknown members those that a history must bring back: objects and signatures. Not texts of any name, which may be
 * arguments under a damaged one. Null: there are none.
 */
export function historyMembers(members: JsonObject): JsonObject | null {
  const kept = Object.entries(members).filter(
    ([name, value]) => isJsonObject(value) || /signature$/i.test(name),
  );
  return kept.length === 0 ? null : Object.fromEntries(kept);
}

/** What has the name and the arguments: mostly `function`, by some as JSON in a text or in a list. */
function bodyOf(call: JsonObject): JsonObject {
  for (const member of [call.function, call.custom]) {
    const [body] = listFrom(typeof member === 'string' ? parseJson(member) : member);
    if (isJsonObject(body)) return body;
  }
  return call;
}

function argumentsOf(body: JsonObject): unknown {
  return body.arguments ?? body.input ?? body.parameters ?? body.args ?? body.params;
}

/** Objects are serialised once, here. */
function argumentsText(value: unknown, onRepair: OnRepair): string {
  if (typeof value === 'string') return value;
  if (value !== undefined && value !== null) onRepair('tool_arguments_form');
  // Arguments are an object: a list of texts is their text in pieces.
  if (Array.isArray(value) && value.every((piece) => typeof piece === 'string')) return value.join('');
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : '';
}

const ARGUMENTS_OBJECT = /"(?:arguments|args|input|parameters|params)"\s*:\s*[{[]/;

/**
 * Tool arguments that came as an object are written as text by us, so their numbers must survive: 12345678901234567890
 * and 1.0 would not. Returns `value`, or the same with such numbers kept as their source text.
 */
export function withExactArguments(value: unknown, text: string): unknown {
  // `tool_calls` and `function_call`: a cheap check before the patterns, since this runs for every rewritten chunk.
  if (!text.includes('_call') || !ARGUMENTS_OBJECT.test(text) || !hasInexactNumber(text)) return value;
  return parseExactly(text);
}
