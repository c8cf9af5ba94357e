import { endpointOf } from '../../endpoints.ts';
import { asFerryError, errorEvent, FerryError } from '../../lib/errors/ferry-error.ts';
import { isEventStream } from '../../openai/response-shape.ts';
import { responsesErrorEvent } from '../../openai/responses/responses-events.ts';
import { SseEventBuffer } from '../../openai/responses/sse-event-buffer.ts';
import type { RawAnswer } from '../../routing/services/pass-through-service.ts';
import type { RequestContext } from '../middleware/request-context.ts';
import { drained } from '../node-internals.ts';
import { commonHeaders } from './json.ts';

/** Reply headers that clients get; never set-cookie or www-authenticate, which speak of the upstream's host. */
const REPLY_HEADERS =
  /^(?:content-type|content-disposition|content-range|accept-ranges|x-ratelimit-.*|openai-.*)$/;

/** Hands an upstream's reply to the client: as it is, or with what is to stand in its place. */
export async function relayRaw(context: RequestContext, answer: RawAnswer): Promise<void> {
  const { attempt, media } = answer;
  const { response } = context;
  const events = isStreamOfEvents(answer) ? new SseEventBuffer() : null;
  context.outcome.isStream &&= events !== null;
  if (media !== undefined) context.outcome.tokens = media.usage;
  try {
    response.writeHead(answer.reply.status, replyHeaders(context, answer, events !== null));
    await relayBody(context, answer, events);
    attempt.finish(null);
    response.end();
  } catch (error) {
    const failure = asFerryError(error);
    attempt.finish(failure);
    if (!response.headersSent) throw failure;
    context.outcome.failStream(failure);
    breakOff(context, events, failure);
  } finally {
    // What a broken stream told before was paid for all the same.
    if (events !== null) context.outcome.tokens = events.usage;
  }
}

function isStreamOfEvents({ reply, media }: RawAnswer): boolean {
  return media?.isWhole !== true && isEventStream(media?.contentType ?? reply.headers.get('content-type'));
}

async function relayBody(
  context: RequestContext,
  { reply: { body }, media }: RawAnswer,
  events: SseEventBuffer | null,
): Promise<void> {
  const hand = async (bytes: Buffer): Promise<void> => {
    const ready = events === null ? bytes : events.take(bytes);
    if (ready !== null) await write(context, ready);
  };
  if (media !== undefined) await hand(media.bytes);
  if (media?.isWhole === true) return;
  for (let bytes = await body.next(); bytes !== null; bytes = await body.next()) await hand(bytes);
  const rest = events?.end() ?? null;
  if (rest !== null) await write(context, rest);
  if (events?.isUnfinished) {
    throw new FerryError('disconnected', {
      message: 'The upstream ended its stream before the Response was complete.',
      upstreamStatus: 200,
    });
  }
}

/** The status is out: the rest of a stream of events is an error event, and of all else a cut connection has to say so. */
function breakOff(context: RequestContext, events: SseEventBuffer | null, failure: FerryError): void {
  const { response } = context;
  if (response.destroyed || failure.kind === 'client_gone' || events === null || !events.canAppendError) {
    response.destroy();
    return;
  }
  const event =
    endpointOf(context.path).errorEvents === 'responses'
      ? responsesErrorEvent(failure, events.nextSequenceNumber)
      : errorEvent(failure);
  const text = events.separator + event;
  context.outcome.responseBytes += Buffer.byteLength(text);
  response.end(text);
}

function replyHeaders(context: RequestContext, { reply, media }: RawAnswer, isStream: boolean): string[] {
  const headers = commonHeaders(context);
  for (const [name, value] of Object.entries(reply.headers.all())) {
    if (value === undefined || !REPLY_HEADERS.test(name) || isTold(context, name)) continue;
    // A client with limits of its own is told those, not what the upstream grants to all of us.
    if (context.limitHeaders.length > 0 && name.startsWith('x-ratelimit-')) continue;
    if (media !== undefined && name === 'content-type') continue;
    for (const one of Array.isArray(value) ? value : [value]) headers.push(name, one);
  }
  if (media !== undefined) headers.push('content-type', media.contentType);
  const isPlain = reply.headers.get('content-encoding') === null;
  const length = media?.isWhole
    ? String(media.bytes.length)
    : // A stream that breaks ends with other bytes than the upstream has counted.
      isPlain && !isStream
      ? reply.headers.get('content-length')
      : null;
  if (length !== null) headers.push('content-length', length);
  return headers;
}

/** True: it is among the common headers, since the reply was read before it is handed on. */
function isTold({ outcome: { log } }: RequestContext, name: string): boolean {
  return log.headersForClient.some((told, at) => at % 2 === 0 && told === name);
}

async function write(context: RequestContext, bytes: Buffer): Promise<void> {
  const { response } = context;
  context.outcome.firstTokenMs ??= context.elapsedMs;
  context.outcome.responseBytes += bytes.length;
  if (response.destroyed || response.write(bytes)) return;
  await drained(response);
}
