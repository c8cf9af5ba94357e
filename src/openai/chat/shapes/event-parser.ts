import { FerryError } from '../../../lib/errors/ferry-error.ts';
import { isJsonObject, type JsonObject, listFrom, parseJson } from '../../../lib/json/json-object.ts';
import { type ErrorContext, fromVendorError, invalidBodyError } from '../../errors/upstream-error.ts';
import { findVendorError, parseVendorError, type VendorError } from '../../errors/vendor-error.ts';
import { usageInVendorMember } from '../../usage/usage.ts';
import { withOwnNames } from '../../vendors/member-names.ts';
import { foreignApiOf, fromNativeShape } from '../../vendors/native-shapes.ts';
import type { OnRepair } from '../../vendors/repairs.ts';
import { type ChunkFacts, hasOutput, readChunk } from './chunk-facts.ts';

/** What one JSON value of an upstream is. `nothing`: a heartbeat, or something unknown. */
type ParsedEvent =
  | { readonly kind: 'chunk'; readonly chunk: ChunkFacts }
  | { readonly kind: 'error'; readonly error: FerryError }
  | { readonly kind: 'nothing' };

const NOTHING: ParsedEvent = { kind: 'nothing' };

/** One JSON value of an event. */
interface EventValue {
  readonly value: unknown;
  /** The value's own JSON; null when it was part of something else. */
  readonly text: string | null;
  /** Of the event around it: `event: error` makes its data an error in any form. */
  readonly eventName: string | undefined;
}

/** Reads one JSON value: an error in any vendor's words, or a chunk in any form that gateways send. */
export function parseEvent(
  { value: given, text, eventName }: EventValue,
  context: ErrorContext,
  onRepair: OnRepair,
): ParsedEvent {
  const named = withOwnNames(given, text);
  if (named !== given) onRepair('member_name_style');
  const value = withListedChoices(named);
  if (value !== named) onRepair('choices_form');
  const found = findVendorError(value);
  if (found !== null) return { kind: 'error', error: fromVendorError(found, context) };
  if (!isJsonObject(value)) return NOTHING;
  const inner = withoutEnvelope(value);
  if (inner !== value) onRepair('envelope');
  const foundInside = inner === value ? null : findVendorError(inner);
  if (foundInside !== null) return { kind: 'error', error: fromVendorError(foundInside, context) };
  if (eventName === 'error') return { kind: 'error', error: namedError(inner, context) };
  return parseChunk(inner, context, onRepair);
}

function parseChunk(object: JsonObject, context: ErrorContext, onRepair: OnRepair): ParsedEvent {
  let shaped = object;
  if (!Array.isArray(object.choices)) {
    const foreignApi = foreignApiOf(object);
    if (foreignApi !== null) return { kind: 'error', error: foreignShape(foreignApi) };
    const native = fromNativeShape(object);
    if (native !== null) {
      onRepair(native.repair);
      shaped = native.shaped;
    } else if (!isJsonObject(object.usage) && usageInVendorMember(object) === null) {
      // Some usage chunks have no `choices` (Q79); all else is nothing.
      return NOTHING;
    }
  }
  const chunk = readChunk(shaped, onRepair);
  const silent = !chunk.choices.some(hasOutput) ? errorWithoutOutput(shaped, chunk) : null;
  return silent === null
    ? { kind: 'chunk', chunk }
    : { kind: 'error', error: fromVendorError(silent, context) };
}

/** An error beside choices counts when these are empty: gateways fill them in to keep the shape. */
function errorWithoutOutput(object: JsonObject, chunk: ChunkFacts): VendorError | null {
  const error = object.error ?? chunk.errorBeside;
  const isError =
    (isJsonObject(error) && Object.keys(error).length > 0) || (typeof error === 'string' && error !== '');
  if (isError) return parseVendorError({ error });
  const { choices, usage, ...rest } = object;
  return findVendorError(rest);
}

function namedError(object: JsonObject, context: ErrorContext): FerryError {
  const found = parseVendorError(object);
  if (found === null) return invalidBodyError(JSON.stringify(object), context);
  return fromVendorError({ ...found, message: found.message || JSON.stringify(object) }, context);
}

function foreignShape(api: string): FerryError {
  return new FerryError('invalid_response', {
    message:
      `The upstream sent a response in the ${api} format, which is not translated. ` +
      'Configure its OpenAI-compatible endpoint.',
  });
}

/** Members of which an envelope's content has at least one. */
const CONTENT_MEMBERS = ['choices', 'object', 'usage', 'output', 'result', 'message', 'error'];

/**
 * `{"code":0,"msg":"ok","data":{…}}` (Q42) → what is inside, also when that is JSON in a string. A member of any other name is
 * opened only for choices, since names mean many things. Errors are found before.
 */
function withoutEnvelope(object: JsonObject): JsonObject {
  if (Array.isArray(object.choices)) return object;
  const data = openString(object.data);
  if (isJsonObject(data) && CONTENT_MEMBERS.some((name) => name in data)) return withUsageOf(object, data);
  for (const member of Object.values(object)) {
    const inner = openString(member);
    if (isJsonObject(inner) && Array.isArray(inner.choices)) return withUsageOf(object, inner);
  }
  return object;
}

/** DashScope and others count on the outside. */
function withUsageOf(envelope: JsonObject, inner: JsonObject): JsonObject {
  return inner.usage == null && envelope.usage != null ? { ...inner, usage: envelope.usage } : inner;
}

function openString(value: unknown): unknown {
  const isJson = typeof value === 'string' && value.trimStart().startsWith('{');
  return isJson ? parseJson(value) : value;
}

/** Choices that are an object: keyed by their indexes, or one choice without a list. */
function withListedChoices(value: unknown): unknown {
  if (!isJsonObject(value) || !isJsonObject(value.choices)) return value;
  const choices = listFrom(value.choices);
  return choices.every(isChoiceLike) ? { ...value, choices } : value;
}

function isChoiceLike(value: unknown): boolean {
  return isJsonObject(value) && ['delta', 'message', 'text', 'finish_reason'].some((name) => name in value);
}

/** Whether an array of one event is one of chunks, some of which may have usage only, and not itself an error. */
export function isListOfChunks(value: unknown): value is readonly unknown[] {
  return Array.isArray(value) && value.some(isChunkLike);
}

function isChunkLike(value: unknown): boolean {
  return isJsonObject(value) && (Array.isArray(value.choices) || isJsonObject(value.usage));
}
