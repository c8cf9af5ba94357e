import { FerryError } from '../lib/errors/ferry-error.ts';
import { type ErrorContext, invalidBodyError } from './errors/upstream-error.ts';

/** So much of a body that is not what was asked for is looked at for its excerpt. In UTF-16 units. */
const EXCERPT_SOURCE = 4000;

/** The JSON of a whole response; throws `disconnected` for one that is cut, `invalid_response` for what is none. */
export function parseResponseJson(body: Buffer, context: ErrorContext): unknown {
  const text = textOf(body);
  try {
    return JSON.parse(text);
  } catch {
    throw notJson(text, context);
  }
}

/** `invalid_response` with an excerpt of a body that is not what was asked for. */
export function invalidResponseBody(body: Buffer, context: ErrorContext): FerryError {
  return invalidBodyError(textOf(body).slice(0, EXCERPT_SOURCE), context);
}

/** JSON that begins and does not end was cut on its way. */
function notJson(text: string, context: ErrorContext): FerryError {
  if (!/^[{[]/.test(text) || /[}\]]$/.test(text))
    return invalidBodyError(text.slice(0, EXCERPT_SOURCE), context);
  return new FerryError('disconnected', {
    message: 'The upstream closed the connection in the middle of its response.',
    upstreamStatus: 200,
  });
}

function textOf(body: Buffer): string {
  return body
    .toString('utf8')
    .replace(/^\ufeff/, '')
    .trim();
}
