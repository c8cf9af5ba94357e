import { endpointOf } from '../../endpoints.ts';
import { type ErrorKind, FerryError, type FerryErrorFacts } from '../../lib/errors/ferry-error.ts';
import { retryAfterMs } from '../../lib/net/retry-after.ts';
import { cleanMessage, excerptOf, isHtml } from '../../lib/text/sanitize.ts';
import { meaningOfText, textSays } from './error-meanings.ts';
import { findVendorError, parseVendorError, type VendorError } from './vendor-error.ts';

/** The request that an error belongs to, and the settings for errors. */
export interface ErrorContext {
  /** The model as the client named it; null when the request has none. */
  readonly model: string | null;
  /** The model's name at the upstream, where an alias differs. */
  readonly upstreamModel?: string;
  /** The normalised path of the request (`/v1/chat/completions`). */
  readonly path: string;
  /** Replaces living secrets in text that came from outside. */
  readonly scrub: (text: string) => string;
  /** `response_format.type` of the request; undefined when it has none or is not known. */
  readonly responseFormat?: string | undefined;
  /** Whether `retry.statuses` names this status. Default: 408, 425, 500, 502-504, 520-529. */
  readonly isRetryable?: (status: number) => boolean;
  /** Header of the upstream's response by lower-case name. */
  readonly headers?: (name: string) => string | undefined;
  /** Wall clock in milliseconds, for `retry-after` as a date. Default: Date.now(). */
  readonly nowWallMs?: number;
}

interface ErrorResponse extends ErrorContext {
  readonly status: number;
  readonly headers: (name: string) => string | undefined;
  /** The body as text, possibly cut; '' when there was none. */
  readonly body: string;
}

/** How much of an error's text is searched for what it means, in UTF-16 units. */
const MAX_SEARCHED = 16_000;

/** The facts of a failure before it has a kind. */
interface Failure {
  readonly context: ErrorContext;
  /** The status of the response, or the one that a 200's error implies. */
  readonly status: number;
  /** The status on the wire. */
  readonly upstreamStatus: number;
  readonly found: VendorError | null;
  /** The upstream's words, uncleaned: the message when one was found, else the body. */
  readonly text: string;
  /** All of the body's text, in which a wait may be hidden (Google's `retryDelay`). */
  readonly source: string;
}

/** Any response that is not a success (4xx, 5xx, 3xx and invalid statuses) as FerryError. */
export function fromErrorResponse(response: ErrorResponse): FerryError {
  const found = parseError(response.body);
  const text = (found?.message || (found === null ? response.body : '')).slice(0, MAX_SEARCHED);
  const { status } = response;
  const source = response.body.slice(0, MAX_SEARCHED);
  return toFerryError({ context: response, status, upstreamStatus: status, found, text, source });
}

