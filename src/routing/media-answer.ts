import { isSound, soundTypeFor } from '../canonical/audio-speech.ts';
import { findErrorInBody } from '../canonical/error-shapes.ts';
import { readMediaReply } from '../canonical/media-reply.ts';
import type { MediaWish } from '../canonical/media-wish.ts';
import { isClearlyBinary, type ReplyShape, SHAPE_BYTES, shapeOf } from '../canonical/reply-shape.ts';
import { type ErrorContext, readBodyError } from '../canonical/upstream-error.ts';
import type { Usage } from '../canonical/usage.ts';
import { FerryError } from '../errors.ts';
import type { ReplyBody } from '../upstream/reply-body.ts';
import type { UpstreamReply } from '../upstream/upstream-reply.ts';
import type { Attempt } from './attempt.ts';
import { namesOf, type ServingSettings } from './serving.ts';
import { refusedInBody } from './whole-call.ts';

/** What goes to the client in place of a reply's own beginning. */
export interface MediaAnswer {
  /** All of the answer, or what was read of it so far. */
  readonly bytes: Buffer;
  /** False: the rest of the reply follows as it comes. */
  readonly isWhole: boolean;
  readonly contentType: string;
  /** Tokens that the upstream counted; null: none, or not known yet. */
  readonly usage: Usage | null;
}

/** So much of a stream is looked at for an error; the first image of a stream is longer and none. Bytes. */
const FIRST_EVENT_BYTES = 64 * 1024;
/** `\r\n\r\n` */
const BLANK_LINE_LENGTH = 4;

/**
 * Reads a reply that should be a transcript, speech or images. A sound and a stream of events are handed on from their
 * first bytes; all else is read whole, checked and brought to the form that was asked for.
 */
export async function readMedia(
  attempt: Attempt,
  reply: UpstreamReply,
  wish: MediaWish,
  settings: ServingSettings,
): Promise<MediaAnswer> {
  const contentType = reply.headers.get('content-type');
  const head = await firstBytes(reply.body);
  const shape = shapeOf(head, contentType);
  const context = contextOf(attempt, reply, settings);
  if (shape === 'events') {
    const seen = await untilEvent(head, reply.body);
    refuseBadToken(attempt, reply, seen);
    refuseErrorEvent(seen, context);
    const isNamed = /^text\/event-stream\b/i.test(contentType ?? '');
    return opened(attempt, reply, seen, isNamed && contentType !== null ? contentType : 'text/event-stream');
  }
  if (wish.kind === 'speech' && isSound(shape, contentType)) {
    return opened(attempt, reply, head, soundTypeFor(head, contentType, wish.format));
  }
  return whole(attempt, reply, { head, shape, contentType, context, wish }, settings);
}

/** Enough of a body to tell its shape; a sound does so with its first bytes, however few. */
async function firstBytes(body: ReplyBody): Promise<Buffer> {
  let head: Buffer = Buffer.alloc(0);
  while (head.length < SHAPE_BYTES && !isClearlyBinary(head)) {
    const chunk = await body.next();
    if (chunk === null) break;
    head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
  }
  return head;
}

/** The head and what follows up to the end of the first event. */
async function untilEvent(head: Buffer, body: ReplyBody): Promise<Buffer> {
  const chunks = [head];
  let size = head.length;
  // What is still to be looked at: a blank line may begin in one piece and end in the next.
  let tail = head.toString('latin1');
  while (size < FIRST_EVENT_BYTES && !/\r?\n\r?\n/.test(tail)) {
    const chunk = await body.next();
    if (chunk === null) break;
    chunks.push(chunk);
    size += chunk.length;
    tail = tail.slice(-BLANK_LINE_LENGTH) + chunk.toString('latin1');
  }
  return chunks.length === 1 ? head : Buffer.concat(chunks, size);
}

function refuseErrorEvent(seen: Buffer, context: ErrorContext): void {
  const data = /^data: ?([{[][^\r\n]*)\r?$/m.exec(seen.toString('utf8', 0, FIRST_EVENT_BYTES))?.[1];
  if (data === undefined) return;
  let json: unknown;
  try {
    json = JSON.parse(data);
  } catch {
    return;
  }
  const found = findErrorInBody(json);
  if (found !== null) throw readBodyError(found, context);
}

function opened(attempt: Attempt, reply: UpstreamReply, bytes: Buffer, contentType: string): MediaAnswer {
  attempt.limitIdleTime(reply.body);
  attempt.commit();
  return { bytes, isWhole: false, contentType, usage: null };
}

/** Throws `auth_rejected` when `reject.body` finds in it that the token is no longer good. */
function refuseBadToken(attempt: Attempt, reply: UpstreamReply, body: Buffer): void {
  const { client } = attempt.upstream;
  if (client.hasBodyMatchers && client.refusesTokenIn(reply, body.toString('utf8')))
    throw refusedInBody(attempt);
}

/** The head and all that follows. Throws `invalid_response` and closes the socket beyond `limitBytes`. */
async function readOn(head: Buffer, body: ReplyBody, limitBytes: number): Promise<Buffer> {
  const rest = await body.readAll(Math.max(0, limitBytes - head.length));
  const size = head.length + rest.length;
  if (size > limitBytes) {
    throw new FerryError('invalid_response', {
      message: `The upstream's reply is larger than limits.response (${limitBytes} bytes). Raise the limit or ask for less.`,
    });
  }
  return rest.length === 0 ? head : Buffer.concat([head, rest], size);
}

interface WholeParts {
  readonly head: Buffer;
  readonly shape: ReplyShape;
  readonly contentType: string | null;
  readonly context: ErrorContext;
  readonly wish: MediaWish;
}

async function whole(
  attempt: Attempt,
  reply: UpstreamReply,
  { head, shape, contentType, context, wish }: WholeParts,
  settings: ServingSettings,
): Promise<MediaAnswer> {
  const body = await readOn(head, reply.body, settings.maxResponseBytes);
  refuseBadToken(attempt, reply, body);
  const answer = readMediaReply(
    { body, shape, contentType },
    {
      wish,
      context,
      nowSeconds: settings.nowSeconds,
      onNote: (note) => settings.onNote(attempt.upstream.name, note),
    },
  );
  attempt.commit();
  attempt.finish(null);
  return { bytes: answer.body, isWhole: true, contentType: answer.contentType, usage: answer.usage };
}

function contextOf(attempt: Attempt, reply: UpstreamReply, settings: ServingSettings): ErrorContext {
  return {
    ...namesOf(attempt),
    scrub: settings.scrub,
    isRetryable: settings.isRetryable,
    headers: (name) => reply.headers.get(name) ?? undefined,
  };
}
