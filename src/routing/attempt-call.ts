import { asFerryError, FerryError } from '../lib/errors/ferry-error.ts';
import { isJsonObject, parseJson } from '../lib/json/json-object.ts';
import { charsetOf, decodeText } from '../lib/text/decode-text.ts';
import { cleanMessage, excerptOf } from '../lib/text/sanitize.ts';
import type { TokenText } from '../openai/embeddings/token-ids.ts';
import {
  type ErrorContext,
  fromErrorResponse,
  rejectedCredentialsMessage,
} from '../openai/errors/upstream-error.ts';
import { parseVendorError, type VendorError } from '../openai/errors/vendor-error.ts';
import type { ParsedRequest } from '../openai/request/parsed-request.ts';
import { type AdaptedRequest, adaptRequest } from '../openai/request/request-adaptation.ts';
import type { Repair } from '../openai/vendors/repairs.ts';
import { MAX_SEARCHED_BODY } from '../tokens/placement/rejection.ts';
import type { AttemptTimer } from '../upstream/attempt-timer.ts';
import type { UpstreamCall } from '../upstream/client.ts';
import { type UpstreamResponse, UpstreamStatusError } from '../upstream/response.ts';
import type { Attempt } from './attempt.ts';
import { LIMIT_KEYS, type RoutedUpstream, type UpstreamLimits } from './upstream-state/routed-upstream.ts';

/** The settings of every attempt, for all endpoints. */
export interface AttemptPolicy {
  readonly replyModel: 'upstream' | 'requested';
  /** True: limits or the record need to know how many tokens were used. */
  readonly wantsUsage: boolean;
  readonly maxResponseBytes: number;
  /** Whether `retry.statuses` names this status. */
  readonly isRetryable: (status: number) => boolean;
  /** Replaces living secrets in text that came from outside. */
  readonly scrub: (text: string) => string;
  /** Takes each repair that a response of an upstream needed. */
  readonly onRepair: (upstream: string, repair: Repair) => void;
  newId(): string;
  nowSeconds(): number;
}

/** Notes what a response needed before the client could read it: for the record of this request, and for the upstream's counts. */
export function reportRepair(attempt: Attempt, repair: Repair, policy: AttemptPolicy): void {
  attempt.repairs ??= [];
  if (!attempt.repairs.includes(repair)) attempt.repairs.push(repair);
  policy.onRepair(attempt.upstream.name, repair);
}

/** What an endpoint needs of the adaptation beyond the upstream's profile. */
interface AdaptationNeeds {
  readonly usage?: boolean;
  readonly stream?: boolean;
  readonly tokenText?: TokenText | null;
}

/** The client's request as the upstream of this attempt gets it. */
export function adaptTo(
  attempt: Attempt,
  request: ParsedRequest,
  needs: AdaptationNeeds = {},
): AdaptedRequest {
  const { upstream, model } = attempt;
  const { learnedDrops } = upstream;
  attempt.sent = request;
  if (attempt.trace !== null) attempt.trace.request = request.json;
  // It may have been passed through before, where other things are refused.
  attempt.learnedKey = model;
  if (!learnedDrops.isEmpty) attempt.learnedDrops = learnedFor(attempt);
  const adapted = adaptRequest(request, {
    upstreamModel: model,
    profile: upstream.profile,
    wantUsage: needs.usage ?? false,
    learnedDrops: attempt.learnedDrops,
    forceStream: needs.stream ?? false,
    tokenText: needs.tokenText ?? null,
    sendsRefusal: upstream.sendsRefusal,
  });
  attempt.isStreamSent = adapted.stream;
  if (adapted.dropped.length + adapted.renamed.length > 0) noteAdaptations(attempt, adapted);
  return adapted;
}

/** The client's request as an upstream would get it now, without an attempt at it. */
export function previewFor(
  upstream: RoutedUpstream,
  request: ParsedRequest,
  tokenText: TokenText | null,
): AdaptedRequest {
  const { profile, learnedDrops, sendsRefusal } = upstream;
  const upstreamModel = upstream.upstreamModel(request.model);
  return adaptRequest(request, {
    upstreamModel,
    profile,
    wantUsage: false,
    learnedDrops: learnedDrops.get(upstreamModel),
    forceStream: false,
    tokenText,
    sendsRefusal,
  });
}

/** What the upstream's refusals have taught, and what is changed in this request alone. */
export function learnedFor({ upstream, learnedKey, ownChanges }: Attempt): readonly string[] {
  const learned = upstream.learnedDrops.get(learnedKey);
  return ownChanges.length === 0 ? learned : [...learned, ...ownChanges];
}

