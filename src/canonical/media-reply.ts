import { readSpeech } from './audio-speech.ts';
import { readTranscript } from './audio-transcript.ts';
import { readImages } from './image-reply.ts';
import { isJsonObject } from './json-object.ts';
import type { CountedMediaReply, MediaReading, MediaReply, MediaSource, MediaWish } from './media-wish.ts';
import { parseReply } from './reply-json.ts';
import { readUsage } from './usage.ts';

/**
 * A reply in the one form that clients read (S121 to S123, Q161 to Q163). Throws FerryError: the error that it
 * carries, `invalid_response`, `mismatch`.
 */
export function readMediaReply(source: Omit<MediaSource, 'json'>, reading: MediaReading): CountedMediaReply {
  const json = source.shape === 'json' ? parseReply(source.body, reading.context) : null;
  const reply = READERS[reading.wish.kind]({ ...source, json }, reading);
  return { ...reply, usage: isJsonObject(json) ? readUsage(json.usage) : null };
}

const READERS = { transcript: readTranscript, speech: readSpeech, images: readImages } satisfies Record<
  MediaWish['kind'],
  (source: MediaSource, reading: MediaReading) => MediaReply
>;
