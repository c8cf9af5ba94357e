import { endpointOf } from '../../endpoints.ts';
import { FerryError } from '../../lib/errors/ferry-error.ts';
import { isJsonObject, parseJson } from '../../lib/json/json-object.ts';
import { type SseItem, SseReader } from '../../lib/sse/sse-reader.ts';
import {
  type ErrorContext,
  fromVendorError,
  invalidBodyError,
  throwVendorError,
} from '../../openai/errors/upstream-error.ts';
import { findEventError } from '../../openai/errors/vendor-error.ts';
import { type MediaRequest, mediaRequestOf } from '../../openai/media/media-request.ts';
import { readMediaResponse } from '../../openai/media/media-response.ts';
import { isSound, soundTypeFor } from '../../openai/media/speech.ts';
import type { BodyFields } from '../../openai/request/body-fields.ts';
import {
  invalidResponseBody,
  isClearlyBinary,
  isEventStream,
  parseResponseJson,
  type ResponseShape,
  SHAPE_BYTES,
  shapeOf,
} from '../../openai/response-body.ts';
import { readUsage } from '../../openai/usage/usage.ts';
import type { Attempt } from '../../routing/attempt.ts';
import { type AttemptPolicy, checkToken, errorContext, reportRepair } from '../../routing/attempt-call.ts';
import type { UpstreamResponse } from '../../upstream/response.ts';
import type { ResponseBody } from '../../upstream/transport/body.ts';
import type { CheckedBody } from '../response/raw.ts';

/** A generation that is passed through as JSON or events. */
interface GenerationRequest {
  readonly kind: 'generation';
  readonly isStream: boolean;
  /** True: the upstream processes it in the background, and the client polls for it later. */
  readonly isBackground: boolean;
}

/** What a response is checked against. */
export type ExpectedResponse = MediaRequest | GenerationRequest;

/** So much of a stream is searched for an error; the first image of a stream is longer and none. Bytes. */
const MAX_MEDIA_EVENT_BYTES = 64 * 1024;
/** The first event of a Response repeats its instructions and tools. */
const MAX_FIRST_EVENTS_BYTES = 1024 * 1024;

/** Null: the response is forwarded as it comes. */
export function expectedResponse(
  method: string,
  path: string,
  { body, fields }: { readonly body: unknown; readonly fields: BodyFields },
): ExpectedResponse | null {
  const media = mediaRequestOf(method, path, fields);
  if (media !== null) return media;
  const isGeneration =
    method === 'POST' && endpointOf(path).content === 'json_or_events' && Buffer.isBuffer(body);
  if (!isGeneration) return null;
  return {
    kind: 'generation',
    isStream: fields.get('stream') === 'true',
    isBackground: fields.get('background') === 'true',
  };
}

/**
 * What goes to the client in place of the response's body: all of it, or its beginning. Sound and events are forwarded
 * from their first content on; anything else is read whole and checked. Throws the error that the body carries,
 * `invalid_response`, `disconnected`.
 */
export async function checkResponse(
  attempt: Attempt,
  response: UpstreamResponse,
  expected: ExpectedResponse,
  policy: AttemptPolicy,
): Promise<CheckedBody> {
  const { body } = response;
  const contentType = response.headers.get('content-type');
  const isGeneration = expected.kind === 'generation';
  if (isGeneration && (expected.isStream || isEventStream(contentType))) attempt.limitFirstContent();
  const head = await firstBytes(body);
  const shape = shapeOf(head, contentType);
  const context = errorContext(attempt, response, policy);
  if (shape === 'events') {
    const isBackground = isGeneration && expected.isBackground;
    const maxBytes = isGeneration ? MAX_FIRST_EVENTS_BYTES : MAX_MEDIA_EVENT_BYTES;
    const bytes = await readUntilEvent(head, { attempt, response, context, maxBytes, isBackground });
    return { bytes, isWhole: false, contentType: eventStreamType(contentType), usage: null };
  }
  if (expected.kind === 'speech' && isSound(shape, contentType)) {
    const type = soundTypeFor(head, contentType, expected.format);
    return { bytes: head, isWhole: false, contentType: type, usage: null };
  }
  const whole = await body.readAll(policy.maxResponseBytes, head);
  checkToken(attempt, response, whole);
  if (isGeneration) return checkGeneration(whole, shape, contentType, context);
  const media = readMediaResponse(
    { body: whole, shape, contentType },
    {
      request: expected,
      context,
      nowSeconds: policy.nowSeconds,
      onRepair: (repair) => reportRepair(attempt, repair, policy),
    },
  );
  return { bytes: media.body, isWhole: true, contentType: media.contentType, usage: media.usage };
}

