import { FerryError } from '../../lib/errors/ferry-error.ts';
import { findErrorInBody } from '../errors/error-shapes.ts';
import { type ErrorContext, readBodyError } from '../errors/upstream-error.ts';

/** Throws the error that the JSON of a 200 carries, if it carries one. */
export function refuseError(json: unknown, context: ErrorContext): void {
  const found = findErrorInBody(json);
  // Some number their successes (1000, 3000) and say so in words.
  if (found !== null && !/^\W*(?:ok|success\w*)\W*$/i.test(found.message))
    throw readBodyError(found, context);
}

/** `invalid_response` for JSON that is well-formed and has nothing of what was asked for. */
export function nothingIn(what: string): FerryError {
  return new FerryError('invalid_response', {
    message: `The upstream answered with JSON that holds no ${what}.`,
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