/** Notes for the record what this attempt changes of the request, each with the words of the upstream that asked for it. */
export function noteAdaptations(
  attempt: Attempt,
  { dropped, renamed }: Pick<AdaptedRequest, 'dropped' | 'renamed'>,
): void {
  const { upstream, learnedKey, learnedDrops, request } = attempt;
  for (const change of [...dropped, ...renamed]) {
    const learned = learnedDrops.find((text) => text === change || text.startsWith(`${change} (`)) ?? change;
    const limit = change.split('>')[0] ?? change;
    const reason =
      upstream.learnedDrops.reasonOf(learnedKey, learned) ||
      upstream.learnedDrops.reasonOf(learnedKey, limit);
    request.log.noteAdaptation({ upstream: upstream.name, change, reason: reason === '' ? null : reason });
  }
}

/** Notes a member that the upstream's responses have, as far as a history must come back with it under its name. */
export function noteMember(attempt: Attempt, member: string): void {
  const { upstream, model } = attempt;
  if (member === 'refusal') upstream.sendsRefusal = true;
  if (member !== 'reasoning' || !upstream.profile.learn) return;
  upstream.learnedDrops.add(model, 'messages.reasoning_content>reasoning', 'its responses name it so');
}

/** What differs between the calls of endpoints. */
interface CallFacts {
  readonly body: UpstreamCall['body'];
  /** Which limit holds from sending to the headers, and for a whole body to its end. */
  readonly timeLimit: keyof UpstreamLimits;
  /** A shorter limit than the configured one. */
  readonly maxMs?: number;
  /** Default: POST. */
  readonly method?: string;
  /** Default: true. */
  readonly isJson?: boolean;
  /** The length of a body that is a stream; null: unknown. */
  readonly streamBytes?: number | null;
  /** The attempt's own unless several calls run at once. */
  readonly timer?: AttemptTimer;
}

/** The call of one attempt to its own path. */
export function callOf(attempt: Attempt, facts: CallFacts): UpstreamCall {
  const { request } = attempt;
  const configuredMs = attempt.upstream.limits[facts.timeLimit];
  const timeoutMs =
    facts.maxMs === undefined ? configuredMs : Math.min(facts.maxMs, configuredMs || facts.maxMs);
  const headersTimeoutMs = attempt.within(timeoutMs);
  return {
    method: facts.method ?? 'POST',
    path: attempt.path.slice('/v1'.length),
    query: request.query,
    model: attempt.model,
    clientHeaders: request.headers,
    body: facts.body,
    streamBytes: facts.streamBytes ?? null,
    isJson: facts.isJson ?? true,
    signal: attempt.signal,
    timer: facts.timer ?? attempt.timer,
    headersTimeoutMs,
    headersTimeoutKey:
      headersTimeoutMs !== timeoutMs
        ? 'deadline'
        : timeoutMs === configuredMs
          ? LIMIT_KEYS[facts.timeLimit]
          : null,
    tokenWaitMs: attempt.tokenWaitMs,
    tokenWaitedMs: attempt.tokenWaitedMs,
    waitedForTokenMs: 0,
    connectMs: 0,
    trace: attempt.trace,
  };
}

/**
 * Waits for a token and sends the call; after a rejection that was found in a body, once more with a renewed token.
 * Resolves at the headers of a 2xx response; every other status is thrown as the FerryError that it means.
 */
export async function callUpstream(
  attempt: Attempt,
  call: UpstreamCall,
  policy: AttemptPolicy,
): Promise<UpstreamResponse> {
  const { client } = attempt.upstream;
  const { rejection } = attempt;
  try {
    let response: UpstreamResponse | null;
    if (rejection === null) response = await client.call(call);
    else {
      attempt.rejection = null;
      response = await client.replay(call, rejection.response);
      if (response === null) throw rejection.error;
    }
    attempt.received(response);
    if (call.waitedForTokenMs > 0) attempt.waitedForTokenMs += call.waitedForTokenMs;
    // Of several calls that run at once, the one that waited longest.
    if (call.connectMs > attempt.connectMs) attempt.connectMs = call.connectMs;
    return response;
  } catch (error) {
    if (call.waitedForTokenMs > 0) attempt.waitedForTokenMs += call.waitedForTokenMs;
    if (call.connectMs > attempt.connectMs) attempt.connectMs = call.connectMs;
    if (!(error instanceof UpstreamStatusError)) throw error;
    attempt.received(error.response);
    throw statusError(error.response, error.text, attempt, policy);
  }
}

/** Reads a whole body; throws `auth_rejected` when `reject` finds in it that the token is no longer good. */
export async function readBody(
  attempt: Attempt,
  response: UpstreamResponse,
  limitBytes: number,
): Promise<Buffer> {
  const body = await response.body.readAll(limitBytes);
  checkToken(attempt, response, body);
  return body;
}

