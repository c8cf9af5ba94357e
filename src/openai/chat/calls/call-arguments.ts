/** What some upstreams send before the real arguments come, and what a call without any has. */
export const NO_ARGUMENTS = '{}';

const EMPTY_BEFORE = /^\{\}\s*(?=\{)/;

/** Arguments in one text without the empty object that translators begin them with. */
export function withoutEmptyBefore(text: string): string {
  return text.startsWith(NO_ARGUMENTS) ? text.replace(EMPTY_BEFORE, '') : text;
}

/** Whether a text begins an object or array. */
export function restarts(text: string): boolean {
  return /^\s*[{[]/.test(text);
}

/** A JSON string that holds an object or array is opened once; anything else stays as it came. */
export function withoutQuotes(text: string): string {
  try {
    const inner: unknown = JSON.parse(text);
    if (typeof inner === 'string' && typeof JSON.parse(inner) === 'object') return inner;
  } catch {
    // Not JSON within JSON: relayed as it is, never repaired silently.
  }
  return text;
}
