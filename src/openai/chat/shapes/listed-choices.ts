import { isJsonObject, listFrom } from '../../../lib/json/json-object.ts';

/** Choices that are an object: keyed by their indexes, or one choice that stands for itself. */
export function withListedChoices(value: unknown): unknown {
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
