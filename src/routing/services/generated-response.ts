import { endpointOf } from '../../endpoints.ts';
import { isJsonObject } from '../../lib/json/json-object.ts';
import { throwVendorError } from '../../openai/errors/upstream-error.ts';
import type { BodyFields } from '../../openai/request/body-fields.ts';
import { invalidResponseBody, parseResponseJson } from '../../openai/response-json.ts';
import { isEventStream, shapeOf } from '../../openai/response-shape.ts';
import { readUsage } from '../../openai/usage/usage.ts';
import type { UpstreamResponse } from '../../upstream/response.ts';
import type { Attempt } from '../attempt.ts';
import type { AttemptPolicy } from './attempt-policy.ts';
import { eventStreamType, type MediaAnswer } from './media-response.ts';
import { contextOf, firstBytes, refuseBadToken } from './peek-body.ts';
import { untilContent } from './peek-events.ts';

/** What a client waits for that asked for a generation which is handed through as JSON or events. */
export interface GenerationRequest {
  readonly isStream: boolean;
  /** True: the upstream goes on with it by itself and is asked for it later. */
  readonly isBackground: boolean;
}

/** The first event of a Response repeats its instructions and tools. */
const BEGINNING_BYTES = 1024 * 1024;

/** Null: nobody knows what the path answers with, and its reply is handed on as it is. */
export function generationRequestOf(
  method: string,
  path: string,
  fields: BodyFields,
): GenerationRequest | null {
  if (method !== 'POST' || endpointOf(path).content !== 'json_or_events') return null;
  return {
    isStream: fields.get('stream') === 'true',
    isBackground: fields.get('background') === 'true',
  };
}

/**
 * Reads a reply that should be JSON or a stream of events, and hands it on byte for byte once it proved to be an
 * answer: the JSON as a whole, a stream from its first content on. Throws the error that it carries,
 * `invalid_response`, `disconnected`.
 */
export async function readGenerated(
  attempt: Attempt,
  reply: UpstreamResponse,
  wish: GenerationRequest,
  settings: AttemptPolicy,
): Promise<MediaAnswer> {
  const { body, headers } = reply;
  const contentType = headers.get('content-type');
  if (wish.isStream || isEventStream(contentType)) attempt.limitFirstContent();
  const head = await firstBytes(body);
  const context = contextOf(attempt, reply, settings);
  const shape = shapeOf(head, contentType);
  if (shape === 'events') {
    const seen = await untilContent(head, {
      body,
      context,
      refuseBadToken: (data) => refuseBadToken(attempt, reply, data),
      mostBytes: BEGINNING_BYTES,
      isBackground: wish.isBackground,
    });
    attempt.limitIdleTime(body);
    attempt.commit();
    return { bytes: seen, isWhole: false, contentType: eventStreamType(contentType), usage: null };
  }
  const whole = await body.readAll(settings.maxResponseBytes, head);
  refuseBadToken(attempt, reply, whole);
  if (shape !== 'json') throw invalidResponseBody(whole, context);
  const json = parseResponseJson(whole, context);
  throwVendorError(json, context);
  if (!isJsonObject(json) || Object.keys(json).length === 0) throw invalidResponseBody(whole, context);
  attempt.commit();
  attempt.finish(null);
  const type = contentType ?? 'application/json';
  return { bytes: whole, isWhole: true, contentType: type, usage: readUsage(json.usage) };
}
