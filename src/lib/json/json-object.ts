export type JsonObject = Readonly<Record<string, unknown>>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** undefined: the text is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * What should be a list: as it is, from an object whose keys are the indexes (as PHP writes lists with gaps), or of the
 * one object in its place. Empty for anything else.
 */
export function listFrom(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  if (!isJsonObject(value)) return [];
  const keys = Object.keys(value);
  return keys.length > 0 && keys.every((key) => /^\d+$/.test(key)) ? Object.values(value) : [value];
}

/** The members that are not in `known` and not empty; null when there are none. */
export function otherMembers(object: JsonObject, known: ReadonlySet<string>): Record<string, unknown> | null {
  let others: Record<string, unknown> | null = null;
  for (const name of Object.keys(object)) {
    const value = object[name];
    if (known.has(name) || value === null || value === undefined || value === '') continue;
    if (Array.isArray(value) && value.length === 0) continue;
    others ??= {};
    others[name] = value;
  }
  return others;
}

/** The first list within `json`: itself, or under one of `names`, through at most `depth` objects. Null: there is none. */
export function findList(json: unknown, names: readonly string[], depth: number): readonly unknown[] | null {
  if (Array.isArray(json)) return json;
  if (!isJsonObject(json) || depth === 0) return null;
  for (const name of names) {
    const list = findList(json[name], names, depth - 1);
    if (list !== null) return list;
  }
  return null;
}

/** The first of the members that holds a number, also one that was written as text; null: none does. */
export function firstNumber(object: JsonObject, names: readonly string[]): number | null {
  for (const name of names) {
    const number = numberFrom(object[name]);
    if (number !== null) return number;
  }
  return null;
}

/** A number, also one that was written as text or is kept as its source (`JSON.rawJSON`); null otherwise. */
export function numberFrom(value: unknown): number | null {
  const source = isJsonObject(value) && typeof value.rawJSON === 'string' ? value.rawJSON : value;
  const number = typeof source === 'string' && source.trim() !== '' ? Number(source) : source;
  return typeof number === 'number' && Number.isFinite(number) ? number : null;
}

/** A non-empty string; null otherwise. */
export function textFrom(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
