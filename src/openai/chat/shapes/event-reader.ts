import { FerryError } from '../../../lib/errors/ferry-error.ts';
import { isJsonObject, type JsonObject } from '../../../lib/json/json-object.ts';
import { type ErrorContext, fromVendorError, invalidBodyError } from '../../errors/upstream-error.ts';
import { findVendorError, parseVendorError, type VendorError } from '../../errors/vendor-error.ts';
import { usageBeside } from '../../usage/vendor-usage.ts';
import { type ChunkFacts, readChunk, saysAnything } from './chunk-facts.ts';
import { withoutEnvelope } from './envelope.ts';
import { foreignApiOf, toOpenAiShape } from './native-shapes.ts';

/** What one JSON value of an upstream is. `nothing`: a heartbeat or something nobody knows. */
type ReadEvent =
  | { readonly kind: 'chunk'; readonly chunk: ChunkFacts }
  | { readonly kind: 'error'; readonly error: FerryError }
  | { readonly kind: 'nothing' };

const NOTHING: ReadEvent = { kind: 'nothing' };

/**
 * Reads one JSON value: an error in any vendor's words, or a chunk in any shape that gateways send. `eventName` is
 * that of the event around it: `event: error` makes an error of whatever it carries.
 */
export function readEvent(value: unknown, eventName: string | undefined, context: ErrorContext): ReadEvent {
  const found = findVendorError(value);
  if (found !== null) return { kind: 'error', error: fromVendorError(found, context) };
  if (!isJsonObject(value)) return NOTHING;
  const inner = withoutEnvelope(value);
  const foundInside = inner === value ? null : findVendorError(inner);
  if (foundInside !== null) return { kind: 'error', error: fromVendorError(foundInside, context) };
  if (eventName === 'error') return { kind: 'error', error: namedError(inner, context) };
  const foreignApi = foreignApiOf(inner);
  if (foreignApi !== null) return { kind: 'error', error: foreignShape(foreignApi) };
  const shaped = toOpenAiShape(inner);
  // Some usage chunks have no `choices`.
  if (!Array.isArray(shaped.choices) && !isJsonObject(shaped.usage) && usageBeside(shaped) === null)
    return NOTHING;
  const chunk = readChunk(shaped);
  const silent = !chunk.choices.some(saysAnything) ? errorOfSilent(shaped, chunk) : null;
  return silent === null
    ? { kind: 'chunk', chunk }
    : { kind: 'error', error: fromVendorError(silent, context) };
}

/** An error beside choices counts when these say nothing: gateways fill them in to keep the shape. */
function errorOfSilent(object: JsonObject, chunk: ChunkFacts): VendorError | null {
  const error = object.error ?? chunk.errorBeside;
  const isSaid =
    (isJsonObject(error) && Object.keys(error).length > 0) || (typeof error === 'string' && error !== '');
  if (isSaid) return parseVendorError({ error });
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
      `The upstream answered in the ${api} format, which is not translated. ` +
      'Configure its OpenAI-compatible endpoint.',
  });
}
