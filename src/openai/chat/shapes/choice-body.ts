import { isJsonObject, type JsonObject, listFrom, parseJson } from '../../../lib/json/json-object.ts';
import { OTHER_REASONING_NAMES } from './reasoning-text.ts';

/** Members of a delta or message that are read, and so are no extensions. */
export const DELTA_MEMBERS: ReadonlySet<string> = new Set([
  ...'role content text output_text refusal tool_calls function_call finish_reason'.split(' '),
  ...['reasoning_content', 'reasoning_details', ...OTHER_REASONING_NAMES],
]);

/** Members of a delta that some put into the choice itself. */
const SAYING = ['content', 'reasoning_content', 'tool_calls'];

interface ChoiceBody {
  /** null: the choice carries neither a delta nor a message. */
  readonly body: JsonObject | null;
  /** A complete message and not a delta. */
  readonly isWhole: boolean;
}

/** What a choice says, wherever it says it. A delta comes first: some send the whole message so far beside it. */
export function bodyOf(choice: JsonObject): ChoiceBody {
  const { message, text } = choice;
  const delta = objectIn(choice.delta);
  if (delta !== null) return { body: { ...besideDelta(choice), ...delta }, isWhole: false };
  if (typeof choice.delta === 'string') return { body: { content: choice.delta }, isWhole: false };
  const whole = objectIn(message);
  if (whole !== null) return { body: { ...besideDelta(choice), ...whole }, isWhole: true };
  if (typeof text === 'string') return { body: { content: text }, isWhole: true };
  return { body: besideDelta(choice), isWhole: false };
}

/** What stands beside a delta or message that says nothing: a text, at the end the whole message beside the delta. */
export function bodyBesideSilent(choice: JsonObject): ChoiceBody | null {
  const isDelta = objectIn(choice.delta) !== null;
  if (!isDelta && objectIn(choice.message) === null) return null;
  if (hasOwnText(choice)) return { body: { content: choice.text }, isWhole: !isDelta };
  if (!isDelta) return saysBesideDelta(choice) ? { body: besideDelta(choice), isWhole: true } : null;
  const message = objectIn(choice.message);
  return message === null || choice.finish_reason == null ? null : { body: message, isWhole: true };
}

/** Whether a choice has text, beside a delta that may say the same. */
export function hasOwnText(choice: JsonObject): boolean {
  return typeof choice.text === 'string' && choice.text !== '';
}

/** Whether a choice has members that belong into its delta. */
export function saysBesideDelta(choice: JsonObject): boolean {
  return SAYING.some((name) => choice[name] != null);
}

function besideDelta(choice: JsonObject): JsonObject | null {
  if (!saysBesideDelta(choice)) return null;
  return Object.fromEntries(SAYING.map((name) => [name, choice[name]]));
}

/** An object, also as the only one of a list or as JSON in a text. */
function objectIn(value: unknown): JsonObject | null {
  if (typeof value === 'string' && !value.startsWith('{')) return null;
  const [first] = listFrom(typeof value === 'string' ? parseJson(value) : value);
  if (!isJsonObject(first)) return null;
  // A text that is JSON may also be what the model said.
  const isDelta = typeof value !== 'string' || Object.keys(first).every((name) => DELTA_MEMBERS.has(name));
  return isDelta ? first : null;
}
