/** What a pointer led to; `deepest` is the last value on the way that exists, `at` the pointer to it. */
interface PointerResult {
  /** Undefined: nothing there. */
  readonly value: unknown;
  readonly deepest: unknown;
  readonly at: string;
}

/** Follows an RFC 6901 pointer (`/data/accessToken`, `/items/0`, `` for the whole). Own properties only. */
export function resolvePointer(json: unknown, pointer: string): PointerResult {
  let value = json;
  let at = '';
  for (const part of pointer.split('/').slice(1)) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    const isContainer = typeof value === 'object' && value !== null;
    if (!isContainer || !Object.hasOwn(value as object, key)) return { value: undefined, deepest: value, at };
    value = (value as Record<string, unknown>)[key];
    at += `/${part}`;
  }
  return { value, deepest: value, at };
}

/** Whether a text is a pointer: empty, or beginning with a slash. */
export function isPointer(text: string): boolean {
  return text === '' || text.startsWith('/');
}
