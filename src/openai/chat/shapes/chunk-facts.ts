import {
  isJsonObject,
  type JsonObject,
  listFrom,
  numberFrom,
  otherMembers,
  parseJson,
  textFrom,
} from '../../../lib/json/json-object.ts';
import type { Usage } from '../../usage/usage.ts';
import { usageInVendorMember } from '../../usage/usage.ts';
import { meaningIfKnown } from '../../vendors/finish-reasons.ts';
import { OTHER_REASONING_NAMES } from '../../vendors/member-names.ts';
import type { OnRepair } from '../../vendors/repairs.ts';
import { reasoningOf, textsOfContent, textWithin } from './delta-texts.ts';
import { type ToolFragment, toolFragmentsOf } from './tool-fragments.ts';

/** The contents of one chunk or whole response, parsed leniently; the assembler decides what of it is new. */
export interface ChunkFacts {
  readonly id: unknown;
  readonly created: unknown;
  readonly model: unknown;
  readonly usage: unknown;
  /** Where there is no `usage`: that of a vendor's member. */
  readonly usageBeside: Usage | null;
  readonly choices: readonly ChoiceFacts[];
  /** An error of the chunk, of a choice or its delta; null when there is none. */
  readonly errorBeside: unknown;
  /** There is text in an unknown form, and none in a known one. */
  readonly hasUnreadText: boolean;
  /** A delta or message has a `refusal`, null as well. */
  readonly hasRefusal: boolean;
  /** Members of the chunk that OpenAI does not have, or that need no change (`system_fingerprint`). */
  readonly extensions: JsonObject | null;
}

export interface ChoiceFacts {
  /** As the upstream numbered it; null when it did not. */
  readonly index: number | null;
  /** False: the choice carries no delta and no message at all (Azure's late filter results). */
  readonly hasDelta: boolean;
  /** A complete message and not a delta: it may end without a finish reason. */
  readonly isWhole: boolean;
  readonly reasoning: string;
  readonly content: string;
  readonly refusal: string;
  readonly calls: readonly ToolFragment[];
  readonly finish: string | null;
  readonly logprobs: unknown;
  /** A content filter hit this choice. */
  readonly isFiltered: boolean;
  readonly hasUnreadText: boolean;
  readonly extensions: JsonObject | null;
  readonly deltaExtensions: JsonObject | null;
}

/** Whether a choice has text of any kind or a tool call. */
export function hasOutput({ reasoning, content, refusal, calls }: ChoiceFacts): boolean {
  return reasoning + content + refusal !== '' || calls.length > 0;
}

/** `obfuscation` pads a chunk to a length that a rewritten one no longer has. */
const CHUNK_MEMBERS = new Set(
  'id object created model choices usage error obfuscation code msg message success base_resp'.split(' '),
);
const CHOICE_MEMBERS = new Set('index delta message text finish_reason logprobs usage'.split(' '));

/** Reads an object of OpenAI's shape: a chunk, a whole completion, a text completion. */
export function readChunk(chunk: JsonObject, onRepair: OnRepair): ChunkFacts {
  const listed = Array.isArray(chunk.choices) ? chunk.choices.filter(isJsonObject) : [];
  const choices = listed.some(hasSeveralDeltas) ? listed.flatMap(withOneDelta) : listed;
  // Moonshot puts it into the choice.
  const usage = chunk.usage ?? choices.find((choice) => isJsonObject(choice.usage))?.usage;
  const extensions = otherMembers(chunk, CHUNK_MEMBERS);
  const facts = choices.map((choice) => readChoice(choice, onRepair));
  const isBare = facts.every((choice) => !choice.hasDelta);
  return {
    id: chunk.id,
    created: chunk.created,
    model: chunk.model,
    usage,
    usageBeside: usage == null && extensions !== null ? usageInVendorMember(extensions) : null,
    choices: facts,
    errorBeside: [chunk.error, ...choices.map(errorOf)].find(isError) ?? null,
    hasUnreadText: facts.some((choice) => choice.hasUnreadText) || (isBare && hasTextBesideChoices(chunk)),
    hasRefusal: choices.some(hasRefusalMember),
    extensions,
  };
}

function hasRefusalMember({ delta, message }: JsonObject): boolean {
  const body = isJsonObject(delta) ? delta : message;
  return isJsonObject(body) && body.refusal !== undefined;
}

/** A choice whose delta is a list of several. */
function hasSeveralDeltas({ delta }: JsonObject): boolean {
  return Array.isArray(delta) && delta.length > 1 && delta.every(isJsonObject);
}

