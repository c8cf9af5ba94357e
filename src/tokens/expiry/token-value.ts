import { TokenSourceError } from '../sources/token-source.ts';

/** Longer than any header that servers accept; a page that came instead of a token is caught by it. */
const LONGEST_TOKEN = 64 * 1024;

/**
 * The token in what a source handed out: without surrounding blanks and newlines, quotes and a `Bearer ` prefix.
 * Throws a value-free error for what can be no token: an HTTP library would quote it in its own error.
 */
export function cleanTokenValue(raw: unknown): string {
  if (typeof raw !== 'string') throw new TokenSourceError('the source returned no token text');
  const bare = unquote(raw.trim()).trim();
  const value = bare.replace(/^bearer(?:\s+|$)/i, '');
  if (value === '') throw new TokenSourceError('the source returned an empty token');
  if (value.length > LONGEST_TOKEN)
    throw new TokenSourceError('the source returned a token of more than 64 KiB');
  // A login page or an error object where the bare body was taken for the token.
  if (/^[<{[]/.test(value))
    throw new TokenSourceError('the source returned a page or JSON instead of a token');
  if (!isVisibleAscii(value)) {
    throw new TokenSourceError(
      'the source returned a token with blanks, control or non-ASCII characters inside',
    );
  }
  return value;
}

/** The only characters that are safe in a header, a query and a cookie alike. */
export function isVisibleAscii(value: string): boolean {
  return /^[\x21-\x7e]+$/.test(value);
}

function unquote(text: string): string {
  const first = text[0];
  const isQuoted = text.length >= 2 && (first === '"' || first === "'") && text.at(-1) === first;
  return isQuoted ? text.slice(1, -1) : text;
}
