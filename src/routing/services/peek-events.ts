import { FerryError } from '../../lib/errors/ferry-error.ts';
import { isJsonObject, parseJson } from '../../lib/json/json-object.ts';
import { type SseItem, SseReader } from '../../lib/sse/sse-reader.ts';
import { type ErrorContext, fromVendorError, invalidBodyError } from '../../openai/errors/upstream-error.ts';
import { findVendorError, parseVendorError } from '../../openai/errors/vendor-error.ts';
import type { ResponseBody } from '../../upstream/transport/body.ts';

interface EventsToCome {
  readonly body: ResponseBody;
  readonly context: ErrorContext;
  /** Throws when an event's data refuses the token, which its own words would make another error. */
  readonly refuseBadToken: (data: string) => void;
  /** So much is looked at; what is longer (the first image of a stream) is content. Bytes. */
  readonly mostBytes: number;
  /** True: a task of its own that runs on without its reader, so that its first event is what the client waits for. */
  readonly isBackground?: boolean;
}

/** Events of a Responses stream that only say that it was accepted. */
const ACCEPTED = /^(?:response\.(?:created|queued|in_progress)|keepalive|ping)$/;

/**
 * `head` and what follows up to the first event that a client waits for. Comments, the `[DONE]` mark and what merely
 * says that the request was accepted are none. Throws the error that an event carries, `disconnected` and
 * `invalid_response` for a stream that ends before; nothing of it may have been forwarded.
 */
export async function untilContent(head: Buffer, toCome: EventsToCome): Promise<Buffer> {
  const { body, mostBytes } = toCome;
  const chunks = [head];
  let size = head.length;
  let hasEvent = false;
  let hasContent = false;
  const events = new SseReader({ maxEventLength: mostBytes });
  const decoder = new TextDecoder();
  const look = (items: readonly SseItem[]): void => {
    for (const item of items) {
      if (hasContent || item.kind !== 'event' || item.data === '[DONE]') continue;
      hasEvent = true;
      toCome.refuseBadToken(item.data);
      hasContent = isContent(item.data, item.name, toCome);
    }
    if (events.hasOverflowed) hasContent = true;
  };
  look(events.push(decoder.decode(head, { stream: true })));
  while (!hasContent && size < mostBytes) {
    const chunk = await body.next();
    if (chunk === null) break;
    chunks.push(chunk);
    size += chunk.length;
    look(events.push(decoder.decode(chunk, { stream: true })));
  }
  if (!hasContent && body.isSettled) {
    look(events.end());
    if (!hasContent) throw endedEarly(hasEvent, toCome.context);
  }
  return chunks.length === 1 ? head : Buffer.concat(chunks, size);
}

/** Throws when the event is an error. */
function isContent(data: string, name: string | undefined, toCome: EventsToCome): boolean {
  const json = parseJson(data);
  // Broken JSON proves nothing; what never was JSON may be anything.
  if (!isJsonObject(json)) return json !== undefined || !/^\s*[{[]/.test(data);
  // A Response that failed carries its error inside.
  const found =
    findVendorError(json) ??
    findVendorError(json.response) ??
    (name === 'error' ? parseVendorError(json) : null);
  if (found !== null) throw fromVendorError(found, toCome.context);
  return toCome.isBackground === true || typeof json.type !== 'string' || !ACCEPTED.test(json.type);
}

function endedEarly(hasEvent: boolean, context: ErrorContext): FerryError {
  if (!hasEvent) return invalidBodyError('', context);
  return new FerryError('disconnected', {
    message: 'The upstream closed the connection before its answer was complete.',
    upstreamStatus: 200,
  });
}