/** As `readBody`, in the pieces in which the body came. */
export async function readBodyPieces(
  attempt: Attempt,
  response: UpstreamResponse,
  limitBytes: number,
): Promise<readonly Buffer[]> {
  const pieces = await response.body.readChunks(limitBytes);
  if (attempt.upstream.client.hasBodyMatchers) checkToken(attempt, response, Buffer.concat(pieces));
  return pieces;
}

/** Throws `auth_rejected` when `reject` finds in a body or an event that the token is no longer good. */
export function checkToken(attempt: Attempt, response: UpstreamResponse, text: Buffer | string): void {
  const { client, name } = attempt.upstream;
  if (!client.hasBodyMatchers) return;
  // What is longer is known to be long by one more byte.
  const charset = charsetOf(response.headers.get('content-type'));
  const start =
    typeof text === 'string' ? text : decodeText(text.subarray(0, MAX_SEARCHED_BODY + 1), charset);
  if (!client.rejectsTokenIn(response, start)) return;
  throw new FerryError('auth_rejected', {
    message: `Upstream "${name}" rejected its token in the body of a 200 response (tokens.*.reject).`,
  });
}

/**
 * Whether the attempt's failure shows that its upstream does not have the endpoint `path`, which is remembered. That says
 * nothing of its chat. `namesStored`: the request names what is stored at the upstream, which a 404 may be about.
 */
export function noteMissingEndpoint(
  error: unknown,
  { upstream, response, isCommitted }: Attempt,
  path: string,
  namesStored = false,
): boolean {
  if (isCommitted || response === null) return false;
  const failure = { error: asFerryError(error), status: response.status, namesStored };
  return upstream.missingEndpoints.learn(path, failure);
}

/** What an error in a 200 of this attempt is read against. */
export function errorContext(
  attempt: Attempt,
  response: UpstreamResponse,
  { scrub, isRetryable }: AttemptPolicy,
): ErrorContext {
  return {
    ...namesOf(attempt),
    scrub,
    responseFormat: responseFormatOf(attempt.sent),
    isRetryable,
    headers: (name) => response.headers.get(name) ?? undefined,
  };
}

function responseFormatOf(request: ParsedRequest | null): string | undefined {
  const format = request?.json.response_format;
  return isJsonObject(format) && typeof format.type === 'string' ? format.type : undefined;
}

/** The values of the request that an error text may repeat. A path used as a model is not one: the text is about the path. */
function namesOf({ request, path, model }: Attempt): Pick<ErrorContext, 'model' | 'upstreamModel' | 'path'> {
  if (request.model === request.path) return { model: null, path };
  return { model: request.model, upstreamModel: model, path };
}

/** Any status but 2xx as the error of the product. */
function statusError(
  response: UpstreamResponse,
  text: string,
  attempt: Attempt,
  policy: AttemptPolicy,
): FerryError {
  const { status } = response;
  const failure = fromErrorResponse({
    ...errorContext(attempt, response, policy),
    headers: (name) => response.headers.get(name) ?? undefined,
    status,
    body: text,
  });
  if (response.isTokenRejected) return rejectedToken(failure);
  const isOwn = attempt.upstream.client.credentials.kind === 'as_is' && (status === 401 || status === 403);
  return isOwn ? rejectedClientKey(failure, status, text, policy.scrub) : failure;
}

/** A match of `reject` is a rejected token with any status: the client cannot fix it. */
function rejectedToken(failure: FerryError): FerryError {
  if (failure.kind === 'auth_rejected') return failure;
  const { upstreamStatus } = failure;
  return new FerryError('auth_rejected', {
    message: rejectedCredentialsMessage(upstreamStatus),
    upstreamStatus,
    detail: failure.detail ?? failure.message,
    cause: failure,
  });
}

/** Under `sk: asis` a refusal is about the client's own credentials, so the client gets it in the upstream's words. */
function rejectedClientKey(
  failure: FerryError,
  status: number,
  text: string,
  scrub: (text: string) => string,
): FerryError {
  const found = errorIn(text);
  const words = found === null ? excerptOf(text, scrub) : cleanMessage(found.message, scrub);
  return new FerryError('auth_passed_through', {
    message: words === '' ? `The upstream refused the request with status ${status}.` : words,
    status,
    upstreamStatus: status,
    type: found?.type ?? (status === 401 ? 'authentication_error' : 'permission_error'),
    code: found?.code ?? (status === 401 ? 'invalid_api_key' : 'not_permitted'),
    detail: failure.detail,
    cause: failure,
  });
}

/** The error in a JSON text, in any shape; null when there is none. */
export function errorIn(text: string): VendorError | null {
  const json = parseJson(text);
  return json === undefined ? null : parseVendorError(json);
}
