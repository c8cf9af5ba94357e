import { endpointOf } from '../../endpoints.ts';
import { asFerryError, type ErrorKind, FerryError } from '../../lib/errors/ferry-error.ts';
import { cleanMessage, shorten } from '../../lib/text/sanitize.ts';
import { quoteIn404 } from '../../openai/errors/upstream-error.ts';
import type { VendorError } from '../../openai/errors/vendor-error.ts';
import type { BodyFields } from '../../openai/request/body-fields.ts';
import type { Attempt } from '../../routing/attempt.ts';
import {
  type AttemptPolicy,
  callOf,
  callUpstream,
  checkToken,
  errorIn,
  learnedFor,
  noteAdaptations,
} from '../../routing/attempt-call.ts';
import type { Matcher } from '../../routing/glob.ts';
import type { RefusableRequest } from '../../routing/refusal-lesson.ts';
import type { ClientIdentity, RoutedRequest } from '../../routing/routed-request.ts';
import { type Router, refuseLongModelName } from '../../routing/router.ts';
import type { RoutedUpstream } from '../../routing/upstream-state/routed-upstream.ts';
import { MAX_SEARCHED_BODY } from '../../tokens/placement/rejection.ts';
import type { UpstreamCall } from '../../upstream/client.ts';
import type { UpstreamResponse } from '../../upstream/response.ts';
import { Upload } from '../body/upload.ts';
import { ALLOWED_METHODS } from '../middleware/cross-origin.ts';
import type { RequestContext } from '../middleware/request-context.ts';
import { relayRaw } from '../response/raw.ts';
import { type PassedBody, type PassedBodyLimits, readPassedBody } from './passed-request.ts';
import { checkResponse, type ExpectedResponse, expectedResponse, refusePage } from './passed-response.ts';

export interface PassThroughSettings extends PassedBodyLimits {
  readonly router: Router;
  readonly policy: AttemptPolicy;
  /** Patterns of `METHOD /path` and `/path` that are refused. */
  readonly isDenied: Matcher;
}

/** A passed-through request: what all its attempts have in common. */
export interface PassedRequest extends PassedBody {
  readonly context: RequestContext;
  /** Null: the response is forwarded as it comes. */
  readonly expected: ExpectedResponse | null;
  readonly policy: AttemptPolicy;
}

/** Serves any other `/v1/*` path: bodies and responses are streamed, and only generations and media are checked. */
export async function passThrough(
  context: RequestContext,
  client: ClientIdentity,
  settings: PassThroughSettings,
): Promise<void> {
  refuseTrace(context);
  refuseDenied(context, settings);
  await servePassed(context, client, settings, await readPassedBody(context, settings));
}

/** The same for a body that was read already. */
export async function servePassed(
  context: RequestContext,
  client: ClientIdentity,
  { router, policy }: Pick<PassThroughSettings, 'router' | 'policy'>,
  passed: PassedBody,
): Promise<void> {
  const { method, path, outcome } = context;
  const { body, fields } = passed;
  try {
    const named = fields.get('model') || null;
    outcome.model = named ?? path;
    outcome.isStream = asksForEvents(context, fields);
    if (named !== null) refuseLongModelName(named);
    const routed = context.routed(outcome.model, client);
    const failover = router.begin(routed, candidatesFor(context, routed, router));
    const request = { context, ...passed, expected: expectedResponse(method, path, passed), policy };
    for (;;) {
      const attempt = await failover.next();
      try {
        await passAttempt(request, attempt);
        break;
      } catch (error) {
        const failure = asFerryError(error);
        await failover.failed(attempt, error, refusablePart(request), isReplayable(request, failure));
      }
    }
    outcome.isKnownModel = router.served(routed);
  } catch (error) {
    throw unknownToAll(error, context);
  } finally {
    if (body instanceof Upload) body.drop();
  }
}

/**
 * One attempt: call, check what can be checked, commit, forward. Throws what the attempt failed with; nothing was sent to
 * the client before the commit.
 */
export async function passAttempt(request: PassedRequest, attempt: Attempt): Promise<void> {
  const { context, expected, policy } = request;
  const response = await callForPassed(request, attempt);
  if (expected === null) {
    await refusePage(attempt, response, policy);
    attempt.limitIdleTime(response.body);
    const head = await response.body.peek(searchedBytes(attempt, response));
    if (head !== null) checkToken(attempt, response, head);
    attempt.commit(null);
    await relayRaw(context, attempt, response, null, policy);
    return;
  }
  const checked = await checkResponse(attempt, response, expected, policy);
  attempt.commit(response);
  if (checked.isWhole) attempt.finish(null);
  else attempt.limitIdleTime(response.body);
  await relayRaw(context, attempt, response, checked, policy);
}

