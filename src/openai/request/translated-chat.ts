import { FerryError } from '../../lib/errors/ferry-error.ts';
import type { JsonObject } from '../../lib/json/json-object.ts';
import { readMembers } from '../../lib/json/json-scanner.ts';
import type { ParsedRequest } from './parsed-request.ts';

/** A chat that was made of a request of another API, as if a client had sent it. */
export function translatedChat(
  chat: JsonObject,
  { model, stream }: Pick<ParsedRequest, 'model' | 'stream'>,
): ParsedRequest {
  const text = JSON.stringify(chat);
  return {
    kind: 'chat',
    body: Buffer.from(text),
    text,
    members: readMembers(text),
    json: chat,
    model,
    stream,
    includeUsage: stream,
    usesLegacyFunctions: false,
    hasTools: chat.tools !== undefined,
  };
}

/** 400 for what only the vendor's own service can do, with its place. */
export function impossibleAsChat(param: string, message: string): FerryError {
  return new FerryError('invalid_request', { message, param, code: 'unsupported_parameter' });
}

/** 400 for an invalid request, with the place of the mistake. */
export function malformed(param: string, message: string): FerryError {
  return new FerryError('invalid_request', { message, param });
}

/** A type of the client's as an error names it. */
export function named(value: unknown): string {
  return typeof value === 'string' ? `"${value.slice(0, 64)}"` : 'none';
}
