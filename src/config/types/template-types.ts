import { Secret } from '../../lib/secret.ts';
import { type JsonValue, list } from './collection-types.ts';
import { type FieldType, InvalidValue } from './fields.ts';
import { FileScalar, isMapping } from './scalar.ts';
import { text } from './text-types.ts';

/** Text, or a `Secret` when it comes as a whole from the environment or a file. */
export const textOrSecret: FieldType<string | Secret> = {
  name: 'text',
  json: text.json,
  read: (value) => {
    const read = text.read(value);
    return !(read instanceof InvalidValue) && isPutIn(value) ? new Secret(read) : read;
  },
};

/** The same, or a list of texts. */
export const textsOrSecret: FieldType<string | Secret | readonly string[]> = {
  name: 'text, or list of texts',
  json: { type: ['string', 'number', 'boolean', 'array'], items: text.json },
  read: (value) => (Array.isArray(value) ? list(text).read(value) : textOrSecret.read(value)),
};

/**
 * Text that may hold {{templates}}. What comes as a whole from outside is used as it is: a password with `{{` in
 * it is no template.
 */
export const templateText: FieldType<string | Secret> = { ...textOrSecret, name: 'text with templates' };

/** A name for templates: a secret, unless it is a template itself. */
export const templateVariable: FieldType<string | Secret> = {
  name: 'secret, or text with templates',
  json: text.json,
  read: (value) => {
    const read = text.read(value);
    if (read instanceof InvalidValue) return read;
    return read.includes('{{') && !isPutIn(value) ? read : new Secret(read);
  },
};

type TemplateJsonValue =
  | Exclude<JsonValue, object>
  | Secret
  | readonly TemplateJsonValue[]
  | { readonly [key: string]: TemplateJsonValue };

/** JSON whose texts may hold {{templates}}; numbers stay numbers, and an empty value is null. */
export const templateJson: FieldType<TemplateJsonValue> = {
  name: 'any JSON, with templates',
  json: {},
  read: toTemplateJson,
};

export const templateJsonMap: FieldType<Readonly<Record<string, TemplateJsonValue>>> = {
  name: 'mapping to any JSON, with templates',
  json: { type: 'object' },
  read: (value) =>
    isMapping(value)
      ? Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, toTemplateJson(entry)]))
      : new InvalidValue('must be a mapping'),
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