/** How much of a response is waited for before it is forwarded: the first piece, or what `reject` searches in texts. */
function searchedBytes({ upstream }: Attempt, { headers }: UpstreamResponse): number {
  if (!upstream.client.hasBodyMatchers) return 1;
  const isText = /^(?:application\/(?:[\w.-]+\+)?json|text\/(?:html|plain))\b/i.test(
    headers.get('content-type') ?? '',
  );
  return isText ? MAX_SEARCHED_BODY : 1;
}

/** A 404 is thrown as an unknown path or a missing object. */
async function callForPassed(request: PassedRequest, attempt: Attempt): Promise<UpstreamResponse> {
  const { policy } = request;
  const call = passedCall(request, attempt);
  try {
    return await callUpstream(attempt, call, policy);
  } catch (error) {
    throw await pathError(error, attempt, policy);
  }
}

/** The client's bytes, with the upstream's own name of the model in them where an alias gives it another one. */
function passedCall(
  { context, body, fields, isJson, expected }: PassedRequest,
  attempt: Attempt,
): UpstreamCall {
  const isStream = expected?.kind === 'generation' && expected.isStream;
  const timeLimit = isStream && !attempt.isLast ? 'streamTimeoutMs' : 'timeoutMs';
  const { method } = context;
  if (attempt.trace !== null) attempt.trace.request = fields.json;
  const alias = attempt.model === attempt.request.model ? null : attempt.model;
  if (body instanceof Upload) {
    const { stream, lengthBytes } = body.open(alias);
    return callOf(attempt, { method, body: stream, streamBytes: lengthBytes, isJson, timeLimit });
  }
  const bytes = body === null ? null : jsonFor(attempt, fields, alias, body);
  return callOf(attempt, { method, body: bytes, isJson, timeLimit });
}

/** The body without what the profile and the upstream's refusals leave out of it, on every path. */
function jsonFor(attempt: Attempt, fields: BodyFields, alias: string | null, body: Buffer): Buffer {
  const { upstream, request } = attempt;
  const { learnedDrops, profile } = upstream;
  if (fields.json !== null) attempt.learnedKey = `${request.path} ${attempt.model}`;
  const isPlain = profile.dropParams.length === 0 && learnedDrops.isEmpty;
  if (fields.json === null || isPlain) return alias === null ? body : fields.withModel(alias);
  attempt.learnedDrops = learnedFor(attempt);
  attempt.isStreamSent = fields.json.stream === true;
  const { dropParams } = profile;
  const adapted = fields.adapted({ model: alias, dropParams, learnedDrops: attempt.learnedDrops });
  attempt.dropped = adapted.dropped;
  if (adapted.dropped.length + adapted.renamed.length > 0) noteAdaptations(attempt, adapted);
  return adapted.body;
}

/** What an upstream may refuse of a passed-through request and it can do without; null: nothing. */
export function refusablePart({ context, body, fields }: PassedRequest): RefusableRequest | null {
  const { json } = fields;
  if (json === null || !Buffer.isBuffer(body) || !endpointOf(context.path).isGeneration) return null;
  return { kind: 'passed', json, stream: json.stream === true };
}

/** Failures that happened before the upstream can have acted on the request. */
const NOTHING_DONE: ReadonlySet<ErrorKind> = new Set([
  'token_unavailable',
  'unreachable',
  'auth_rejected',
  'rate_limited',
  'model_not_found',
  'path_not_found',
]);

/** False: the body is spent, or the request may have had effects that a second one would repeat. */
function isReplayable({ context, body }: PassedRequest, { kind }: FerryError): boolean {
  if (body instanceof Upload && body.isSpent) return false;
  return endpointOf(context.path).isGeneration || NOTHING_DONE.has(kind);
}

/** `stream` in a body or a query (a Response that is read once more), `stream_format` of speech, or the header for it. */
function asksForEvents({ query, headers }: RequestContext, fields: BodyFields): boolean {
  if (/^true$/i.test(fields.get('stream') ?? '') || fields.get('stream_format') === 'sse') return true;
  return /[?&]stream=true(?:&|$)/i.test(`?${query}`) || /\btext\/event-stream\b/i.test(headers.accept ?? '');
}

function candidatesFor(
  context: RequestContext,
  routed: RoutedRequest,
  router: Router,
): readonly RoutedUpstream[] {
  try {
    // An object that was stored at one upstream must be found there again, with any policy.
    return endpointOf(routed.path).isStateful
      ? router.candidates(routed, 'order').slice(0, 1)
      : router.candidates(routed);
  } catch (error) {
    const isUnnamed = routed.model === routed.path;
    throw isUnnamed && error instanceof FerryError && error.kind === 'model_not_found'
      ? notOffered(context)
      : error;
  }
}

/** TRACE repeats the request's headers, and among them the upstream's token. */
function refuseTrace({ method, path, response }: RequestContext): void {
  if (method !== 'TRACE') return;
  response.setHeader('allow', ALLOWED_METHODS);
  throw new FerryError('method_not_allowed', { message: `TRACE is not possible on ${path}.` });
}

