import { type ErrorKind, FerryError, type FerryErrorFacts } from '../errors.ts';
import { type BodyError, readErrorBody } from './error-shapes.ts';
import {
  isBelowMinimum,
  isFilterText,
  isModelText,
  isOverflowText,
  isQuotaText,
  isSchemaUnsupported,
  meaningOfText,
} from './error-wording.ts';
import { cleanMessage, excerptOf, isHtml } from './outside-text.ts';
import { readRetryAfter } from './retry-after.ts';

export { type BodyError, findErrorInBody } from './error-shapes.ts';

/** What an error text is read against: the request it answers, and the rules of the installation. */
export interface ErrorContext {
  /** The model as the client named it; null when the request has none. */
  readonly model: string | null;
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

export interface UpstreamAnswer extends ErrorContext {
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
}

/** Any answer that is not a success (4xx, 5xx, 3xx and stranger ones), as the one error of the product. */
export function readUpstreamError(answer: UpstreamAnswer): FerryError {
  const found = parseError(answer.body);
  const text = (found?.message || (found === null ? answer.body : '')).slice(0, SEARCHED);
  const { status } = answer;
  const failure: Failure = { context: answer, status, upstreamStatus: status, found, text };
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
  return toFerryError({ context, status: meaning.status, upstreamStatus: 200, found: known, text });
}

/** A 200 answer that is empty, HTML or not JSON: `upstream_invalid_response` with a short excerpt. */
export function invalidBodyError(body: string, context: ErrorContext): FerryError {
  const excerpt = excerptOf(body, context.scrub);
  const what =
    body.trim() === '' ? 'an empty body' : isHtml(body) ? 'an HTML page' : 'something else than JSON';
  return new FerryError('invalid_response', {
    message: `The upstream answered with ${what}${excerpt === '' ? '.' : `: ${excerpt}`}`,
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
  const isRateLimit = kind === 'rate_limited' || kind === 'quota_exhausted';
  const excerpt = excerptOf(failure.text, context.scrub);
  return new FerryError(kind, {
    message: messageOf(kind, failure, excerpt),
    upstreamStatus,
    detail: detailOf(failure, excerpt),
    retryAfterMs: readRetryAfter({
      headers: context.headers ?? (() => undefined),
      text: failure.text,
      nowWallMs: context.nowWallMs ?? Date.now(),
      isRateLimit,
    }),
    ...factsOf(kind, failure, found),
  });
}

/** The row of product.md section 6 that the failure belongs to; statuses first, then what the body adds. */
function kindOf(failure: Failure): ErrorKind {
  const { status, found, text, context } = failure;
  if (status === 401) return 'auth_rejected';
  if (status === 402) return 'quota_exhausted';
  if (status === 429)
    return found?.kind === 'quota_exhausted' || isQuotaText(text) ? 'quota_exhausted' : 'rate_limited';
  if (found?.kind) return found.kind;
  if (status === 403) return isQuotaText(text) ? 'quota_exhausted' : 'forbidden';
  // A proxy before the upstream wants credentials: ours to fix, as with a 403.
  if (status === 407) return 'forbidden';
  if (status === 404) return namesModel(failure) ? 'model_not_found' : 'path_not_found';
  if (status >= 300 && status < 400) return 'redirect';
  if (isOverflowText(text) && status >= 400) return 'context_overflow';
  if ((status === 400 || status === 422) && isFilterText(text)) return 'content_filtered';
  if ((context.isRetryable ?? isUsuallyRetried)(status)) return 'retryable_status';
  // 499 is a proxy's word for "my client left"; the client of that proxy is us.
  if (status >= 400 && status < 500 && status !== 499) return clientFaultOrModel(failure);
  return 'invalid_response';
}

function isUsuallyRetried(status: number): boolean {
  return [408, 425, 500, 502, 503, 504].includes(status) || (status >= 520 && status <= 529);
}

/** A 400 whose words say that the model is unknown, and which names it, is the 404 of other upstreams. */
function clientFaultOrModel({ status, text, context }: Failure): ErrorKind {
  const names = context.model !== null && context.model !== '' && text.includes(context.model);
  return status === 400 && names && isModelText(text) ? 'model_not_found' : 'client_fault';
}

/**
 * Whether a 404 is about the model and not the path (Q141). Web servers repeat the path, in which the model may
 * stand (Azure), so that only an error object or a sentence about a model counts.
 */
function namesModel({ found, text, context }: Failure): boolean {
  if (isHtml(text) || /cannot (?:post|get)|invalid url|no (?:route|handler|endpoint) /i.test(text))
    return false;
  if (isModelText(text)) return true;
  return found !== null && context.model !== null && context.model.length > 1 && text.includes(context.model);
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
 * when it finds `integer_below_min_value` (clients.md 99).
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

/**
 * The text for the client. Errors of the client's own making speak the upstream's words; all others ours, with a
 * quote where it helps. Ours for 400 and 404 avoid the words by which RAGFlow sorts errors (clients.md 90).
 */
function messageOf(kind: ErrorKind, failure: Failure, excerpt: string): string {
  const { context, status, upstreamStatus } = failure;
  const quote = excerpt === '' ? '.' : `: ${excerpt}`;
  const answered = upstreamStatus === 200 ? 'reported an error' : `answered with status ${status}`;
  switch (kind) {
    case 'client_fault':
      return withSchemaWords(ownWords(failure)) || `The upstream refused the request with status ${status}.`;
    case 'content_filtered':
      return ownWords(failure) || `The upstream refused the request with status ${status}.`;
    case 'context_overflow':
      return withMagicWords(ownWords(failure));
    case 'model_not_found':
      return context.model === null
        ? 'The model does not exist or is not offered here.'
        : `The model '${context.model}' does not exist or is not offered here.`;
    case 'rate_limited':
      return `The upstream's rate limit is reached${quote}`;
    case 'quota_exhausted':
      return `The upstream's quota is used up${quote}`;
    case 'auth_rejected':
      return `The upstream refused the credentials that the gateway holds for it (${refusalOf(failure, 401)}). They are not the client's.`;
    case 'forbidden':
      return `The upstream does not permit this to the credentials that the gateway holds for it (${refusalOf(failure, 403)}).`;
    case 'path_not_found':
      return `The upstream does not know the path for ${context.path}; its configured endpoint is probably wrong (a missing or a doubled /v1).`;
    case 'redirect':
      return `The upstream answered with a redirect (${status}), which leads away from its own origin.`;
    default:
      return `The upstream ${answered}${quote}`;
  }
}

function refusalOf({ upstreamStatus }: Failure, usual: number): string {
  return `status ${upstreamStatus === 200 ? usual : upstreamStatus}`;
}

function ownWords({ found, text, context }: Failure): string {
  return found !== null && found.message !== ''
    ? cleanMessage(found.message, context.scrub)
    : excerptOf(text, context.scrub);
}

/** LangChain and LobeChat look for these words (clients.md 88). */
function withMagicWords(message: string): string {
  if (/maximum context length/i.test(message)) return message;
  return `The request is longer than the model's maximum context length${message === '' ? '.' : `: ${message}`}`;
}

/** LangChain falls back to another way of structured output when it reads these words (clients.md 91). */
function withSchemaWords(message: string): string {
  const words = "'response_format' of type 'json_schema' is not supported with this model";
  return isSchemaUnsupported(message) && !message.includes(words) ? `${words}: ${message}` : message;
}

/** For log and record: what the upstream said, its code, and its id of the call. */
function detailOf({ found, upstreamStatus }: Failure, excerpt: string): string {
  const parts = [`status ${upstreamStatus}`];
  if (found?.code) parts.push(`code ${found.code}`);
  if (found?.requestId) parts.push(`request id ${found.requestId}`);
  if (excerpt !== '') parts.push(excerpt);
  return parts.join(', ');
}
