import { endpointOf } from '../../endpoints.ts';
import { asFerryError, FerryError } from '../../lib/errors/ferry-error.ts';
import { fromVendorError } from '../../openai/errors/upstream-error.ts';
import type { VendorError } from '../../openai/errors/vendor-error.ts';
import { isEventStream } from '../../openai/response-body.ts';
import { factsInBody } from '../../openai/response-facts.ts';
import { SseEventBuffer } from '../../openai/responses/sse-event-buffer.ts';
import type { Usage } from '../../openai/usage/usage.ts';
import type { Attempt } from '../../routing/attempt.ts';
import { type AttemptPolicy, errorContext } from '../../routing/attempt-call.ts';
import type { UpstreamResponse } from '../../upstream/response.ts';
import type { RequestContext } from '../middleware/request-context.ts';
import { drained } from '../node-internals.ts';
import { lastEvents } from './errors.ts';
import { commonHeaders, droppedHeaders } from './json.ts';

/** Response headers that clients get; never set-cookie or www-authenticate, which belong to the upstream's host. */
const FORWARDED_HEADERS =
  /^(?:content-type|content-disposition|content-range|accept-ranges|x-ratelimit-.*|openai-.*)$/;

/** What goes to the client in place of a response's own body. */
export interface CheckedBody {
  /** All of it, or its beginning. */
  readonly bytes: Buffer;
  /** False: the rest of the response follows as it comes. */
  readonly isWhole: boolean;
  readonly contentType: string;
  /** Tokens that the upstream counted; null: none, or not known yet. */
  readonly usage: Usage | null;
}

/**
 * Forwards a committed response to the client, with `checked` in place of its body or of its beginning (null: as it is),
 * and finishes the attempt.
 */
export async function relayRaw(
  context: RequestContext,
  attempt: Attempt,
  upstreamResponse: UpstreamResponse,
  checked: CheckedBody | null,
  policy: AttemptPolicy,
): Promise<void> {
  const { response, outcome } = context;
  const contentType = checked?.contentType ?? upstreamResponse.headers.get('content-type');
  const events =
    checked?.isWhole !== true && isEventStream(contentType)
      ? new SseEventBuffer(endpointOf(context.path).errorFormat)
      : null;
  outcome.isStream &&= events !== null;
  if (checked !== null) outcome.tokens = checked.usage;
  if (events !== null) context.isResponseComplete = () => events.isComplete;
  try {
    const headers = responseHeaders(context, upstreamResponse, checked, events !== null);
    if (attempt.dropped.length > 0) headers.push(...droppedHeaders(attempt.dropped));
    response.writeHead(upstreamResponse.status, headers);
    await relayBody(context, attempt, upstreamResponse, checked, events);
    attempt.finish(null);
    response.end();
  } catch (error) {
    const told = events === null || events.isComplete ? null : events.upstreamError;
    // Behind the last event nothing breaks any more.
    const failure = events?.isComplete ? null : failureOf(error, told, attempt, upstreamResponse, policy);
    attempt.finish(failure);
    if (failure === null || events?.isEnded) upstreamResponse.body.destroy(new Error('the stream has ended'));
    if (failure === null) {
      response.end();
      return;
    }
    if (!response.headersSent) throw failure;
    outcome.failStream(failure);
    breakOff(context, events, failure, codeIn(told));
  } finally {
    // The tokens of a broken stream were paid for too.
    if (events !== null) outcome.tokens = events.usage;
    attempt.spent(outcome.tokens);
    if (attempt.trace !== null && checked !== null) attempt.trace.response = factsInBody(checked.bytes);
  }
}

/** Why a stream broke: what the upstream itself has sent as the reason comes before how its connection ended. */
function failureOf(
  error: unknown,
  told: VendorError | null,
  attempt: Attempt,
  response: UpstreamResponse,
  policy: AttemptPolicy,
): FerryError {
  const failure = asFerryError(error);
  const isOurs = failure.kind === 'client_gone' || failure.kind === 'internal';
  return told === null || isOurs ? failure : fromVendorError(told, errorContext(attempt, response, policy));
}