/** Throws `not_permitted` for what `pass_through.deny` names. */
export function refuseDenied(
  { method, path }: RequestContext,
  { isDenied }: Pick<PassThroughSettings, 'isDenied'>,
): void {
  if (!isDenied(path) && !isDenied(`${method} ${path}`)) return;
  throw new FerryError('not_permitted', { message: `${method} ${path} is refused by pass_through.deny.` });
}

/** Texts of servers for an unknown path; a bare "not found" only where the path names no object. */
const SAYS_PATH =
  /invalid url|unknown (?:request )?url|no (?:such )?(?:path|route|url|endpoint|handler)|(?:path|route|url|endpoint)\b.{0,80}\b(?:not|n't) (?:found|exist|support)|cannot (?:get|post|put|patch|delete)\b/i;
const SAYS_NOTHING = /^(?:404:? ?)?(?:page )?not found\.?$/i;
const PATH_CODES: ReadonlySet<string> = new Set(['unknown_path', 'unknown_url', 'unsupported_endpoint']);
/** `/v1/moderations`, `/v1/audio/speech`: paths without the id of a thing. */
const WITHOUT_ID = /^\/v1\/(?:[a-z_]+|audio\/[a-z]+|images\/[a-z]+)$/;

/**
 * A 404 with an error object is about the requested object (a file, a batch), unless its text is
 * about the path: then the API is there and does not have it (S127). One without, as web servers and routers
 * send it, means that the API itself is at another path.
 */
async function pathError(
  failure: unknown,
  { response, request: { path } }: Attempt,
  { scrub }: AttemptPolicy,
): Promise<unknown> {
  const isOpen =
    failure instanceof FerryError &&
    failure.kind === 'path_not_found' &&
    (response?.status === 404 || response?.status === 405);
  const found = isOpen ? errorIn(await response.text()) : null;
  if (found === null) return failure;
  const facts = {
    message: cleanMessage(found.message, scrub),
    status: 404,
    upstreamStatus: 404,
    type: found.type ?? 'not_found_error',
    cause: failure,
  };
  if (isAboutPath(found, path))
    return new FerryError('path_not_found', { ...facts, code: 'unsupported_endpoint' });
  return new FerryError('client_fault', { ...facts, code: found.code ?? null, param: found.param ?? null });
}

function isAboutPath({ message, code }: VendorError, path: string): boolean {
  if (SAYS_PATH.test(message) || (code !== null && PATH_CODES.has(code))) return true;
  return SAYS_NOTHING.test(message.trim()) && WITHOUT_ID.test(path);
}

/**
 * No upstream allows a path that is requested without a model: `unsupported_endpoint` (S127) with the line to
 * configure, and the status 404. The message does not mention a model, as the request has none.
 */
function notOffered({ path, typedPath }: RequestContext): FerryError {
  return new FerryError('unsupported_endpoint', {
    status: 404,
    message: `${typedPath} is not supported here: no upstream allows it. To support it, configure an upstream that has it with allow: ${patternsOf(path)}.`,
  });
}

/**
 * For `path_not_found` of every upstream that was tried: `unsupported_endpoint` as well when
 * their APIs responded so, since then the path does not exist; else `upstream_not_found`, since a web server's
 * page means that the endpoint itself may be wrong. Any other error unchanged. `isTold` selects the names in the message.
 */
export function unknownToAll(
  error: unknown,
  { path, typedPath, outcome: { log } }: RequestContext,
  isTold: (upstream: string) => boolean = () => true,
): unknown {
  if (!(error instanceof FerryError) || error.kind !== 'path_not_found') return error;
  const asked = log.attempts
    .filter(({ outcome, upstream }) => outcome === 'path_not_found' && isTold(upstream))
    .map(({ upstream }) => `"${upstream}"`);
  const names = [...new Set(asked)].join(', ');
  const isSaidByApi = error.code === 'unsupported_endpoint';
  const otherwise = isSaidByApi ? '' : ', or check the path of their endpoints (a missing or a doubled /v1)';
  return new FerryError(isSaidByApi ? 'unsupported_endpoint' : 'path_not_found', {
    message: `No upstream that was tried has ${typedPath} (tried: ${names}). Configure one that has it with allow: ${patternsOf(path)}, and those that do not with deny: ${patternsOf(path)}${otherwise}.${isSaidByApi ? quoteIn404(error.message) : ''}`,
    status: error.status,
    code: error.code,
    upstreamStatus: error.upstreamStatus,
    detail: error.detail ?? error.message,
    cause: error,
  });
}

/** As it is written in the configuration. What is kept under a name goes with it: files by their ids, and the like. */
function patternsOf(path: string): string {
  const row = endpointOf(path);
  const name = row.path.replace(/\/\*\*$/, '');
  const patterns = row.isStateful ? [name, `${name}/**`] : [shorten(path)];
  return JSON.stringify(patterns).replaceAll('","', '", "');
}
