import { FerryError } from '../../../lib/errors/ferry-error.ts';

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

/** The answer was not complete when these words came, and nothing after them. */
export function brokenOff(lastWords: string): FerryError {
  return noAnswer(`The upstream broke off its answer with: ${lastWords}`);
}

/** What was put together of a reply, as far as it tells whether that is an answer. */
interface Assembled {
  readonly isComplete: boolean;
  readonly isCut: boolean;
  readonly hasGap: boolean;
  readonly hasNamelessCall: boolean;
  readonly lacksCalls: boolean;
  readonly hasContent: boolean;
  readonly hasBodies: boolean;
}

/** A reply at its end, and what of it could not be used; '' where there is nothing. */
interface ResponseAtEnd {
  readonly assembler: Assembled;
  /** Words after which nothing came. */
  readonly lastWords: string;
  readonly unread: string;
}

/** Why a reply that came to its end is no answer all the same; null when it is one. An empty answer can be one. */
export function faultOfWhole({ assembler, lastWords, unread }: ResponseAtEnd): FerryError | null {
  if (!assembler.isComplete && lastWords !== '') return brokenOff(lastWords);
  if (assembler.isCut) return cutOff(true);
  if (assembler.hasGap) return noAnswer('The upstream left out one of its choices.');
  if (assembler.hasNamelessCall) {
    return noAnswer('The upstream sent a tool call without the name of its function.');
  }
  const hasUnreadCalls = assembler.lacksCalls && unread !== '';
  if (assembler.hasContent && !hasUnreadCalls) return null;
  if (assembler.lacksCalls && !hasUnreadCalls) {
    return noAnswer('The upstream announced tool calls and sent none.');
  }
  if (unread !== '') {
    return noAnswer(`The upstream's answer has its text in a place that nobody knows: ${unread}`);
  }
  return assembler.hasBodies ? null : noAnswer("The upstream's answer has neither a message nor a delta.");
}
