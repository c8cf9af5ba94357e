import { isJsonObject, parseJson } from '../../lib/json/json-object.ts';
import { resolvePointer } from '../../lib/json/json-pointer.ts';
import { SseReader } from '../../lib/sse/sse-reader.ts';
import { isHtml } from '../../lib/text/sanitize.ts';

/** A place in a JSON body and the values there that mean a rejected token. */
interface BodyMatcher {
  /** JSON pointer (RFC 6901), e.g. `/error_code`. */
  readonly path: string;
  /** Compared as text, so that 110 and "110" are the same. */
  readonly equals: readonly (string | number | boolean | null)[];
}

/** A header of a response and what in its value means a rejected token. */
interface HeaderMatcher {
  /** In lower case. */
  readonly name: string;
  /** One match is enough. */
  readonly patterns: readonly RegExp[];
}

/** How an upstream rejects a token: `reject` of the configuration. Of patterns one match is enough, of rules too. */
export interface RejectionRules {
  readonly statuses: readonly number[];
  readonly body: readonly BodyMatcher[];
  /** In the beginning of a body with any status. */
  readonly text: readonly RegExp[];
  /** In the beginning of an HTML page with a status of success; empty: pages mean nothing. */
  readonly html: readonly RegExp[];
  /** In the address of a redirect; empty: redirects mean nothing. */
  readonly redirect: readonly RegExp[];
  readonly headers: readonly HeaderMatcher[];
}

/** Whether the beginning of each body has to be looked at. */
export function hasBodyRules({ body, text, html }: RejectionRules): boolean {
  return body.length > 0 || text.length > 0 || html.length > 0;
}

/** Whether a header of a response may be what rejects the token. */
export function hasHeaderRules({ headers, redirect }: RejectionRules): boolean {
  return headers.length > 0 || redirect.length > 0;
}

/** A rejection in JSON is short; longer JSON (characters) is not parsed. */
const MAX_JSON_REJECTION = 16 * 1024;
/** So much of any other body is searched, in characters: what tells pages and texts apart is in their beginning. */
export const MAX_SEARCHED_BODY = 64 * 1024;

/** What of an upstream's response says whether it rejects the token. */
interface ResponseFacts {
  readonly status: number;
  /** By lower-case name; null when absent. */
  readonly header: (name: string) => string | null;
  /** The body, its beginning or the first SSE events; null when it was not read. */
  readonly bodyText: string | null;
}

/** Whether an upstream's response rejects the token. */
export function isTokenRejection(
  { status, header, bodyText }: ResponseFacts,
  rules: RejectionRules,
): boolean {
  if (rules.statuses.includes(status)) return true;
  // The challenge of a 407 is a proxy's.
  if (status !== 407 && namesInvalidToken(header('www-authenticate') ?? '')) return true;
  if (rules.headers.some(({ name, patterns }) => matches(header(name), patterns))) return true;
  const isRedirect = status >= 300 && status < 400;
  if (isRedirect && matches(header('location'), rules.redirect)) return true;
  return bodyText !== null && hasBodyRules(rules) && isBodyRejection(status, bodyText, rules);
}

function matches(text: string | null, patterns: readonly RegExp[]): boolean {
  return text !== null && patterns.some((pattern) => pattern.test(text));
}

/** RFC 6750 section 3.1: `WWW-Authenticate: Bearer …, error="invalid_token"`, with any status. */
function namesInvalidToken(challenge: string): boolean {
  return /\berror\s*=\s*"?invalid_token\b/i.test(challenge);
}

function isBodyRejection(status: number, text: string, rules: RejectionRules): boolean {
  const isSuccess = status >= 200 && status < 300;
  const start = text.slice(0, MAX_SEARCHED_BODY);
  if (isSuccess && isPage(start) && matches(start, rules.html)) return true;
  if (rules.body.length === 0 && rules.text.length === 0) return false;
  const data = firstEventData(text);
  const isLong = data.length > MAX_JSON_REJECTION;
  const json = isLong ? undefined : parseJson(data);
  if (json !== undefined && rules.body.some((matcher) => matchesPointer(json, matcher))) return true;
  // What a model or a file says about sessions is no statement of the server.
  if (isSuccess && (isLong ? /^\s*[{[]/.test(data) : isResult(json))) return false;
  return matches(data.slice(0, MAX_SEARCHED_BODY), rules.text);
}

function matchesPointer(json: unknown, { path, equals }: BodyMatcher): boolean {
  const found = resolvePointer(json, path).value;
  return isScalar(found) && equals.some((expected) => String(expected) === String(found));
}

/** An HTML document, also behind comments and declarations. */
function isPage(text: string): boolean {
  return (
    isHtml(text) || (/^\s*</.test(text) && /<(?:!doctype\s+html|html|head|body|title|form)\b/i.test(text))
  );
}

const RESULT_LISTS = ['choices', 'data', 'output', 'results', 'embeddings', 'content'];
const RESULT_OBJECTS = ['response', 'message', 'delta', 'item', 'part'];

/** The JSON of a success, or an event of its stream: it has what was asked for. */
function isResult(json: unknown): boolean {
  if (!isJsonObject(json) || (json.error !== undefined && json.error !== null)) return false;
  const hasList = RESULT_LISTS.some((name) => Array.isArray(json[name]) && json[name].length > 0);
  const isEvent = typeof json.type === 'string' && json.type.startsWith('response.');
  return hasList || isEvent || RESULT_OBJECTS.some((name) => isJsonObject(json[name]));
}

/** The data of the first SSE event that has any; a text without an SSE field is returned as it is. */
function firstEventData(text: string): string {
  if (!/^(?:\uFEFF)?(?:data|event|id|retry|):/.test(text.trimStart())) return text;
  const reader = new SseReader({ maxEventLength: MAX_SEARCHED_BODY });
  for (const item of [...reader.push(text), ...reader.end()])
    if (item.kind === 'event' && item.data !== '') return item.data;
  return '';
}

function isScalar(value: unknown): value is string | number | boolean | null {
  return (
    value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
  );
}
