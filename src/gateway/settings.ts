import { Secret } from '../lib/secret.ts';
import { recipeKey } from '../tokens/sources/recipe-key.ts';

/** A digest that is equal for equal settings, secrets and patterns included; reveals nothing of them. */
export function settingsKey(settings: unknown): string {
  return recipeKey(comparable(settings));
}

/** A RegExp has no own enumerable members, so its source stands for it. */
function comparable(value: unknown): unknown {
  if (value instanceof RegExp) return String(value);
  if (value instanceof Secret || typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(comparable);
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, comparable(member)]));
}

type Given<Fields> = { [Name in keyof Fields]?: NonNullable<Fields[Name]> };

/** Only the fields that are set: null in the configuration means the default of the part, which is an absent setting. */
export function given<Fields extends object>(fields: Fields): Given<Fields> {
  const set: Partial<Record<string, unknown>> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value !== null && value !== undefined) set[name] = value;
  }
  return set as Given<Fields>;
}
