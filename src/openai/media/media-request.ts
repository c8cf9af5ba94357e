import { endpointOf } from '../../endpoints.ts';
import { FerryError } from '../../lib/errors/ferry-error.ts';
import type { ErrorContext } from '../errors/upstream-error.ts';
import type { BodyFields } from '../request/body-fields.ts';
import type { ResponseShape } from '../response-body.ts';
import type { Usage } from '../usage/usage.ts';
import type { OnRepair } from '../vendors/repairs.ts';

/** A request for a transcript, for speech or for images, as far as its response must fit. */
export interface MediaRequest {
  readonly kind: 'transcript' | 'speech' | 'images';
  /** `response_format`, lower case; null: absent. */
  readonly format: string | null;
  /** False: it may be in a part of the request that was not inspected. */
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

export interface MediaReadOptions {
  readonly request: MediaRequest;
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

/** Null: the request is not for media, and its response is passed through. */
export function mediaRequestOf(method: string, path: string, fields: BodyFields): MediaRequest | null {
  const kind = method === 'POST' ? endpointOf(path).content : null;
  if (kind === null || kind === 'json_or_events') return null;
  const format = fields.get('response_format')?.trim().toLowerCase() || null;
  return { kind, format, isFormatKnown: format !== null || fields.isWhole };
}

/** `invalid_response` for well-formed JSON without the media that was requested. */
export function missingMedia(what: string): FerryError {
  return new FerryError('invalid_response', {
    message: `The upstream returned an unrecognised response format: JSON without ${what}.`,
    upstreamStatus: 200,
  });
}

/** `mismatch` for media that cannot be converted to what was requested: another upstream may do, and this one is healthy. */
export function unusableMedia(message: string): FerryError {
  return new FerryError('mismatch', { message, code: 'upstream_invalid_response', upstreamStatus: 200 });
}
