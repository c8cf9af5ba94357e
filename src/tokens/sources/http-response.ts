import { isPointer, resolvePointer } from '../../lib/json/json-pointer.ts';
import type { ExpiryHint } from '../expiry/expiry.ts';
import { headerOf, type IssuerResponse } from '../issuer/issuer-client.ts';
import { describeKeys, describeResponse, describeValue, type IssuerBody } from '../issuer/issuer-response.ts';
import type { SourceErrors } from './source-errors.ts';

/** What a response must be: its status, and values at JSON pointers. A list means "one of these". */
export interface ResponseMatch {
  /** For `success`: 200 to 299 by default. */
  readonly status?: number | readonly number[];
  readonly json?: Readonly<Record<string, Expected>>;
}

type Scalar = string | number | boolean | null;
type Expected = Scalar | readonly Scalar[];

/** Throws when `denied` matches: the credentials are wrong. */
export function checkDenied(
  errors: SourceErrors,
  denied: ResponseMatch | undefined,
  response: IssuerResponse,
  body: IssuerBody,
): void {
  if (denied === undefined) return;
  if (denied.status !== undefined && !isExpectedStatus(denied.status, response.status)) return;
  const json = body.kind === 'json' ? body.value : undefined;
  const isMatch = Object.entries(denied.json ?? {}).every(([pointer, expected]) =>
    isOneOf(expected, resolvePointer(json, pointer).value),
  );
  if (!isMatch) return;
  throw errors.denied(response, json);
}

/** Throws unless the response matches `success`. Many issuers send their errors with status 200. */
export function checkSuccess(
  errors: SourceErrors,
  success: ResponseMatch | undefined,
  response: IssuerResponse,
  body: IssuerBody,
): void {
  if (!isExpectedStatus(success?.status, response.status)) {
    if (response.status >= 300) throw errors.refused('url', response);
    throw errors.transient('success', `unexpected status: ${describeResponse(response, body)}`);
  }
  for (const [pointer, expected] of Object.entries(success?.json ?? {})) {
    const json = requireJson(errors, response, body);
    const { value } = resolvePointer(json, pointer);
    if (isOneOf(expected, value)) continue;
    const wanted = listOf(expected).map((one) => JSON.stringify(one));
    const found =
      typeof value === 'number' || typeof value === 'boolean' ? String(value) : describeValue(value);
    throw errors.unusable('success', response, json, `${pointer} is ${found}, not ${wanted.join(' or ')}`);
  }
}

function isExpectedStatus(expected: ResponseMatch['status'], status: number): boolean {
  if (expected === undefined) return status >= 200 && status <= 299;
  return typeof expected === 'number' ? expected === status : expected.includes(status);
}

function listOf(expected: Expected): readonly Scalar[] {
  return Array.isArray(expected) ? (expected as readonly Scalar[]) : [expected as Scalar];
}

/** `0` and `"0"` are the same code: issuers change between them, and YAML decides by the quotes. */
function isOneOf(expected: Expected, value: unknown): boolean {
  return listOf(expected).some((one) =>
    typeof value === 'object' || value === undefined ? value === one : String(one) === String(value),
  );
}

/** The JSON of a response; an error when it is something else. */
function requireJson(errors: SourceErrors, response: IssuerResponse, body: IssuerBody): unknown {
  if (body.kind === 'json') return body.value;
  throw errors.notJson('url', response);
}

/** Finds the token in a response, or throws an error that describes what is there instead. */
export type TokenLocation = (response: IssuerResponse, body: IssuerBody) => unknown;

/** A place and the pattern behind it, which takes a part of what is there: `header:Location regex:[^/]+$`. */
export function splitLocation(location: string): readonly [place: string, pattern: string | null] {
  const at = location.startsWith('regex:') ? -1 : location.indexOf(PART);
  return at === -1 ? [location, null] : [location.slice(0, at), location.slice(at + PART.length)];
}

const PART = ' regex:';

/**
 * Compiles `token_at`, or another setting `field` of the same form: a JSON pointer, `header:NAME`, `cookie:NAME`,
 * `regex:PATTERN` (its first group, or the whole match), `form:NAME` for form-encoded bodies, or `body`.
 */
export function compileTokenLocation(
  errors: SourceErrors,
  location: string,
  field = 'token_at',
): TokenLocation {
  const [place, part] = splitLocation(location);
  const locate = compilePlace(errors, place, field);
  if (part === null) return locate;
  const pattern = compileRegex(errors, part, field);
  return (response, body) => {
    const match = pattern.exec(String(locate(response, body)));
    if (match !== null) return match[1] ?? match[0];
    throw errors.transient(`${field} ${place}`, 'the value does not match regex:...');
  };
}