/** The error of a 200 response or a stream event (see `findVendorError`) as FerryError. */
export function fromVendorError(found: VendorError, context: ErrorContext): FerryError {
  const text = found.message.slice(0, MAX_SEARCHED);
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

/** Throws the error that the JSON of a 200 carries, if it carries one (see `findVendorError`). */
export function throwVendorError(json: unknown, context: ErrorContext): void {
  const found = findVendorError(json);
  if (found !== null) throw fromVendorError(found, context);
}

/** A 200 response that is empty, HTML or not JSON: `upstream_invalid_response` with a short excerpt. */
export function invalidBodyError(body: string, context: ErrorContext): FerryError {
  const excerpt = excerptOf(body, context.scrub);
  const what = body.trim() === '' ? 'an empty body' : isHtml(body) ? PAGE : 'a body that is not JSON';
  return new FerryError('invalid_response', {
    message: `The upstream returned ${what}${excerpt === '' ? '.' : `: ${excerpt}`}`,
    upstreamStatus: 200,
    detail: excerpt,
  });
}

const PAGE = 'an HTML page';

/** Whether `error` says that the upstream returned an HTML page with a status of success. */
export function isPageError({ kind, message }: FerryError): boolean {
  return kind === 'invalid_response' && message.includes(`returned ${PAGE}`);
}

function parseError(body: string): VendorError | null {
  const start = body.trimStart();
  if (!start.startsWith('{') && !start.startsWith('[')) return parseEvent(start);
  try {
    return parseVendorError(JSON.parse(start));
  } catch {
    return null;
  }
}

/** DashScope responds to a stream request with an event even when the status is an error (Q136). */
function parseEvent(start: string): VendorError | null {
  const data = /^data: ?(\{.*\})[ \r]*$/m.exec(start.slice(0, MAX_SEARCHED))?.[1];
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
  return retryAfterMs({
    headers: context.headers ?? (() => undefined),
    text: source,
    nowWallMs: context.nowWallMs ?? Date.now(),
    isRateLimit,
  });
}

/** The kind of failure, as docs/failover.md lists them: by status first, then by body. */
function kindOf(failure: Failure): ErrorKind {
  const { status, found, text, context } = failure;
  if (status === 401) return 'auth_rejected';
  if (status === 402) return 'quota_exhausted';
  if (status === 429) return isQuota(failure) ? 'quota_exhausted' : 'rate_limited';
  if (deniesEndpoint(failure)) return 'path_not_found';
  if (found?.kind) return found.kind;
  if (status === 403) return textSays(text, 'quota') ? 'quota_exhausted' : 'forbidden';
  // A proxy before the upstream requires credentials: a fault of our configuration, as a 403 is.
  if (status === 407) return 'forbidden';
  if (status === 404) return namesModel(failure) ? 'model_not_found' : 'path_not_found';
  // The method is ours: what refuses it does not have the endpoint.
  if (status === 405 && endpointOf(context.path).route !== 'pass_through') return 'path_not_found';
  // 304 is no redirect.
  if (status >= 300 && status < 400 && status !== 304) return 'redirect';
  if (textSays(text, 'overflow') && status >= 400) return 'context_overflow';
  if ((status === 400 || status === 422) && textSays(text, 'filter')) return 'content_filtered';
  // llama.cpp (2026) has a 500 for messages that the model's template refuses.
  if (status === 500 && TEMPLATE_FAULT.test(text)) return 'client_fault';
  if ((context.isRetryable ?? isUsuallyRetried)(status)) return 'retryable_status';
  // 499 is a proxy's word for "my client left"; the client of that proxy is us.
  if (status >= 400 && status < 500 && status !== 499) return clientFaultOrModel(failure);
  return 'invalid_response';
}

/** How an unknown path is answered with another status than 404, 405 or 501. */
const UNKNOWN_ENDPOINTS = [
  {
    vendor: 'LM Studio 0.3.14',
    status: 200,
    says: /^unexpected endpoint or method\b/i,
    source: 'lmstudio-bug-tracker#618: {"error":"Unexpected endpoint or method. (POST /chat/completions)"}',
  },
  {
    vendor: 'Amazon API Gateway (2016 to 2026)',
    status: 403,
    says: /^missing authentication token\.?$/i,
    source:
      'chalice#12, re:Post "403 missing authentication token": {"message":"Missing Authentication Token"}',
  },
];

function deniesEndpoint({ upstreamStatus, text }: Failure): boolean {
  if (upstreamStatus !== 200 && upstreamStatus !== 403) return false;
  return UNKNOWN_ENDPOINTS.some(({ status, says }) => status === upstreamStatus && says.test(text.trim()));
}

/** A chat template that raises an exception for the messages of the request. */
const TEMPLATE_FAULT = /jinja|chat.?template|raise_exception/i;

/** Google sends "You exceeded your current quota" for a minute's quota too; one that ends by waiting is a rate limit. */
function isQuota(failure: Failure): boolean {
  if (failure.found?.kind === 'quota_exhausted') return true;
  return textSays(failure.text, 'quota') && waitOf(failure, true) === undefined;
}

function isUsuallyRetried(status: number): boolean {
  return [408, 425, 500, 502, 503, 504].includes(status) || (status >= 520 && status <= 529);
}

/** A 400 whose text names the model as unknown is the 404 of other upstreams. */
function clientFaultOrModel(failure: Failure): ErrorKind {
  const isAboutModel = failure.status === 400 && repeatsModel(failure) && textSays(failure.text, 'model');
  return isAboutModel ? 'model_not_found' : 'client_fault';
}

/**
 * Whether a 404 is about the model and not the path (Q141). Web servers repeat the path, in which the model may
 * stand (Azure), so that only an error object or a sentence about a model counts.
 */
function namesModel(failure: Failure): boolean {
  const { found, text } = failure;
  if (isHtml(text) || PATH_UNKNOWN.test(text)) return false;
  return textSays(text, 'model') || (found !== null && repeatsModel(failure));
}

const PATH_UNKNOWN =
  /cannot (?:post|get)|(?:invalid|unknown)(?: request)? url|no (?:route|handler|endpoint|static resource) |(?:route|path|url|page) (?:was )?not found/i;

function repeatsModel({ text, context }: Failure): boolean {
  const names = [context.model, context.upstreamModel].filter((name) => name !== undefined && name !== null);
  return names.some((name) => name.length > 1 && text.includes(name));
}

/** What differs from the row of the table. */
function factsOf(kind: ErrorKind, failure: Failure, found: VendorError | null): Partial<FerryErrorFacts> {
  const { status } = failure;
  if (kind === 'retryable_status') return { status: statusForClient(status) };
  if (kind === 'generation_failed' && status === 424)
    return { status: 424, code: found?.type ?? 'generation' };
  if (kind !== 'client_fault') return {};
  return {
    status: status >= 500 ? 400 : status,
    type:
      (status < 500 ? found?.type : null) ?? (status === 404 ? 'not_found_error' : 'invalid_request_error'),
    code: codeOf(found, failure),
    param: found?.param ?? null,
  };
}

/**
 * A code that only repeats the status is ignored (vLLM's `"code":400`). Dify tries again with a larger limit
 * when it finds `integer_below_min_value` (S99).
 */
function codeOf(found: VendorError | null, { status, text }: Failure): string | null {
  const code = found?.code ?? null;
  if (code !== null && code !== String(status)) return code;
  return isBelowMinimum(text) ? 'integer_below_min_value' : null;
}

function statusForClient(status: number): number {
  if (status === 408 || status === 504 || status === 524) return 504;
  return status === 503 || status === 529 ? 503 : 502;
}

/** The upstream's own message, cleaned for the client; '' when there is none. */
function ownWords({ found, text, context }: Failure): string {
  return found !== null && found.message !== ''
    ? cleanMessage(found.message, context.scrub)
    : excerptOf(text, context.scrub);
}

/** For log and record: status, code, the upstream's request id and an excerpt. */
function detailOf({ found, upstreamStatus }: Failure, excerpt: string): string {
  const parts = [`status ${upstreamStatus}`];
  if (found?.code) parts.push(`code ${found.code}`);
  if (found?.requestId) parts.push(`request id ${found.requestId}`);
  if (excerpt !== '') parts.push(excerpt);
  return parts.join(', ');
}

interface SentenceFacts {
  readonly model: string | null;
  readonly path: string;
  readonly responseFormat?: string | undefined;
  /** The status of the response, or the one that a 200's error implies. */
  readonly status: number;
  /** The status on the wire. */
  readonly upstreamStatus: number;
  /** The upstream's own message, cleaned; '' when there is none. */
  readonly words: string;
  /** The same as a short quote without any host. */
  readonly excerpt: string;
}

/**
 * The message for the client: the upstream's own for errors of the client's request, ours for all others, with an
 * excerpt where it helps. Ours for 400 and 404 avoid the words by which RAGFlow sorts errors (S90).
 */
function sentenceFor(kind: ErrorKind, facts: SentenceFacts): string {
  const { model, status, words } = facts;
  const quote = facts.excerpt === '' ? '.' : `: ${facts.excerpt}`;
  switch (kind) {
    case 'client_fault':
    case 'content_filtered':
      return (
        withSchemaWords(words, facts.responseFormat) ||
        `The upstream rejected the request with status ${status}.`
      );
    case 'context_overflow':
      return withOverflowWords(words);
    case 'model_not_found':
      return `The model${model === null ? '' : ` '${model}'`} does not exist or is not available.${quoteIn404(facts.excerpt)}`;
    case 'rate_limited':
      return `The upstream's rate limit is exceeded (429).${quoteWithout(MISREAD_IN_RATE_LIMIT, facts.excerpt)}`;
    case 'quota_exhausted':
      return `The upstream's quota is exhausted (429).${quoteWithout(null, facts.excerpt)}`;
    case 'auth_rejected':
      return rejectedCredentialsMessage(statusOr(401, facts));
    case 'forbidden':
      return `Upstream permission denied: the upstream does not allow this with the gateway's credentials (status ${statusOr(403, facts)}). Check their permissions.${quoteWithout(null, facts.excerpt)}`;
    case 'path_not_found':
      return `Upstream path not found for ${facts.path}: ${PATH_HINTS[facts.path] ?? `the configured endpoint is probably wrong. ${CHECK_ENDPOINT}`}${quoteIn404(facts.excerpt)}`;
    case 'redirect':
      return `The upstream returned a redirect (status ${status}) to another origin, which is not followed. Check its configured endpoint.`;
    default:
      return facts.upstreamStatus === 200
        ? `The upstream reported an error${quote}`
        : `The upstream returned status ${status}${quote}`;
  }
}

const CHECK_ENDPOINT = 'Check it for a missing or a doubled /v1.';

/** What to do where an upstream lacks an endpoint that not every upstream has. */
const PATH_HINTS: Readonly<Record<string, string>> = {
  '/v1/completions': `the upstream does not have it, or the configured endpoint is wrong. If it has chat completions, set profile: { completions: via_chat } for it. ${CHECK_ENDPOINT}`,
  '/v1/embeddings': `the upstream does not have it, or the configured endpoint is wrong. If it does not, deny it: ["/v1/embeddings"] and configure one that has it. ${CHECK_ENDPOINT}`,
};

/** RAGFlow sorts errors by the first of its words that it finds, and retries some for minutes (S90). */
const MISREAD_IN_404 =
  /server|timeout|timed out|unavailable|capacity|quota|credit|billing|balance|rate.?limit|too many|\bkeys?\b|auth|forbidden|permission|\b(?:401|403|429|5\d\d)\b/i;
/** It gives up at a quota, and waits at a rate limit. */
const MISREAD_IN_RATE_LIMIT = /quota|capacity|credit|billing|balance/i;

/** The upstream's own words behind ours, without the sentences that are `misread`; '' when nothing is left. */
function quoteWithout(misread: RegExp | null, excerpt: string): string {
  const sentences = excerpt.split(/(?<=[.!?;])\s+|(?<=[。；])/);
  const kept = misread === null ? sentences : sentences.filter((sentence) => !misread.test(sentence));
  const words = kept.join(' ').trim();
  return /\p{L}/u.test(words) ? ` Upstream: ${words}` : '';
}

/** An excerpt of the upstream's text, after our message of a 404; '' when nothing of it is left. */
export function quoteIn404(excerpt: string): string {
  return quoteWithout(MISREAD_IN_404, excerpt);
}

/** The message of `auth_rejected`: rejected are the gateway's own credentials, not the client's. */
export function rejectedCredentialsMessage(status: number | undefined): string {
  return `Upstream authentication failed: the upstream rejected the gateway's credentials (status ${status}). The client's are not involved.`;
}

/** RAGFlow recognises an authentication error by its number, which an error inside a 200 lacks. */
function statusOr(usual: number, { upstreamStatus }: SentenceFacts): number {
  return upstreamStatus === 200 ? usual : upstreamStatus;
}

/** LangChain and LobeChat look for these words (S88). */
function withOverflowWords(message: string): string {
  if (/maximum context length/i.test(message)) return message;
  return `The request is longer than the model's maximum context length${message === '' ? '.' : `: ${message}`}`;
}

/** LangChain falls back to another way of structured output when it reads these words (S91). */
function withSchemaWords(message: string, responseFormat: string | undefined): string {
  const words = "'response_format' of type 'json_schema' is not supported with this model";
  const isOtherType =
    responseFormat === undefined
      ? message.includes('json_object') && !message.includes('json_schema')
      : responseFormat !== 'json_schema';
  return !isOtherType && isSchemaUnsupported(message) && !message.includes(words)
    ? `${words}: ${message}`
    : message;
}

const SCHEMA_UNSUPPORTED =
  /(?:response_format|json_schema|structured outputs?)[^.]{0,80}(?:not (?:yet )?(?:supported|available|implemented|permitted|allowed)|unsupported|unavailable|(?:does|do)(?: not|n't) support)|(?:unsupported|(?:does|do)(?: not|n't) support)[^.]{0,60}(?:response_format|json_schema|structured outputs?)/i;

/** True: the upstream cannot do `response_format: json_schema`; a broken schema is another matter. */
function isSchemaUnsupported(text: string): boolean {
  return SCHEMA_UNSUPPORTED.test(text) && !/invalid schema/i.test(text);
}

/** True: `max_tokens` is below what the upstream accepts. */
function isBelowMinimum(text: string): boolean {
  return /max_(?:completion_|output_|new_)?tokens\b[^.]{0,60}(?:at least|greater than|no less than|>=|below (?:the )?minimum|minimum value)/i.test(
    text,
  );
}
