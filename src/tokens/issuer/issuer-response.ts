import { surveyJson } from '../../lib/json/json-scanner.ts';
import { logExcerpt } from '../../lib/text/log-excerpt.ts';
import { parseVendorError } from '../../openai/errors/vendor-error.ts';
import type { SourceErrorSeverity } from '../sources/token-source.ts';
import { headerOf, type IssuerResponse } from './issuer-client.ts';

/** Deeper JSON is an attack on the parser, not a token. */
const MAX_JSON_DEPTH = 32;
const LIMITS = {
  levels: MAX_JSON_DEPTH,
  containers: Number.POSITIVE_INFINITY,
  strings: Number.POSITIVE_INFINITY,
  members: Number.POSITIVE_INFINITY,
  values: Number.POSITIVE_INFINITY,
};
const MAX_KEYS_SHOWN = 12;

/** What a body turned out to be. `json` and `form` hold values, `text` everything that is neither. */
export type IssuerBody =
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'form'; readonly value: Readonly<Record<string, string>> }
  | { readonly kind: 'empty' | 'html' | 'malformed' | 'too_deep' | 'text' };

/** Decides by the content what a body is: home-grown issuers send JSON as text/html and the reverse. */
export function parseBody(response: IssuerResponse): IssuerBody {
  const text = response.body.trim();
  const contentType = headerOf(response, 'content-type') ?? '';
  if (text === '') return { kind: 'empty' };
  if (text.startsWith('<') || (/\bhtml\b/i.test(contentType) && !text.startsWith('{')))
    return { kind: 'html' };
  if (/x-www-form-urlencoded/i.test(contentType)) {
    return { kind: 'form', value: Object.fromEntries(new URLSearchParams(text)) };
  }
  if (surveyJson(text, LIMITS).exceeded !== null) return { kind: 'too_deep' };
  try {
    return { kind: 'json', value: JSON.parse(text) };
  } catch {
    return { kind: /^[[{]/.test(text) || /\bjson\b/i.test(contentType) ? 'malformed' : 'text' };
  }
}

/** A response in words without any of its values: "HTML (login page?), status 200". */
export function describeResponse(response: IssuerResponse, body: IssuerBody): string {
  return `${describeBody(response, body)}, status ${response.status}`;
}

/** The same of the body alone. */
export function describeBody(response: IssuerResponse, body: IssuerBody): string {
  const { length } = response.body;
  switch (body.kind) {
    case 'empty':
      return 'empty body';
    case 'html':
      return 'HTML (login page?)';
    case 'malformed':
      return `JSON that is malformed or cut off (${length} characters)`;
    case 'too_deep':
      return `JSON nested deeper than ${MAX_JSON_DEPTH}`;
    case 'text':
      return `text of ${length} characters (${mediaType(headerOf(response, 'content-type'))})`;
    case 'form':
      return `a form with ${describeKeys(body.value)}`;
    case 'json':
      return `JSON, ${describeValue(body.value)}`;
  }
}

/** The media type without its parameters; an invalid one is not repeated. */
function mediaType(contentType: string | undefined): string {
  if (contentType === undefined) return 'no content-type';
  return /^[a-z]+\/[a-z.+-]{1,40}(?=$|[;\s])/i.exec(contentType.trim())?.[0] ?? 'invalid content-type';
}

/** The kind and size of a value, never its content: "an object with the keys code, msg", "text of 12 characters". */
export function describeValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (value === '') return 'an empty text';
  if (typeof value === 'string') return `text of ${value.length} characters`;
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object') return `an object with ${describeKeys(value)}`;
  return `a ${typeof value}`;
}

/** "the keys code, msg". Keys that do not look like names are counted, not shown: they may be values. */
export function describeKeys(object: object): string {
  const keys = Object.keys(object);
  if (keys.length === 0) return 'no keys';
  const shown = keys.filter(isPlainName).slice(0, MAX_KEYS_SHOWN);
  const hidden = keys.length - shown.length;
  const more = hidden === 0 ? '' : `${shown.length === 0 ? '' : ' and '}${hidden} more`;
  return `the ${keys.length === 1 ? 'key' : 'keys'} ${shown.join(', ')}${more}`;
}

/** Whether a text looks like a name and not like a value: short, with few digits. */
function isPlainName(text: string): boolean {
  return /^[A-Za-z_$][A-Za-z_.$-]{0,39}$/.test(text) || /^[A-Za-z_$][\w.$-]{0,15}$/.test(text);
}

/** Codes and statuses whose advice is about the credentials themselves, so that their keys help. */
const ABOUT_CREDENTIALS = /^Check (?:the credentials|client_id|the user name|the key)/;

/** Error codes that retrying does not cure, and what an operator can do about each. */
const CREDENTIAL_CODES: Readonly<Record<string, string>> = {
  // RFC 6749 5.2.
  invalid_client: 'Check client_id, client_secret and auth.',
  unauthorized_client: 'Allow this grant for the client at the issuer.',
  invalid_grant: 'Check the user name and password, the refresh token or the assertion.',
  invalid_scope: 'Check scope.',
  unsupported_grant_type: 'Check grant.',
  // RFC 6749 4.1.2.1, which token endpoints use too.
  access_denied: 'Allow this client at the issuer.',
  // RFC 8693 2.2.2.
  invalid_target: 'Check audience and resource in params.',
  // Beside the RFCs: for assertions, and as GitHub spells invalid_client.
  invalid_assertion: 'Check the key, audience and claims of the assertion.',
  incorrect_client_credentials: 'Check client_id and client_secret.',
};

/**
 * Statuses that mean a wrong configuration when the issuer itself sends them, in JSON. The same with HTML or an empty
 * body comes from an ingress while its issuer is restarted.
 */
const CREDENTIAL_STATUSES: Readonly<Record<number, string>> = {
  403: 'Check the credentials and their permissions.',
  404: 'Check the URL.',
  405: 'Check the URL and the method.',
  410: 'Check the URL.',
};
const BUSY_STATUSES: ReadonlySet<number> = new Set([408, 425, 429]);

/** An advice with the keys of the configuration that it is about; without, as it is. */
export function adviceWithKeys(advice: string, keys: readonly string[]): string {
  if (keys.length === 0 || !ABOUT_CREDENTIALS.test(advice)) return advice;
  return `${advice.replace(/\.$/, '')}: ${keys.slice(0, MAX_KEYS_SHOWN).join(', ')}.`;
}

/** Whether a response with this status comes from an issuer that is overloaded or broken, whatever was asked. */
export function isBusy(status: number): boolean {
  return BUSY_STATUSES.has(status) || status >= 500;
}

/** Whether retrying soon makes sense, and what an operator can do; empty advice: nothing but wait. */
interface ErrorAssessment {
  readonly severity: SourceErrorSeverity;
  readonly advice: string;
}

/**
 * What an error response means. A 400 alone does not mean wrong credentials: Vertex Inc sends it for its rate limit, so
 * only a known code does.
 */
export function assessError(status: number, json: unknown): ErrorAssessment {
  const transient: ErrorAssessment = { severity: 'transient', advice: '' };
  if (isBusy(status)) return transient;
  const code = issuerErrorCode(json) ?? '';
  const advice = Object.hasOwn(CREDENTIAL_CODES, code) ? CREDENTIAL_CODES[code] : undefined;
  if (advice !== undefined) return { severity: 'credentials', advice };
  if (status === 401) return { severity: 'credentials', advice: 'Check the credentials.' };
  const isIssuersOwn = typeof json === 'object' && json !== null;
  const byStatus = isIssuersOwn ? CREDENTIAL_STATUSES[status] : undefined;
  return byStatus === undefined ? transient : { severity: 'credentials', advice: byStatus };
}

/** The members in which issuers put a code, most specific first. */
const CODE_MEMBERS = ['error', 'error_code', 'errcode', 'errorCode', 'code', 'status'];

/** The issuer's own error code, when it is a plain identifier or number. */
export function issuerErrorCode(json: unknown): string | undefined {
  for (const object of errorObjects(json)) {
    for (const member of CODE_MEMBERS) {
      const code = object[member];
      if (typeof code === 'number') return String(code);
      if (typeof code === 'string' && (isPlainName(code) || /^-?\d{1,10}$/.test(code))) return code;
    }
  }
  return undefined;
}

/** The issuer's own code and message, fit for a log: ` (invalid_client: "unknown client")`; empty when there are none. */
export function quoteError(json: unknown, scrub: (text: string) => string): string {
  const code = issuerErrorCode(json);
  const text = parseVendorError(json)?.message ?? '';
  const parts = [
    ...(code === undefined ? [] : [scrub(code)]),
    ...(text === '' || text === code ? [] : [`"${logExcerpt(text, scrub)}"`]),
  ];
  return parts.length === 0 ? '' : ` (${parts.join(': ')})`;
}

/** The response itself, and its `error` when that is an object. */
function errorObjects(json: unknown): Record<string, unknown>[] {
  if (typeof json !== 'object' || json === null) return [];
  const object = json as Record<string, unknown>;
  const inner = object.error;
  return typeof inner === 'object' && inner !== null ? [inner as Record<string, unknown>, object] : [object];
}