function withOneDelta(choice: JsonObject, position: number): readonly JsonObject[] {
  if (!hasSeveralDeltas(choice)) return [choice];
  const deltas = choice.delta as readonly JsonObject[];
  const last = { ...choice, index: choice.index ?? position };
  const earlier = { ...last, finish_reason: null };
  return deltas.map((delta, at) => ({ ...(at === deltas.length - 1 ? last : earlier), delta }));
}

/** The error that some put into the choice or its delta. */
function errorOf({ error, delta, message }: JsonObject): unknown {
  if (isError(error)) return error;
  const body = isJsonObject(delta) ? delta : message;
  return isJsonObject(body) ? body.error : undefined;
}

function isError(error: unknown): boolean {
  return isJsonObject(error) ? hasUnreadText(error) : typeof error === 'string' && error !== '';
}

interface BodyFacts {
  readonly reasoning: string;
  readonly content: string;
  readonly refusal: string;
  readonly calls: readonly ToolFragment[];
  readonly isEmpty: boolean;
}

function readBody(body: JsonObject, onRepair: OnRepair): BodyFacts {
  const parts = textsOfContent(body.content ?? body.text ?? body.output_text, onRepair);
  const reasoning = parts.reasoning || reasoningOf(body, onRepair);
  const refusal = textFrom(body.refusal) ?? parts.refusal;
  const calls = toolFragmentsOf(body, onRepair);
  const isEmpty = reasoning === '' && parts.content === '' && refusal === '' && calls.length === 0;
  return { reasoning, content: parts.content, refusal, calls, isEmpty };
}

function readChoice(choice: JsonObject, onRepair: OnRepair): ChoiceFacts {
  const found = bodyOf(choice);
  const inDelta = readBody(found.body ?? {}, onRepair);
  const beside = inDelta.isEmpty ? bodyBesideEmpty(choice) : null;
  if (beside !== null || (found.isMisplaced && !inDelta.isEmpty)) onRepair('misplaced_text');
  const { body, isWhole } = beside ?? found;
  const delta = body ?? {};
  const { isEmpty, ...output } = beside === null ? inDelta : readBody(delta, onRepair);
  return {
    index: indexOf(choice.index),
    hasDelta: body !== null,
    isWhole,
    ...output,
    finish: finishOf(choice.finish_reason) ?? finishOf(delta.finish_reason) ?? finishByOtherName(choice),
    logprobs: isJsonObject(choice.logprobs) ? choice.logprobs : null,
    isFiltered: hasFilterHit(choice.content_filter_results),
    hasUnreadText: isEmpty && hasUnreadText(body ?? choice),
    extensions: otherMembers(choice, CHOICE_MEMBERS),
    deltaExtensions: otherMembers(
      delta,
      isStructuredReasoning(delta) ? MEMBERS_BUT_REASONING : DELTA_MEMBERS,
    ),
  };
}

function indexOf(value: unknown): number | null {
  const index = numberFrom(value);
  return index !== null && Number.isInteger(index) && index >= 0 ? index : null;
}

/** Servers without null write "" or "null". */
function finishOf(value: unknown): string | null {
  const given = isJsonObject(value) ? (value.type ?? value.reason ?? value) : value;
  const reason = typeof value === 'number' ? null : (textFrom(textWithin(given))?.trim() ?? null);
  return reason === null || reason === '' || reason.toLowerCase() === 'null' ? null : reason;
}

/** Where there is no `finish_reason`: other names, whose other meanings (vLLM's text that stopped it) are left alone. */
function finishByOtherName(choice: JsonObject): string | null {
  if (choice.finish_reason !== undefined) return null;
  const named = [choice.stop_reason, choice.done_reason, choice.finish, choice.finish_details]
    .map(finishOf)
    .find((one) => one !== null);
  return named != null && meaningIfKnown(named) !== null ? named : null;
}

/** Whether a content filter (Azure's) stopped a choice. */
export function hasFilterHit(results: unknown): boolean {
  if (!isJsonObject(results)) return false;
  return Object.values(results).some((result) => isJsonObject(result) && result.filtered === true);
}

const MEMBERS_BUT_REASONING: ReadonlySet<string> = new Set(
  'role content text output_text refusal tool_calls function_call finish_reason reasoning_content'.split(' '),
);
/**
 * Members of a delta or message that are read, and so are no extensions. `reasoning_details` is one: its text is read, and
 * its signatures and encrypted parts must come back in the next request (OpenRouterTeam/ai-sdk-provider#423).
 */
const DELTA_MEMBERS: ReadonlySet<string> = new Set([...MEMBERS_BUT_REASONING, ...OTHER_REASONING_NAMES]);

/** Whether the reasoning is an object that may hold more than its text: a signature. */
function isStructuredReasoning(delta: JsonObject): boolean {
  return OTHER_REASONING_NAMES.some((name) => typeof delta[name] === 'object' && delta[name] !== null);
}

