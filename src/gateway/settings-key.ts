import { Secret } from '../lib/secret.ts';
import { recipeKey } from '../tokens/sources/recipe-key.ts';

/** Equal for equal settings, secrets and patterns included; tells nothing of them. */
export function settingsKey(settings: unknown): string {
  return recipeKey(comparable(settings));
}

/** Patterns have no members of their own that would tell them apart. */
function comparable(value: unknown): unknown {
  if (value instanceof RegExp) return String(value);
  if (value instanceof Secret || typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(comparable);
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, comparable(member)]));
}
