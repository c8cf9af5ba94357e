import { type ErrorKind, FerryError, type FerryErrorFacts } from '../../lib/errors/ferry-error.ts';
import { cleanMessage, excerptOf, isHtml } from '../../lib/text/sanitize.ts';
import { sentenceFor } from './error-sentences.ts';
import { type BodyError, readErrorBody } from './error-shapes.ts';
import {
  isBelowMinimum,
  isFilterText,
  isModelText,
  isOverflowText,
  isQuotaText,
  meaningOfText,
} from './error-wording.ts';
import { readRetryAfter } from './retry-after.ts';

export { type BodyError, findErrorInBody } from './error-shapes.ts';

/** What an error text is read against: the request it answers, and the rules of the installation. */
export interface ErrorContext {
  /** The model as the client named it; null when the request has none. */
  readonly model: string | null;
  /** What the upstream was told the model is, where an alias made it another name. */
  readonly upstreamModel?: string;
  /** The normalised path of the request (`/v1/chat/completions`). */
  readonly path: string;
  /** Replaces living secrets in text that came from outside. */
  readonly scrub: (text: string) => string;
  /** Whether `retry.statuses` names this status. Default: 408, 425, 500, 502-504, 520-529. */
  readonly isRetryable?: (status: number) => boolean;
  /** Header of the upstream's answer by lower-case name. */
  readonly headers?: (name: string) => string | undefined;
  /** Wall clock in milliseconds, for `retry-after` as a date. Default: Date.now(). */
  readonly nowWallMs?: number;
}

interface UpstreamAnswer extends ErrorContext {
  readonly status: number;
  readonly headers: (name: string) => string | undefined;
  /** The body as text, possibly cut; '' when there was none. */
  readonly body: string;
  /** True: the upstream was asked with the client's own credentials (`sk: asis`), so 401 and 403 are its own. */
  readonly hasClientCredentials?: boolean;
}

/** How much of an error's text is searched for what it means, in UTF-16 units. */
const SEARCHED = 16_000;

/** A failure with all that is known of it, before it has a kind. */
interface Failure {
  readonly context: ErrorContext;
  /** The status of the answer, or the one that a 200's error implies. */
  readonly status: number;
  /** The status on the wire. */
  readonly upstreamStatus: number;
  readonly found: BodyError | null;
  /** The upstream's words, uncleaned: the message when one was found, else the body. */
  readonly text: string;
  /** All of the body's text, in which a wait may be hidden (Google's `retryDelay`). */
  readonly source: string;
}

/** Any answer that is not a success (4xx, 5xx, 3xx and stranger ones), as the one error of the product. */
export function readUpstreamError(answer: UpstreamAnswer): FerryError {
  const found = parseError(answer.body);
  const text = (found?.message || (found === null ? answer.body : '')).slice(0, SEARCHED);
  const { status } = answer;
  const source = answer.body.slice(0, SEARCHED);
  const failure: Failure = { context: answer, status, upstreamStatus: status, found, text, source };
  const isOwn = answer.hasClientCredentials === true && (status === 401 || status === 403);
  return isOwn ? passedThrough(failure) : toFerryError(failure);
}

/** The client's own credentials were refused: it gets the status and the words of the upstream. */
function passedThrough(failure: Failure): FerryError {
  const { status, found } = failure;
  return new FerryError('auth_passed_through', {
    message: ownWords(failure) || `The upstream refused the request's credentials with status ${status}.`,
    status,
    upstreamStatus: status,
    type: found?.type ?? (status === 401 ? 'authentication_error' : 'permission_error'),
    code: codeOf(found, failure) ?? (status === 401 ? 'invalid_api_key' : 'not_permitted'),
    param: found?.param ?? null,
  });
}

/** The error of a 200 answer or a stream event (see `findErrorInBody`) as the one error of the product. */
export function readBodyError(found: BodyError, context: ErrorContext): FerryError {
  const text = found.message.slice(0, SEARCHED);
  const words = [text, found.code, found.type].filter(Boolean).join(' ');
  const meaning = found.status === null ? meaningOfText(words) : { status: found.status };
  const known = found.kind === null && 'kind' in meaning ? { ...found, kind: meaning.kind ?? null } : found;
  return toFerryError({
    context,
    status: meaning.status,
    upstreamStatus: 200,
    found: known,
    text,
    source: text,
  });
}

/** A 200 answer that is empty, HTML or not JSON: `upstream_invalid_response` with a short excerpt. */
export function invalidBodyError(body: string, context: ErrorContext): FerryError {
  const excerpt = excerptOf(body, context.scrub);
  const what =
    body.trim() === '' ? 'an empty body' : isHtml(body) ? 'an HTML page' : 'something else than JSON';
  return new FerryError('invalid_response', {
    message: `The upstream returned ${what}${excerpt === '' ? '.' : `: ${excerpt}`}`,
    upstreamStatus: 200,
    detail: excerpt,
  });
}

function parseError(body: string): BodyError | null {
  const start = body.trimStart();
  if (!start.startsWith('{') && !start.startsWith('[')) return parseEvent(start);
  try {
    return readErrorBody(JSON.parse(start));
  } catch {
    return null;
  }
}

/** DashScope and others answer a stream request with an event even when the status is an error. */
function parseEvent(start: string): BodyError | null {
  const data = /^data: ?(\{.*\})[ \r]*$/m.exec(start.slice(0, SEARCHED))?.[1];
  return data === undefined ? null : parseError(data);
}

