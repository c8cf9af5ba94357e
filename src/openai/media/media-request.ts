import { endpointOf } from '../../endpoints.ts';
import { FerryError } from '../../lib/errors/ferry-error.ts';
import type { ErrorContext } from '../errors/upstream-error.ts';
import type { BodyFields } from '../request/body-fields.ts';
import type { ResponseShape } from '../response-shape.ts';
import type { Usage } from '../usage/usage.ts';
import type { OnRepair } from '../vendors/repairs.ts';

/** What a client waits for that asked for a transcript, for speech or for images. */
export interface MediaRequest {
  readonly kind: 'transcript' | 'speech' | 'images';
  /** `response_format`, lower case; null: not asked for. */
  readonly format: string | null;
  /** False: it may have been asked for in a part of the request that was not looked at. */
  readonly isFormatKnown: boolean;
}

/** A whole response from an upstream. */
export interface MediaSource {
  readonly body: Buffer;
  readonly shape: ResponseShape;
  readonly contentType: string | null;
  /** What the body holds when its shape is JSON. */
  readonly json: unknown;
}

export interface MediaReading {
  readonly wish: MediaRequest;
  readonly context: ErrorContext;
  readonly onRepair: OnRepair;
  nowSeconds(): number;
}

/** What the client gets. */
export interface MediaResponse {
  /** The upstream's own bytes when they are canonical. */
  readonly body: Buffer;
  readonly contentType: string;
}

/** With the tokens that the upstream counted; null: none. */
export interface CountedMediaResponse extends MediaResponse {
  readonly usage: Usage | null;
}

/** Null: the request is none for a sound or a picture, and its response is handed on as it is. */
export function mediaRequestOf(method: string, path: string, fields: BodyFields): MediaRequest | null {
  const kind = method === 'POST' ? endpointOf(path).content : null;
  if (kind === null || kind === 'json_or_events') return null;
  const format = fields.get('response_format')?.trim().toLowerCase() || null;
  return { kind, format, isFormatKnown: format !== null || fields.isWhole };
}

/** `invalid_response` for JSON that is well-formed and has nothing of what was asked for. */
export function nothingIn(what: string): FerryError {
  return new FerryError('invalid_response', {
    message: `The upstream returned JSON that holds no ${what}.`,
    upstreamStatus: 200,
  });
}

/**
 * The upstream did its work, in a way that cannot be brought to what was asked for: another upstream may do better,
 * and this one is not ill.
 */
export function otherThanAsked(message: string): FerryError {
  return new FerryError('mismatch', { message, code: 'upstream_invalid_response', upstreamStatus: 200 });
}
