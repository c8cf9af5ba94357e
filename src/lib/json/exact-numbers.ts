/** Missing in TypeScript's library of `JSON`: source text access, in Node since 22. */
interface SourceJson {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown;
  rawJSON(source: string): unknown;
}

/** Digits beyond a double's, a trailing zero of a fraction, an exponent. */
const INEXACT_NUMBER = /\d{16}|\.\d*0(?!\d)|\d[eE]/;

/** Whether a JSON text has a number that a double would change. */
export function hasInexactNumber(text: string): boolean {
  return INEXACT_NUMBER.test(text);
}

/** Like JSON.parse, with numbers that a double would change kept as their source text: JSON.stringify writes them as they came. */
export function parseExactly(text: string): unknown {
  if (!INEXACT_NUMBER.test(text)) return JSON.parse(text);
  const { parse, rawJSON } = JSON as unknown as SourceJson;
  return parse(text, (_key, member, { source }) => {
    const isChanged = typeof member === 'number' && source !== undefined && String(member) !== source;
    return isChanged ? rawJSON(source) : member;
  });
}