function toFerryError(failure: Failure): FerryError {
  const kind = kindOf(failure);
  const { context, upstreamStatus, found } = failure;
  const excerpt = excerptOf(failure.text, context.scrub);
  return new FerryError(kind, {
    message: sentenceFor(kind, {
      ...context,
      status: failure.status,
      upstreamStatus,
      words: ownWords(failure),
      excerpt,
    }),
    upstreamStatus,
    detail: detailOf(failure, excerpt),
    retryAfterMs: waitOf(failure, kind === 'rate_limited' || kind === 'quota_exhausted'),
    ...factsOf(kind, failure, found),
  });
}

function waitOf({ context, source }: Failure, isRateLimit: boolean): number | undefined {
  return readRetryAfter({
    headers: context.headers ?? (() => undefined),
    text: source,
    nowWallMs: context.nowWallMs ?? Date.now(),
    isRateLimit,
  });
}

/** The kind of failure that an answer means, as docs/failover.md lists them; statuses first, then what the body adds. */
function kindOf(failure: Failure): ErrorKind {
  const { status, found, text, context } = failure;
  if (status === 401) return 'auth_rejected';
  if (status === 402) return 'quota_exhausted';
  if (status === 429) return isQuota(failure) ? 'quota_exhausted' : 'rate_limited';
  if (found?.kind) return found.kind;
  if (status === 403) return isQuotaText(text) ? 'quota_exhausted' : 'forbidden';
  // A proxy before the upstream wants credentials: ours to fix, as with a 403.
  if (status === 407) return 'forbidden';
  if (status === 404) return namesModel(failure) ? 'model_not_found' : 'path_not_found';
  // 304 sends nobody anywhere.
  if (status >= 300 && status < 400 && status !== 304) return 'redirect';
  if (isOverflowText(text) && status >= 400) return 'context_overflow';
  if ((status === 400 || status === 422) && isFilterText(text)) return 'content_filtered';
  if ((context.isRetryable ?? isUsuallyRetried)(status)) return 'retryable_status';
  // 499 is a proxy's word for "my client left"; the client of that proxy is us.
  if (status >= 400 && status < 500 && status !== 499) return clientFaultOrModel(failure);
  return 'invalid_response';
}

/** Google says "You exceeded your current quota" of a minute's quota too; what ends by waiting is a rate limit. */
function isQuota(failure: Failure): boolean {
  if (failure.found?.kind === 'quota_exhausted') return true;
  return isQuotaText(failure.text) && waitOf(failure, true) === undefined;
}

function isUsuallyRetried(status: number): boolean {
  return [408, 425, 500, 502, 503, 504].includes(status) || (status >= 520 && status <= 529);
}

/** A 400 whose words say that the model is unknown, and which names it, is the 404 of other upstreams. */
function clientFaultOrModel(failure: Failure): ErrorKind {
  const isAboutModel = failure.status === 400 && repeatsModel(failure) && isModelText(failure.text);
  return isAboutModel ? 'model_not_found' : 'client_fault';
}

/**
 * Whether a 404 is about the model and not the path (Q141). Web servers repeat the path, in which the model may
 * stand (Azure), so that only an error object or a sentence about a model counts.
 */
function namesModel(failure: Failure): boolean {
  const { found, text } = failure;
  if (isHtml(text) || PATH_UNKNOWN.test(text)) return false;
  return isModelText(text) || (found !== null && repeatsModel(failure));
}

const PATH_UNKNOWN =
  /cannot (?:post|get)|(?:invalid|unknown)(?: request)? url|no (?:route|handler|endpoint|static resource) |(?:route|path|url|page) (?:was )?not found/i;

function repeatsModel({ text, context }: Failure): boolean {
  const names = [context.model, context.upstreamModel].filter((name) => name !== undefined && name !== null);
  return names.some((name) => name.length > 1 && text.includes(name));
}

/** What differs from the row of the table. */
function factsOf(kind: ErrorKind, failure: Failure, found: BodyError | null): Partial<FerryErrorFacts> {
  const { status } = failure;
  if (kind === 'retryable_status') return { status: statusForClient(status) };
  if (kind === 'generation_failed' && status === 424)
    return { status: 424, code: found?.type ?? 'generation' };
  if (kind !== 'client_fault') return {};
  return {
    status,
    type: found?.type ?? (status === 404 ? 'not_found_error' : 'invalid_request_error'),
    code: codeOf(found, failure),
    param: found?.param ?? null,
  };
}

/**
 * A code that only repeats the status says nothing (vLLM's `"code":400`). Dify tries again with a larger limit
 * when it finds `integer_below_min_value` (S99).
 */
function codeOf(found: BodyError | null, { status, text }: Failure): string | null {
  const code = found?.code ?? null;
  if (code !== null && code !== String(status)) return code;
  return isBelowMinimum(text) ? 'integer_below_min_value' : null;
}

function statusForClient(status: number): number {
  if (status === 408 || status === 504 || status === 524) return 504;
  return status === 503 || status === 529 ? 503 : 502;
}

/** What the upstream said about the request, fit for the client; '' when it said nothing. */
function ownWords({ found, text, context }: Failure): string {
  return found !== null && found.message !== ''
    ? cleanMessage(found.message, context.scrub)
    : excerptOf(text, context.scrub);
}

/** For log and record: what the upstream said, its code, and its id of the call. */
function detailOf({ found, upstreamStatus }: Failure, excerpt: string): string {
  const parts = [`status ${upstreamStatus}`];
  if (found?.code) parts.push(`code ${found.code}`);
  if (found?.requestId) parts.push(`request id ${found.requestId}`);
  if (excerpt !== '') parts.push(excerpt);
  return parts.join(', ');
}
