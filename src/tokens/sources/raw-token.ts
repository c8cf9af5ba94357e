import { resolvePointer } from '../../lib/json/json-pointer.ts';
import { type Expiry, type ExpiryHint, resolveExpiry } from '../expiry/expiry.ts';
import { type IssuerResponse, issuerNowMs } from '../issuer/issuer-client.ts';
import { describeValue } from '../issuer/issuer-response.ts';
import type { SourceErrors } from './source-errors.ts';
import { type RawToken, TokenSourceError } from './token-source.ts';

/** Everything that a source found out about one token. */
interface Findings {
  /** The configured place of the token, for messages: `token_at /data/accessToken`. */
  readonly field: string;
  readonly value: unknown;
  readonly hints: readonly ExpiryHint[];
  /** The response that it came with; absent for files, commands and the like, which go by the local clock. */
  readonly response?: IssuerResponse;
  readonly nowWallMs: number;
  readonly refreshInMs?: number | undefined;
  readonly extra?: Readonly<Record<string, string>>;
  /** The value never changes while the process runs. */
  readonly isFixed?: true;
}

/**
 * The last step of every source: cleans the value and joins the expiry hints. A token that has expired already is an
 * error that names the clock.
 */
export function rawToken(errors: SourceErrors, findings: Findings): RawToken {
  const { field, refreshInMs, extra } = findings;
  const parsed = parseTokenValue(findings.value);
  if ('problem' in parsed) throw invalidToken(errors, findings, parsed.problem);
  const { value } = parsed;
  const response = withTrustedDate(findings, value);
  const nowWallMs = response === undefined ? findings.nowWallMs : issuerNowMs(response);
  const { notes: hintNotes, ...expiry } = resolveExpiry(findings.hints, value, nowWallMs);
  if (isExpired(expiry, nowWallMs)) {
    const ago = Math.round((nowWallMs - (expiry.expiresAtWallMs ?? nowWallMs)) / 1000);
    const isIssuers = response?.serverDateWallMs !== undefined;
    const what = `token expired ${ago} s ago by ${isIssuers ? "the issuer's" : "this machine's"} clock`;
    if (findings.isFixed === true)
      throw errors.misconfigured(field, `${what}. Replace it, or check the clock.`);
    throw errors.transient(field, isIssuers ? what : `${what}. Check the clock.`);
  }
  const isDateIgnored = response !== findings.response;
  const notes = isDateIgnored ? [...hintNotes, IGNORED_DATE] : hintNotes;
  return {
    value,
    ...expiry,
    ...(refreshInMs === undefined || !(refreshInMs > 0) ? {} : { refreshInMs }),
    ...(response?.serverDateWallMs === undefined ? {} : { serverDateWallMs: response.serverDateWallMs }),
    ...(extra === undefined ? {} : { extra }),
    ...(notes.length === 0 ? {} : { notes: notes.map((note) => `${errors.source}: ${note}`) }),
  };
}

/**
 * What files, commands, variables and modules give instead of a token, they give every time: requests need not wait for
 * it. An empty value, and an issuer's page, may be gone at the next attempt.
 */
function invalidToken(
  errors: SourceErrors,
  { field, response }: Findings,
  problem: string,
): TokenSourceError {
  const isPassing = response !== undefined || problem === EMPTY;
  return isPassing ? errors.transient(field, problem) : errors.misconfigured(field, problem);
}

const IGNORED_DATE =
  "by the issuer's Date header the new token has expired already: the clock of this machine is used instead";

/**
 * The response without its `Date` when a new token has expired by it and not by our own clock: then the header is wrong
 * (a proxy's, a cached response's), for an issuer's own clock would agree with its token.
 */
function withTrustedDate({ response, hints }: Findings, value: string): IssuerResponse | undefined {
  if (response?.serverDateWallMs === undefined) return response;
  const { serverDateWallMs, ...withoutDate } = response;
  if (!isExpired(resolveExpiry(hints, value, serverDateWallMs), serverDateWallMs)) return response;
  const { receivedWallMs } = response;
  return isExpired(resolveExpiry(hints, value, receivedWallMs), receivedWallMs) ? response : withoutDate;
}

function isExpired({ expiresAtWallMs }: Pick<Expiry, 'expiresAtWallMs'>, nowWallMs: number): boolean {
  return expiresAtWallMs !== undefined && expiresAtWallMs <= nowWallMs;
}

const EMPTY = 'empty token';

/** Longer than any header that servers accept; catches a page that came instead of a token. */
const MAX_TOKEN = 64 * 1024;

/**
 * The token in what a source returned: without surrounding white space, quotes and a `Bearer ` prefix. Throws a
 * value-free error for what cannot be a token: an HTTP library would quote it in its own error.
 */
export function cleanTokenValue(raw: unknown): string {
  const parsed = parseTokenValue(raw);
  if ('problem' in parsed)
    throw new TokenSourceError(`the source returned an invalid token: ${parsed.problem}`);
  return parsed.value;
}

/** `problem` describes what is there instead, never its content. */
function parseTokenValue(raw: unknown): { readonly value: string } | { readonly problem: string } {
  if (typeof raw !== 'string') return { problem: `${describeValue(raw)} where a token was expected` };
  const value = unquote(raw.trim())
    .trim()
    .replace(/^bearer(?:\s+|$)/i, '');
  if (value === '') return { problem: EMPTY };
  const length = `text of ${value.length} characters`;
  if (value.length > MAX_TOKEN) return { problem: `${length} is too long for a token` };
  // A login page or an error object where the bare body is used as the token.
  if (/^[<{[]/.test(value)) return { problem: `${length} is HTML or JSON and not a token` };
  if (isVisibleAscii(value)) return { value };
  const inside = /[\r\n]/.test(value)
    ? 'a line break (a banner before the token?)'
    : /\s/.test(value)
      ? 'white space'
      : 'control or non-ASCII characters';
  return { problem: `${length} is not a token: it has ${inside} inside` };
}

/**
 * Further values of a JSON text by name, ready to be spread into the findings; `extra` has JSON pointers. A missing one is
 * an error, as a placement, a signature or the next source of a chain will need it.
 */
export function pointedValues(
  errors: SourceErrors,
  json: unknown,
  extra: Readonly<Record<string, string>> = {},
): { extra?: Record<string, string> } {
  const values = Object.entries(extra).map(([name, pointer]) => {
    const { value } = resolvePointer(json, pointer);
    if (typeof value === 'string' || typeof value === 'number') return [name, String(value)] as const;
    throw errors.misconfigured(`extra ${name}`, `no text at ${pointer}: ${describeValue(json)}`);
  });
  return values.length === 0 ? {} : { extra: Object.fromEntries(values) };
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
