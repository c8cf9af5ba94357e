import { FerryError } from '../errors.ts';
import { findErrorInBody } from './error-shapes.ts';
import { type ErrorContext, invalidBodyError, readBodyError } from './upstream-error.ts';

/** The JSON of a reply; throws `disconnected` for one that is cut, `invalid_response` for what is none. */
export function parseReply(body: Buffer, context: ErrorContext): unknown {
  const text = body
    .toString('utf8')
    .replace(/^\ufeff/, '')
    .trim();
  try {
    return JSON.parse(text);
  } catch {
    if (/^[{[]/.test(text) && !/[}\]]$/.test(text)) {
      throw new FerryError('disconnected', {
        message: 'The upstream closed the connection in the middle of its answer.',
        upstreamStatus: 200,
      });
    }
    throw notReadable(body, context);
  }
}

/** Throws the error that the JSON of a 200 carries, if it carries one. */
export function refuseError(json: unknown, context: ErrorContext): void {
  const found = findErrorInBody(json);
  // Some number their successes (1000, 3000) and say so in words.
  if (found !== null && !/^\W*(?:ok|success\w*)\W*$/i.test(found.message))
    throw readBodyError(found, context);
}

/** `invalid_response` with an excerpt of a body that is not what was asked for. */
export function notReadable(body: Buffer, context: ErrorContext): FerryError {
  return invalidBodyError(body.toString('utf8', 0, 4000), context);
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
