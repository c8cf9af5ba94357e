/** What TypeScript's library does not know yet of `JSON`: source text access, in Node since 22. */
interface SourceJson {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown;
  rawJSON(source: string): unknown;
}

const ARGUMENTS_OBJECT = /"(?:arguments|args|input|parameters|params)"\s*:\s*[{[]/;
/** Digits beyond a double's, a trailing zero of a fraction, an exponent. */
const INEXACT_NUMBER = /\d{16}|\.\d*0(?!\d)|\d[eE]/;

/**
 * Tool arguments that came as an object are written as text by us, so their numbers must survive: 12345678901234567890
 * and 1.0 would not. Returns `value`, or the same with such numbers kept as their source text.
 */
export function withExactArguments(value: unknown, text: string): unknown {
  // `tool_calls` and `function_call`: a cheap look before the patterns, since this is asked for every rewritten chunk.
  if (!text.includes('_call') || !ARGUMENTS_OBJECT.test(text) || !INEXACT_NUMBER.test(text)) return value;
  return parseExactly(text);
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
