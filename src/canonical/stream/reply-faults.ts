import { FerryError } from '../../errors.ts';

/** `limit`: in UTF-16 units. */
export function tooLong(limit: number): FerryError {
  return new FerryError('invalid_response', {
    message: `The upstream sent an event of more than ${limit} characters.`,
  });
}

/** What came is no answer; the message says why. */
export function noAnswer(message: string): FerryError {
  return new FerryError('invalid_response', { message });
}

/** The body ended before the answer. */
export function cutOff(hasContent: boolean): FerryError {
  return new FerryError('disconnected', {
    message: hasContent
      ? 'The upstream closed the connection before its answer was complete.'
      : 'The upstream closed the connection before it answered.',
  });
}
