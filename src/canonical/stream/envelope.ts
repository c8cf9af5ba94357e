import { isJsonObject, type JsonObject } from './json-object.ts';

/** Members of which an envelope's content has at least one. */
const CONTENT_MEMBERS = ['choices', 'object', 'usage', 'output', 'result', 'message', 'error'];

/** `{"code":0,"msg":"ok","data":{…}}` → what is inside, also when that is JSON in a string. Errors are found before. */
export function withoutEnvelope(object: JsonObject): JsonObject {
  if (Array.isArray(object.choices)) return object;
  const inner = openString(object.data);
  if (!isJsonObject(inner)) return object;
  return CONTENT_MEMBERS.some((name) => name in inner) ? inner : object;
}

function openString(value: unknown): unknown {
  if (typeof value !== 'string' || !value.trimStart().startsWith('{')) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}
