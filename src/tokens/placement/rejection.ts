import { parseJson } from '../../lib/json/json-object.ts';
import { resolvePointer } from '../../lib/json/json-pointer.ts';
import { SseReader } from '../../lib/sse/sse-reader.ts';

/** A place in a JSON body and the values there that mean a rejected token. */
interface BodyMatcher {
  /** JSON pointer (RFC 6901), e.g. `/error_code`. */
  readonly path: string;
  /** Compared as text, so that 110 and "110" are the same. */
  readonly equals: readonly (string | number | boolean | null)[];
}

/** How an upstream rejects a token: `reject` of the configuration. */
export interface RejectionRules {
  readonly statuses: readonly number[];
  readonly body: readonly BodyMatcher[];
}

/** A rejection is short; longer bodies (characters) are not parsed. */
const MAX_REJECTION = 16 * 1024;

/**
 * Whether an upstream's response rejects the token. `challenge` is its `www-authenticate`; `bodyText` is the body or the
 * first SSE event, null when it was not read. 407 is about a proxy, never about this token.
 */
export function isTokenRejection(
  status: number,
  challenge: string | null,
  bodyText: string | null,
  rules: RejectionRules,
): boolean {
  if (status === 407) return false;
  if (rules.statuses.includes(status)) return true;
  if (challenge !== null && namesInvalidToken(challenge)) return true;
  return bodyText !== null && rules.body.length > 0 && matchesBody(bodyText, rules.body);
}

/** RFC 6750 section 3.1: `WWW-Authenticate: Bearer …, error="invalid_token"`, with any status. */
function namesInvalidToken(challenge: string): boolean {
  return /\berror\s*=\s*"?invalid_token\b/i.test(challenge);
}

function matchesBody(text: string, matchers: readonly BodyMatcher[]): boolean {
  if (text.length > MAX_REJECTION) return false;
  const body = parseJson(firstEventData(text));
  return matchers.some((matcher) => {
    const found = resolvePointer(body, matcher.path).value;
    return isScalar(found) && matcher.equals.some((expected) => String(expected) === String(found));
  });
}

/** The data of the first SSE event that has any; a text without an SSE field is returned as it is. */
function firstEventData(text: string): string {
  if (!/^(?:\uFEFF)?(?:data|event|id|retry|):/.test(text.trimStart())) return text;
  const reader = new SseReader({ maxEventLength: MAX_REJECTION });
  for (const item of [...reader.push(text), ...reader.end()])
    if (item.kind === 'event' && item.data !== '') return item.data;
  return '';
}

function isScalar(value: unknown): value is string | number | boolean | null {
  return (
    value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
  );
}
