import { Secret, sha256Hex } from '../../lib/secret.ts';

/**
 * SHA-256 over a whole recipe, secrets included: sources with equal keys would get the same tokens, and a
 * rotated secret is another source at once. The order of properties does not matter.
 */
export function recipeKey(recipe: unknown): string {
  return sha256Hex(canonicalText(recipe));
}

function canonicalText(value: unknown): string {
  if (value instanceof Secret) return `secret:${JSON.stringify(value.reveal())}`;
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    members.sort(([left], [right]) => (left < right ? -1 : 1));
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalText(member)}`).join(',')}}`;
  }
  return JSON.stringify(value) ?? 'undefined';
}