/** Web servers respond to unknown paths with their start page; only a file's content may be a page. */
export async function refusePage(
  attempt: Attempt,
  response: UpstreamResponse,
  policy: AttemptPolicy,
): Promise<void> {
  const isPage = /^\s*text\/html\b/i.test(response.headers.get('content-type') ?? '');
  if (!isPage || attempt.request.path.endsWith('/content')) return;
  const page = await response.text();
  checkToken(attempt, response, page);
  throw invalidBodyError(page, errorContext(attempt, response, policy));
}

/** A JSON object is forwarded byte for byte. */
function checkGeneration(
  body: Buffer,
  shape: ResponseShape,
  contentType: string | null,
  context: ErrorContext,
): CheckedBody {
  if (shape !== 'json') throw invalidResponseBody(body, context);
  const json = parseResponseJson(body, context);
  throwVendorError(json, context);
  if (!isJsonObject(json) || Object.keys(json).length === 0) throw invalidResponseBody(body, context);
  const usage = readUsage(json.usage);
  return { bytes: body, isWhole: true, contentType: contentType ?? 'application/json', usage };
}

/** The content-type of events, with any content-type of the upstream. */
function eventStreamType(contentType: string | null): string {
  return contentType !== null && isEventStream(contentType) ? contentType : 'text/event-stream';
}

/** Enough of a body to detect its format; of audio the first bytes are enough. */
async function firstBytes(body: ResponseBody): Promise<Buffer> {
  let head: Buffer = Buffer.alloc(0);
  while (head.length < SHAPE_BYTES && !isClearlyBinary(head)) {
    const chunk = await body.next();
    if (chunk === null) break;
    head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
  }
  return head;
}

interface EventSearch {
  readonly attempt: Attempt;
  readonly response: UpstreamResponse;
  readonly context: ErrorContext;
  /** So much is searched; what is longer (the first image of a stream) is content. */
  readonly maxBytes: number;
  /** True: it runs on without its reader, so that its first event is what the client waits for. */
  readonly isBackground: boolean;
}

/** Events of a Responses stream that only acknowledge the request. */
const ACCEPTED = /^(?:response\.(?:created|queued|in_progress)|message_start|keepalive|ping)$/;

/**
 * `head` and what follows up to the first event that a client waits for. Comments, the `[DONE]` mark and what merely
 * says that the request was accepted are none. Throws the error that an event carries, `disconnected` and
 * `invalid_response` for a stream that ends before.
 */
async function readUntilEvent(head: Buffer, search: EventSearch): Promise<Buffer> {
  const { attempt, response, maxBytes } = search;
  const { body } = response;
  const chunks = [head];
  let size = head.length;
  let hasEvent = false;
  let hasContent = false;
  const events = new SseReader({ maxEventLength: maxBytes });
  const decoder = new TextDecoder();
  const inspect = (items: readonly SseItem[]): void => {
    for (const item of items) {
      if (hasContent || item.kind !== 'event' || item.data === '[DONE]') continue;
      hasEvent = true;
      checkToken(attempt, response, item.data);
      hasContent = isContent(item.data, item.name, search);
    }
    if (events.hasOverflowed) hasContent = true;
  };
  inspect(events.push(decoder.decode(head, { stream: true })));
  while (!hasContent && size < maxBytes) {
    const chunk = await body.next();
    if (chunk === null) break;
    chunks.push(chunk);
    size += chunk.length;
    inspect(events.push(decoder.decode(chunk, { stream: true })));
  }
  if (!hasContent && body.isSettled) {
    inspect(events.end());
    if (!hasContent) throw endedEarly(hasEvent, search.context);
  }
  return chunks.length === 1 ? head : Buffer.concat(chunks, size);
}

/** Throws when the event is an error. */
function isContent(data: string, name: string | undefined, { context, isBackground }: EventSearch): boolean {
  const json = parseJson(data);
  // Broken JSON proves nothing; what never was JSON may be anything.
  if (!isJsonObject(json)) return json !== undefined || !/^\s*[{[]/.test(data);
  const found = findEventError(json, name);
  if (found !== null) throw fromVendorError(found, context);
  return isBackground || typeof json.type !== 'string' || !ACCEPTED.test(json.type);
}

function endedEarly(hasEvent: boolean, context: ErrorContext): FerryError {
  if (!hasEvent) return invalidBodyError('', context);
  return new FerryError('disconnected', {
    message: 'The upstream closed the connection before its response was complete.',
    upstreamStatus: 200,
  });
}
