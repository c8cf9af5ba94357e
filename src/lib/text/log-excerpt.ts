/** Characters of foreign text that are quoted. */
const MAX_EXCERPT = 200;

/** What a text itself names as a secret: `password=...`, `"token": "..."`, `Authorization: Bearer ...`. */
const NAMED_SECRET =
  /((passw(?:or)?d|passphrase|pwd|secret|token|ticket|key|credential|authorization|cookie)[\w-]*["']?\s*([:=])\s*(?:(?:bearer|basic)\s+)?)("[^"]*"|'[^']*'|[^\s&,;]+)/gi;
const ALWAYS_SECRET = /^(?:pass|pwd|secret)/i;
/** `token: expired` is about the token and does not contain it. */
const PLAIN_WORD = /^[a-z]+[.!]?$/i;
/** `//user:password@host`. */
const USER_IN_URL = /\/\/[^\s/@]+@/g;

/**
 * Text of an issuer, a program or user code on one line for the log: without known secrets and without what could be an
 * unknown one, cut to its beginning, or to its end for programs, which print the reason of a failure last.
 */
export function logExcerpt(
  text: string,
  scrub: (text: string) => string,
  keep: 'beginning' | 'end' = 'beginning',
): string {
  const known = cut(scrub(text), 10 * MAX_EXCERPT, keep);
  const clean = known
    .replace(NAMED_SECRET, hideNamed)
    .replace(USER_IN_URL, '//[...]@')
    .replace(/[\p{Cc}\s"]+/gu, ' ')
    .replace(/[\w+/=.~-]{24,}/g, '[...]');
  return cut(clean.trim(), MAX_EXCERPT, keep);
}

function hideNamed(whole: string, before: string, name: string, mark: string, value: string): string {
  const isSecret = mark === '=' || ALWAYS_SECRET.test(name) || !PLAIN_WORD.test(value);
  return isSecret ? `${before}[...]` : whole;
}

function cut(text: string, length: number, keep: 'beginning' | 'end'): string {
  return keep === 'end' ? text.slice(-length) : text.slice(0, length);
}
