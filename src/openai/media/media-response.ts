import { isJsonObject } from '../../lib/json/json-object.ts';
import { parseResponseJson } from '../response-json.ts';
import { readUsage } from '../usage/usage.ts';
import { readImages } from './images.ts';
import type {
  CountedMediaResponse,
  MediaReading,
  MediaRequest,
  MediaResponse,
  MediaSource,
} from './media-request.ts';
import { readSpeech } from './speech.ts';
import { readTranscript } from './transcript.ts';

/**
 * A response in the one form that clients read (S121 to S123, Q161 to Q163). Throws FerryError: the error that it
 * carries, `invalid_response`, `mismatch`.
 */
export function readMediaResponse(
  source: Omit<MediaSource, 'json'>,
  reading: MediaReading,
): CountedMediaResponse {
  const json = source.shape === 'json' ? parseResponseJson(source.body, reading.context) : null;
  const response = READERS[reading.wish.kind]({ ...source, json }, reading);
  return { ...response, usage: isJsonObject(json) ? readUsage(json.usage) : null };
}

const READERS = { transcript: readTranscript, speech: readSpeech, images: readImages } satisfies Record<
  MediaRequest['kind'],
  (source: MediaSource, reading: MediaReading) => MediaResponse
>;
