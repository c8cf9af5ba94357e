import { describeValue } from '../issuer-answer.ts';

/** A usable token, or why it is none; `problem` ends a sentence and holds no part of the token. */
export type TokenValue =
  | { readonly value: string; readonly problem?: never }
  | { readonly value?: never; readonly problem: string };

/**
 * What files, commands and issuers wrap around a token is taken off: blanks and line ends outside, one pair of
 * quotes, the word Bearer. What remains must be visible ASCII: anything else breaks the header it goes into, in
 * errors that quote it.
 */
export function readTokenValue(raw: unknown): TokenValue {
  if (typeof raw !== 'string') return { problem: `${describeValue(raw)} where a token was expected` };
  let value = raw.replace(/^\uFEFF/, '').trim();
  if (/^(".*"|'.*')$/s.test(value) && value.length > 1) value = value.slice(1, -1).trim();
  value = value.replace(/^bearer\s+/i, '');
  if (value === '') return { problem: 'an empty token' };
  if (/[\r\n]/.test(value))
    return { problem: `a token of ${value.length} characters with a line break inside` };
  if (/\s/.test(value)) return { problem: `text of ${value.length} characters with blanks inside` };
  if (!/^[\x21-\x7e]+$/.test(value)) {
    return { problem: `a token of ${value.length} characters, not all of them visible ASCII` };
  }
  return { value };
}
