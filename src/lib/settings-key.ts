import { Secret, sha256Hex } from './secret.ts';

/**
 * SHA-256 over whole settings, secrets and patterns included: equal for equal settings, with any order of their
 * properties, and nothing can be read back from it. A rotated secret gives another key.
 */
export function settingsKey(settings: unknown): string {
  return sha256Hex(canonicalText(settings));
}

function canonicalText(value: unknown): string {
  if (value instanceof Secret) return `secret:${JSON.stringify(value.reveal())}`;
  // A pattern has no own properties by which it differs from another one.
  if (value instanceof RegExp) return JSON.stringify(String(value));
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    members.sort(([left], [right]) => (left < right ? -1 : 1));
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalText(member)}`).join(',')}}`;
  }
  return JSON.stringify(value) ?? 'undefined';
}