/** A name such as `context_length_exceeded`, by which clients decide; no number and no text. */
function codeIn(told: VendorError | null): string | null {
  return /^[a-z][\w.-]{0,63}$/i.test(told?.code ?? '') ? (told?.code ?? null) : null;
}

/** How long an upstream may hold its connection behind the last event. */
const END_WAIT_MS = 5_000;

async function relayBody(
  context: RequestContext,
  attempt: Attempt,
  { body }: UpstreamResponse,
  checked: CheckedBody | null,
  events: SseEventBuffer | null,
): Promise<void> {
  const forward = async (bytes: Buffer): Promise<void> => {
    const ready = events === null ? bytes : events.take(bytes);
    if (ready !== null) await write(context, ready);
  };
  if (checked !== null) await forward(checked.bytes);
  if (checked?.isWhole === true) return;
  let isEnding = false;
  while (events?.isEnded !== true) {
    const bytes = await body.next();
    if (bytes === null) break;
    await forward(bytes);
    if (isEnding || events?.isComplete !== true) continue;
    isEnding = true;
    attempt.limitIdleTime(body, END_WAIT_MS);
  }
  const rest = events?.end() ?? null;
  if (rest !== null) await write(context, rest);
  if (events?.isUnfinished) {
    throw new FerryError('disconnected', {
      message: 'The upstream ended its stream before the response was complete.',
      upstreamStatus: 200,
    });
  }
}

/** The status was sent: a stream of events ends with an error event, any other response with a cut connection. */
function breakOff(
  context: RequestContext,
  events: SseEventBuffer | null,
  failure: FerryError,
  upstreamCode: string | null,
): void {
  const { response } = context;
  if (response.destroyed || failure.kind === 'client_gone' || events === null || !events.canAppendError) {
    response.destroy();
    return;
  }
  const event = lastEvents(context, failure, {
    sequenceNumber: events.nextSequenceNumber,
    response: events.response,
    upstreamCode,
  });
  const text = events.separator + event;
  context.outcome.responseBytes += Buffer.byteLength(text);
  response.end(text);
}

function responseHeaders(
  context: RequestContext,
  { headers: received }: UpstreamResponse,
  checked: CheckedBody | null,
  isStream: boolean,
): string[] {
  const headers = commonHeaders(context);
  for (const [name, value] of Object.entries(received.all())) {
    if (value === undefined || !FORWARDED_HEADERS.test(name) || isCommon(context, name)) continue;
    // A client with limits of its own gets those, not what the upstream grants to all clients together.
    if (context.limitHeaders.length > 0 && name.startsWith('x-ratelimit-')) continue;
    if (checked !== null && name === 'content-type') continue;
    for (const one of Array.isArray(value) ? value : [value]) headers.push(name, one);
  }
  if (checked !== null) headers.push('content-type', checked.contentType);
  const isPlain = received.get('content-encoding') === null;
  const length = checked?.isWhole
    ? String(checked.bytes.length)
    : // A stream that breaks ends with other bytes than the upstream has counted.
      isPlain && !isStream
      ? received.get('content-length')
      : null;
  if (length !== null) headers.push('content-length', length);
  return headers;
}

/** True: it is among the common headers, since the response was checked before it is forwarded. */
function isCommon({ outcome: { log } }: RequestContext, name: string): boolean {
  return log.headersForClient.some((common, at) => at % 2 === 0 && common === name);
}

async function write(context: RequestContext, bytes: Buffer): Promise<void> {
  const { response } = context;
  context.outcome.firstTokenMs ??= context.elapsedMs;
  context.outcome.responseBytes += bytes.length;
  if (response.destroyed || response.write(bytes)) return;
  await drained(response);
}
