import { isJsonObject } from '../../lib/json/json-object.ts';
import { parseResponseJson } from '../response-json.ts';
import { readUsage } from '../usage/usage.ts';
import { readImages } from './image-response.ts';
import type { CountedMediaReply, MediaReading, MediaReply, MediaSource, MediaWish } from './media-request.ts';
import { readSpeech } from './speech.ts';
import { readTranscript } from './transcript.ts';

/**
 * A reply in the one form that clients read (S121 to S123, Q161 to Q163). Throws FerryError: the error that it
 * carries, `invalid_response`, `mismatch`.
 */
export function readMediaReply(source: Omit<MediaSource, 'json'>, reading: MediaReading): CountedMediaReply {
  const json = source.shape === 'json' ? parseResponseJson(source.body, reading.context) : null;
  const reply = READERS[reading.wish.kind]({ ...source, json }, reading);
  return { ...reply, usage: isJsonObject(json) ? readUsage(json.usage) : null };
}

const READERS = { transcript: readTranscript, speech: readSpeech, images: readImages } satisfies Record<
  MediaWish['kind'],
  (source: MediaSource, reading: MediaReading) => MediaReply
>;
