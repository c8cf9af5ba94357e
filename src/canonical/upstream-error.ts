import { FerryError } from '../errors.ts';

/** What an error text is read against: the request it answers, and the rules of the installation. */
export interface ErrorContext {
  /** The model as the client named it; null when the request has none. */
  readonly model: string | null;
  /** The normalised path of the request (`/v1/chat/completions`). */
  readonly path: string;
  /** Replaces living secrets in text that came from outside. */
  readonly scrub: (text: string) => string;
  /** Whether `retry.statuses` names this status. Default: 408, 425, 500, 502-504, 520-529. */
  readonly isRetryable?: (status: number) => boolean;
  /** Header of the upstream's answer by lower-case name. */
  readonly headers?: (name: string) => string | undefined;
  /** Wall clock in milliseconds, for `retry-after` as a date. Default: Date.now(). */
  readonly nowWallMs?: number;
}

export interface UpstreamAnswer extends ErrorContext {
  readonly status: number;
  readonly headers: (name: string) => string | undefined;
  /** The body as text, possibly cut; '' when there was none. */
  readonly body: string;
}

/** An error found inside a parsed body, in the upstream's own words. */
export interface BodyError {
  readonly message: string;
  readonly type: string | null;
  readonly code: string | null;
  readonly param: string | null;
  /** The HTTP status that the body itself implies; null when it implies none. */
  readonly status: number | null;
}

/** Any answer that is not a success (4xx, 5xx, 3xx and stranger ones), as the one error of the product. */
export function readUpstreamError(answer: UpstreamAnswer): FerryError {
  return new FerryError('invalid_response', {
    message: 'The upstream failed.',
    upstreamStatus: answer.status,
  });
}

/** The error that a parsed 200 body or stream event carries; null when it carries none. Never throws. */
export function findErrorInBody(_json: unknown): BodyError | null {
  return null;
}

/** The error of a 200 answer or a stream event (see `findErrorInBody`) as the one error of the product. */
export function readBodyError(found: BodyError, _context: ErrorContext): FerryError {
  return new FerryError('invalid_response', { message: found.message });
}

/** A 200 answer that is empty, HTML or not JSON: `upstream_invalid_response` with a short excerpt. */
export function invalidBodyError(_body: string, _context: ErrorContext): FerryError {
  return new FerryError('invalid_response', {
    message: 'The upstream answered with something else than JSON.',
  });
}
