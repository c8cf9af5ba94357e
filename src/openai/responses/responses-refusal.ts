import { FerryError } from '../../lib/errors/ferry-error.ts';

/** What a Responses request may ask of OpenAI's own service and nobody can do with a chat: 400, with its place. */
export function impossibleAsChat(param: string, message: string): FerryError {
  return new FerryError('invalid_request', { message, param, code: 'unsupported_parameter' });
}

/** What is no Responses request at all: 400, with the place of the mistake. */
export function malformed(param: string, message: string): FerryError {
  return new FerryError('invalid_request', { message, param });
}
