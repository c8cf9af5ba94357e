import { type FieldType, InvalidValue } from './fields.ts';
import { statusRange } from './quantities.ts';
import { FileScalar, isMapping, kindOf, scalarText } from './scalar.ts';
import { text } from './text-types.ts';

/** A list of what `item` reads; each wrong item is a problem of its own. */
export function list<T>(
  item: FieldType<T>,
  options: { readonly minItems?: number; readonly maxItems?: number } = {},
): FieldType<T[]> {
  return {
    name: `list of ${item.name}`,
    json: { type: 'array', items: item.json },
    read: (value) => {
      if (!Array.isArray(value)) return new InvalidValue(`must be a list, is ${kindOf(value)}`);
      if (value.length < (options.minItems ?? 0)) return new InvalidValue('must not be empty');
      if (value.length > (options.maxItems ?? Infinity))
        return new InvalidValue(`must have at most ${options.maxItems} items`);
      return readEach(
        value.map((entry, index) => [index, entry]),
        item,
        (read) => read.map(([, entry]) => entry),
      );
    },
  };
}

/** One value, or a list of them that is not empty. */
export function oneOrMore<T>(item: FieldType<T>): FieldType<T[]> {
  const several = list(item, { minItems: 1 });
  return {
    name: `${item.name}, or ${several.name}`,
    json: { anyOf: [item.json, several.json] },
    read: (value) => several.read(Array.isArray(value) ? value : [value]),
  };
}

/** A mapping from names of the user's choice to what `item` reads. */
export function mapOf<T>(item: FieldType<T>): FieldType<Record<string, T>> {
  return {
    name: `mapping to ${item.name}`,
    json: { type: 'object', additionalProperties: item.json },
    read: (value) => {
      if (!isMapping(value)) return new InvalidValue(`must be a mapping, is ${kindOf(value)}`);
      return readEach(Object.entries(value), item, (read) => Object.fromEntries(read));
    },
  };
}

function readEach<Key extends PropertyKey, T, R>(
  entries: readonly (readonly [Key, unknown])[],
  item: FieldType<T>,
  collect: (read: [Key, T][]) => R,
): R | InvalidValue {
  const good: [Key, T][] = [];
  const bad: { path: readonly PropertyKey[]; message: string }[] = [];
  for (const [key, entry] of entries) {
    const read = entry === undefined ? new InvalidValue('is empty') : item.read(entry);
    if (!(read instanceof InvalidValue)) good.push([key, read]);
    else bad.push(...read.all().map((part) => ({ path: [key, ...part.path], message: part.message })));
  }
  return bad.length === 0 ? collect(good) : new InvalidValue(bad.map((part) => part.message).join('; '), bad);
}

/** HTTP statuses and ranges of them, e.g. `[502, "520-529"]`. */
export const statuses: FieldType<number[]> = {
  name: 'list of statuses',
  json: { type: 'array', items: { type: ['integer', 'string'] } },
  read: (value) => {
    const entry: FieldType<number[]> = {
      ...text,
      read: (item) =>
        statusRange(scalarText(item) ?? '') ??
        new InvalidValue('must be a status (503) or a range of them ("520-529")'),
    };
    const read = list(entry).read(Array.isArray(value) ? value : [value]);
    return read instanceof InvalidValue ? read : [...new Set(read.flat())];
  },
};

export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

/** Any JSON; numbers stay numbers here, and an empty value is null. */
export const json: FieldType<JsonValue> = {
  name: 'any JSON',
  json: {},
  read: toJson,
};

function toJson(value: unknown): JsonValue {
  if (value === undefined || value === null) return null;
  if (value instanceof FileScalar) return value.value;
  if (Array.isArray(value)) return value.map(toJson);
  if (isMapping(value))
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, toJson(entry)]));
  return value as string | number | boolean;
}

/** Text, a number or a boolean, whichever it looks like. */
export const scalar: FieldType<string | number | boolean> = {
  name: 'text, number, true or false',
  json: { type: ['string', 'number', 'boolean'] },
  read: (value) => {
    const plain = value instanceof FileScalar ? value.value : value;
    if (typeof plain === 'string' || typeof plain === 'number' || typeof plain === 'boolean') return plain;
    return new InvalidValue(`must be text or a number, is ${kindOf(value)}`);
  },
};

export const jsonMap: FieldType<Record<string, JsonValue>> = {
  name: 'mapping to any JSON',
  json: { type: 'object' },
  read: (value) =>
    isMapping(value)
      ? (toJson(value) as Record<string, JsonValue>)
      : new InvalidValue(`must be a mapping, is ${kindOf(value)}`),
};
