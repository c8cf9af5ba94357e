import { FerryError } from '../../../lib/errors/ferry-error.ts';
import { isJsonObject, type JsonObject } from '../../../lib/json/json-object.ts';
import { type BodyError, readErrorBody } from '../../errors/error-shapes.ts';
import {
  type ErrorContext,
  findErrorInBody,
  invalidBodyError,
  readBodyError,
} from '../../errors/upstream-error.ts';
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
  const found = findErrorInBody(value);
  if (found !== null) return { kind: 'error', error: readBodyError(found, context) };
  if (!isJsonObject(value)) return NOTHING;
  const inner = withoutEnvelope(value);
  const foundInside = inner === value ? null : findErrorInBody(inner);
  if (foundInside !== null) return { kind: 'error', error: readBodyError(foundInside, context) };
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
    : { kind: 'error', error: readBodyError(silent, context) };
}

/** An error beside choices counts when these say nothing: gateways fill them in to keep the shape. */
function errorOfSilent(object: JsonObject, chunk: ChunkFacts): BodyError | null {
  const error = object.error ?? chunk.errorBeside;
  const isSaid =
    (isJsonObject(error) && Object.keys(error).length > 0) || (typeof error === 'string' && error !== '');
  if (isSaid) return readErrorBody({ error });
  const { choices, usage, ...rest } = object;
  return findErrorInBody(rest);
}

function namedError(object: JsonObject, context: ErrorContext): FerryError {
  const found = readErrorBody(object);
  if (found === null) return invalidBodyError(JSON.stringify(object), context);
  return readBodyError({ ...found, message: found.message || JSON.stringify(object) }, context);
}

function foreignShape(api: string): FerryError {
  return new FerryError('invalid_response', {
    message:
      `The upstream answered in the ${api} format, which is not translated. ` +
      'Configure its OpenAI-compatible endpoint.',
  });
}
