import { isJsonObject, listFrom } from './json-object.ts';

/** Choices that are an object: keyed by their indexes, or one choice that stands for itself. */
export function withListedChoices(value: unknown): unknown {
  if (!isJsonObject(value) || !isJsonObject(value.choices)) return value;
  const choices = listFrom(value.choices);
  return choices.every(isChoiceLike) ? { ...value, choices } : value;
}

function isChoiceLike(value: unknown): boolean {
  return isJsonObject(value) && ['delta', 'message', 'text', 'finish_reason'].some((name) => name in value);
}

/** An array of chunks in one event, and not an array that is itself an error. */
export function isChunkLike(value: unknown): boolean {
  return isJsonObject(value) && Array.isArray(value.choices);
}
