import { isJsonObject, type JsonObject, parseJson } from '../../../lib/json/json-object.ts';

/** Members of which an envelope's content has at least one. */
const CONTENT_MEMBERS = ['choices', 'object', 'usage', 'output', 'result', 'message', 'error'];

/**
 * `{"code":0,"msg":"ok","data":{…}}` → what is inside, also when that is JSON in a string. A member of any other name is
 * opened only for choices, since names mean many things. Errors are found before.
 */
export function withoutEnvelope(object: JsonObject): JsonObject {
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
