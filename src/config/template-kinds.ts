import { Secret } from '../secret.ts';
import type { FieldKind } from './fields.ts';
import { type JsonValue, text } from './kinds.ts';
import { FileScalar, isMapping } from './scalar.ts';
import { Wrong } from './wrong.ts';

/**
 * Text that may hold {{templates}}. What comes as a whole from the environment or a file is a `Secret` and used
 * as it is: a password with `{{` in it is not a template.
 */
export const templateText: FieldKind<string | Secret> = {
  name: 'text with templates',
  json: text.json,
  read: (value) => {
    const read = text.read(value);
    return !(read instanceof Wrong) && isPutIn(value) ? new Secret(read) : read;
  },
};

/** A name for templates: a secret, unless it is a template itself. */
export const templateVariable: FieldKind<string | Secret> = {
  name: 'secret, or text with templates',
  json: text.json,
  read: (value) => {
    const read = text.read(value);
    if (read instanceof Wrong) return read;
    return read.includes('{{') && !isPutIn(value) ? read : new Secret(read);
  },
};

export type TemplateJsonValue =
  | Exclude<JsonValue, object>
  | Secret
  | readonly TemplateJsonValue[]
  | { readonly [key: string]: TemplateJsonValue };

/** JSON whose texts may hold {{templates}}; numbers stay numbers, and an empty value is null. */
export const templateJson: FieldKind<TemplateJsonValue> = {
  name: 'any JSON, with templates',
  json: {},
  read: toTemplateJson,
};

export const templateJsonMap: FieldKind<Readonly<Record<string, TemplateJsonValue>>> = {
  name: 'mapping to any JSON, with templates',
  json: { type: 'object' },
  read: (value) =>
    isMapping(value)
      ? Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, toTemplateJson(entry)]))
      : new Wrong('must be a mapping'),
};

function toTemplateJson(value: unknown): TemplateJsonValue {
  if (value === undefined || value === null) return null;
  if (value instanceof FileScalar) return isPutIn(value) ? new Secret(value.text) : value.value;
  if (Array.isArray(value)) return value.map(toTemplateJson);
  if (isMapping(value))
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, toTemplateJson(entry)]));
  return value as string | number | boolean;
}

function isPutIn(value: unknown): boolean {
  return value instanceof FileScalar && value.origin === 'reference';
}