/** Members of a delta that some put into the choice itself. */
const MISPLACED_MEMBERS = ['content', 'reasoning_content', 'tool_calls'];

interface ChoiceBody {
  /** null: the choice carries neither a delta nor a message. */
  readonly body: JsonObject | null;
  /** A complete message and not a delta. */
  readonly isWhole: boolean;
  /** It is not where OpenAI has it. */
  readonly isMisplaced: boolean;
}

/** The contents of a choice in any place. A delta comes first: some send the whole message so far beside it. */
function bodyOf(choice: JsonObject): ChoiceBody {
  const { message, text } = choice;
  const delta = objectIn(choice.delta);
  if (delta !== null) {
    const isMisplaced = delta !== choice.delta || hasMembersBesideDelta(choice);
    return { body: { ...besideDelta(choice), ...delta }, isWhole: false, isMisplaced };
  }
  if (typeof choice.delta === 'string')
    return { body: { content: choice.delta }, isWhole: false, isMisplaced: true };
  const whole = objectIn(message);
  if (whole !== null) {
    const isMisplaced = whole !== message || hasMembersBesideDelta(choice);
    return { body: { ...besideDelta(choice), ...whole }, isWhole: true, isMisplaced };
  }
  if (typeof text === 'string') return { body: { content: text }, isWhole: true, isMisplaced: false };
  return { body: besideDelta(choice), isWhole: false, isMisplaced: true };
}

/** Members beside an empty delta or message: a text, at the end the whole message beside the delta. */
function bodyBesideEmpty(choice: JsonObject): ChoiceBody | null {
  const isDelta = objectIn(choice.delta) !== null;
  if (!isDelta && objectIn(choice.message) === null) return null;
  if (hasOwnText(choice)) return { body: { content: choice.text }, isWhole: !isDelta, isMisplaced: true };
  if (!isDelta)
    return hasMembersBesideDelta(choice)
      ? { body: besideDelta(choice), isWhole: true, isMisplaced: true }
      : null;
  const message = objectIn(choice.message);
  return message === null || choice.finish_reason == null
    ? null
    : { body: message, isWhole: true, isMisplaced: true };
}

/** Whether a choice has text, beside a delta that may have the same. */
export function hasOwnText(choice: JsonObject): boolean {
  return typeof choice.text === 'string' && choice.text !== '';
}

/** Whether a choice has members that belong into its delta. */
export function hasMembersBesideDelta(choice: JsonObject): boolean {
  return choice.content != null || choice.reasoning_content != null || choice.tool_calls != null;
}

function besideDelta(choice: JsonObject): JsonObject | null {
  if (!hasMembersBesideDelta(choice)) return null;
  return Object.fromEntries(MISPLACED_MEMBERS.map((name) => [name, choice[name]]));
}

/** An object, also as the only one of a list or as JSON in a text. */
function objectIn(value: unknown): JsonObject | null {
  if (typeof value === 'string' && !value.startsWith('{')) return null;
  const [first] = listFrom(typeof value === 'string' ? parseJson(value) : value);
  if (!isJsonObject(first)) return null;
  // A text that is JSON may also be what the model wrote.
  const isDelta =
    typeof value !== 'string' ||
    Object.keys(first).every((name) => DELTA_MEMBERS.has(name) || name === 'reasoning_details');
  return isDelta ? first : null;
}

/** Members whose texts are no part of the response’s content. */
const METADATA: ReadonlySet<string> = new Set(
  (
    'role type id object index name model provider created status phase finish_reason stop_reason done_reason stop ' +
    'matched_stop finish_details stop_sequence logprobs content_filter_results content_filter_result ' +
    'content_filter_offsets content_filter_raw system_fingerprint service_tier signature encrypted_content format ' +
    'annotations usage request_id trace_id timestamp native_finish_reason'
  ).split(' '),
);

/** Members that may hold the content when no choice does: beside the choices, or in choices that are no objects. */
const BESIDE_CHOICES = 'delta message content text answer output output_text response choices'.split(' ');

/** Whether an object in which nothing was recognised has text. */
export function hasUnreadText(object: JsonObject): boolean {
  return Object.keys(object).some((name) => !METADATA.has(name) && hasText(object[name]));
}

/** The same of a chunk whose choices hold nothing at all. */
function hasTextBesideChoices(chunk: JsonObject): boolean {
  return BESIDE_CHOICES.some((name) => hasText(chunk[name]));
}

function hasText(value: unknown): boolean {
  if (typeof value === 'string') return /\S/.test(value);
  if (Array.isArray(value)) return value.some(hasText);
  return isJsonObject(value) && hasUnreadText(value);
}
