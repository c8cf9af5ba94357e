import { parseVendorError } from '../../openai/errors/vendor-error.ts';
import type { SourceErrorSeverity } from '../sources/token-source.ts';
import { isPlainName } from './issuer-response.ts';

/** OAuth error codes (RFC 6749 5.2 and relatives) that trying again does not cure. */
const CREDENTIAL_CODES: ReadonlySet<string> = new Set([
  'invalid_client',
  'unauthorized_client',
  'invalid_grant',
  'invalid_scope',
  'invalid_target',
  'access_denied',
  'unsupported_grant_type',
  'invalid_assertion',
  'incorrect_client_credentials',
]);

/**
 * Statuses that say "what you sent or where you sent it is wrong", if the issuer itself says it, in JSON. The same
 * in HTML or nothing comes from an ingress whose issuer is just being replaced.
 */
const CREDENTIAL_STATUSES: ReadonlySet<number> = new Set([403, 404, 405, 410]);
const BUSY_STATUSES: ReadonlySet<number> = new Set([408, 425, 429]);

/** The members in which issuers put a code, most telling first. */
const CODE_MEMBERS = ['error', 'error_code', 'errcode', 'errorCode', 'code', 'status'];
const LONGEST_WORDS = 200;

/**
 * Whether a refusal means that the configuration is wrong. A 400 alone does not: some issuers use it for their
 * rate limit (Vertex Inc), so only a known code makes it one.
 */
export function severityOf(status: number, json: unknown): SourceErrorSeverity {
  if (BUSY_STATUSES.has(status) || status >= 500) return 'transient';
  const code = codeOf(json);
  if (code !== undefined && CREDENTIAL_CODES.has(code)) return 'credentials';
  const isTheIssuers = typeof json === 'object' && json !== null;
  const isConfiguration = status === 401 || (CREDENTIAL_STATUSES.has(status) && isTheIssuers);
  return isConfiguration ? 'credentials' : 'transient';
}

/** The issuer's own error code, when it is a plain identifier or number. */
export function codeOf(json: unknown): string | undefined {
  for (const object of errorObjects(json)) {
    for (const member of CODE_MEMBERS) {
      const code = object[member];
      if (typeof code === 'number') return String(code);
      if (typeof code === 'string' && (isPlainName(code) || /^-?\d{1,10}$/.test(code))) return code;
    }
  }
  return undefined;
}

/** What the issuer said about its refusal, fit for a log: ` (invalid_client: "unknown client")`, or nothing. */
export function issuerWords(json: unknown, scrub: (text: string) => string): string {
  const code = codeOf(json);
  const text = parseVendorError(json)?.message ?? '';
  const words = text === '' || text === code ? undefined : `"${quietWords(text, scrub)}"`;
  const parts = [code === undefined ? undefined : scrub(code), words].filter((part) => part !== undefined);
  return parts.length === 0 ? '' : ` (${parts.join(': ')})`;
}

/** What a text itself calls a secret: `password=...`, `"token": "..."`, `Authorization: Bearer ...`. */
const NAMED_SECRET =
  /((passw(?:or)?d|passphrase|pwd|secret|token|ticket|key|credential|authorization|cookie)[\w-]*["']?\s*([:=])\s*(?:(?:bearer|basic)\s+)?)("[^"]*"|'[^']*'|[^\s&,;]+)/gi;
const ALWAYS_SECRET = /^(?:pass|pwd|secret)/i;
/** `token: expired` speaks of the token and does not tell it. */
const PLAIN_WORD = /^[a-z]+[.!]?$/i;
/** `//user:password@host`. */
const USER_IN_URL = /\/\/[^\s/@]+@/g;

/**
 * Foreign text on one line: known secrets out, anything that could be an unknown one out, cut to its beginning or, as
 * what a program says last is why it failed, to its end.
 */
export function quietWords(
  text: string,
  scrub: (text: string) => string,
  keep: 'beginning' | 'end' = 'beginning',
): string {
  const known = cut(scrub(text), 10 * LONGEST_WORDS, keep);
  const quiet = known
    .replace(NAMED_SECRET, hideNamed)
    .replace(USER_IN_URL, '//[...]@')
    .replace(/[\p{Cc}\s"]+/gu, ' ')
    .replace(/[\w+/=.~-]{24,}/g, '[...]');
  return cut(quiet.trim(), LONGEST_WORDS, keep);
}

function hideNamed(whole: string, before: string, name: string, mark: string, value: string): string {
  const isTold = mark === '=' || ALWAYS_SECRET.test(name) || !PLAIN_WORD.test(value);
  return isTold ? `${before}[...]` : whole;
}

function cut(text: string, length: number, keep: 'beginning' | 'end'): string {
  return keep === 'end' ? text.slice(-length) : text.slice(0, length);
}

/** The answer itself, and its `error` when that is an object. */
function errorObjects(json: unknown): Record<string, unknown>[] {
  if (typeof json !== 'object' || json === null) return [];
  const object = json as Record<string, unknown>;
  const inner = object.error;
  return typeof inner === 'object' && inner !== null ? [inner as Record<string, unknown>, object] : [object];
}