function compilePlace(errors: SourceErrors, place: string, field: string): TokenLocation {
  if (place === 'body') return (response, body) => wholeBody(errors, response, body, field);
  if (place !== '' && isPointer(place))
    return (response, body) => atPointer(errors, response, body, { pointer: place, field });
  const [, kind, name = ''] = /^(header|cookie|regex|form):(.+)$/s.exec(place) ?? [];
  const required = (value: string | null | undefined, found: string): string => {
    if (value !== null && value !== undefined) return value;
    throw errors.transient(`${field} ${kind}:${kind === 'regex' ? '...' : name}`, `not found; ${found}`);
  };
  switch (kind) {
    case 'header':
      return (response) => required(headerOf(response, name), headerNames(response));
    case 'cookie':
      return (response) => required(cookieOf(response, name), cookieNames(response));
    case 'form':
      return (response, body) => {
        const value = new URLSearchParams(response.body.trim()).get(name);
        return required(value, `the response is ${describeResponse(response, body)}`);
      };
    case 'regex': {
      const pattern = compileRegex(errors, name, field);
      return (response, body) => {
        const match = pattern.exec(response.body);
        return required(match?.[1] ?? match?.[0], `the response is ${describeResponse(response, body)}`);
      };
    }
    default:
      throw errors.misconfigured(
        field,
        'must be /json/pointer, header:NAME, cookie:NAME, regex:PATTERN, form:NAME or body',
      );
  }
}

/** The places of further values by their names. */
export type ExtraLocations = ReadonlyMap<string, TokenLocation>;

export function compileExtra(
  errors: SourceErrors,
  extra: Readonly<Record<string, string>> = {},
): ExtraLocations {
  const entries = Object.entries(extra);
  return new Map(
    entries.map(([name, place]) => [name, compileTokenLocation(errors, place, `extra ${name}`)]),
  );
}

/**
 * The further values of a response, ready to be spread into the findings. A missing one is an error, as a placement or
 * the next source of a chain will need it.
 */
export function extraValues(
  errors: SourceErrors,
  locations: ExtraLocations,
  response: IssuerResponse,
  body: IssuerBody,
): { extra?: Record<string, string> } {
  if (locations.size === 0) return {};
  const extra: Record<string, string> = {};
  for (const [name, locate] of locations) {
    const value = locate(response, body);
    if (typeof value !== 'string' && typeof value !== 'number')
      throw errors.transient(`extra ${name}`, `${describeValue(value)} where a text was expected`);
    extra[name] = String(value).trim();
  }
  return { extra };
}

function compileRegex(errors: SourceErrors, pattern: string, field: string): RegExp {
  try {
    return new RegExp(pattern, 's');
  } catch {
    throw errors.misconfigured(field, 'invalid regular expression');
  }
}

function atPointer(
  errors: SourceErrors,
  response: IssuerResponse,
  body: IssuerBody,
  { pointer, field }: { readonly pointer: string; readonly field: string },
): unknown {
  const json = requireJson(errors, response, body);
  const { value, deepest, at } = resolvePointer(json, pointer);
  if (value !== undefined && value !== null) return value;
  const place = at === '' || value === null ? 'the response' : at;
  const found = value === null ? json : deepest;
  const has =
    typeof found === 'object' && found !== null && !Array.isArray(found)
      ? `${place} has ${describeKeys(found)}`
      : `${place} is ${describeValue(found)}`;
  throw errors.unusable(
    `${field} ${pointer}`,
    response,
    json,
    `${value === null ? 'null' : 'not found'}; ${has}`,
  );
}

/** A JSON string or number is a token; any other JSON, HTML or an empty body is not. */
function wholeBody(errors: SourceErrors, response: IssuerResponse, body: IssuerBody, field: string): unknown {
  if (body.kind === 'text' || body.kind === 'form') return response.body;
  if (body.kind === 'json' && (typeof body.value === 'string' || typeof body.value === 'number')) {
    return String(body.value);
  }
  throw errors.transient(`${field} body`, `not a token: ${describeResponse(response, body)}`);
}

function cookieLines(response: IssuerResponse): string[] {
  const lines = response.headers['set-cookie'] ?? [];
  return Array.isArray(lines) ? lines : [lines];
}

function cookieLine(response: IssuerResponse, name: string): string | undefined {
  return cookieLines(response).find((line) => line.trimStart().startsWith(`${name}=`));
}

function cookieOf(response: IssuerResponse, name: string): string | undefined {
  return cookieLine(response, name)
    ?.split(';', 1)[0]
    ?.trim()
    .slice(name.length + 1);
}

/** A cookie's own expiry (RFC 6265: `Max-Age` takes precedence over `Expires`). */
export function cookieHints(response: IssuerResponse, name: string): ExpiryHint[] {
  const line = cookieLine(response, name) ?? '';
  const maxAge = /;\s*max-age\s*=\s*(\d+)/i.exec(line)?.[1];
  if (maxAge !== undefined) return [{ origin: 'Max-Age', value: maxAge, as: 'relative', unit: 's' }];
  const expires = /;\s*expires\s*=\s*([^;]+)/i.exec(line)?.[1];
  return expires === undefined ? [] : [{ origin: 'Expires', value: expires, as: 'absolute', unit: 'iso' }];
}

function cookieNames(response: IssuerResponse): string {
  const names = cookieLines(response).map((line) => line.split('=', 1)[0]?.trim() ?? '');
  return names.length === 0 ? 'the response sets no cookies' : `the response sets ${names.join(', ')}`;
}

function headerNames(response: IssuerResponse): string {
  return `the response has the headers ${Object.keys(response.headers).sort().join(', ')}`;
}
