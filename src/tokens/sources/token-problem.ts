import { describeValue } from '../issuer/issuer-response.ts';

/** Why `cleanTokenValue` refused something, as the end of a sentence: what it is, never what it says. */
export function tokenProblem(raw: unknown): string {
  if (typeof raw !== 'string') return `${describeValue(raw)} where a token was expected`;
  const length = raw.trim().length;
  if (length === 0) return 'an empty token';
  const what = /[\r\n]/.test(raw.trim())
    ? 'a line break inside'
    : /\s/.test(raw.trim())
      ? 'blanks inside'
      : 'characters that no header can carry, or too many';
  return `text of ${length} characters that is no token: it has ${what}`;
}
