import { isJsonObject, type JsonObject, parseJson } from '../lib/json/json-object.ts';
import type { ResponseFacts } from '../lib/request-trace.ts';
import { SseReader } from '../lib/sse/sse-reader.ts';

/** A longer JSON body has images or sound in it, and is not parsed again for its id. Bytes. */
const MAX_PARSED_BYTES = 256 * 1024;

/** The facts of a response that has no more than a model: embeddings, rerank. */
export function modelFacts(model: string | null): ResponseFacts {
  return { id: null, model, finishReasons: [] };
}

/** The facts of a JSON response: OpenAI's chat and completions, Responses, Anthropic's messages. */
export function factsOfResponse(response: JsonObject): ResponseFacts {
  const { id, model, choices, stop_reason: stopReason } = response;
  const reasons = Array.isArray(choices)
    ? choices.map((choice: unknown) => (isJsonObject(choice) ? choice.finish_reason : null))
    : [stopReason];
  return {
    id: textOrNull(id),
    model: textOrNull(model),
    finishReasons: reasons.filter((reason) => typeof reason === 'string'),
  };
}

/** The facts in a passed-through body, or in the beginning of one that is a stream of events. */
export function factsInBody(bytes: Buffer): ResponseFacts | null {
  if (bytes.length > MAX_PARSED_BYTES) return null;
  const text = bytes.toString('utf8');
  const whole = parseJson(text);
  if (isJsonObject(whole)) return factsOfResponse(whole);
  const reader = new SseReader({ maxEventLength: MAX_PARSED_BYTES });
  for (const item of [...reader.push(text), ...reader.end()]) {
    const event = item.kind === 'event' ? parseJson(item.data) : undefined;
    if (!isJsonObject(event)) continue;
    // `response.created` of the Responses API, `message_start` of Anthropic's, else the chunk itself.
    const described = [event.response, event.message, event].find(isIdentified);
    if (described !== undefined) return { ...factsOfResponse(described), finishReasons: [] };
  }
  return null;
}

function isIdentified(value: unknown): value is JsonObject {
  return isJsonObject(value) && typeof value.id === 'string';
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
