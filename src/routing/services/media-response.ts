import type { ErrorContext } from '../../openai/errors/upstream-error.ts';
import type { MediaRequest } from '../../openai/media/media-request.ts';
import { readMediaResponse } from '../../openai/media/media-response.ts';
import { isSound, soundTypeFor } from '../../openai/media/speech.ts';
import { isEventStream, type ResponseShape, shapeOf } from '../../openai/response-shape.ts';
import type { Usage } from '../../openai/usage/usage.ts';
import type { UpstreamResponse } from '../../upstream/response.ts';
import type { Attempt } from '../attempt.ts';
import type { AttemptPolicy } from './attempt-policy.ts';
import { contextOf, firstBytes, refuseBadToken } from './peek-body.ts';
import { untilContent } from './peek-events.ts';

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

/**
 * Reads a reply that should be a transcript, speech or images. A sound and a stream of events are handed on from their
 * first bytes; all else is read whole, checked and brought to the form that was asked for.
 */
export async function readMedia(
  attempt: Attempt,
  reply: UpstreamResponse,
  wish: MediaRequest,
  settings: AttemptPolicy,
): Promise<MediaAnswer> {
  const contentType = reply.headers.get('content-type');
  const head = await firstBytes(reply.body);
  const shape = shapeOf(head, contentType);
  const context = contextOf(attempt, reply, settings);
  if (shape === 'events') {
    const seen = await untilContent(head, {
      body: reply.body,
      context,
      refuseBadToken: (data) => refuseBadToken(attempt, reply, data),
      mostBytes: FIRST_EVENT_BYTES,
    });
    return opened(attempt, reply, seen, eventStreamType(contentType));
  }
  if (wish.kind === 'speech' && isSound(shape, contentType)) {
    return opened(attempt, reply, head, soundTypeFor(head, contentType, wish.format));
  }
  return whole(attempt, reply, { head, shape, contentType, context, wish }, settings);
}

/** What events are called, whatever the upstream calls them. */
export function eventStreamType(contentType: string | null): string {
  return contentType !== null && isEventStream(contentType) ? contentType : 'text/event-stream';
}

function opened(attempt: Attempt, reply: UpstreamResponse, bytes: Buffer, contentType: string): MediaAnswer {
  attempt.limitIdleTime(reply.body);
  attempt.commit();
  return { bytes, isWhole: false, contentType, usage: null };
}

interface WholeParts {
  readonly head: Buffer;
  readonly shape: ResponseShape;
  readonly contentType: string | null;
  readonly context: ErrorContext;
  readonly wish: MediaRequest;
}

async function whole(
  attempt: Attempt,
  reply: UpstreamResponse,
  { head, shape, contentType, context, wish }: WholeParts,
  settings: AttemptPolicy,
): Promise<MediaAnswer> {
  const body = await reply.body.readAll(settings.maxResponseBytes, head);
  refuseBadToken(attempt, reply, body);
  const answer = readMediaResponse(
    { body, shape, contentType },
    {
      wish,
      context,
      nowSeconds: settings.nowSeconds,
      onRepair: (repair) => settings.onRepair(attempt.upstream.name, repair),
    },
  );
  attempt.commit();
  attempt.finish(null);
  return { bytes: answer.body, isWhole: true, contentType: answer.contentType, usage: answer.usage };
}
